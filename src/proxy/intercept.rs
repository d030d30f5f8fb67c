//! An opened tunnel: TLS with the agent under a leaf of ours, and the requests inside.

use std::io;
use std::sync::Arc;

use hyper::Request;
use hyper::Response;
use hyper::StatusCode;
use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::server::TlsStream;

use crate::agent::Session;
use crate::audit::Completion;
use crate::audit::Entry;
use crate::audit::Opening;
use crate::audit::Outcome;
use crate::broker::Presented;
use crate::http::Body;
use crate::http::guard;
use crate::limits;
use crate::model::Authority;
use crate::model::Host;
use crate::os::Aside;
use crate::proxy::Proxy;
use crate::proxy::gathered::Gathered;
use crate::proxy::http1;
use crate::proxy::http1::Served;
use crate::proxy::http2;
use crate::proxy::recorded::Recorded;
use crate::proxy::reply;
use crate::proxy::reply::Bridge;
use crate::proxy::tunnel;
use crate::tls::Alpn;
use crate::upstream::Protocol;

/// Why the TLS of an admitted connection was not opened.
#[derive(Debug, thiserror::Error)]
enum NotOpened {
    #[error("the agent asked TLS for another name than its CONNECT")]
    NameDisagrees,
    #[error("the agent spoke no TLS")]
    Handshake(#[source] io::Error),
    #[error("no leaf certificate")]
    Leaf(#[source] crate::tls::LeafError),
    #[error("the handshake took too long")]
    Timeout,
}

impl NotOpened {
    fn code(&self) -> &'static str {
        match self {
            Self::NameDisagrees => "authority-mismatch",
            Self::Handshake(_) => "agent-tls",
            Self::Leaf(_) => "leaf-not-made",
            Self::Timeout => "agent-tls-timeout",
        }
    }
}

/// Serves an admitted connection to its end. `entry` is the record of its CONNECT.
pub(super) async fn open<S>(proxy: Arc<Proxy>, stream: S, session: Arc<Session>, authority: Authority, entry: Entry)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let shaken =
        tokio::time::timeout(limits::AGENT_TLS_TIMEOUT, shake_hands(&proxy, stream, &session, &authority)).await;
    let stream = match shaken.unwrap_or(Err(NotOpened::Timeout)) {
        Ok(stream) => stream,
        Err(error) => {
            tracing::debug!(host = %authority, %error, "a tunnel was not opened");
            complete(entry, Outcome::Failed, Some(error.code()));
            return;
        }
    };
    let mut ended = Aside::new(session.ended().clone().cancelled_owned());
    let tunnel = Arc::new(Tunnel { proxy, session, authority });
    // A session that ends takes its connections with it, in the middle of whatever they carry.
    let serve = async {
        match stream.get_ref().1.alpn_protocol() {
            Some(b"h2") => tunnel.http2(stream).await,
            _ => tunnel.http1(stream).await,
        }
    };
    let cut = tokio::select! {
        biased;
        () = &mut ended => true,
        () = serve => false,
    };
    // a request that was cut off says so in its own record
    complete(entry, Outcome::Intercepted, cut.then_some("session-ended"));
}

/// The leaf is minted, and the upstream dialled, once the agent has said what it speaks and for whom.
async fn shake_hands<S>(
    proxy: &Proxy,
    stream: S,
    session: &Arc<Session>,
    authority: &Authority,
) -> Result<TlsStream<Gathered<S>>, NotOpened>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let start = LazyConfigAcceptor::new(rustls::server::Acceptor::default(), Gathered::new(stream))
        .await
        .map_err(NotOpened::Handshake)?;
    let hello = start.client_hello();
    let same = hello.server_name().is_some_and(|name| Host::parse(name).is_ok_and(|name| name == authority.host));
    if !same {
        return Err(NotOpened::NameDisagrees);
    }
    let offers_http2 = hello.alpn().is_some_and(|mut offered| offered.any(|protocol| protocol == b"h2"));
    let (alpn, protocol) =
        if offers_http2 { (Alpn::Http2AndHttp1, Protocol::Http2) } else { (Alpn::Http1, Protocol::Http1) };
    proxy.broker.warm(session, authority, protocol);
    let config = proxy.certificates.server_config(&authority.host, alpn).map_err(NotOpened::Leaf)?;
    let mut stream = start.into_stream(config).await.map_err(NotOpened::Handshake)?;
    stream.get_mut().0.let_go();
    Ok(stream)
}

fn complete(entry: Entry, outcome: Outcome, error: Option<&'static str>) {
    entry.complete(Completion { status: StatusCode::OK.as_u16(), bytes_in: 0, bytes_out: 0, outcome, error });
}

/// What every request inside one opened tunnel shares.
struct Tunnel {
    proxy: Arc<Proxy>,
    session: Arc<Session>,
    authority: Authority,
}

impl Tunnel {
    async fn http1<S>(&self, stream: TlsStream<S>)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let draining = &self.proxy.draining;
        let answer = |request| self.answer(request, Protocol::Http1);
        match http1::serve(stream, answer, limits::KEPT_ALIVE_IDLE_TIMEOUT, draining).await {
            Served::Switched(Bridge { upgraded, entry }, agent) => {
                tunnel::pass(agent, upgraded, &self.session, entry, StatusCode::SWITCHING_PROTOCOLS).await;
            }
            Served::Unread(violation, parting) => {
                let presented = Presented::Session(Arc::clone(&self.session));
                let opening = Opening { authority: Some(self.authority.clone()), ..reply::unread(None) };
                let word = self.proxy.unread(&presented, opening, violation).await;
                parting.leave(&word, draining).await;
            }
            Served::Done(parting) => parting.leave(&[], draining).await,
        }
    }

    async fn http2<S>(self: Arc<Self>, stream: TlsStream<S>)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let this = Arc::clone(&self);
        let answer = move |request| {
            let this = Arc::clone(&this);
            async move { this.answer(request, Protocol::Http2).await.0 }
        };
        http2::serve(stream, answer, self.proxy.tasks.clone(), &self.proxy.draining).await;
    }

    async fn answer(&self, request: Request<Body>, protocol: Protocol) -> (Response<Recorded>, Option<Bridge>) {
        let forms = self.proxy.broker.path_forms(&self.authority);
        let destination = guard::in_tunnel(&request, &self.authority, forms);
        let presented = Presented::Session(Arc::clone(&self.session));
        self.proxy.carry(request, presented, destination, protocol).await
    }
}
