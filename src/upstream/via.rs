//! The proxy that a machine's network may require, and what is reached without it.

use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::io::AsyncReadExt as _;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::limits;
use crate::model::Authority;
use crate::model::Host;
use crate::model::Secret;
use crate::resource::HostPattern;
use crate::upstream::NotForwarded;
use crate::upstream::address::is_loopback;

/// A proxy that the machine's network requires.
#[derive(Debug)]
pub struct Via {
    /// Where it listens.
    pub proxy: Authority,
    /// `user:password` for it.
    pub user_info: Option<Secret>,
    /// What is reached without it, beside loopback.
    pub no_proxy: Vec<NoProxy>,
}

/// Hosts that are reached without the upstream proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoProxy {
    /// `*`: all of them.
    Every,
    /// A host, or with `*.` the names below one.
    Host(HostPattern),
    /// `10.0.0.0/8`: addresses written as such in a request.
    Network {
        /// The first address.
        address: IpAddr,
        /// How many leading bits count.
        prefix: u8,
    },
}

impl NoProxy {
    /// `example.com` covers the names below it too, as nearly every client has it.
    fn from_environment(entry: &str) -> Vec<Self> {
        if entry == "*" {
            return vec![Self::Every];
        }
        let network = entry.split_once('/').and_then(|(address, prefix)| {
            Some(Self::Network { address: address.parse().ok()?, prefix: prefix.parse().ok()? })
        });
        if let Some(network) = network {
            return vec![network];
        }
        let name = entry.trim_start_matches("*.").trim_start_matches('.');
        let host = Host::parse_unicode(name).ok();
        let below = host.clone().filter(|host| host.address().is_none()).map(HostPattern::Below);
        host.map(HostPattern::Exact).into_iter().chain(below).map(Self::Host).collect()
    }

    fn covers(&self, host: &Host) -> bool {
        match self {
            Self::Every => true,
            Self::Host(pattern) => pattern.matches(host),
            Self::Network { address, prefix } => {
                host.address().is_some_and(|named| is_within(named, *address, *prefix))
            }
        }
    }
}

/// Whether the first `prefix` bits of both addresses are the same.
fn is_within(address: IpAddr, network: IpAddr, prefix: u8) -> bool {
    let (bits, width) = match (address, network) {
        (IpAddr::V4(address), IpAddr::V4(network)) => (u128::from(address.to_bits() ^ network.to_bits()), 32),
        (IpAddr::V6(address), IpAddr::V6(network)) => (address.to_bits() ^ network.to_bits(), 128),
        _ => return false,
    };
    bits.checked_shr(u32::from(width - prefix.min(width))).unwrap_or(0) == 0
}

impl Via {
    /// From `http://[user:password@]host:port` and a comma-separated list of names, `.suffixes` and networks, as
    /// the variables HTTPS_PROXY and NO_PROXY have them. Entries of the list that mean nothing here are passed over.
    pub fn from_environment(url: &str, no_proxy: &str) -> Option<Self> {
        let rest = url.strip_prefix("http://").unwrap_or(url).trim_end_matches('/');
        let (user_info, authority) = match rest.rsplit_once('@') {
            Some((user_info, authority)) => {
                let decoded: Vec<u8> = percent_encoding::percent_decode_str(user_info).collect();
                (Some(Secret::new(decoded)), authority)
            }
            None => (None, rest),
        };
        let proxy = Authority::parse_or(authority, 80).ok()?;
        let no_proxy = no_proxy.split(',').map(str::trim).flat_map(NoProxy::from_environment).collect();
        Some(Self { proxy, user_info, no_proxy })
    }

    /// Whether `host` is reached without it: what names this machine always is.
    pub(super) fn is_passed_by(&self, host: &Host) -> bool {
        is_loopback(host) || self.no_proxy.iter().any(|entry| entry.covers(host))
    }

    /// CONNECT through the proxy (RFC 9110 §9.3.6).
    pub(super) async fn open(&self, authority: &Authority) -> Result<TcpStream, NotForwarded> {
        let failed = |what: &str| NotForwarded::UpstreamProxy { host: authority.to_string(), what: what.to_owned() };
        let host = self.proxy.host.as_str().trim_matches(['[', ']']);
        let mut stream =
            TcpStream::connect((host, self.proxy.port)).await.map_err(|_| failed("it could not be reached"))?;
        let request = self.request(authority);
        stream.write_all(request.expose()).await.map_err(|_| failed("it broke the connection"))?;
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") {
            if answer.len() >= limits::HEAD_BYTES_MAX {
                return Err(failed("its answer is too long"));
            }
            // byte by byte: what follows the head belongs to the tunnel
            answer.push(stream.read_u8().await.map_err(|_| failed("it broke the connection"))?);
        }
        let mut headers = [httparse::EMPTY_HEADER; limits::HEADERS_MAX];
        let mut response = httparse::Response::new(&mut headers);
        match response.parse(&answer).map(|_| response.code) {
            Ok(Some(200..=299)) => Ok(stream),
            Ok(Some(407)) => Err(failed("it wants other credentials")),
            Ok(Some(code)) => Err(failed(&format!("it answered {code}"))),
            _ => Err(failed("it spoke no HTTP")),
        }
    }

    fn request(&self, authority: &Authority) -> Secret {
        let authorization = self.user_info.as_ref().map_or_else(String::new, |user_info| {
            format!("Proxy-Authorization: Basic {}\r\n", STANDARD.encode(user_info.expose()))
        });
        Secret::new(format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n{authorization}\r\n"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_variables_of_a_service_name_a_proxy() {
        let via = Via::from_environment("http://u:p%40ss@proxy.corp:3128/", ".corp, 10.0.0.0/8,, localhost").unwrap();
        assert_eq!(via.proxy.to_string(), "proxy.corp:3128");
        assert_eq!(via.user_info.as_ref().unwrap().expose(), b"u:p@ss");
        assert!(
            via.is_passed_by(&Host::parse("a.corp").unwrap()) && via.is_passed_by(&Host::parse("10.9.9.9").unwrap())
        );
        assert!(!via.is_passed_by(&Host::parse("example.com").unwrap()));
        assert!(Via::from_environment("socks5://x:1", "").is_none());
    }

    #[test]
    fn hosts_are_reached_without_the_proxy_by_name_pattern_or_network() {
        let via = Via {
            proxy: Authority::parse("proxy.example:3128").unwrap(),
            user_info: None,
            no_proxy: vec![
                NoProxy::Host(HostPattern::parse("*.corp.example").unwrap()),
                NoProxy::Network { address: "10.1.0.0".parse().unwrap(), prefix: 16 },
            ],
        };
        let passed = |host| via.is_passed_by(&Host::parse(host).unwrap());
        assert!(passed("localhost") && passed("api.localhost") && passed("127.0.0.1") && passed("[::1]"));
        assert!(passed("a.corp.example") && passed("10.1.2.3"));
        assert!(!passed("corp.example") && !passed("10.2.0.1") && !passed("[fd00::1]") && !passed("example.com"));
    }
}
