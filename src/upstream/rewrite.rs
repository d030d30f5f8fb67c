//! What is sent: the agent's request less what may not travel, plus the credential. Pure.

use hyper::HeaderMap;
use hyper::Method;
use hyper::Uri;
use hyper::Version;
use hyper::body::Body as _;
use hyper::header::AUTHORIZATION;
use hyper::header::CONNECTION;
use hyper::header::CONTENT_LENGTH;
use hyper::header::COOKIE;
use hyper::header::HOST;
use hyper::header::HeaderValue;
use hyper::header::SET_COOKIE;
use hyper::header::TE;
use hyper::header::TRANSFER_ENCODING;
use hyper::header::UPGRADE;
use hyper::http::request::Parts;
use hyper::http::uri;

use crate::credential::Credential;
use crate::http::Body;
use crate::http::headers;
use crate::model::Authority;
use crate::model::Destination;
use crate::model::Scheme;
use crate::resource::Cookies;
use crate::resource::Resource;
use crate::upstream::NotForwarded;
use crate::upstream::sent::Sent;

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
    head: Box<Parts>,
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
    pub fn new(head: Box<Parts>, destination: Destination, body: Body, protocol: Protocol, websocket: bool) -> Self {
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

/// What is sent, once it is known on what.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) head: Box<Parts>,
    pub(super) body: Sent,
}

/// A server's name as its requests tell it; the same for all on one connection.
#[derive(Clone, Debug)]
pub(super) struct HostName {
    field: HeaderValue,
    authority: uri::Authority,
}

impl HostName {
    /// Without the port where it is the scheme's own.
    pub(super) fn new(scheme: Scheme, authority: &Authority) -> Result<Self, NotForwarded> {
        let text = match authority.port == scheme.default_port() {
            true => authority.host.to_string(),
            false => authority.to_string(),
        };
        let field = HeaderValue::from_str(&text).map_err(|_| NotForwarded::Target)?;
        Ok(Self { field, authority: text.parse().map_err(|_| NotForwarded::Target)? })
    }
}

/// The message for a connection to `host` that speaks `protocol`.
pub(super) fn message(
    outbound: Outbound,
    resource: &Resource,
    credential: Option<&Credential>,
    host: &HostName,
    protocol: Protocol,
) -> Result<Message, NotForwarded> {
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
    frame(&mut head, &body);
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
    if let Some(target) = target(&head.uri, destination.path.as_str())? {
        head.uri = target;
    }
    let mut message = Message { head, body: Sent::new(body) };
    retarget(&mut message, host, protocol)?;
    Ok(message)
}

/// A length as the agent wrote it never travels: hyper writes the one that is sent. It writes none for a body that
/// is empty from the start, which servers may insist on (411).
fn frame(head: &mut Parts, body: &Body) {
    let told = head.headers.remove(CONTENT_LENGTH).is_some();
    let usual = matches!(head.method, Method::POST | Method::PUT | Method::PATCH);
    if body.is_end_stream() && (told || usual) {
        head.headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
    }
}

/// Gives a message the form of target, host and framing that `protocol` has.
pub(super) fn retarget(message: &mut Message, host: &HostName, protocol: Protocol) -> Result<(), NotForwarded> {
    let head = &mut message.head;
    let mut parts = std::mem::take(&mut head.uri).into_parts();
    match protocol {
        Protocol::Http1 => {
            (parts.scheme, parts.authority) = (None, None);
            head.headers.insert(HOST, host.field.clone());
            head.headers.remove(TE);
            head.version = Version::HTTP_11;
        }
        Protocol::Http2 => {
            (parts.scheme, parts.authority) = (Some(uri::Scheme::HTTPS), Some(host.authority.clone()));
            head.headers.remove(HOST);
            head.version = Version::HTTP_2;
        }
    }
    head.uri = Uri::from_parts(parts).map_err(|_| NotForwarded::Target)?;
    Ok(())
}

/// hyper takes an encoding before a length where an answer has both; another reader would not (RFC 9112 §6.3).
pub(super) fn check_response(headers: &HeaderMap) -> Result<(), NotForwarded> {
    let mut encodings = headers.get_all(TRANSFER_ENCODING).iter();
    let (encoding, second) = (encodings.next(), encodings.next());
    let lengths = headers.get_all(CONTENT_LENGTH).iter().count();
    let chunked = encoding.is_none_or(|encoding| encoding.as_bytes().eq_ignore_ascii_case(b"chunked"));
    if lengths > 1 || (encoding.is_some() && lengths > 0) || second.is_some() || !chunked {
        return Err(NotForwarded::AmbiguousAnswer);
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

/// Whether a 101 says that the other side now speaks WebSocket, and nothing beside.
pub(super) fn switches_to_websocket(headers: &HeaderMap) -> bool {
    let mut upgrades = headers.get_all(UPGRADE).iter();
    let websocket = upgrades.next().is_some_and(|upgrade| upgrade.as_bytes().eq_ignore_ascii_case(b"websocket"));
    websocket && upgrades.next().is_none()
}

/// The canonical path that was decided on, with the query as it came; none where it came as it is sent.
fn target(uri: &Uri, path: &str) -> Result<Option<Uri>, NotForwarded> {
    if uri.path() == path && uri.path_and_query().is_some_and(|whole| whole.as_str().starts_with('/')) {
        return Ok(None);
    }
    let target = match uri.query() {
        Some(query) => format!("{path}?{query}").parse(),
        None => path.parse(),
    };
    target.map(Some).map_err(|_| NotForwarded::Target)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Path;
    use crate::model::PathForms;
    use crate::upstream::tests::resource;

    fn sent(method: &str, uri: &str, fields: &[(&str, &str)], body: Body, protocol: Protocol) -> Message {
        let mut request = hyper::Request::builder().method(method).uri(uri);
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        let (head, ()) = request.body(()).unwrap().into_parts();
        let authority = Authority::parse("api.example.com:443").unwrap();
        let path = Path::parse(head.uri.path(), PathForms::default()).unwrap();
        let destination = Destination { scheme: Scheme::Https, authority: authority.clone(), path };
        let outbound = Outbound::new(Box::new(head), destination, body, protocol, false);
        let host = HostName::new(Scheme::Https, &authority).unwrap();
        message(outbound, &resource(Scheme::Https, "api.example.com", 443), None, &host, protocol).unwrap()
    }

    #[test]
    fn a_host_has_its_port_unless_the_scheme_says_it() {
        for (scheme, authority, expected) in [
            (Scheme::Http, "a.example:80", "a.example"),
            (Scheme::Http, "a.example:443", "a.example:443"),
            (Scheme::Https, "a.example:443", "a.example"),
            (Scheme::Https, "a.example:80", "a.example:80"),
            (Scheme::Https, "[::1]:8443", "[::1]:8443"),
        ] {
            let host = HostName::new(scheme, &Authority::parse(authority).unwrap()).unwrap();
            assert_eq!((host.field.to_str().unwrap(), host.authority.as_str()), (expected, expected));
        }
    }

    #[test]
    fn a_length_that_the_agent_wrote_never_travels() {
        let lengths = |method, field, body| {
            let fields = [("content-length", field)];
            let message = sent(method, "/", &fields, body, Protocol::Http1);
            message.head.headers.get(CONTENT_LENGTH).map(|value| value.to_str().unwrap().to_owned())
        };
        assert_eq!(lengths("POST", "005", Body::Whole("12345".into())), None, "hyper writes it");
        assert_eq!(lengths("POST", "", Body::Empty), Some("0".to_owned()));
        assert_eq!(lengths("GET", "00", Body::Empty), Some("0".to_owned()));
        assert_eq!(sent("GET", "/", &[], Body::Empty, Protocol::Http1).head.headers.get(CONTENT_LENGTH), None);
        assert_eq!(sent("PUT", "/", &[], Body::Empty, Protocol::Http2).head.headers[CONTENT_LENGTH], "0");
    }

    #[test]
    fn a_target_has_the_form_of_its_protocol() {
        for uri in ["/a/b?x=1", "https://api.example.com/a/b?x=1"] {
            assert_eq!(sent("GET", uri, &[], Body::Empty, Protocol::Http1).head.uri, "/a/b?x=1");
            assert_eq!(sent("GET", uri, &[], Body::Empty, Protocol::Http2).head.uri, "https://api.example.com/a/b?x=1");
        }
        assert_eq!(sent("GET", "https://api.example.com?x=1", &[], Body::Empty, Protocol::Http1).head.uri, "/?x=1");
        assert_eq!(sent("GET", "https://api.example.com", &[], Body::Empty, Protocol::Http1).head.uri, "/");
    }

    #[test]
    fn only_one_upgrade_to_websocket_is_a_switch_to_it() {
        let switches = |values: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(UPGRADE, HeaderValue::from_static(value));
            }
            switches_to_websocket(&headers)
        };
        assert!(switches(&["WebSocket"]));
        assert!(!switches(&[]) && !switches(&["h2c"]) && !switches(&["websocket, h2c"]));
        assert!(!switches(&["websocket", "h2c"]) && !switches(&["h2c", "websocket"]));
    }
}
