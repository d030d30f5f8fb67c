//! From a host and a port to a TCP stream: resolved once, checked, and dialled at the address that was
//! checked; through a corporate proxy where one is configured.

use std::collections::HashSet;
use std::net::IpAddr;
use std::net::SocketAddr;
use std::sync::PoisonError;
use std::sync::RwLock;

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
use crate::upstream::is_public;

/// Opens TCP connections for tunnels and resources.
#[derive(Debug, Default)]
pub struct Dialer {
    via: Option<Via>,
    own_ports: RwLock<HashSet<u16>>,
}

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

/// How far a name may lead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// To public addresses only.
    Public,
    /// Anywhere but to the daemon's own listeners.
    Any,
    /// Where the configuration pinned it.
    Pinned,
}

impl Dialer {
    /// Directly, or through `via`.
    pub fn new(via: Option<Via>) -> Self {
        Self { via, own_ports: RwLock::default() }
    }

    /// A port of the daemon's own, which nothing may reach through it.
    pub fn own(&self, port: u16) {
        self.own_ports.write().unwrap_or_else(PoisonError::into_inner).insert(port);
    }

    /// A port that is no longer the daemon's.
    pub fn disown(&self, port: u16) {
        self.own_ports.write().unwrap_or_else(PoisonError::into_inner).remove(&port);
    }

    /// A connection with TCP_NODELAY set.
    pub async fn dial(&self, authority: &Authority, reach: Reach) -> Result<TcpStream, NotForwarded> {
        if let Some(address) = authority.host.address() {
            self.check(authority, SocketAddr::new(address, authority.port), reach)?;
        }
        match &self.via {
            Some(via) if reach != Reach::Pinned && !via.is_passed_by(&authority.host) => via.open(authority).await,
            _ => self.dial_directly(authority, reach).await,
        }
    }

    async fn dial_directly(&self, authority: &Authority, reach: Reach) -> Result<TcpStream, NotForwarded> {
        let addresses = resolve(authority).await?;
        // One address that is not permitted condemns the name: a rebound name often has both kinds.
        for address in &addresses {
            self.check(authority, *address, reach)?;
        }
        let mut failed = std::io::Error::from(std::io::ErrorKind::AddrNotAvailable);
        for address in addresses {
            match tokio::time::timeout(limits::DIAL_ONE_ADDRESS_TIMEOUT, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => {
                    let _ = stream.set_nodelay(true);
                    return Ok(stream);
                }
                Ok(Err(error)) => failed = error,
                Err(_) => failed = std::io::ErrorKind::TimedOut.into(),
            }
        }
        Err(NotForwarded::Unreachable { host: authority.to_string(), source: failed })
    }

    fn check(&self, authority: &Authority, address: SocketAddr, reach: Reach) -> Result<(), NotForwarded> {
        let local = address.ip().is_loopback() || address.ip().is_unspecified();
        let own = || self.own_ports.read().unwrap_or_else(PoisonError::into_inner).contains(&address.port());
        match reach {
            Reach::Pinned => Ok(()),
            _ if local && own() => Err(NotForwarded::OwnListener { host: authority.to_string() }),
            Reach::Any => Ok(()),
            Reach::Public if is_public(address.ip()) => Ok(()),
            Reach::Public => Err(NotForwarded::PrivateAddress { host: authority.to_string() }),
        }
    }
}

async fn resolve(authority: &Authority) -> Result<Vec<SocketAddr>, NotForwarded> {
    if let Some(address) = authority.host.address() {
        return Ok(vec![SocketAddr::new(address, authority.port)]);
    }
    let unresolved = || NotForwarded::Unresolved { host: authority.to_string() };
    let looked_up = tokio::net::lookup_host((authority.host.as_str(), authority.port)).await;
    let mut addresses: Vec<SocketAddr> = looked_up.map_err(|_| unresolved())?.collect();
    addresses.truncate(limits::DIAL_ADDRESSES_MAX);
    // `::ffff:a.b.c.d` is what it stands for
    for address in &mut addresses {
        if let IpAddr::V6(v6) = address.ip()
            && let Some(v4) = v6.to_ipv4_mapped()
        {
            address.set_ip(v4.into());
        }
    }
    if addresses.is_empty() { Err(unresolved()) } else { Ok(addresses) }
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

    fn is_passed_by(&self, host: &Host) -> bool {
        let loopback = host.address().is_some_and(|address| address.is_loopback()) || host.as_str() == "localhost";
        loopback || self.no_proxy.iter().any(|entry| entry.covers(host))
    }

    /// CONNECT through the proxy (RFC 9110 §9.3.6).
    async fn open(&self, authority: &Authority) -> Result<TcpStream, NotForwarded> {
        let failed = |what: &str| NotForwarded::UpstreamProxy { host: authority.to_string(), what: what.to_owned() };
        let host = self.proxy.host.as_str().trim_matches(['[', ']']);
        let mut stream =
            TcpStream::connect((host, self.proxy.port)).await.map_err(|_| failed("it could not be reached"))?;
        let _ = stream.set_nodelay(true);
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
        assert!(passed("localhost") && passed("127.0.0.1") && passed("[::1]"));
        assert!(passed("a.corp.example") && passed("10.1.2.3"));
        assert!(!passed("corp.example") && !passed("10.2.0.1") && !passed("[fd00::1]") && !passed("example.com"));
    }
}
