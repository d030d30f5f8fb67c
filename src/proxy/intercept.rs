//! An opened tunnel: TLS with the agent under a leaf of ours, and the requests inside.

use std::io;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::AtomicU64;

use hyper::Request;
use hyper::Response;
use hyper::StatusCode;
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use hyper_util::rt::TokioTimer;
use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::task::TaskTracker;

use crate::agent::Session;
use crate::audit::Completion;
use crate::audit::Entry;
use crate::audit::Opening;
use crate::audit::Outcome;
use crate::broker::Arrival;
use crate::broker::Presented;
use crate::http::Body;
use crate::http::Malformed;
use crate::http::Strict;
use crate::http::Trailers;
use crate::http::guard;
use crate::limits;
use crate::model::Authority;
use crate::model::Destination;
use crate::model::Host;
use crate::proxy::Proxy;
use crate::proxy::http1;
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
    let ended = session.ended().clone();
    let tunnel = Arc::new(Tunnel { proxy, session, authority });
    // A session that ends takes its connections with it, in the middle of whatever they carry.
    let serve = async {
        match stream.get_ref().1.alpn_protocol() {
            Some(b"h2") => tunnel.http2(stream).await,
            _ => tunnel.http1(stream).await,
        }
    };
    match ended.run_until_cancelled(serve).await {
        Some(()) => complete(entry, Outcome::Intercepted, None),
        None => complete(entry, Outcome::Aborted, Some("session-ended")),
    }
}

/// The leaf is minted, and the upstream dialled, once the agent has said what it speaks and for whom.
async fn shake_hands<S>(
    proxy: &Proxy,
    stream: S,
    session: &Arc<Session>,
    authority: &Authority,
) -> Result<TlsStream<S>, NotOpened>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let start =
        LazyConfigAcceptor::new(rustls::server::Acceptor::default(), stream).await.map_err(NotOpened::Handshake)?;
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
    start.into_stream(config).await.map_err(NotOpened::Handshake)
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
    async fn http1<S>(self: Arc<Self>, stream: TlsStream<S>)
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let stream = Strict::new(stream);
        let gate = stream.gate();
        let bridge = Mutex::new(None);
        let answer = |request| async {
            let (response, opened) = self.answer(request, Protocol::Http1).await;
            match opened {
                Some(opened) => *bridge.lock().unwrap_or_else(PoisonError::into_inner) = Some(opened),
                None => gate.proceed(),
            }
            response
        };
        let stream = http1::serve(stream, answer, &self.proxy.draining).await;
        if let Some(violation) = stream.violation() {
            let presented = Presented::Session(Arc::clone(&self.session));
            let opening = Opening { authority: Some(self.authority.clone()), ..reply::unread(None) };
            let answer = self.proxy.broker.refuse(&presented, opening, violation.into()).await;
            reply::last_word(stream, violation, answer).await;
            return;
        }
        if let Some(Bridge { upgraded, entry }) = bridge.into_inner().unwrap_or_else(PoisonError::into_inner) {
            let (stream, early) = stream.into_inner();
            let agent = tunnel::Rewound::new(early, stream);
            let upstream = TokioIo::new(upgraded);
            let status = StatusCode::SWITCHING_PROTOCOLS;
            tunnel::pass(agent, upstream, &self.session, &self.proxy.draining, entry, status).await;
        }
    }

    async fn http2<S>(self: Arc<Self>, stream: TlsStream<S>)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let this = Arc::clone(&self);
        let service = service_fn(move |request| {
            let this = Arc::clone(&this);
            async move { Ok::<_, std::convert::Infallible>(this.answer(request, Protocol::Http2).await.0) }
        });
        let connection = http2::Builder::new(Tasks(self.proxy.tasks.clone()))
            .timer(TokioTimer::new())
            .max_concurrent_streams(limits::HTTP2_STREAMS_MAX)
            .max_header_list_size(u32::try_from(limits::HEAD_BYTES_MAX).unwrap_or(u32::MAX))
            .initial_stream_window_size(limits::HTTP2_STREAM_WINDOW_BYTES)
            .initial_connection_window_size(limits::HTTP2_CONNECTION_WINDOW_BYTES)
            .auto_date_header(false)
            .serve_connection(TokioIo::new(stream), service);
        tokio::pin!(connection);
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = self.proxy.draining.cancelled() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "an agent's connection ended");
        }
    }

    async fn answer(&self, request: Request<Incoming>, protocol: Protocol) -> (Response<Recorded>, Option<Bridge>) {
        let forms = self.proxy.broker.path_forms(&self.authority);
        let destination = guard::in_tunnel(&request, &self.authority, forms);
        let presented = Presented::Session(Arc::clone(&self.session));
        self.proxy.carry(request, presented, destination, protocol).await
    }
}

impl Proxy {
    /// One request, once it is known where it goes, or that it can't be.
    pub(super) async fn carry(
        &self,
        request: Request<Incoming>,
        presented: Presented,
        destination: Result<Destination, Malformed>,
        protocol: Protocol,
    ) -> (Response<Recorded>, Option<Bridge>) {
        let method = request.method().clone();
        let understood = destination.and_then(|destination| {
            let websocket = guard::asks_for_websocket(request.headers())?;
            Ok((destination, websocket))
        });
        let (destination, websocket) = match understood {
            Ok(understood) => understood,
            Err(malformed) => {
                let opening = reply::unread(Some(&method));
                return (self.malformed(&presented, opening, malformed).await, None);
            }
        };
        let (head, incoming) = request.into_parts();
        let body_bytes = Arc::new(AtomicU64::new(0));
        let trailers = match protocol {
            Protocol::Http1 => Trailers::Drop,
            Protocol::Http2 => Trailers::Pass,
        };
        let body = Body::stream(incoming, trailers, limits::AGENT_BODY_IDLE_TIMEOUT).counted(&body_bytes);
        let arrival = Arrival { presented, destination, head, body, body_bytes, protocol, websocket };
        let answer = self.broker.serve(arrival).await;
        reply::respond(answer, &method)
    }
}

/// hyper's own tasks for HTTP/2 streams, under the proxy's ownership.
#[derive(Clone)]
struct Tasks(TaskTracker);

impl<F> hyper::rt::Executor<F> for Tasks
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    fn execute(&self, future: F) {
        self.0.spawn(future);
    }
}
