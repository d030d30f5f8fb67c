//! One connection to an API: TCP, verified TLS, HTTP/1 or HTTP/2.
//!
//! An HTTP/1 connection is a value that whoever uses it drives: the request in flight, then the body of its
//! answer, then nobody while it is idle. So an exchange runs in the task of the agent's own connection, without a
//! second task to wake. HTTP/2 connections and those that switch protocols have a task of their own.

use std::fmt;
use std::future::Future as _;
use std::future::poll_fn;
use std::pin::Pin;
use std::pin::pin;
use std::sync::Arc;
use std::task::Context;
use std::task::Poll;

use hyper::Request;
use hyper::Response;
use hyper::body::Incoming;
use hyper::client::conn::TrySendError;
use hyper::client::conn::http1;
use hyper::client::conn::http2;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioExecutor;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio_rustls::TlsConnector;
use tokio_util::task::TaskTracker;

use crate::http::Body;
use crate::limits;
use crate::model::Authority;
use crate::resource::PrivateAddresses;
use crate::resource::Resource;
use crate::upstream::Dialer;
use crate::upstream::NotForwarded;
use crate::upstream::Protocol;
use crate::upstream::Reach;
use crate::upstream::wire::Wire;

/// A connection as its user sees it.
#[derive(Debug)]
pub(super) enum Sender {
    Http1(Box<Http1>),
    Http2(http2::SendRequest<Body>),
}

/// An HTTP/1 connection and its driver.
pub(super) struct Http1 {
    sender: http1::SendRequest<Body>,
    /// None once it has ended, or where a task of its own drives it.
    connection: Option<http1::Connection<TokioIo<Wire>, Body>>,
}

/// What a connection is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    Requests,
    /// One request that asks to switch protocols.
    Upgrade,
}

/// Dials, verifies, and shakes hands. `tasks` owns the task of a connection that has one.
pub(super) async fn connect(
    dialer: &Dialer,
    resource: &Resource,
    host: &Authority,
    tls: Option<Arc<ClientConfig>>,
    purpose: Purpose,
    tasks: &TaskTracker,
) -> Result<Sender, NotForwarded> {
    let (dialled, reach) = match (&resource.connect, resource.private_addresses) {
        (Some(pinned), _) => (pinned, Reach::Pinned),
        (None, PrivateAddresses::Permit) => (host, Reach::Any),
        (None, PrivateAddresses::Refuse) => (host, Reach::Public),
    };
    let tcp = dialer.dial(dialled, reach).await?;
    let Some(tls) = tls else { return shake_hands(Wire::Clear(tcp), Protocol::Http1, host, purpose, tasks).await };
    let name = host.host.as_str().trim_matches(['[', ']']).to_owned();
    let name = ServerName::try_from(name).map_err(|_| NotForwarded::Target)?;
    let stream =
        TlsConnector::from(tls).connect(name, tcp).await.map_err(|error| NotForwarded::from_handshake(host, error))?;
    let protocol = match stream.get_ref().1.alpn_protocol() {
        Some(b"h2") => Protocol::Http2,
        _ => Protocol::Http1,
    };
    shake_hands(Wire::Tls(Box::new(stream)), protocol, host, purpose, tasks).await
}

async fn shake_hands(
    wire: Wire,
    protocol: Protocol,
    host: &Authority,
    purpose: Purpose,
    tasks: &TaskTracker,
) -> Result<Sender, NotForwarded> {
    let broken = |source| NotForwarded::Broken { host: host.to_string(), source };
    let wire = TokioIo::new(wire);
    if protocol == Protocol::Http2 {
        let (sender, connection) = http2::Builder::new(TokioExecutor::new())
            .initial_stream_window_size(limits::HTTP2_STREAM_WINDOW_BYTES)
            .initial_connection_window_size(limits::HTTP2_CONNECTION_WINDOW_BYTES)
            .max_header_list_size(u32::try_from(limits::HEAD_BYTES_MAX).unwrap_or(u32::MAX))
            .handshake(wire)
            .await
            .map_err(broken)?;
        tasks.spawn(async move { told(connection.await) });
        return Ok(Sender::Http2(sender));
    }
    let (sender, connection) =
        http1::Builder::new().max_headers(limits::HEADERS_MAX).handshake(wire).await.map_err(broken)?;
    let connection = match purpose {
        Purpose::Requests => Some(connection),
        Purpose::Upgrade => {
            tasks.spawn(async move { told(connection.with_upgrades().await) });
            None
        }
    };
    Ok(Sender::Http1(Box::new(Http1 { sender, connection })))
}

fn told(ended: hyper::Result<()>) {
    if let Err(error) = ended {
        tracing::debug!(%error, "an upstream connection ended");
    }
}

impl Http1 {
    /// Reads and writes what can be; the connection is let go when it has ended.
    pub(super) fn drive(&mut self, cx: &mut Context<'_>) {
        if let Some(connection) = &mut self.connection
            && let Poll::Ready(ended) = Pin::new(connection).poll(cx)
        {
            told(ended);
            self.connection = None;
        }
    }

    /// Whether it lives and takes a request now.
    fn is_idle(&mut self, cx: &mut Context<'_>) -> bool {
        self.drive(cx);
        self.connection.is_some() && self.sender.is_ready()
    }

    async fn try_send(&mut self, message: Request<Body>) -> Result<Response<Incoming>, TrySendError<Request<Body>>> {
        let Self { sender, connection } = self;
        let mut exchange = pin!(sender.try_send_request(message));
        poll_fn(|cx| {
            if let Some(driven) = connection
                && let Poll::Ready(ended) = Pin::new(driven).poll(cx)
            {
                told(ended);
                *connection = None;
            }
            exchange.as_mut().poll(cx)
        })
        .await
    }
}

impl Sender {
    pub(super) fn protocol(&self) -> Protocol {
        match self {
            Self::Http1(_) => Protocol::Http1,
            Self::Http2(_) => Protocol::Http2,
        }
    }

    /// Another handle to an HTTP/2 connection; an HTTP/1 connection can't be shared.
    pub(super) fn share(&self) -> Option<Self> {
        match self {
            Self::Http1(_) => None,
            Self::Http2(sender) => Some(Self::Http2(sender.clone())),
        }
    }

    /// Whether it takes a request at once. An answer that came before its request had ended leaves a
    /// connection that doesn't.
    pub(super) fn is_idle(&mut self, cx: &mut Context<'_>) -> bool {
        match self {
            Self::Http1(http1) => http1.is_idle(cx),
            Self::Http2(sender) => !sender.is_closed(),
        }
    }

    /// Whether the other side has closed it, as far as is known without a look at the socket.
    pub(super) fn is_closed(&self) -> bool {
        match self {
            Self::Http1(http1) => http1.sender.is_closed(),
            Self::Http2(sender) => sender.is_closed(),
        }
    }

    /// Keeps an exchange going while the body of its answer is read.
    pub(super) fn drive(&mut self, cx: &mut Context<'_>) {
        match self {
            Self::Http1(http1) => http1.drive(cx),
            Self::Http2(_) => {}
        }
    }

    /// Sends; a message that was not sent at all comes back.
    pub(super) async fn try_send(
        &mut self,
        message: Request<Body>,
        host: &Authority,
    ) -> Result<Result<Response<Incoming>, Request<Body>>, NotForwarded> {
        let work = async {
            match self {
                Self::Http1(http1) => http1.try_send(message).await,
                Self::Http2(sender) => sender.try_send_request(message).await,
            }
        };
        match tokio::time::timeout(limits::UPSTREAM_HEAD_TIMEOUT, work).await {
            Ok(Ok(response)) => Ok(Ok(response)),
            Ok(Err(mut failed)) => match failed.take_message() {
                Some(message) => Ok(Err(message)),
                None => Err(NotForwarded::from_exchange(host, failed.into_error())),
            },
            Err(_) => Err(NotForwarded::HeadTimeout { host: host.to_string() }),
        }
    }

    /// Sends, and takes an unsent message for a broken connection.
    pub(super) async fn send(
        &mut self,
        message: Request<Body>,
        host: &Authority,
    ) -> Result<Response<Incoming>, NotForwarded> {
        self.try_send(message, host).await?.map_err(|_| NotForwarded::Closed { host: host.to_string() })
    }
}

/// The other protocol's stream behind a 101.
pub(super) async fn upgrade(
    mut response: Response<Incoming>,
    host: &Authority,
) -> Result<(Response<()>, Upgraded), NotForwarded> {
    let switched = hyper::upgrade::on(&mut response);
    let upgraded = match tokio::time::timeout(limits::UPSTREAM_CONNECT_TIMEOUT, switched).await {
        Ok(Ok(upgraded)) => upgraded,
        Ok(Err(source)) => return Err(NotForwarded::Broken { host: host.to_string(), source }),
        Err(_) => return Err(NotForwarded::UnaskedSwitch),
    };
    Ok((response.map(|_| ()), upgraded))
}

impl fmt::Debug for Http1 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Http1").field("driven", &self.connection.is_some()).finish_non_exhaustive()
    }
}
