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
        if proxy.is_empty() {
            proxy.push(bind(config.proxy.listen, "[proxy] listen").await?);
        }
        let zone = match &config.zone {
            Zone::Embedded { listen } => Some(bind(*listen, "[zone] listen").await?),
            Zone::Remote(_) => None,
        };
        let whoami = match config.whoami.enabled {
            true => Some(bind(config.whoami.listen, "[whoami] listen").await?),
            false => None,
        };
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

async fn bind(address: SocketAddr, setting: &str) -> Result<TcpListener, Failure> {
    TcpListener::bind(address).await.map_err(|error| {
        let taken = error.kind() == std::io::ErrorKind::AddrInUse;
        let failure = Failure::new(Exit::Refused, format!("could not listen on {address}")).caused_by(&error);
        if taken {
            failure.hint(format!(
                "another program has this port; choose another: `{setting} = \"127.0.0.1:PORT\"` in proxy.toml"
            ))
        } else {
            failure.hint(format!("see `{setting}` in proxy.toml"))
        }
    })
}
