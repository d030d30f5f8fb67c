//! Whoami: the API, its certificate, and the resource by which the broker knows it.

use std::net::SocketAddr;
use std::sync::Arc;

use rustls_pki_types::CertificateDer;

use crate::cli::Exit;
use crate::cli::Failure;
use crate::config;
use crate::config::Config;
use crate::daemon::listeners::Listeners;
use crate::http;
use crate::model::Authority;
use crate::model::Clock;
use crate::model::CredentialHeader;
use crate::model::Host;
use crate::model::PathForms;
use crate::model::ResourceId;
use crate::model::Scheme;
use crate::model::Scopes;
use crate::resource::Cookies;
use crate::resource::HostPattern;
use crate::resource::PrivateAddresses;
use crate::resource::Resource;
use crate::resource::ResourceInstance;
use crate::resource::Source;
use crate::resource::TargetParameter;
use crate::tls;
use crate::whoami;

/// The API that shows an agent itself, and the resource by which the broker knows it.
#[derive(Clone)]
pub(super) struct Whoami {
    pub(super) router: axum::Router,
    pub(super) tls: Arc<rustls::ServerConfig>,
    pub(super) resource: Arc<Resource>,
}

/// None where the configuration turns it off.
pub(super) fn whoami(
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
        instance: ResourceInstance::next(),
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
