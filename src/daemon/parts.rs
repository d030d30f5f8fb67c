//! Every part of the daemon, built from one configuration.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::Mutex;

use arc_swap::ArcSwap;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::agent::Registry;
use crate::agent::Strangers;
use crate::broker::Broker;
use crate::broker::InForce;
use crate::broker::Unlisted;
use crate::cli::Exit;
use crate::cli::Failure;
use crate::cli::Surroundings;
use crate::cli::config::policy_texts;
use crate::config;
use crate::config::Config;
use crate::config::Place;
use crate::credential;
use crate::credential::Secrets;
use crate::credential::Vault;
use crate::credential::ZoneAccess;
use crate::daemon::authority::issuer_of;
use crate::daemon::authority::open_zone;
use crate::daemon::authority::zone_client;
use crate::daemon::ledger::open_ledger;
use crate::daemon::listeners::Listeners;
use crate::daemon::network::OwnRequests;
use crate::daemon::network::via;
use crate::daemon::own_api::Whoami;
use crate::daemon::own_api::whoami;
use crate::http;
use crate::limits;
use crate::model::Clock;
use crate::model::Host;
use crate::model::Scheme;
use crate::model::Timestamp;
use crate::model::UserName;
use crate::os;
use crate::os::SystemClock;
use crate::policy;
use crate::policy::PolicySet;
use crate::proxy::Crew;
use crate::proxy::Proxy;
use crate::resource::HostPattern;
use crate::resource::Resource;
use crate::resource::Resources;
use crate::tls;
use crate::tls::AgentFiles;
use crate::tls::Bundle;
use crate::tls::CertificateAuthority;
use crate::tls::Change;
use crate::tls::Roots;
use crate::upstream::Dialer;
use crate::upstream::Upstream;
use crate::zone;

/// The running parts, and what is told of them.
pub(super) struct Parts {
    pub(super) surroundings: Surroundings,
    pub(super) place: Place,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) user: UserName,
    pub(super) started_at: Timestamp,
    pub(super) listening: Vec<SocketAddr>,
    pub(super) issuer: String,
    pub(super) broker: Arc<Broker>,
    pub(super) proxy: Arc<Proxy>,
    pub(super) certificates: Arc<CertificateAuthority>,
    pub(super) roots: Roots,
    pub(super) files: AgentFiles,
    pub(super) bundle: Bundle,
    pub(super) zone: Option<zone::Zone>,
    pub(super) whoami: Option<Whoami>,
    /// Owns agents' connections: what a drain waits for.
    pub(super) connections: TaskTracker,
    /// Owns what lives as long as a session.
    pub(super) attendants: TaskTracker,
    pub(super) started_with: Config,
    pub(super) loaded: Mutex<Loaded>,
    /// One reload at a time.
    pub(super) reloading: tokio::sync::Mutex<()>,
}

/// What was read last, and what was wrong with what was not taken.
pub(super) struct Loaded {
    pub(super) config: Config,
    pub(super) at: Timestamp,
    pub(super) config_error: Option<String>,
    pub(super) policy_error: Option<String>,
}

impl Parts {
    pub(super) async fn build(
        surroundings: Surroundings,
        place: Place,
        config: Config,
        listeners: &Listeners,
        crew: Crew,
        draining: &CancellationToken,
        tasks: &TaskTracker,
    ) -> Result<Self, Failure> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let started_at = clock.now();
        let paths = surroundings.paths.clone();
        let user = os::current_user(surroundings.environment.text("USER"));
        let listening = listeners.of_the_proxy();
        let ledger = open_ledger(&config, &surroundings, &clock)?;
        let texts = policy_texts(&config, &surroundings.paths)?;
        let policies = PolicySet::parse(&texts).map_err(|faults| policy_failure(&faults))?;
        let roots = tls::platform_roots(None);
        roots
            .errors
            .iter()
            .for_each(|error| tracing::warn!(%error, "a root certificate of the system was passed over"));
        let secrets = read_secrets(&config, &surroundings)?;
        let dialer = Arc::new(Dialer::new(via(&config, &surroundings, &secrets)?));
        let client = http::Client::new(
            tls::client_config(&roots, &[], &[b"http/1.1"])
                .map_err(|error| Failure::new(Exit::Refused, "TLS can't be used").caused_by(&error))?,
            limits::OUTBOUND_TIMEOUT,
            limits::OUTBOUND_ANSWER_BYTES_MAX,
        )
        .through(Arc::new(OwnRequests(Arc::clone(&dialer))));
        let issuer = issuer_of(&config, listeners)?;
        let whoami = whoami(&config, listeners, &issuer, &client, &clock)?;
        let resources = all_resources(&config, whoami.as_ref());
        let certificates = CertificateAuthority::open(&paths.ca_folder(), &hosts_of(&resources), Arc::clone(&clock));
        let certificates = Arc::new(certificates.map_err(|error| ca_failure(&error, error.hint()))?);
        let bundle = certificates.write_bundle(&roots).map_err(|error| ca_failure(&error, error.hint()))?;
        let files = AgentFiles::write(&paths.ca_folder(), &bundle).map_err(|error| ca_failure(&error, error.hint()))?;

        let zone = open_zone(&config, &surroundings, &issuer, &user, &resources, &client, &clock).await?;
        let access = ZoneAccess {
            issuer: issuer.clone(),
            user: user.clone(),
            client: zone_client(&config, zone.as_ref(), &secrets).await?,
        };
        listeners.ports().for_each(|port| dialer.own(port));
        let upstream = Arc::new(Upstream::new(dialer, roots.clone(), Arc::clone(&clock), tasks.clone()));
        let resources = Resources::new(resources);
        upstream.prepare(resources.iter());
        warn_of_strangers(&policies, &resources);
        let vault = Vault::new(credential::Settings { zone: access, client, clock: Arc::clone(&clock) });
        let agents = Registry::new(Arc::clone(&clock));
        let agents = match config.proxy.unidentified {
            config::Unidentified::Refuse => agents,
            config::Unidentified::Anonymous => agents.with_anonymous(user.clone()),
        };
        let broker = Arc::new(Broker {
            agents: Arc::new(agents),
            in_force: ArcSwap::from_pointee(InForce {
                resources: Arc::new(resources),
                policies: Arc::new(policies),
                secrets: Arc::new(secrets),
                unlisted: unlisted(&config),
            }),
            vault,
            upstream,
            ledger,
            strangers: Strangers::default(),
            clock: Arc::clone(&clock),
        });
        let connections = TaskTracker::new();
        let authority = Arc::clone(&certificates);
        let proxy = Proxy::new(Arc::clone(&broker), authority, crew, draining.clone(), connections.clone());
        let started_with = config.clone();
        let loaded = Loaded { config, at: started_at, config_error: None, policy_error: None };
        Ok(Self {
            surroundings,
            place,
            clock,
            user,
            started_at,
            listening,
            issuer,
            broker,
            proxy,
            certificates,
            roots,
            files,
            bundle,
            zone,
            whoami,
            connections,
            attendants: TaskTracker::new(),
            started_with,
            loaded: Mutex::new(loaded),
            reloading: tokio::sync::Mutex::default(),
        })
    }

    /// Follows certificates that near their end, and a rotation by the command line.
    pub(super) async fn look_after_certificates(&self) {
        let hosts = hosts_of(&self.broker.in_force.load().resources.iter().cloned().collect::<Vec<_>>());
        let (certificates, roots) = (Arc::clone(&self.certificates), self.roots.clone());
        let looked = tokio::task::spawn_blocking(move || match certificates.ensure(&hosts)? {
            Change::None => Ok(()),
            Change::Generations => certificates.write_bundle(&roots).map(|_| ()),
        });
        match looked.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(%error, "the local certificates could not be looked after"),
            Err(error) => tracing::error!(%error, "the local certificates could not be looked after"),
        }
    }
}

/// Reads the configuration; on faults, all of them.
pub(super) fn open_config(place: &Place, read: &dyn Fn(&str) -> Option<OsString>) -> Result<Config, Failure> {
    let config = config::open(place, read).map_err(|faults| {
        Failure::new(Exit::Configuration, "the configuration has faults")
            .caused_by(&faults)
            .hint("valetkey config check")
    })?;
    for warning in config.warnings.iter() {
        tracing::warn!(warning = %warning.message(), "the configuration looks wrong");
    }
    Ok(config)
}

/// Whoami first, then what the file says.
pub(super) fn all_resources(config: &Config, whoami: Option<&Whoami>) -> Vec<Arc<Resource>> {
    whoami.map(|whoami| Arc::clone(&whoami.resource)).into_iter().chain(config.resources.iter().cloned()).collect()
}

/// Says which policies decide nothing, because no resource has the name that they give.
pub(super) fn warn_of_strangers(policies: &PolicySet, resources: &Resources) {
    for stranger in policies.strangers(|name| resources.iter().any(|resource| resource.identifier.as_str() == name)) {
        tracing::warn!("{stranger}");
    }
}

/// What the certificates must permit: exact names, and the parents of wildcards.
pub(super) fn hosts_of(resources: &[Arc<Resource>]) -> Vec<Host> {
    let patterns =
        resources.iter().filter(|resource| resource.scheme == Scheme::Https).flat_map(|resource| &resource.hosts);
    patterns
        .map(|pattern| match pattern {
            HostPattern::Exact(host) | HostPattern::Below(host) => host.clone(),
        })
        .collect()
}

pub(super) fn policy_failure(faults: &policy::NotAPolicySet) -> Failure {
    Failure::new(Exit::Configuration, "the policies are not in force")
        .caused_by(faults)
        .hint("mend them; `valetkey init` writes a starter set elsewhere: `VALETKEY_HOME=/tmp/x valetkey init`")
}

pub(super) fn read_secrets(config: &Config, surroundings: &Surroundings) -> Result<Secrets, Failure> {
    let sources = config.secrets.iter().map(|(name, source)| (name.as_str(), source));
    let read = |name: &str| surroundings.environment.get(name).map(OsString::from);
    Secrets::read(sources, &read).map_err(|unreadable| {
        unreadable.iter().fold(Failure::new(Exit::Configuration, "a secret can't be read"), |failure, (name, error)| {
            failure.caused_by(error).hint(format!("secret `{name}`: {}", error.hint()))
        })
    })
}

pub(super) fn unlisted(config: &Config) -> Unlisted {
    match config.proxy.unlisted {
        config::Unlisted::Deny => Unlisted::Deny,
        config::Unlisted::Tunnel => Unlisted::Tunnel {
            ports: config.proxy.tunnel_ports.clone(),
            private_hosts: config.proxy.private_tunnels.clone(),
        },
    }
}

fn ca_failure(error: &dyn std::error::Error, hint: Option<String>) -> Failure {
    let failure = Failure::new(Exit::NotPermitted, "the local certificates can't be used").caused_by(error);
    match hint {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}
