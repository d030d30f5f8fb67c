//! The zone as the daemon holds it: opened, asked for a router, signed in to.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;

use crate::limits::ZONE_REQUEST_TIMEOUT;
use crate::limits::ZONE_TOKEN_LIFETIME;
use crate::limits::ZONE_TOKEN_LIFETIME_MAX;
use crate::limits::ZONE_TOKEN_LIFETIME_MIN;
use crate::model::Clock;
use crate::model::ResourceId;
use crate::model::Scopes;
use crate::model::Secret;
use crate::model::UserName;
use crate::zone::access::MANAGED;
use crate::zone::error::Error;
use crate::zone::front::Front;
use crate::zone::front::Zones;
use crate::zone::issuer::Issuer;
use crate::zone::keyring::Keyring;
use crate::zone::management;
use crate::zone::names;
use crate::zone::names::Names;
use crate::zone::oauth;
use crate::zone::opaque;
use crate::zone::own_client::own_client;
use crate::zone::pages::WELCOME;
use crate::zone::peer::TrustedProxies;
use crate::zone::people::People;
use crate::zone::people::Ticket;
use crate::zone::private_file;
use crate::zone::renewal;
use crate::zone::rules::Rules;
use crate::zone::seal::Seal;
use crate::zone::store::Database;
use crate::zone::store::Kind;
use crate::zone::store::Store;
use crate::zone::store::User;
use crate::zone::tokens::ApiTokens;

/// The home zone of a database, and beside it the other zones of that database. Several can live in one process, each
/// with its own database and issuer.
pub struct Zone {
    issuer: Arc<Issuer>,
    /// The database's other zones.
    others: Zones,
    owner: User,
}

/// What a zone is opened with.
pub struct Settings {
    /// Where everything is kept.
    pub database: Database,
    /// The file of the key under which the database's secrets are sealed. Made (0600) on first start; replicas that
    /// share a database share it too.
    pub sealing_key: PathBuf,
    /// The zone's own URL without a path, exactly as it stands in `iss` and in the metadata.
    pub issuer: String,
    /// The one user.
    pub owner: UserName,
    /// What tokens are for.
    pub resources: Vec<DeclaredResource>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// What it permits.
    pub rules: Rules,
}

/// An API that the configuration knows.
#[derive(Clone, Debug)]
pub struct DeclaredResource {
    /// The audience of its tokens, compared exactly.
    pub identifier: ResourceId,
    /// What people call it.
    pub name: String,
    /// The most that a token for it may hold.
    pub scopes: Scopes,
    /// How long a token for it lives; ten minutes when nothing is said.
    pub lifetime: Option<Duration>,
}

/// Fresh credentials of the daemon's own client. Whatever an earlier sign-in gave is void.
#[derive(Debug)]
pub struct SignIn {
    /// The daemon's client at this zone.
    pub client_id: String,
    /// Its secret.
    pub client_secret: Secret,
    /// Exchanged by `refresh_token` for the owner's session token: an access token whose audience is the issuer.
    pub refresh_token: Secret,
    /// The bearer token of the registration endpoint: agents are registered in the owner's name, and granted.
    pub registration_token: Secret,
}

impl Zone {
    /// Opens the zone, and makes it on first start: tables, signing key, the owner, the declared resources.
    pub async fn open(settings: Settings) -> Result<Self, Error> {
        let Settings { database, sealing_key, issuer, owner, resources, clock, rules } = settings;
        if !is_issuer(&issuer) {
            return Err(Error::Issuer(issuer.escape_debug().to_string()));
        }
        if let Database::Sqlite(file) = &database {
            // The file is there with its mode before SQLite opens it; -wal and -shm take their mode from it.
            private_file::prepare_folder(file)
                .and_then(|()| private_file::create_or_check(file))
                .map_err(|source| Error::File { path: file.clone(), source })?;
        }
        let now = clock.now();
        let seal = Arc::new(Seal::open(&sealing_key)?);
        let store = Store::open(&database, now).await?;
        store.prune(now).await?;
        renewal::renew_policies(&store, &MANAGED, &*rules.events, now).await?;
        let earlier = sealing_key.with_extension("key");
        let people = People::new(Arc::clone(&seal));
        let keyring = Keyring::open(seal, Some(&earlier), &store, now).await?;
        let owner = store.welcome_user(owner.as_str(), now).await?;
        store.admit_admin(&owner.id, now).await?;
        store.add_user_agent(&own_client(), None, now).await?;
        let issuer = Arc::new(Issuer::new(issuer, store, keyring, clock, rules, people));
        let zone = Self { others: Zones::new(Arc::clone(&issuer)), issuer, owner };
        zone.declare(resources).await?;
        Ok(zone)
    }

    /// Makes the declared resources exactly these. To be called again when the configuration was loaded anew.
    pub async fn declare(&self, resources: Vec<DeclaredResource>) -> Result<(), Error> {
        let mut declared = Vec::with_capacity(resources.len());
        for resource in resources {
            let lifetime = resource.lifetime.unwrap_or(ZONE_TOKEN_LIFETIME);
            if !(ZONE_TOKEN_LIFETIME_MIN..=ZONE_TOKEN_LIFETIME_MAX).contains(&lifetime) {
                return Err(Error::Lifetime(resource.identifier));
            }
            if resource.identifier.as_str().trim_end_matches('/') == self.issuer.url().trim_end_matches('/') {
                return Err(Error::OwnAddress(resource.identifier));
            }
            declared.push((resource, lifetime));
        }
        Ok(self.issuer.store.declare(&declared, self.issuer.clock.now()).await?)
    }

    /// All zones of the database, each under its own name, the home zone also under `more`, each as `host:port`.
    pub(in crate::zone) fn front(&self, more: &[String]) -> Front {
        Front::new(Names::new(self.issuer.url(), more), self.router(), self.others.clone())
    }

    /// The home zone's endpoints, whatever name they are asked by.
    pub fn router(&self) -> Router {
        self.router_within(ZONE_REQUEST_TIMEOUT)
    }

    /// The same with another bound.
    pub(in crate::zone) fn router_within(&self, bound: Duration) -> Router {
        oauth::router(Arc::clone(&self.issuer), bound).merge(management::router(Arc::clone(&self.issuer)))
    }

    /// Signs the owner in through the daemon's own client, with fresh credentials; earlier ones are void.
    pub async fn sign_in(&self) -> Result<SignIn, Error> {
        let (now, store, user) = (self.issuer.clock.now(), &self.issuer.store, &self.owner.id);
        let (client_secret, client_secret_hash) = opaque::generate("vkc_");
        let (refresh_token, refresh_token_hash) = opaque::generate("vkr_");
        let (registration_token, registration_token_hash) = opaque::generate("vki_");
        let client = store.enrol(user, Kind::Daemon, DAEMON, &client_secret_hash, now).await?;
        store.sign_in(user, &client.id, &refresh_token_hash, now).await?;
        store.replace_registration_token(user, &registration_token_hash, now).await?;
        Ok(SignIn { client_id: client.id.to_string(), client_secret, refresh_token, registration_token })
    }

    /// The API tokens of the organisation that the database was made with.
    pub async fn api_tokens(&self) -> Result<ApiTokens, Error> {
        let Issuer { store, clock, .. } = &*self.issuer;
        Ok(ApiTokens::of(store, clock, store.home_organization().await?))
    }

    /// Signs with a new key from now on. The old key stays in the JWKS until its last token is dead.
    pub async fn rotate_key(&self) -> Result<(), Error> {
        let Issuer { keyring, store, clock, .. } = &*self.issuer;
        Ok(keyring.rotate(store, clock.now()).await?)
    }

    /// Gives a person a password, who is made now if there is none of that name.
    pub async fn set_password(&self, user: &str, password: Secret) -> Result<(), Error> {
        let (store, now) = (&self.issuer.store, self.issuer.clock.now());
        let phc = self.issuer.people.hash_password(password).await.map_err(|_| Error::Password)?;
        let user = store.welcome_user(user, now).await?;
        Ok(store.set_password(&user.id, &phc, now).await?)
    }

    #[cfg(test)]
    pub(in crate::zone) fn store(&self) -> &Store {
        &self.issuer.store
    }

    /// Whether the other zones of the database can be asked for: they have names below this zone's own.
    pub fn has_names_below(&self) -> bool {
        names::has_names_below(self.issuer.url())
    }

    /// The zone's own address.
    pub(in crate::zone) fn url(&self) -> &str {
        self.issuer.url()
    }

    /// Renews the keys when they are old enough, and reads them anew: another replica may have.
    pub(in crate::zone) async fn look_for_keys(&self) {
        let Issuer { keyring, store, clock, .. } = &*self.issuer;
        if let Err(failed) = keyring.keep_young(store, clock.now()).await {
            tracing::warn!(error = &failed as &dyn std::error::Error, "the keys could not be renewed or read anew");
        }
    }

    /// Forgets what has expired.
    pub(in crate::zone) async fn prune(&self) {
        let Issuer { store, clock, .. } = &*self.issuer;
        if let Err(failed) = store.prune(clock.now()).await {
            tracing::warn!(error = &failed as &dyn std::error::Error, "what has expired could not be removed");
        }
    }

    pub(in crate::zone) fn trusted_proxies(&self) -> &TrustedProxies {
        &self.issuer.rules.trusted_proxies
    }

    /// The link by which the owner chooses a first password; none when they have one. It is good until then, for a day.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn welcome_link(&self) -> Result<Option<Secret>, Error> {
        if let Some((_, Some(_))) = self.issuer.store.password_of(&self.owner.identifier).await? {
            return Ok(None);
        }
        let ticket = Ticket::for_welcome(&self.issuer, &self.owner);
        let link = |ticket: Secret| {
            Secret::new(format!("{}{WELCOME}?ticket={}", self.url(), ticket.expose_str().unwrap_or_default()))
        };
        Ok(ticket.map(link))
    }

    /// Finishes what is under way and closes the database. After it, the router answers with errors.
    pub async fn close(&self) {
        self.issuer.store.close().await;
    }
}

impl fmt::Debug for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Zone").field("issuer", &self.issuer.url()).finish_non_exhaustive()
    }
}

fn is_issuer(url: &str) -> bool {
    let authority = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://")).unwrap_or_default();
    let parsed: Result<hyper::http::uri::Authority, _> = authority.parse();
    parsed.is_ok_and(|parsed| parsed.as_str() == authority && !authority.contains('@'))
}

/// The name of the daemon's own client. Its kind keeps it apart from an agent of the same name.
const DAEMON: &str = "valetkey";
