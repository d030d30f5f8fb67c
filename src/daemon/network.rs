//! The proxy between this machine and the network, if there is one.

use crate::cli::Exit;
use crate::cli::Failure;
use crate::cli::Surroundings;
use crate::config::Config;
use crate::credential::Secrets;
use crate::daemon::authority::secret;
use crate::model::Secret;
use crate::upstream::Via;

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
