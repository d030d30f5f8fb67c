//! Every part of the daemon, built from one configuration.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;

use arc_swap::ArcSwap;
use rustls_pki_types::CertificateDer;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::agent::Registry;
use crate::audit;
use crate::audit::Ledger;
use crate::broker::Broker;
use crate::broker::Unlisted;
use crate::cli::Exit;
use crate::cli::Failure;
use crate::cli::Surroundings;
use crate::config;
use crate::config::Config;
use crate::config::Place;
use crate::credential;
use crate::credential::Persist;
use crate::credential::Secrets;
use crate::credential::Vault;
use crate::credential::ZoneAccess;
use crate::credential::ZoneClient;
use crate::daemon::listeners::Listeners;
use crate::http;
use crate::limits;
use crate::model::Authority;
use crate::model::Clock;
use crate::model::CredentialHeader;
use crate::model::Host;
use crate::model::PathForms;
use crate::model::ResourceId;
use crate::model::Scheme;
use crate::model::Scopes;
use crate::model::Secret;
use crate::model::Timestamp;
use crate::model::UserName;
use crate::os;
use crate::os::SystemClock;
use crate::policy;
use crate::policy::Policy;
use crate::policy::PolicyText;
use crate::proxy::Proxy;
use crate::resource::Cookies;
use crate::resource::HostPattern;
use crate::resource::PrivateAddresses;
use crate::resource::Resource;
use crate::resource::Resources;
use crate::resource::Source;
use crate::resource::TargetParameter;
use crate::tls;
use crate::tls::AgentFiles;
use crate::tls::Bundle;
use crate::tls::CertificateAuthority;
use crate::tls::Change;
use crate::tls::Roots;
use crate::upstream::Dialer;
use crate::upstream::Upstream;
use crate::upstream::Via;
use crate::whoami;
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
    /// Owns agents' connections.
    pub(super) connections: TaskTracker,
    pub(super) loaded: Mutex<Loaded>,
    /// One reload at a time.
    pub(super) reloading: tokio::sync::Mutex<()>,
}

/// The API that shows an agent itself, and the resource by which the broker knows it.
#[derive(Clone)]
pub(super) struct Whoami {
    pub(super) router: axum::Router,
    pub(super) tls: Arc<rustls::ServerConfig>,
    pub(super) resource: Arc<Resource>,
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
        draining: &CancellationToken,
        tasks: &TaskTracker,
    ) -> Result<Self, Failure> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let started_at = clock.now();
        let paths = surroundings.paths.clone();
        let user = os::current_user(surroundings.environment.text("USER"));
        let listening = listeners.addresses();
        let ledger = open_ledger(&config, &surroundings, &clock)?;
        let texts = policy_texts(&config, &surroundings)?;
        let policy = Policy::new(&texts).map_err(|faults| policy_failure(&faults))?;
        let roots = tls::platform_roots(None);
        roots
            .errors
            .iter()
            .for_each(|error| tracing::warn!(%error, "a root certificate of the system was passed over"));
        let client = http::Client::new(
            tls::client_config(&roots, &[], &[b"http/1.1"])
                .map_err(|error| Failure::new(Exit::Refused, "TLS can't be used").caused_by(&error))?,
            limits::OUTBOUND_TIMEOUT,
            limits::OUTBOUND_ANSWER_BYTES_MAX,
        );

        let issuer = issuer_of(&config, listeners)?;
        let whoami = whoami(&config, listeners, &issuer, &client, &clock)?;
        let resources = all_resources(&config, whoami.as_ref());
        let certificates = CertificateAuthority::open(&paths.ca_folder(), &hosts_of(&resources), Arc::clone(&clock));
        let certificates = Arc::new(certificates.map_err(|error| ca_failure(&error, error.hint()))?);
        let bundle = certificates.write_bundle(&roots).map_err(|error| ca_failure(&error, error.hint()))?;
        let files = AgentFiles::write(&paths.ca_folder(), &bundle).map_err(|error| ca_failure(&error, error.hint()))?;

        let secrets = read_secrets(&config, &surroundings)?;
        let zone = open_zone(&config, &surroundings, &issuer, &user, &resources, &clock).await?;
        let access = ZoneAccess {
            issuer: issuer.clone(),
            user: user.clone(),
            client: zone_client(&config, zone.as_ref(), &secrets).await?,
        };
        let dialer = Arc::new(Dialer::new(via(&config, &surroundings, &secrets)?));
        listening.iter().for_each(|address| dialer.own(address.port()));
        let upstream = Arc::new(Upstream::new(dialer, roots.clone(), tasks.clone()));
        let resources = Resources::new(resources);
        upstream.prepare(resources.iter());
        let vault = Vault::new(credential::Settings { zone: access, secrets, client, clock: Arc::clone(&clock) });
        let agents = Registry::new(Arc::clone(&clock));
        let agents = match config.proxy.unidentified {
            config::Unidentified::Refuse => agents,
            config::Unidentified::Anonymous => agents.with_anonymous(user.clone()),
        };
        let broker = Arc::new(Broker {
            agents: Arc::new(agents),
            resources: ArcSwap::from_pointee(resources),
            policy,
            vault,
            upstream,
            ledger,
            unlisted: ArcSwap::from_pointee(unlisted(&config)),
            clock: Arc::clone(&clock),
        });
        let connections = TaskTracker::new();
        let proxy = Proxy::new(Arc::clone(&broker), Arc::clone(&certificates), draining.clone(), connections.clone());
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
            loaded: Mutex::new(loaded),
            reloading: tokio::sync::Mutex::default(),
        })
    }

    /// Follows certificates that near their end, and a rotation by the command line.
    pub(super) async fn look_after_certificates(&self) {
        let hosts = hosts_of(&self.broker.resources.load().iter().cloned().collect::<Vec<_>>());
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

/// What the embedded zone issues tokens for.
pub(super) fn declared(resources: &[Arc<Resource>]) -> Vec<zone::DeclaredResource> {
    let at_the_zone = |resource: &&Arc<Resource>| {
        matches!(resource.source, Source::TokenExchange { .. } | Source::ClientCredentials { endpoint: None, .. })
    };
    let scopes = |resource: &Resource| match &resource.source {
        Source::TokenExchange { scopes, .. } | Source::ClientCredentials { scopes, .. } => scopes.clone(),
        Source::None | Source::Stored { .. } => Scopes::default(),
    };
    let declare = |resource: &Arc<Resource>| zone::DeclaredResource {
        identifier: resource.identifier.clone(),
        name: resource.identifier.to_string(),
        scopes: scopes(resource),
        lifetime: None,
    };
    resources.iter().filter(at_the_zone).map(declare).collect()
}

/// The folder that the file names, else `policies/` beside it, else the built-in set.
pub(super) fn policy_folder(config: &Config, surroundings: &Surroundings) -> Option<PathBuf> {
    let beside = surroundings.paths.config_folder().join("policies");
    config.policy.folder.clone().or_else(|| beside.is_dir().then_some(beside))
}

pub(super) fn policy_texts(config: &Config, surroundings: &Surroundings) -> Result<Vec<PolicyText>, Failure> {
    match policy_folder(config, surroundings) {
        None => Ok(policy::builtin()),
        Some(folder) => policy::read_folder(&folder)
            .map_err(|error| Failure::new(Exit::Configuration, "the policies can't be read").caused_by(&error)),
    }
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

fn open_ledger(config: &Config, surroundings: &Surroundings, clock: &Arc<dyn Clock>) -> Result<Arc<Ledger>, Failure> {
    let paths = &surroundings.paths;
    let folder = config.audit.folder.clone().unwrap_or_else(|| paths.audit_folder());
    let settings = audit::Settings {
        durability: match config.audit.durability {
            config::Durability::Os => audit::Durability::Os,
            config::Durability::Disk => audit::Durability::Disk,
        },
        rotate_bytes: config.audit.rotate_bytes,
        sign_every: config.audit.sign_every.into(),
        ..audit::Settings::new(folder, paths.ca_folder())
    };
    let (ledger, recovery) = Ledger::open(settings, Arc::clone(clock))
        .map_err(|error| Failure::new(Exit::Refused, "the ledger can't be opened").caused_by(&error))?;
    tell(&recovery);
    Ok(ledger)
}

/// What the last run left behind: nothing, after an orderly stop.
fn tell(recovery: &audit::Recovery) {
    let audit::Recovery { new: _, torn_bytes, torn_file, unknown, broken } = recovery;
    if let Some(file) = torn_file {
        tracing::warn!(torn_bytes, file, "the ledger's last line was torn: cut off and kept beside it");
    }
    if *unknown > 0 {
        tracing::warn!(unknown, "requests of the last run ended in a way that is not known: marked so");
    }
    for broken in broken {
        tracing::error!(broken, "the ledger is broken: see `valetkey audit verify`");
    }
}

fn issuer_of(config: &Config, listeners: &Listeners) -> Result<String, Failure> {
    match (&config.zone, &listeners.zone) {
        (config::Zone::Remote(remote), _) => Ok(remote.issuer.clone()),
        (config::Zone::Embedded { .. }, listener) => {
            let address = listener.as_ref().and_then(|listener| listener.local_addr().ok());
            let address = address.ok_or_else(|| Failure::new(Exit::Refused, "the zone has no address"))?;
            Ok(format!("http://{address}"))
        }
    }
}

fn whoami(
    config: &Config,
    listeners: &Listeners,
    issuer: &str,
    client: &http::Client,
    clock: &Arc<dyn Clock>,
) -> Result<Option<Whoami>, Failure> {
    let Some(address) = listeners.whoami.as_ref().and_then(|listener| listener.local_addr().ok()) else {
        return Ok(None);
    };
    let broken = |error: &dyn std::error::Error| Failure::new(Exit::Refused, "whoami can't be served").caused_by(error);
    let host = Host::parse(config::WHOAMI_HOST).map_err(|error| broken(&error))?;
    let (tls, certificate) = tls::own_server(&host, clock.now()).map_err(|error| broken(&error))?;
    let scopes = Scopes::parse("whoami").map_err(|error| broken(&error))?;
    let router = whoami::router(whoami::Settings {
        identifier: config::WHOAMI_IDENTIFIER.to_owned(),
        issuer: issuer.to_owned(),
        scopes: scopes.clone(),
        client: client.clone(),
        clock: Arc::clone(clock),
    });
    let target = match &config.zone {
        config::Zone::Embedded { .. } => TargetParameter::Resource,
        config::Zone::Remote(remote) => remote.target,
    };
    let resource = whoami_resource(host, address, certificate, Source::TokenExchange { scopes, target })
        .map_err(|error| broken(&*error))?;
    Ok(Some(Whoami { router, tls, resource: Arc::new(resource) }))
}

fn whoami_resource(
    host: Host,
    address: SocketAddr,
    certificate: CertificateDer<'static>,
    source: Source,
) -> Result<Resource, Box<dyn std::error::Error>> {
    Ok(Resource {
        identifier: ResourceId::parse(config::WHOAMI_IDENTIFIER)?,
        scheme: Scheme::Https,
        hosts: vec![HostPattern::Exact(host)],
        port: Scheme::Https.default_port(),
        paths: Vec::new(),
        methods: Vec::new(),
        path_forms: PathForms::default(),
        source,
        header: CredentialHeader::bearer(),
        connect: Some(Authority::parse(&address.to_string())?),
        extra_roots: vec![certificate],
        cookies: Cookies::Strip,
        private_addresses: PrivateAddresses::Refuse,
    })
}

async fn open_zone(
    config: &Config,
    surroundings: &Surroundings,
    issuer: &str,
    user: &UserName,
    resources: &[Arc<Resource>],
    clock: &Arc<dyn Clock>,
) -> Result<Option<zone::Zone>, Failure> {
    let config::Zone::Embedded { .. } = config.zone else { return Ok(None) };
    let settings = zone::Settings {
        database: surroundings.paths.zone_database(),
        issuer: issuer.to_owned(),
        owner: user.clone(),
        resources: declared(resources),
        clock: Arc::clone(clock),
    };
    zone::Zone::open(settings).await.map(Some).map_err(|error| zone_failure(&error))
}

pub(super) fn zone_failure(error: &zone::Error) -> Failure {
    let failure = Failure::new(Exit::Refused, "the embedded zone can't be opened").caused_by(error);
    match error.hint() {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}

async fn zone_client(config: &Config, embedded: Option<&zone::Zone>, secrets: &Secrets) -> Result<ZoneClient, Failure> {
    if let Some(embedded) = embedded {
        let signed_in = embedded.sign_in().await.map_err(|error| zone_failure(&error))?;
        let zone::SignIn { client_id, client_secret, refresh_token, registration_token } = signed_in;
        return Ok(ZoneClient::SignedIn { client_id, client_secret, refresh_token, registration_token });
    }
    let config::Zone::Remote(remote) = &config.zone else {
        return Err(Failure::new(Exit::Configuration, "no zone is configured"));
    };
    let refresh_token = remote.refresh_token.as_deref().map(|name| secret(secrets, name)).transpose()?;
    let persist = match remote.refresh_token.as_ref().and_then(|name| config.secrets.get(name)) {
        Some(credential::SecretSource::File(path)) => {
            let path = path.clone();
            Persist::new(move |token: &Secret| os::replace_private(&path, token.expose()))
        }
        _ => Persist::nowhere(),
    };
    let client_secret = secret(secrets, &remote.client_secret)?;
    Ok(ZoneClient::Client { client_id: remote.client_id.clone(), client_secret, refresh_token, persist })
}

fn secret(secrets: &Secrets, name: &str) -> Result<Secret, Failure> {
    secrets.get(name).cloned().ok_or_else(|| {
        Failure::new(Exit::Configuration, format!("there is no secret `{name}`"))
            .hint("add it as a [[secret]] in proxy.toml")
    })
}

/// `[proxy] upstream`, else what the service's environment named before it was scrubbed.
fn via(config: &Config, surroundings: &Surroundings, secrets: &Secrets) -> Result<Option<Via>, Failure> {
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

fn ca_failure(error: &dyn std::error::Error, hint: Option<String>) -> Failure {
    let failure = Failure::new(Exit::NotPermitted, "the local certificates can't be used").caused_by(error);
    match hint {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}
