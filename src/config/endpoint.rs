//! URLs to which secrets are sent: TLS, or loopback.

use crate::config::fault::Fault;
use crate::config::reading::Reading;
use crate::config::section::Text;
use crate::config::section::shortened;
use crate::model::Authority;
use crate::model::Host;
use crate::model::NotAnAuthority;
use crate::model::Scheme;
pub(super) use crate::upstream::is_loopback;

/// An `http(s)` URL in its parts.
pub(super) struct Url<'a> {
    pub(super) scheme: Scheme,
    pub(super) authority: Authority,
    /// Whether the port was written.
    pub(super) port_written: bool,
    /// The path, with the query and fragment if there are any.
    pub(super) rest: &'a str,
}

/// Why a text is no such URL.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotAUrl {
    #[error("`{0}` is not an http or https URL")]
    Scheme(String),
    #[error(transparent)]
    Authority(#[from] NotAnAuthority),
    #[error("the URL holds a space, a control character or a byte outside ASCII")]
    Byte,
}

impl<'a> Url<'a> {
    pub(super) fn parse(text: &'a str) -> Result<Self, NotAUrl> {
        let schemes = [("https://", Scheme::Https), ("http://", Scheme::Http)];
        let found = schemes.iter().find_map(|(prefix, scheme)| Some((*scheme, text.strip_prefix(prefix)?)));
        let Some((scheme, after)) = found else {
            return Err(NotAUrl::Scheme(shortened(text)));
        };
        if !after.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\') {
            return Err(NotAUrl::Byte);
        }
        let end = after.find(['/', '?', '#']).unwrap_or(after.len());
        let (authority, rest) = after.split_at_checked(end).unwrap_or((after, ""));
        let port_written = Authority::parse(authority).is_ok();
        let authority = Authority::parse_or(authority, scheme.default_port())?;
        Ok(Self { scheme, authority, port_written, rest })
    }
}

/// A URL that a secret may be sent to: `https`, or `http` to this machine.
pub(super) fn read(text: &Text<'_>, reading: &mut Reading<'_>) -> Option<String> {
    if text.text.contains('@') {
        reading.blot(text.span.clone());
    }
    let hint = match Url::parse(text.text) {
        Err(NotAUrl::Authority(NotAnAuthority::UserInformation)) => "leave out what stands before the `@`",
        _ => "write it like `https://login.example.com/oauth/token`",
    };
    let url = text.parse(Url::parse, hint, reading)?;
    let wrong = |message: String| Fault::error(text.span.clone(), message);
    if url.scheme == Scheme::Http && !is_surely_loopback(&url.authority.host) {
        let message = format!("`http://{}` would carry secrets in the clear", url.authority);
        reading.push(wrong(message).hint("use `https://`; plain `http://` is for loopback only"));
        return None;
    }
    if url.rest.contains(['?', '#']) {
        reading.push(wrong("the URL has a query or a fragment".to_owned()).hint("leave out what follows `?` or `#`"));
        return None;
    }
    Some(text.text.to_owned())
}

/// Whether a client that asks the system for the address stays on this machine: names below `localhost` may be
/// asked of DNS, which can say anything.
fn is_surely_loopback(host: &Host) -> bool {
    is_loopback(host) && (host.address().is_some() || host.as_str() == "localhost")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_dns_could_turn_is_no_loopback_for_secrets() {
        let surely = |host| is_surely_loopback(&Host::parse(host).unwrap());
        assert!(surely("127.0.0.1") && surely("[::1]") && surely("localhost"));
        assert!(!surely("api.localhost") && !surely("localhost.example.com") && !surely("10.0.0.1"));
    }
}
