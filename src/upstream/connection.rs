//! One connection to an API: TCP, verified TLS, HTTP/1 or HTTP/2.

use std::sync::Arc;
use std::task::Context;

use hyper::Request;
use hyper::Response;
use hyper::body::Incoming;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio_rustls::TlsConnector;
use tokio_util::task::TaskTracker;

use crate::http::Rewound;
use crate::limits;
use crate::model::Authority;
use crate::resource::PrivateAddresses;
use crate::resource::Resource;
use crate::resource::Source;
use crate::upstream::Dialer;
use crate::upstream::NotForwarded;
use crate::upstream::Protocol;
use crate::upstream::Reach;
use crate::upstream::address::is_loopback;
use crate::upstream::http1::Http1;
use crate::upstream::http1::NoAnswer;
use crate::upstream::http2::Http2;
use crate::upstream::rewrite::HostName;
use crate::upstream::rewrite::Message;
use crate::upstream::sent;
use crate::upstream::sent::BodySent;
use crate::upstream::wire::Wire;

/// A connection as its user sees it.
#[derive(Debug)]
pub(super) struct Sender {
    line: Line,
    host: HostName,
}

#[derive(Debug)]
enum Line {
    Http1(Box<Http1>),
    Http2(Http2),
}

/// Where the body of an answer comes from.
#[derive(Debug)]
pub(super) enum Coming {
    /// The connection itself.
    Http1,
    Http2(Incoming),
}

/// A connection whose both sides have switched to another protocol.
pub type Upgraded = Rewound<Wire>;

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
    tasks: &TaskTracker,
) -> Result<Sender, NotForwarded> {
    let (dialled, reach) = reach(resource, host);
    let tcp = dialer.dial(dialled, reach).await?;
    let (wire, protocol) = match tls {
        None => (Wire::Clear(tcp), Protocol::Http1),
        Some(tls) => {
            let name = host.host.as_str().trim_matches(['[', ']']).to_owned();
            let name = ServerName::try_from(name).map_err(|_| NotForwarded::Target)?;
            let stream = TlsConnector::from(tls).connect(name, tcp).await;
            let stream = stream.map_err(|error| NotForwarded::from_handshake(host, error))?;
            let protocol = match stream.get_ref().1.alpn_protocol() {
                Some(b"h2") => Protocol::Http2,
                _ => Protocol::Http1,
            };
            (Wire::Tls(Box::new(stream)), protocol)
        }
    };
    let line = match protocol {
        Protocol::Http1 => Line::Http1(Box::new(Http1::new(wire))),
        Protocol::Http2 => {
            let broken = |source| NotForwarded::Broken { host: host.to_string(), source: Box::new(source) };
            Line::Http2(Http2::open(wire, tasks).await.map_err(broken)?)
        }
    };
    Ok(Sender { line, host: HostName::new(resource.scheme, host)? })
}

/// What is dialled, and how far that may lead. A name that stands for this machine is held to it wherever a
/// credential goes with the request: the configuration took it for loopback.
fn reach<'a>(resource: &'a Resource, host: &'a Authority) -> (&'a Authority, Reach) {
    match (&resource.connect, resource.private_addresses) {
        (Some(pinned), _) if is_loopback(&pinned.host) && pinned.host.address().is_none() => (pinned, Reach::Loopback),
        (Some(pinned), _) => (pinned, Reach::Pinned),
        (None, _) if is_loopback(&host.host) && resource.source != Source::None => (host, Reach::Loopback),
        (None, PrivateAddresses::Permit) if is_loopback(&host.host) => (host, Reach::Loopback),
        (None, PrivateAddresses::Permit) => (host, Reach::Any),
        (None, PrivateAddresses::Refuse) => (host, Reach::Public),
    }
}

pub(super) fn told(ended: hyper::Result<()>) {
    if let Err(error) = ended {
        tracing::debug!(%error, "an upstream connection ended");
    }
}

impl Sender {
    pub(super) fn protocol(&self) -> Protocol {
        match &self.line {
            Line::Http1(_) => Protocol::Http1,
            Line::Http2(_) => Protocol::Http2,
        }
    }

    /// Whom it reaches, as requests tell it.
    pub(super) fn host(&self) -> &HostName {
        &self.host
    }

    /// Another handle to an HTTP/2 connection; an HTTP/1 connection can't be shared.
    pub(super) fn share(&self) -> Option<Self> {
        match &self.line {
            Line::Http1(_) => None,
            Line::Http2(http2) => Some(Self { line: Line::Http2(http2.share()), host: self.host.clone() }),
        }
    }

    /// Whether an HTTP/2 connection has no stream left.
    pub(super) fn is_full(&self) -> bool {
        match &self.line {
            Line::Http1(_) => false,
            Line::Http2(http2) => http2.is_full(),
        }
    }

    /// Whether it takes a request at once. An answer that came before its request had ended leaves a
    /// connection that doesn't.
    pub(super) fn is_idle(&mut self, cx: &mut Context<'_>) -> bool {
        match &mut self.line {
            Line::Http1(http1) => http1.is_idle(cx),
            Line::Http2(http2) => !http2.is_closed(),
        }
    }

    /// Whether it takes no more requests, as far as is known without a look at the socket.
    pub(super) fn is_closed(&self) -> bool {
        match &self.line {
            Line::Http1(http1) => !http1.is_ready(),
            Line::Http2(http2) => http2.is_closed(),
        }
    }

    /// Its HTTP/1, where it speaks that.
    pub(super) fn http1(&mut self) -> Option<&mut Http1> {
        match &mut self.line {
            Line::Http1(http1) => Some(http1),
            Line::Http2(_) => None,
        }
    }

    /// See [`Sender::http1`].
    pub(super) fn as_http1(&self) -> Option<&Http1> {
        match &self.line {
            Line::Http1(http1) => Some(http1),
            Line::Http2(_) => None,
        }
    }

    /// The bytes of another protocol, once both sides of an HTTP/1 connection have switched to it.
    pub(super) fn switch(self) -> Option<Upgraded> {
        match self.line {
            Line::Http1(http1) => Some(http1.switch()),
            Line::Http2(_) => None,
        }
    }

    /// Sends; a message that was not sent at all comes back. The wait for the answer's head counts from the last
    /// that was heard of the request's body.
    pub(super) async fn try_send(
        &mut self,
        message: Message,
        host: &Authority,
    ) -> Result<Result<Response<Coming>, Message>, NotForwarded> {
        match &mut self.line {
            Line::Http1(http1) => match http1.exchange(message).await {
                Ok(head) => Ok(Ok(Response::from_parts(head, Coming::Http1))),
                Err(NoAnswer::Unsent(message)) => Ok(Err(message)),
                Err(NoAnswer::AgentBody) => Err(NotForwarded::AgentBody),
                Err(NoAnswer::Broken(source)) => Err(NotForwarded::Broken { host: host.to_string(), source }),
                Err(NoAnswer::Late) => Err(NotForwarded::HeadTimeout { host: host.to_string() }),
            },
            Line::Http2(http2) => {
                let progress = message.body.progress();
                let work = http2.try_send(Request::from_parts(*message.head, message.body));
                match sent::within(limits::UPSTREAM_HEAD_TIMEOUT, progress.as_deref(), work).await {
                    Some(Ok(response)) => Ok(Ok(response.map(Coming::Http2))),
                    Some(Err(mut failed)) => match failed.take_message() {
                        Some(message) => {
                            let (head, body) = message.into_parts();
                            Ok(Err(Message { head: Box::new(head), body }))
                        }
                        None => {
                            let body = progress.map_or(BodySent::Whole, |progress| progress.fared());
                            Err(NotForwarded::from_exchange(host, failed.into_error(), body))
                        }
                    },
                    None => Err(NotForwarded::HeadTimeout { host: host.to_string() }),
                }
            }
        }
    }

    /// Sends, and takes an unsent message for a broken connection.
    pub(super) async fn send(&mut self, message: Message, host: &Authority) -> Result<Response<Coming>, NotForwarded> {
        self.try_send(message, host).await?.map_err(|_| NotForwarded::Closed { host: host.to_string() })
    }
}
