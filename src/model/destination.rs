//! Where a request goes, in the one spelling that everything compares: scheme, host, port.
//!
//! `http::Uri` accepts much that two parsers read differently (`a:443@b:443` has host `b`, `a:65536` has
//! no port), so hosts and ports have parsers of their own here, and what is not canonical is refused.

use std::fmt;
use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::net::Ipv6Addr;
use std::sync::Arc;

use crate::model::Path;

/// `http` or `https`; WebSocket is an upgrade of either.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scheme {
    /// Plaintext.
    Http,
    /// TLS.
    Https,
}

impl Scheme {
    /// In lower case, as in a URI.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    /// 80 or 443 (RFC 9110 §4.2).
    pub const fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

/// A DNS name in lower-case ASCII without a trailing dot, or an IP address in its canonical form.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Host {
    text: Arc<str>,
    address: Option<IpAddr>,
}

/// An authority that is not exactly `host:port` (or `host` where a default port is known). Holds a short,
/// escaped form of what was sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAnAuthority {
    /// The host is not a name or address in canonical spelling.
    #[error("`{0}` is not a host name or address in canonical form")]
    Host(String),
    /// The port is missing, empty, zero, padded, or above 65535.
    #[error("the port is not a number from 1 to 65535")]
    Port,
    /// `user:password@` before the host.
    #[error("user information before the host is not permitted")]
    UserInformation,
}

impl Host {
    /// A host as it stands on the wire: ASCII; upper case and one trailing dot are folded away.
    pub fn parse(text: &str) -> Result<Self, NotAnAuthority> {
        let refuse = || NotAnAuthority::Host(text.chars().take(80).flat_map(char::escape_debug).collect());
        if let Some(inner) = text.strip_prefix('[') {
            let inner = inner.strip_suffix(']').ok_or_else(refuse)?;
            let address: Ipv6Addr = inner.parse().map_err(|_| refuse())?;
            // `::ffff:127.0.0.1` is a second spelling of 127.0.0.1
            if address.to_ipv4_mapped().is_some() || address.to_string() != inner.to_ascii_lowercase() {
                return Err(refuse());
            }
            return Ok(Self { text: format!("[{address}]").into(), address: Some(address.into()) });
        }
        let name = text.strip_suffix('.').unwrap_or(text);
        if name.is_empty() || name.len() > 253 {
            return Err(refuse());
        }
        if ends_in_a_number(name) {
            let address: Ipv4Addr = text.parse().map_err(|_| refuse())?;
            return Ok(Self { text: address.to_string().into(), address: Some(address.into()) });
        }
        let lower = name.to_ascii_lowercase();
        let legal = |label: &str| {
            !label.is_empty()
                && label.len() <= 63
                && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
                && !label.starts_with('-')
                && !label.ends_with('-')
        };
        if !lower.split('.').all(legal) || !punycode_is_canonical(&lower) {
            return Err(refuse());
        }
        Ok(Self { text: lower.into(), address: None })
    }

    /// A host as a person writes it in a configuration: Unicode names become punycode (UTS 46).
    pub fn parse_unicode(text: &str) -> Result<Self, NotAnAuthority> {
        if text.is_ascii() {
            return Self::parse(text);
        }
        let ascii =
            idna::domain_to_ascii_strict(text).map_err(|_| NotAnAuthority::Host(text.escape_debug().to_string()))?;
        Self::parse(&ascii)
    }

    /// As in a URI: an IPv6 address stands in brackets.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The address, when it is one.
    pub fn address(&self) -> Option<IpAddr> {
        self.address
    }

    /// The name's labels from left to right; none for an address.
    pub fn labels(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.text.split('.').filter(|_| self.address.is_none())
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.text, f)
    }
}

/// A host and a port.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Authority {
    /// The canonical host.
    pub host: Host,
    /// 1 to 65535.
    pub port: u16,
}

impl Authority {
    /// `host:port`, the port required (the authority-form of CONNECT, RFC 9112 §3.2.3).
    pub fn parse(text: &str) -> Result<Self, NotAnAuthority> {
        Self::split(text, None)
    }

    /// `host` or `host:port`, as in `Host` (RFC 9110 §7.2).
    pub fn parse_or(text: &str, default_port: u16) -> Result<Self, NotAnAuthority> {
        Self::split(text, Some(default_port))
    }

    fn split(text: &str, default_port: Option<u16>) -> Result<Self, NotAnAuthority> {
        if text.contains('@') {
            return Err(NotAnAuthority::UserInformation);
        }
        let after_brackets = text.rfind(']').map_or(0, |end| end + 1);
        let colon = text.get(after_brackets..).and_then(|rest| rest.find(':')).map(|at| at + after_brackets);
        let (host, port) = match colon.and_then(|at| Some((text.get(..at)?, text.get(at + 1..)?))) {
            Some((host, port)) => (host, parse_port(port)?),
            None => (text, default_port.ok_or(NotAnAuthority::Port)?),
        };
        Ok(Self { host: Host::parse(host)?, port })
    }
}

impl fmt::Display for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

/// What a request is for. The query is not part of it and is never recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    /// `http` or `https`.
    pub scheme: Scheme,
    /// Host and port.
    pub authority: Authority,
    /// Canonical; `/` for a CONNECT.
    pub path: Path,
}

fn parse_port(text: &str) -> Result<u16, NotAnAuthority> {
    let canonical =
        (1..=5).contains(&text.len()) && !text.starts_with('0') && text.bytes().all(|byte| byte.is_ascii_digit());
    if !canonical {
        return Err(NotAnAuthority::Port);
    }
    text.parse().map_err(|_| NotAnAuthority::Port)
}

/// Whether a URL parser would take the name for an IPv4 address (WHATWG URL, "ends in a number"):
/// `127.1`, `0x7f.1`, `2130706433`.
fn ends_in_a_number(name: &str) -> bool {
    let last = name.rsplit('.').next().unwrap_or(name);
    let hex = last.strip_prefix("0x").or_else(|| last.strip_prefix("0X"));
    let all_hex = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    (!last.is_empty() && last.bytes().all(|byte| byte.is_ascii_digit())) || hex.is_some_and(all_hex)
}

/// Whether every `xn--` label is what UTS 46 makes of what it stands for.
fn punycode_is_canonical(name: &str) -> bool {
    if !name.split('.').any(|label| label.starts_with("xn--")) {
        return true;
    }
    idna::domain_to_ascii_strict(name).is_ok_and(|ascii| ascii == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_spelling_for_each_host() {
        for (text, canonical) in [
            ("API.Example.com", "api.example.com"),
            ("example.com.", "example.com"),
            ("my_bucket.example.com", "my_bucket.example.com"),
            ("127.0.0.1", "127.0.0.1"),
            ("[::1]", "[::1]"),
            ("[FD00::1]", "[fd00::1]"),
            ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ] {
            assert_eq!(Host::parse(text).unwrap().as_str(), canonical);
        }
        assert_eq!(Host::parse_unicode("Bücher.example").unwrap().as_str(), "xn--bcher-kva.example");
    }

    #[test]
    fn other_spellings_of_an_address_are_refused() {
        for text in [
            "127.1",
            "0x7f.1",
            "2130706433",
            "0177.0.0.1",
            "127.0.0.1.",
            "[::ffff:127.0.0.1]",
            "[0:0:0:0:0:0:0:1]",
            "[fe80::1%eth0]",
            "::1",
            "[::1",
            "1.2.3.4.5",
            "a.0x7f",
        ] {
            assert!(Host::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_not_a_name_is_refused() {
        for text in [
            "",
            ".",
            "a..b",
            "-a.b",
            "a-.b",
            "a b",
            "a/b",
            "a,b",
            "a%2eb",
            "ex\u{ff0e}ample",
            "exa\u{ad}mple",
            "a?b",
            "a#b",
            "a\\b",
            "example.com..",
            "xn--a",
            "xn--BCHER-KVA.example ",
        ] {
            assert!(Host::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_port_is_a_plain_number() {
        assert_eq!(Authority::parse("a.example:8443").unwrap().to_string(), "a.example:8443");
        assert_eq!(Authority::parse_or("a.example", 443).unwrap().port, 443);
        assert_eq!(Authority::parse("[::1]:443").unwrap().to_string(), "[::1]:443");
        for text in ["a:", "a:0", "a:65536", "a:0443", "a:+443", "a:44 3", "a", "a:443:443", "a:99999999"] {
            assert!(Authority::parse(text).is_err(), "{text}");
        }
        assert_eq!(Authority::parse("a:443@b:443"), Err(NotAnAuthority::UserInformation));
        assert!(Authority::parse_or("a:", 443).is_err());
    }
}
