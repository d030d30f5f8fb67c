//! The daemon's ports, taken before anything else is made, so that a second daemon fails early and clearly.

use std::net::SocketAddr;

use tokio::net::TcpListener;

use crate::cli::Exit;
use crate::cli::Failure;
use crate::config::Config;
use crate::config::Zone;

/// Bound sockets.
pub(super) struct Listeners {
    pub(super) proxy: Vec<TcpListener>,
    pub(super) zone: Option<TcpListener>,
    pub(super) whoami: Option<TcpListener>,
}

impl Listeners {
    /// `activated` are the proxy's sockets that the service manager holds; then none is bound for it.
    pub(super) async fn bind(config: &Config, activated: Vec<std::net::TcpListener>) -> Result<Self, Failure> {
        let unusable =
            |error| Failure::new(Exit::Refused, "the service manager's socket can't be used").caused_by(&error);
        let mut proxy = Vec::new();
        for listener in activated {
            proxy.push(TcpListener::from_std(listener).map_err(unusable)?);
        }
        let mut binding = Binding::default();
        if proxy.is_empty() {
            proxy.extend(binding.bind(config.proxy.listen, "[proxy] listen").await);
        }
        let zone = match &config.zone {
            Zone::Embedded { listen } => binding.bind(*listen, "[zone] listen").await,
            Zone::Remote(_) => None,
        };
        let whoami = match config.whoami.enabled {
            true => binding.bind(config.whoami.listen, "[whoami] listen").await,
            false => None,
        };
        binding.failure().map_or(Ok(()), Err)?;
        Ok(Self { proxy, zone, whoami })
    }

    /// Where agents connect.
    pub(super) fn of_the_proxy(&self) -> Vec<SocketAddr> {
        self.proxy.iter().filter_map(|listener| listener.local_addr().ok()).collect()
    }

    /// Every port that is the daemon's own.
    pub(super) fn ports(&self) -> impl Iterator<Item = u16> {
        let all = self.proxy.iter().chain(&self.zone).chain(&self.whoami);
        all.filter_map(|listener| listener.local_addr().ok()).map(|address| address.port())
    }
}

/// Ports that can't be had: all of them are told at once.
#[derive(Default)]
struct Binding {
    failed: Vec<(SocketAddr, &'static str, std::io::Error)>,
}

impl Binding {
    /// None where it can't be had.
    async fn bind(&mut self, address: SocketAddr, setting: &'static str) -> Option<TcpListener> {
        TcpListener::bind(address).await.map_err(|error| self.failed.push((address, setting, error))).ok()
    }

    fn failure(self) -> Option<Failure> {
        if self.failed.is_empty() {
            return None;
        }
        let addresses: Vec<_> = self.failed.iter().map(|(address, _, _)| address.to_string()).collect();
        let settings: Vec<_> =
            self.failed.iter().map(|(_, setting, _)| format!("`{setting} = \"127.0.0.1:PORT\"`")).collect();
        let failure = Failure::new(Exit::Refused, format!("could not listen on {}", addresses.join(", ")));
        let taken = self.failed.iter().all(|(_, _, error)| error.kind() == std::io::ErrorKind::AddrInUse);
        let mut causes: Vec<_> = self.failed.into_iter().map(|(_, _, error)| error).collect();
        causes.dedup_by_key(|error| error.kind());
        let failure = causes.iter().fold(failure, |failure, error| failure.caused_by(error));
        let (settings, them) = (settings.join(", "), if addresses.len() == 1 { "this port" } else { "these ports" });
        Some(match taken {
            true => failure.hint(format!("another program has {them}; choose others in proxy.toml: {settings}")),
            false => failure.hint(format!("see proxy.toml: {settings}")),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_port_that_can_not_be_had_is_told() {
        let taken = [TcpListener::bind("127.0.0.1:0").await.unwrap(), TcpListener::bind("127.0.0.1:0").await.unwrap()];
        let addresses = taken.iter().map(|listener| listener.local_addr().unwrap()).collect::<Vec<_>>();
        let mut binding = Binding::default();
        assert!(binding.bind(addresses[0], "[proxy] listen").await.is_none());
        assert!(binding.bind("127.0.0.1:0".parse().unwrap(), "[zone] listen").await.is_some());
        assert!(binding.bind(addresses[1], "[whoami] listen").await.is_none());
        let told = binding.failure().unwrap().to_string();
        let expected = format!("could not listen on {}, {}: Address already in use", addresses[0], addresses[1]);
        assert!(told.starts_with(&expected) && told.matches("in use").count() == 1, "{told}");
        assert!(Binding::default().failure().is_none());
    }
}
