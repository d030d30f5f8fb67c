//! One connection to an API: TCP, verified TLS, HTTP/1 or HTTP/2.

use std::sync::Arc;

use hyper::Request;
use hyper::Response;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::client::conn::http2;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioExecutor;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;
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

/// The sending half of a connection.
#[derive(Debug)]
pub(super) enum Sender {
    Http1(http1::SendRequest<Body>),
    Http2(http2::SendRequest<Body>),
}

/// Dials, verifies, and shakes hands. `tasks` owns the connection's own task.
pub(super) async fn connect(
    dialer: &Dialer,
    resource: &Resource,
    host: &Authority,
    tls: Option<Arc<ClientConfig>>,
    tasks: &TaskTracker,
) -> Result<Sender, NotForwarded> {
    let (dialled, reach) = match (&resource.connect, resource.private_addresses) {
        (Some(pinned), _) => (pinned, Reach::Pinned),
        (None, PrivateAddresses::Permit) => (host, Reach::Any),
        (None, PrivateAddresses::Refuse) => (host, Reach::Public),
    };
    let tcp = dialer.dial(dialled, reach).await?;
    let Some(tls) = tls else { return shake_hands(tcp, Protocol::Http1, host, tasks).await };
    let name = host.host.as_str().trim_matches(['[', ']']).to_owned();
    let name = ServerName::try_from(name).map_err(|_| NotForwarded::Target)?;
    let stream =
        TlsConnector::from(tls).connect(name, tcp).await.map_err(|error| NotForwarded::from_handshake(host, error))?;
    let protocol = match stream.get_ref().1.alpn_protocol() {
        Some(b"h2") => Protocol::Http2,
        _ => Protocol::Http1,
    };
    shake_hands(stream, protocol, host, tasks).await
}

async fn shake_hands<S>(
    stream: S,
    protocol: Protocol,
    host: &Authority,
    tasks: &TaskTracker,
) -> Result<Sender, NotForwarded>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let broken = |source| NotForwarded::Broken { host: host.to_string(), source };
    let stream = TokioIo::new(stream);
    match protocol {
        Protocol::Http1 => {
            let (sender, connection) =
                http1::Builder::new().max_headers(limits::HEADERS_MAX).handshake(stream).await.map_err(broken)?;
            tasks.spawn(async move {
                if let Err(error) = connection.with_upgrades().await {
                    tracing::debug!(%error, "an upstream connection ended");
                }
            });
            Ok(Sender::Http1(sender))
        }
        Protocol::Http2 => {
            let (sender, connection) = http2::Builder::new(TokioExecutor::new())
                .initial_stream_window_size(limits::HTTP2_STREAM_WINDOW_BYTES)
                .initial_connection_window_size(limits::HTTP2_CONNECTION_WINDOW_BYTES)
                .max_header_list_size(u32::try_from(limits::HEAD_BYTES_MAX).unwrap_or(u32::MAX))
                .handshake(stream)
                .await
                .map_err(broken)?;
            tasks.spawn(async move {
                if let Err(error) = connection.await {
                    tracing::debug!(%error, "an upstream connection ended");
                }
            });
            Ok(Sender::Http2(sender))
        }
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

    pub(super) fn is_closed(&self) -> bool {
        match self {
            Self::Http1(sender) => sender.is_closed(),
            Self::Http2(sender) => sender.is_closed(),
        }
    }

    /// Whether it takes a request, as soon as the last one is out of the way.
    pub(super) async fn is_ready(&mut self) -> bool {
        match self {
            Self::Http1(sender) => sender.ready().await.is_ok(),
            Self::Http2(sender) => sender.ready().await.is_ok(),
        }
    }

    /// Sends; a message that was not sent at all comes back.
    pub(super) async fn try_send(
        &mut self,
        message: Request<Body>,
    ) -> Result<Result<Response<Incoming>, Request<Body>>, NotForwarded> {
        let host = host_of(&message);
        let work = async {
            match self {
                Self::Http1(sender) => sender.try_send_request(message).await,
                Self::Http2(sender) => sender.try_send_request(message).await,
            }
        };
        match tokio::time::timeout(limits::UPSTREAM_HEAD_TIMEOUT, work).await {
            Ok(Ok(response)) => Ok(Ok(response)),
            Ok(Err(mut failed)) => match failed.take_message() {
                Some(message) => Ok(Err(message)),
                None => Err(NotForwarded::from_exchange(host, failed.into_error())),
            },
            Err(_) => Err(NotForwarded::HeadTimeout { host }),
        }
    }

    /// Sends, and takes an unsent message for a broken connection.
    pub(super) async fn send(&mut self, message: Request<Body>) -> Result<Response<Incoming>, NotForwarded> {
        let host = host_of(&message);
        self.try_send(message).await?.map_err(|_| NotForwarded::Closed { host })
    }
}

/// The other protocol's stream behind a 101.
pub(super) async fn upgrade(mut response: Response<Incoming>) -> Result<(Response<()>, Upgraded), NotForwarded> {
    let switched = hyper::upgrade::on(&mut response);
    let upgraded = match tokio::time::timeout(limits::UPSTREAM_CONNECT_TIMEOUT, switched).await {
        Ok(Ok(upgraded)) => upgraded,
        Ok(Err(source)) => return Err(NotForwarded::Broken { host: String::new(), source }),
        Err(_) => return Err(NotForwarded::UnaskedSwitch),
    };
    Ok((response.map(|_| ()), upgraded))
}

fn host_of(message: &Request<Body>) -> String {
    let header = message.headers().get(hyper::header::HOST).and_then(|host| host.to_str().ok());
    header.or_else(|| message.uri().authority().map(|authority| authority.as_str())).unwrap_or("").to_owned()
}
