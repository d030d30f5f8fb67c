//! What is sent: the agent's request less what may not travel, plus the credential. Pure.

use hyper::HeaderMap;
use hyper::Request;
use hyper::Uri;
use hyper::Version;
use hyper::header::AUTHORIZATION;
use hyper::header::CONNECTION;
use hyper::header::CONTENT_LENGTH;
use hyper::header::COOKIE;
use hyper::header::HOST;
use hyper::header::HeaderValue;
use hyper::header::SET_COOKIE;
use hyper::header::TE;
use hyper::header::UPGRADE;
use hyper::http::request::Parts;

use crate::credential::Credential;
use crate::http::Body;
use crate::http::headers;
use crate::model::Authority;
use crate::model::Destination;
use crate::resource::Cookies;
use crate::resource::Resource;
use crate::upstream::NotForwarded;

/// Which HTTP a connection speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2.
    Http2,
}

/// An agent's request on its way out; what is recorded of it is not here.
#[derive(Debug)]
pub struct Outbound {
    head: Parts,
    destination: Destination,
    body: Body,
    protocol: Protocol,
    websocket: bool,
    handling: Handling,
}

/// Whether a resource's rules apply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Handling {
    /// The agent's own credentials are removed.
    Managed,
    /// A host that is no resource: what the agent sent to it is its own.
    Passed,
}

impl Outbound {
    /// `protocol` is what the agent speaks; `websocket` that it asks to switch.
    pub fn new(head: Parts, destination: Destination, body: Body, protocol: Protocol, websocket: bool) -> Self {
        Self { head, destination, body, protocol, websocket, handling: Handling::Managed }
    }

    pub(super) fn handled(self, handling: Handling) -> Self {
        Self { handling, ..self }
    }

    /// Where to.
    pub fn destination(&self) -> &Destination {
        &self.destination
    }

    /// What the agent speaks.
    pub fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// Whether it asks for a WebSocket.
    pub fn switches_protocol(&self) -> bool {
        self.websocket
    }

    /// The same request again, when its body is at hand.
    pub(super) fn copy(&self) -> Option<Self> {
        let body = match &self.body {
            Body::Empty => Body::Empty,
            Body::Whole(bytes) => Body::Whole(bytes.clone()),
            Body::Stream(_) => return None,
        };
        if self.websocket {
            return None;
        }
        Some(Self {
            head: self.head.clone(),
            destination: self.destination.clone(),
            body,
            protocol: self.protocol,
            websocket: false,
            handling: self.handling,
        })
    }
}

/// The message for a connection that speaks `protocol`.
pub(super) fn message(
    outbound: Outbound,
    resource: &Resource,
    credential: Option<&Credential>,
    protocol: Protocol,
) -> Result<Request<Body>, NotForwarded> {
    let Outbound { mut head, destination, body, protocol: agent, websocket, handling } = outbound;
    let wants_trailers = agent == Protocol::Http2 && head.headers.get(TE).is_some_and(|value| value == "trailers");
    let upgrade = websocket.then(|| head.headers.get(UPGRADE).cloned()).flatten();
    headers::strip_request(&mut head.headers);
    match handling {
        Handling::Managed => {
            head.headers.remove(AUTHORIZATION);
            head.headers.remove(resource.header.name());
        }
        Handling::Passed => {}
    }
    match resource.cookies {
        Cookies::Strip => _ = head.headers.remove(COOKIE),
        Cookies::Pass => join_cookies(&mut head.headers),
    }
    // hyper frames the body anew; a length that the agent gave is kept only where it is what will be sent
    if matches!(body, Body::Stream(_)) && agent != protocol {
        head.headers.remove(CONTENT_LENGTH);
    }
    if wants_trailers {
        head.headers.insert(TE, HeaderValue::from_static("trailers"));
    }
    if let Some(upgrade) = upgrade {
        head.headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        head.headers.insert(UPGRADE, upgrade);
    }
    // last, so that nothing the agent sent can touch it
    if let Some(credential) = credential {
        head.headers.insert(credential.name().clone(), credential.value().clone());
    }
    let query = head.uri.query().map(str::to_owned);
    head.uri = target(&head.uri, destination.path.as_str(), query.as_deref())?;
    let mut message = Request::from_parts(head, body);
    retarget(&mut message, &destination.authority, protocol)?;
    Ok(message)
}

/// Gives a message the form of target and host that `protocol` has.
pub(super) fn retarget(
    message: &mut Request<Body>,
    authority: &Authority,
    protocol: Protocol,
) -> Result<(), NotForwarded> {
    let host = host_value(authority);
    match protocol {
        Protocol::Http1 => {
            if message.uri().authority().is_some() {
                let origin = message.uri().path_and_query().map_or("/", |path| path.as_str());
                *message.uri_mut() = origin.parse().map_err(|_| NotForwarded::Target)?;
            }
            let value = HeaderValue::from_str(&host).map_err(|_| NotForwarded::Target)?;
            message.headers_mut().insert(HOST, value);
            message.headers_mut().remove(TE);
            *message.version_mut() = Version::HTTP_11;
        }
        Protocol::Http2 => {
            message.headers_mut().remove(HOST);
            let path = message.uri().path_and_query().map_or("/", |path| path.as_str());
            let absolute = Uri::builder().scheme("https").authority(host.as_str()).path_and_query(path).build();
            *message.uri_mut() = absolute.map_err(|_| NotForwarded::Target)?;
            *message.version_mut() = Version::HTTP_2;
        }
    }
    Ok(())
}

/// What comes back, less what may not travel.
pub(super) fn clean_response(headers: &mut HeaderMap, resource: &Resource) {
    headers::strip_response(headers);
    match resource.cookies {
        Cookies::Strip => _ = headers.remove(SET_COOKIE),
        Cookies::Pass => {}
    }
}

/// The canonical path that was decided on, with the query as it came; the same `Uri` where nothing changed.
fn target(uri: &Uri, path: &str, query: Option<&str>) -> Result<Uri, NotForwarded> {
    if uri.authority().is_none() && uri.path() == path {
        return Ok(uri.clone());
    }
    let target = match query {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    };
    target.parse().map_err(|_| NotForwarded::Target)
}

/// `host` for the default ports, else `host:port`.
fn host_value(authority: &Authority) -> String {
    match authority.port {
        80 | 443 => authority.host.to_string(),
        _ => authority.to_string(),
    }
}

/// HTTP/2 may divide cookies into crumbs (RFC 9113 §8.2.3); HTTP/1 has one field.
fn join_cookies(headers: &mut HeaderMap) {
    let crumbs: Vec<_> = headers.get_all(COOKIE).iter().map(|value| value.as_bytes().to_vec()).collect();
    if crumbs.len() < 2 {
        return;
    }
    if let Ok(joined) = HeaderValue::from_bytes(&crumbs.join(b"; ".as_slice())) {
        headers.insert(COOKIE, joined);
    }
}
