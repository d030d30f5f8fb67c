//! From a request head to the one [`Destination`] it can mean. Pure.
//!
//! CONNECT authority, `Host`, `:authority`, scheme and target must agree; what could be read in two ways is
//! refused here, before anything is decided.

use hyper::HeaderMap;
use hyper::Method;
use hyper::Request;
use hyper::Uri;
use hyper::Version;
use hyper::header::CONTENT_LENGTH;
use hyper::header::HOST;
use hyper::header::UPGRADE;

use crate::http::Violation;
use crate::http::framing::is_plain;
use crate::http::framing::parse_length;
use crate::limits;
use crate::model::AmbiguousPath;
use crate::model::Authority;
use crate::model::Destination;
use crate::model::NotAnAuthority;
use crate::model::Path;
use crate::model::PathForms;
use crate::model::Scheme;

/// Why a request is not understood. Holds no byte of it beyond a short, escaped host.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// The bytes themselves.
    #[error(transparent)]
    Bytes(#[from] Violation),
    /// The path has no canonical form.
    #[error(transparent)]
    Path(#[from] AmbiguousPath),
    /// The authority of the target or the `Host` field.
    #[error("the host of the request is not acceptable: {0}")]
    Authority(#[from] NotAnAuthority),
    /// No host at all.
    #[error("the request names no host")]
    HostMissing,
    /// More than one `Host`.
    #[error("the request has more than one `Host`")]
    HostRepeated,
    /// Target and `Host` differ.
    #[error("the request target and `Host` name different places")]
    HostDisagrees,
    /// The request is for another place than its connection was opened for.
    #[error("the request is for another place than its connection was opened for")]
    Misdirected,
    /// A path alone, on the proxy's own port.
    #[error("this is a proxy: the target must be `CONNECT host:port` or an absolute `http://` URI")]
    OriginForm,
    /// `*`, `host:port`, or a scheme that doesn't belong here.
    #[error("the form of the request target doesn't belong here")]
    TargetForm,
    /// `https://` in the clear.
    #[error("`https://` must come through CONNECT, so that it is encrypted")]
    HttpsInTheClear,
    /// CONNECT or TRACE inside a tunnel, or a method that nobody knows.
    #[error("the method is not permitted here")]
    Method,
    /// More field lines than the bound.
    #[error("the request has more than {max} header lines", max = limits::HEADERS_MAX)]
    TooManyHeaders,
}

/// Where a CONNECT goes: authority-form, and `Host`, where there is one, the same.
pub fn connect<B>(head: &Request<B>) -> Result<Authority, Malformed> {
    let target = head.uri().authority().filter(|_| head.uri().scheme().is_none()).ok_or(Malformed::TargetForm)?;
    let authority = Authority::parse(target.as_str())?;
    if let Some(host) = one_host(head.headers())?
        && Authority::parse_or(host, authority.port)? != authority
    {
        return Err(Malformed::HostDisagrees);
    }
    Ok(authority)
}

/// Where an absolute-form request in the clear goes. `forms` is asked for the place.
pub fn in_the_clear<B>(head: &Request<B>, forms: impl Fn(&Authority) -> PathForms) -> Result<Destination, Malformed> {
    check_method(head.method())?;
    let target = head.uri().authority().ok_or(Malformed::OriginForm)?;
    match head.uri().scheme_str() {
        Some("http") => {}
        Some("https") => return Err(Malformed::HttpsInTheClear),
        _ => return Err(Malformed::TargetForm),
    }
    let authority = Authority::parse_or(target.as_str(), 80)?;
    match one_host(head.headers())? {
        Some(host) if Authority::parse_or(host, 80)? != authority => return Err(Malformed::HostDisagrees),
        None if head.version() == Version::HTTP_11 => return Err(Malformed::HostMissing),
        _ => {}
    }
    let path = path(head.uri(), forms(&authority))?;
    Ok(Destination { scheme: Scheme::Http, authority, path })
}

/// Where a request inside an opened tunnel goes: nowhere but where the tunnel was opened to.
pub fn in_tunnel<B>(head: &Request<B>, opened: &Authority, forms: PathForms) -> Result<Destination, Malformed> {
    // INVARIANT: HTTP/1 comes through `take_request` alone, which has held its fields to the same
    if head.version() >= Version::HTTP_2 {
        check_fields(head.headers())?;
    }
    check_method(head.method())?;
    let host = one_host(head.headers())?;
    match head.uri().authority() {
        Some(target) => {
            if head.uri().scheme_str() != Some("https") {
                return Err(Malformed::TargetForm);
            }
            agree(target.as_str(), opened)?;
            match host {
                Some(host) if !is_same(host, opened)? => return Err(Malformed::HostDisagrees),
                None if head.version() < Version::HTTP_2 => return Err(Malformed::HostMissing),
                _ => {}
            }
        }
        None => agree(host.ok_or(Malformed::HostMissing)?, opened)?,
    }
    let path = path(head.uri(), forms)?;
    Ok(Destination { scheme: Scheme::Https, authority: opened.clone(), path })
}

/// Whether the request asks for a WebSocket. Other protocols are not known here: the request for them ends at
/// this hop, and the request itself goes on (RFC 9110 §7.8). HTTP/1.0 and HTTP/2 have no upgrades.
pub fn asks_for_websocket<B>(head: &Request<B>) -> bool {
    let upgrade = head.headers().get(UPGRADE).filter(|_| head.version() == Version::HTTP_11);
    upgrade.is_some_and(|upgrade| upgrade.as_bytes().eq_ignore_ascii_case(b"websocket"))
}

fn agree(named: &str, opened: &Authority) -> Result<(), Malformed> {
    if is_same(named, opened)? { Ok(()) } else { Err(Malformed::Misdirected) }
}

/// The spelling that nearly every client sends is compared as it is.
fn is_same(named: &str, opened: &Authority) -> Result<bool, Malformed> {
    let port = match named.strip_prefix(opened.host.as_str()) {
        Some("") => Some(443),
        Some(rest) => rest
            .strip_prefix(':')
            .filter(|digits| !digits.starts_with(['0', '+']))
            .and_then(|digits| digits.parse().ok()),
        None => None,
    };
    if port == Some(opened.port) {
        return Ok(true);
    }
    Ok(Authority::parse_or(named, 443)? == *opened)
}

fn one_host(headers: &HeaderMap) -> Result<Option<&str>, Malformed> {
    let mut hosts = headers.get_all(HOST).iter();
    let Some(host) = hosts.next() else { return Ok(None) };
    if hosts.next().is_some() {
        return Err(Malformed::HostRepeated);
    }
    let host = host.to_str().map_err(|_| NotAnAuthority::Host("…".to_owned()))?;
    Ok(Some(host))
}

/// What [`take_request`](crate::http::take_request) holds HTTP/1 to, for HTTP/2.
fn check_fields(headers: &HeaderMap) -> Result<(), Malformed> {
    if headers.len() > limits::HEADERS_MAX {
        return Err(Malformed::TooManyHeaders);
    }
    let mut lengths = headers.get_all(CONTENT_LENGTH).iter();
    if let Some(length) = lengths.next() {
        parse_length(length.as_bytes())?;
    }
    if lengths.next().is_some() {
        return Err(Violation::Framing.into());
    }
    for (name, value) in headers {
        if name.as_str().contains('_') {
            return Err(Violation::Underscore.into());
        }
        if !is_plain(value.as_bytes()) {
            return Err(Violation::Head.into());
        }
    }
    Ok(())
}

/// Exact tokens of the IANA registry that carry requests to APIs; CONNECT and TRACE are for proxies.
fn check_method(method: &Method) -> Result<(), Malformed> {
    match method.as_str() {
        "GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE" | "OPTIONS" | "QUERY" | "SEARCH" | "REPORT"
        | "PROPFIND" | "PROPPATCH" | "MKCOL" | "COPY" | "MOVE" | "LOCK" | "UNLOCK" => Ok(()),
        _ => Err(Malformed::Method),
    }
}

fn path(uri: &Uri, forms: PathForms) -> Result<Path, Malformed> {
    let legal = |query: &str| query.bytes().all(|byte| (0x21..=0x7e).contains(&byte) && byte != b'#');
    if !uri.query().is_none_or(legal) {
        return Err(Violation::Target.into());
    }
    match uri.path() {
        "" => Ok(Path::root()),
        "*" => Err(Malformed::TargetForm),
        path => Ok(Path::parse(path, forms)?),
    }
}

#[cfg(test)]
mod tests;
