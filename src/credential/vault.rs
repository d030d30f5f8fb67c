//! The vault: the one door to credentials, and the only caller of token endpoints.
//!
//! Promises: no credential without a [`Permit`]; one fetch in flight for each that differs; an answer within
//! [`OBTAIN_TIMEOUT`]; nothing held for a session that has ended. Never tells a secret: a credential leaves it
//! as a header value for exactly one resource.

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio_util::task::TaskTracker;

use crate::credential::Credential;
use crate::credential::NotObtained;
use crate::credential::Provenance;
use crate::credential::Refused;
use crate::credential::Secrets;
use crate::credential::SourceKind;
use crate::credential::ZoneAccess;
use crate::credential::answer::Granted;
use crate::credential::cache::Cache;
use crate::credential::cache::Found;
use crate::credential::credential::Pair;
use crate::credential::credential::Purpose;
use crate::credential::endpoint::ClientSecret;
use crate::credential::endpoint::Endpoint;
use crate::credential::slot::Fetched;
use crate::credential::slot::Moment;
use crate::credential::zone::Asked;
use crate::credential::zone::Grant;
use crate::credential::zone::Zone;
use crate::credential::zone::target;
use crate::http::Client;
use crate::http::Form;
use crate::limits::CREDENTIALS_MAX;
use crate::limits::OBTAIN_TIMEOUT;
use crate::model::Clock;
use crate::model::Scopes;
use crate::model::SessionId;
use crate::policy::Permit;
use crate::resource::Source;
use crate::resource::TokenEndpoint;

/// Obtains credentials and holds them. Cheap to clone; all clones are one vault.
#[derive(Clone)]
pub struct Vault(Arc<Inner>);

/// What a vault is made of.
pub struct Settings {
    /// The zone, and who speaks there.
    pub zone: ZoneAccess,
    /// How requests are sent.
    pub client: Client,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
}

struct Inner {
    cache: Cache<Purpose, Pair>,
    zone: ArcSwap<Zone>,
    client: Client,
    clock: Arc<dyn Clock>,
    tasks: TaskTracker,
}

impl Vault {
    /// Fetches nothing yet.
    pub fn new(settings: Settings) -> Self {
        let Settings { zone, client, clock } = settings;
        let tasks = TaskTracker::new();
        let zone = Zone::new(zone, client.clone(), Arc::clone(&clock), &tasks);
        Self(Arc::new(Inner {
            cache: Cache::new(CREDENTIALS_MAX, Arc::clone(&clock), tasks.clone()),
            zone: ArcSwap::from_pointee(zone),
            client,
            clock,
            tasks,
        }))
    }

    /// The credential for what was permitted; none for a tunnel and for a resource that needs none. `secrets` are
    /// those that were loaded together with the resource.
    pub async fn obtain(&self, permit: &Permit, secrets: &Arc<Secrets>) -> Result<Option<Credential>, NotObtained> {
        let Some(resource) = permit.resource() else { return Ok(None) };
        if resource.source == Source::None {
            return Ok(None);
        }
        if !permit.session().is_open() {
            return Err(NotObtained::SessionEnded);
        }
        let purpose = Purpose {
            session: Arc::clone(permit.session()),
            resource: Arc::clone(resource),
            secrets: Arc::clone(secrets),
        };
        let fetch = || self.0.clone().fetch_bounded(purpose.clone());
        Ok(Some(match self.0.cache.get(&purpose, fetch).await? {
            Found::AtHand(pair) => pair.at_hand,
            Found::Fetched(pair) => pair.fetched,
        }))
    }

    /// The upstream did not take `credential` (401): drops it, unless a newer one has taken its place.
    pub fn refuse(&self, credential: &Credential) -> Refused {
        let provenance = credential.provenance();
        if provenance.source == SourceKind::Stored {
            return Refused::Final;
        }
        let this = |held: &Pair| held.at_hand.provenance().fingerprint == provenance.fingerprint;
        self.0.cache.refuse(credential.purpose(), this)
    }

    /// Drops everything that is held for a session. To be called once its
    /// [`ended`](crate::agent::Session::ended) is cancelled.
    pub fn end_session(&self, id: &SessionId) {
        self.0.cache.retain(|purpose| purpose.session.id() != id);
    }

    /// Drops what is held for configurations before the one that `secrets` came with.
    pub fn forget_before(&self, secrets: &Arc<Secrets>) {
        self.0.cache.retain(|purpose| Arc::ptr_eq(&purpose.secrets, secrets));
    }

    /// Speaks to another zone from now on; everything that is held is dropped.
    #[cfg(test)]
    pub(super) fn replace_zone(&self, access: ZoneAccess) {
        let zone = Zone::new(access, self.0.client.clone(), Arc::clone(&self.0.clock), &self.0.tasks);
        self.0.zone.store(Arc::new(zone));
        self.0.cache.retain(|_| false);
    }

    /// How many credentials are held or being fetched.
    pub fn entries(&self) -> usize {
        self.0.cache.len()
    }

    /// Waits for the fetches in flight, each of which has a bound. To be called when nobody obtains any more.
    pub async fn close(&self) {
        self.0.tasks.close();
        self.0.tasks.wait().await;
    }
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Vault(…)")
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings").field("zone", &self.zone).finish_non_exhaustive()
    }
}

impl Inner {
    async fn fetch_bounded(self: Arc<Self>, purpose: Purpose) -> Result<Fetched<Pair>, NotObtained> {
        let zone = self.zone.load_full();
        match tokio::time::timeout(OBTAIN_TIMEOUT, self.fetch(&zone, &purpose)).await {
            Ok(answer) => answer,
            Err(_) => Err(NotObtained::Slow { server: zone.issuer().to_owned(), bound: OBTAIN_TIMEOUT }),
        }
    }

    async fn fetch(&self, zone: &Arc<Zone>, purpose: &Purpose) -> Result<Fetched<Pair>, NotObtained> {
        let at_zone = |grant, scopes, target| Asked {
            agent: purpose.session.agent().clone(),
            user: purpose.session.user().clone(),
            session: purpose.session.id().clone(),
            resource: purpose.resource.identifier.clone(),
            target,
            scopes,
            grant,
        };
        match &purpose.resource.source {
            Source::TokenExchange { scopes, target } => {
                let asked = at_zone(Grant::TokenExchange, scopes.clone(), *target);
                let (granted, since) = zone.token(&asked).await?;
                minted(purpose, SourceKind::TokenExchange, zone.issuer().to_owned(), granted, since)
            }
            Source::ClientCredentials { scopes, target, endpoint: None } => {
                let asked = at_zone(Grant::ClientCredentials, scopes.clone(), *target);
                let (granted, since) = zone.token(&asked).await?;
                minted(purpose, SourceKind::ClientCredentials, zone.issuer().to_owned(), granted, since)
            }
            Source::ClientCredentials { scopes, target: parameter, endpoint: Some(at) } => {
                let form = Form::new().field("grant_type", "client_credentials");
                let form = target(form, *parameter, &purpose.resource.identifier, scopes);
                let (granted, since) = self.own_endpoint(at, form, purpose).await?;
                minted(purpose, SourceKind::ClientCredentials, at.url.clone(), granted, since)
            }
            Source::Stored { secret } => self.stored(purpose, secret),
            Source::None => Err(NotObtained::Abandoned),
        }
    }

    /// RFC 6749 §4.4 at a server that is not the zone.
    async fn own_endpoint(
        &self,
        at: &TokenEndpoint,
        form: Form,
        purpose: &Purpose,
    ) -> Result<(Granted, Moment), NotObtained> {
        let target = purpose.resource.identifier.as_str();
        let secret = purpose
            .secrets
            .get(&at.client_secret)
            .ok_or_else(|| NotObtained::SecretMissing(at.client_secret.clone()))?;
        let by = ClientSecret { id: at.client_id.clone(), secret: secret.clone() };
        let since = Moment::now(&*self.clock);
        let granted = Endpoint::parse(&at.url)?.token(&self.client, &by, form, target, &[]).await?;
        Ok((granted, since))
    }

    fn stored(&self, purpose: &Purpose, name: &str) -> Result<Fetched<Pair>, NotObtained> {
        let secret = purpose.secrets.get(name).ok_or_else(|| NotObtained::SecretMissing(name.to_owned()))?;
        let provenance = Provenance {
            source: SourceKind::Stored,
            issuer: None,
            scopes: Scopes::default(),
            fingerprint: secret.fingerprint(),
            expires_at: None,
            cached: false,
        };
        let pair = purpose.pair(secret, provenance).map_err(|_| NotObtained::SecretNotLegal(name.to_owned()))?;
        Ok(Fetched { value: pair, since: Moment::now(&*self.clock), lifetime: None })
    }
}

/// A token as the credential it is for `purpose`.
fn minted(
    purpose: &Purpose,
    source: SourceKind,
    issuer: String,
    granted: Granted,
    since: Moment,
) -> Result<Fetched<Pair>, NotObtained> {
    let provenance = Provenance {
        source,
        issuer: Some(issuer.clone()),
        scopes: granted.scopes,
        fingerprint: granted.token.fingerprint(),
        expires_at: Some(since.wall.after(granted.lifetime)),
        cached: false,
    };
    let illegal = |_| NotObtained::Unusable { server: issuer, what: "its token fits no header".to_owned() };
    let value = purpose.pair(&granted.token, provenance).map_err(illegal)?;
    Ok(Fetched { value, since, lifetime: Some(granted.lifetime) })
}
