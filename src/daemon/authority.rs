//! The zone: the embedded one, or who we are to another.

use std::sync::Arc;

use crate::cli::Exit;
use crate::cli::Failure;
use crate::cli::Surroundings;
use crate::config;
use crate::config::Config;
use crate::credential;
use crate::credential::Persist;
use crate::credential::Secrets;
use crate::credential::ZoneClient;
use crate::daemon::listeners::Listeners;
use crate::daemon::zone_events::EMBEDDED_EVENTS;
use crate::daemon::zone_events::ZoneEvents;
use crate::http::Client;
use crate::model::Clock;
use crate::model::Scopes;
use crate::model::Secret;
use crate::model::UserName;
use crate::os;
use crate::resource::Resource;
use crate::resource::Source;
use crate::zone;

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

/// The URL by which everything else knows it.
pub(super) fn issuer_of(config: &Config, listeners: &Listeners) -> Result<String, Failure> {
    match (&config.zone, &listeners.zone) {
        (config::Zone::Remote(remote), _) => Ok(remote.issuer.clone()),
        (config::Zone::Embedded { .. }, listener) => {
            let address = listener.as_ref().and_then(|listener| listener.local_addr().ok());
            let address = address.ok_or_else(|| Failure::new(Exit::Refused, "the zone has no address"))?;
            Ok(format!("http://{address}"))
        }
    }
}

/// None where it is elsewhere.
pub(super) async fn open_zone(
    config: &Config,
    surroundings: &Surroundings,
    issuer: &str,
    user: &UserName,
    resources: &[Arc<Resource>],
    client: &Client,
    clock: &Arc<dyn Clock>,
) -> Result<Option<zone::Zone>, Failure> {
    let config::Zone::Embedded { .. } = config.zone else { return Ok(None) };
    let paths = &surroundings.paths;
    let events = ZoneEvents::open(paths.zone_audit_folder().join(EMBEDDED_EVENTS), paths.ca_folder(), clock)?;
    let settings = zone::Settings {
        sealing_key: surroundings.paths.zone_database().with_extension("seal"),
        database: zone::Database::Sqlite(surroundings.paths.zone_database()),
        issuer: issuer.to_owned(),
        owner: user.clone(),
        resources: declared(resources),
        clock: Arc::clone(clock),
        rules: zone::Rules { outbound: Some(client.clone()), events: Arc::new(events), ..zone::Rules::default() },
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

/// Who the broker is to it.
pub(super) async fn zone_client(
    config: &Config,
    embedded: Option<&zone::Zone>,
    secrets: &Secrets,
) -> Result<ZoneClient, Failure> {
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

pub(super) fn secret(secrets: &Secrets, name: &str) -> Result<Secret, Failure> {
    secrets.get(name).cloned().ok_or_else(|| {
        Failure::new(Exit::Configuration, format!("there is no secret `{name}`"))
            .hint("add it as a [[secret]] in proxy.toml")
    })
}
