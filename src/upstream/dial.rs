//! From a host and a port to a TCP stream: resolved once, checked, and dialled at the address that was
//! checked; through a corporate proxy where one is configured.

use std::collections::HashSet;
use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::net::Ipv6Addr;
use std::net::SocketAddr;
use std::sync::PoisonError;
use std::sync::RwLock;
use std::time::Duration;

use rustix::net::sockopt;
use tokio::net::TcpStream;

use crate::limits;
use crate::model::Authority;
use crate::upstream::NotForwarded;
use crate::upstream::Via;
use crate::upstream::address::is_loopback;
use crate::upstream::is_public;

/// Opens TCP connections for tunnels and resources.
#[derive(Debug)]
pub struct Dialer {
    via: Option<Via>,
    timeout: Duration,
    own_ports: RwLock<HashSet<u16>>,
}

/// How far a name may lead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// To public addresses only.
    Public,
    /// Anywhere but to the daemon's own listeners.
    Any,
    /// To this machine and nowhere else, whatever DNS says: what the configuration takes for loopback may be sent
    /// secrets in the clear.
    Loopback,
    /// Where the configuration pinned it.
    Pinned,
}

impl Dialer {
    /// Directly, or through `via`.
    pub fn new(via: Option<Via>) -> Self {
        Self { via, timeout: limits::UPSTREAM_CONNECT_TIMEOUT, own_ports: RwLock::default() }
    }

    /// A port of the daemon's own, which nothing may reach through it.
    pub fn own(&self, port: u16) {
        self.own_ports.write().unwrap_or_else(PoisonError::into_inner).insert(port);
    }

    /// A port that is no longer the daemon's.
    pub fn disown(&self, port: u16) {
        self.own_ports.write().unwrap_or_else(PoisonError::into_inner).remove(&port);
    }

    /// A connection, within the bound. It sends small writes at once, and the system ends it when the other side
    /// is gone without a word (a laptop that slept, another network).
    pub async fn dial(&self, authority: &Authority, reach: Reach) -> Result<TcpStream, NotForwarded> {
        let stream = tokio::time::timeout(self.timeout, self.open(authority, reach));
        let stream = stream.await.map_err(|_| NotForwarded::ConnectTimeout { host: authority.to_string() })??;
        if let Err(error) = tune(&stream) {
            tracing::debug!(%error, "a socket could not be tuned");
        }
        Ok(stream)
    }

    async fn open(&self, authority: &Authority, reach: Reach) -> Result<TcpStream, NotForwarded> {
        if let Some(address) = authority.host.address() {
            self.check(authority, SocketAddr::new(address, authority.port), reach)?;
        }
        match (&self.via, reach) {
            (Some(via), Reach::Public | Reach::Any) if !via.is_passed_by(&authority.host) => via.open(authority).await,
            _ => self.open_directly(authority, reach).await,
        }
    }

    async fn open_directly(&self, authority: &Authority, reach: Reach) -> Result<TcpStream, NotForwarded> {
        let addresses = resolve(authority).await?;
        // One address that is not permitted condemns the name: a rebound name often has both kinds.
        for address in &addresses {
            self.check(authority, *address, reach)?;
        }
        let mut failed = std::io::Error::from(std::io::ErrorKind::AddrNotAvailable);
        for address in addresses {
            match tokio::time::timeout(limits::DIAL_ONE_ADDRESS_TIMEOUT, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(error)) => failed = error,
                Err(_) => failed = std::io::ErrorKind::TimedOut.into(),
            }
        }
        Err(NotForwarded::Unreachable { host: authority.to_string(), source: failed })
    }

    fn check(&self, authority: &Authority, address: SocketAddr, reach: Reach) -> Result<(), NotForwarded> {
        let host = || authority.to_string();
        let local = address.ip().is_loopback() || address.ip().is_unspecified();
        let own = || self.own_ports.read().unwrap_or_else(PoisonError::into_inner).contains(&address.port());
        match reach {
            Reach::Pinned => Ok(()),
            Reach::Loopback if !address.ip().is_loopback() => Err(NotForwarded::NotLoopback { host: host() }),
            _ if local && own() => Err(NotForwarded::OwnListener { host: host() }),
            Reach::Any | Reach::Loopback => Ok(()),
            Reach::Public if is_public(address.ip()) => Ok(()),
            Reach::Public => Err(NotForwarded::PrivateAddress { host: host() }),
        }
    }
}

impl Default for Dialer {
    fn default() -> Self {
        Self::new(None)
    }
}

/// All of it is a matter of taste to the system: a socket that refuses works as well as it did.
fn tune(stream: &TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    sockopt::set_socket_keepalive(stream, true)?;
    sockopt::set_tcp_keepidle(stream, limits::TCP_KEEPALIVE_IDLE)?;
    sockopt::set_tcp_keepintvl(stream, limits::TCP_KEEPALIVE_INTERVAL)?;
    sockopt::set_tcp_keepcnt(stream, limits::TCP_KEEPALIVE_PROBES)?;
    #[cfg(target_os = "linux")]
    sockopt::set_tcp_user_timeout(stream, u32::try_from(limits::TCP_USER_TIMEOUT.as_millis()).unwrap_or(u32::MAX))?;
    Ok(())
}

async fn resolve(authority: &Authority) -> Result<Vec<SocketAddr>, NotForwarded> {
    if let Some(address) = authority.host.address() {
        return Ok(vec![SocketAddr::new(address, authority.port)]);
    }
    let unresolved = || NotForwarded::Unresolved { host: authority.to_string() };
    let looked_up = tokio::net::lookup_host((authority.host.as_str(), authority.port)).await;
    let mut addresses: Vec<SocketAddr> = match looked_up {
        Ok(addresses) => addresses.collect(),
        // names below `localhost` mean this machine, known to DNS or not (RFC 6761 §6.3)
        Err(_) if is_loopback(&authority.host) => {
            let own: [IpAddr; 2] = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
            own.map(|address| SocketAddr::new(address, authority.port)).into()
        }
        Err(_) => return Err(unresolved()),
    };
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_for_this_machine_leads_nowhere_else() {
        let dialer = Dialer::new(None);
        dialer.own(7000);
        let api = Authority::parse("api.localhost:7001").unwrap();
        let check = |address: &str, reach| dialer.check(&api, address.parse().unwrap(), reach);
        assert!(check("127.0.0.1:7001", Reach::Loopback).is_ok() && check("[::1]:7001", Reach::Loopback).is_ok());
        for elsewhere in ["93.184.216.34:7001", "10.0.0.1:7001", "0.0.0.0:7001", "[2606:4700::1111]:7001"] {
            assert!(matches!(check(elsewhere, Reach::Loopback), Err(NotForwarded::NotLoopback { .. })), "{elsewhere}");
        }
        assert!(matches!(check("127.0.0.1:7000", Reach::Loopback), Err(NotForwarded::OwnListener { .. })));
        assert!(check("127.0.0.1:7000", Reach::Pinned).is_ok());
    }

    #[tokio::test]
    async fn this_machine_is_never_reached_through_the_upstream_proxy() {
        let proxy = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = proxy.local_addr().unwrap().port();
        let dialer = Dialer::new(Via::from_environment(&format!("http://127.0.0.1:{port}"), ""));
        let own = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        for reach in [Reach::Loopback, Reach::Any] {
            let api = Authority::parse(&format!("api.localhost:{}", own.local_addr().unwrap().port())).unwrap();
            let stream = dialer.dial(&api, reach).await.unwrap();
            assert_eq!(stream.peer_addr().unwrap(), own.local_addr().unwrap());
        }
    }

    #[tokio::test]
    async fn an_upstream_proxy_that_never_answers_is_not_waited_for_without_end() {
        let proxy = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let via = Via::from_environment(&format!("http://{}", proxy.local_addr().unwrap()), "");
        let dialer = Dialer { timeout: Duration::from_millis(50), ..Dialer::new(via) };
        let api = Authority::parse("api.example.com:443").unwrap();
        let outcome = dialer.dial(&api, Reach::Public).await;
        assert!(matches!(outcome, Err(NotForwarded::ConnectTimeout { .. })), "{outcome:?}");
    }

    #[tokio::test]
    async fn a_dialled_socket_notices_that_the_other_side_is_gone() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let authority = Authority::parse(&listener.local_addr().unwrap().to_string()).unwrap();
        let stream = Dialer::default().dial(&authority, Reach::Any).await.unwrap();
        assert!(stream.nodelay().unwrap() && sockopt::socket_keepalive(&stream).unwrap());
        assert_eq!(sockopt::tcp_keepidle(&stream).unwrap(), limits::TCP_KEEPALIVE_IDLE);
        #[cfg(target_os = "linux")]
        assert_eq!(u128::from(sockopt::tcp_user_timeout(&stream).unwrap()), limits::TCP_USER_TIMEOUT.as_millis());
    }
}
