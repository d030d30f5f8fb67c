//! The proxy between this machine and the network, if there is one, for agents' requests and for our own.

use std::pin::Pin;
use std::sync::Arc;

use tokio::net::TcpStream;

use crate::cli::Exit;
use crate::cli::Failure;
use crate::cli::Surroundings;
use crate::config::Config;
use crate::credential::Secrets;
use crate::daemon::authority::secret;
use crate::http::Dial;
use crate::model::Authority;
use crate::model::Secret;
use crate::upstream::Dialer;
use crate::upstream::Reach;
use crate::upstream::Via;
use crate::upstream::is_loopback;

/// `[proxy] upstream`, else what the service's environment named before it was scrubbed.
pub(super) fn via(config: &Config, surroundings: &Surroundings, secrets: &Secrets) -> Result<Option<Via>, Failure> {
    if let Some(upstream) = &config.proxy.upstream {
        let user_info = match &upstream.login {
            None => None,
            Some(login) => {
                let password = secret(secrets, &login.password)?;
                Some(Secret::new([login.user.as_bytes(), b":", password.expose()].concat()))
            }
        };
        return Ok(Some(Via { proxy: upstream.authority.clone(), user_info, no_proxy: config.proxy.no_proxy.clone() }));
    }
    let Some(named) = surroundings.environment.text("VALETKEY_UPSTREAM_PROXY") else { return Ok(None) };
    Via::from_environment(named, surroundings.environment.text("VALETKEY_UPSTREAM_NO_PROXY").unwrap_or(""))
        .map(Some)
        .ok_or_else(|| {
            Failure::new(
                Exit::Configuration,
                "the proxy that the environment names is not `http://[user:password@]host:port`",
            )
            .hint("set `[proxy] upstream` in proxy.toml, or unset HTTPS_PROXY for the daemon")
        })
}

/// The daemon's own requests take the same way as those of agents; what is on this machine is reached directly,
/// the embedded zone among it.
pub(super) struct OwnRequests(pub(super) Arc<Dialer>);

impl Dial for OwnRequests {
    fn dial<'a>(
        &'a self,
        authority: &'a Authority,
    ) -> Pin<Box<dyn Future<Output = std::io::Result<TcpStream>> + Send + 'a>> {
        let reach = if is_loopback(&authority.host) { Reach::Pinned } else { Reach::Any };
        Box::pin(async move { self.0.dial(authority, reach).await.map_err(std::io::Error::other) })
    }
}
