//! Where a request comes from: whoever is connected, or whom a proxy in front of us names, when we trust that proxy.
//!
//! Never: an address that somebody wrote into a header, where no trusted proxy vouches for it.

use std::net::IpAddr;
use std::net::Ipv6Addr;
use std::net::SocketAddr;

use axum::http::HeaderMap;

/// The address that a request comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::zone) struct Peer(IpAddr);

impl Peer {
    /// What is counted as one place: an IPv4 address, or the network of an IPv6 address, for a single machine has all of
    /// its network's.
    pub(in crate::zone) fn place(self) -> String {
        match self.0 {
            IpAddr::V4(address) => address.to_string(),
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments();
                format!("{}/64", Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
            }
        }
    }
}

/// The proxies whose `X-Forwarded-For` is believed.
#[derive(Clone, Debug, Default)]
pub struct TrustedProxies(Vec<Network>);

/// A text that names no network.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is neither an address nor a network like 10.0.0.0/8")]
pub struct NoNetwork(String);

#[derive(Clone, Copy, Debug)]
struct Network {
    address: IpAddr,
    /// How many of its bits count.
    bits: u32,
}

impl TrustedProxies {
    /// Reads addresses and networks.
    ///
    /// # Errors
    /// When one of them is something else.
    pub fn parse<'a>(texts: impl Iterator<Item = &'a str>) -> Result<Self, NoNetwork> {
        texts.map(Network::parse).collect::<Result<_, _>>().map(Self)
    }

    /// Where a request of this connection comes from: the last address of the list that no trusted proxy wrote about
    /// itself.
    pub(in crate::zone) fn peer(&self, connected: IpAddr, headers: &HeaderMap) -> Peer {
        let lines: Vec<&str> = headers.get_all(FORWARDED_FOR).iter().filter_map(|line| line.to_str().ok()).collect();
        let named = lines.iter().flat_map(|line| line.split(',')).map(str::trim);
        let mut peer = connected.to_canonical();
        for text in named.collect::<Vec<_>>().into_iter().rev() {
            let (true, Some(before)) = (self.holds(peer), address(text)) else { break };
            peer = before.to_canonical();
        }
        Peer(peer)
    }

    fn holds(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.holds(address))
    }
}

/// Some proxies write the port too.
fn address(text: &str) -> Option<IpAddr> {
    text.parse().ok().or_else(|| text.parse::<SocketAddr>().ok().map(|address| address.ip()))
}

impl Network {
    fn parse(text: &str) -> Result<Self, NoNetwork> {
        let refuse = || NoNetwork(text.chars().take(80).flat_map(char::escape_debug).collect());
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits.parse::<u32>().map_err(|_| refuse())?)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| refuse())?;
        let bits_max = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.unwrap_or(bits_max);
        if bits > bits_max { Err(refuse()) } else { Ok(Self { address, bits }) }
    }

    fn holds(self, other: IpAddr) -> bool {
        match (self.address, other) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                (u32::from(own) ^ u32::from(other)).checked_shr(32 - self.bits).unwrap_or(0) == 0
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                (u128::from(own) ^ u128::from(other)).checked_shr(128 - self.bits).unwrap_or(0) == 0
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }
}

const FORWARDED_FOR: &str = "x-forwarded-for";

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(trusted: &str, connected: &str, forwarded: &[&str]) -> String {
        let trusted = TrustedProxies::parse(trusted.split(' ').filter(|text| !text.is_empty())).unwrap();
        let mut headers = HeaderMap::new();
        for line in forwarded {
            headers.append(FORWARDED_FOR, line.parse().unwrap());
        }
        trusted.peer(connected.parse().unwrap(), &headers).place()
    }

    #[test]
    fn a_header_is_believed_of_trusted_proxies_only() {
        assert_eq!(peer("", "192.0.2.1", &["198.51.100.7"]), "192.0.2.1");
        assert_eq!(peer("10.0.0.0/8", "192.0.2.1", &["198.51.100.7"]), "192.0.2.1");
        assert_eq!(peer("10.0.0.0/8", "10.1.2.3", &["198.51.100.7"]), "198.51.100.7");
        // What the client itself wrote stands before what the proxy saw.
        assert_eq!(peer("10.0.0.0/8", "10.1.2.3", &["203.0.113.9, 198.51.100.7"]), "198.51.100.7");
        assert_eq!(peer("10.0.0.0/8", "10.1.2.3", &["203.0.113.9", "198.51.100.7, 10.9.9.9"]), "198.51.100.7");
        assert_eq!(peer("10.0.0.0/8", "10.1.2.3", &["unknown, 10.9.9.9"]), "10.9.9.9");
        assert_eq!(peer("10.0.0.0/8", "::ffff:10.1.2.3", &["::ffff:198.51.100.7"]), "198.51.100.7");
        assert_eq!(peer("10.1.2.3", "10.1.2.3", &[]), "10.1.2.3");
        assert_eq!(peer("::/0 0.0.0.0/0", "2001:db8::1", &["198.51.100.7"]), "198.51.100.7");
    }

    #[test]
    fn the_addresses_of_one_machine_are_one_place() {
        assert_eq!(peer("", "2001:db8:1:2:3:4:5:6", &[]), "2001:db8:1:2::/64");
        for wrong in ["", "10.0.0.0/33", "::/129", "10.0.0/8", "x", "10.0.0.0/-1", "10.0.0.0/"] {
            assert!(Network::parse(wrong).is_err(), "{wrong}");
        }
    }
}
