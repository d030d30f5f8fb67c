//! The zone as the vault knows it: an issuer's URL and what was given to speak there.
//!
//! Holds the metadata, the user's token and the agents' applications, each fetched once. Never more of a zone
//! than RFC 8414, 7591, 6749 and 8693 say, so that any such server will do. A rotated refresh token is handed
//! to `persist` before it is used for the first time.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;

use tokio_util::task::TaskTracker;

use crate::credential::NotObtained;
use crate::credential::Persist;
use crate::credential::Refused;
use crate::credential::ZoneAccess;
use crate::credential::ZoneClient;
use crate::credential::answer::Granted;
use crate::credential::cache::Cache;
use crate::credential::cache::Key;
use crate::credential::discovery::Metadata;
use crate::credential::discovery::discover;
use crate::credential::endpoint::ACCESS_TOKEN;
use crate::credential::endpoint::ClientSecret;
use crate::credential::slot::Fetched;
use crate::credential::slot::Moment;
use crate::http::Client;
use crate::http::Form;
use crate::limits::APPLICATIONS_MAX;
use crate::limits::DISCOVERY_LIFETIME;
use crate::limits::OBTAIN_TIMEOUT;
use crate::model::AgentName;
use crate::model::Clock;
use crate::model::ResourceId;
use crate::model::Scopes;
use crate::model::Secret;
use crate::model::SessionId;
use crate::model::UserName;
use crate::resource::TargetParameter;

/// The running half of a [`ZoneAccess`].
pub(super) struct Zone {
    issuer: String,
    user: UserName,
    own: Arc<ClientSecret>,
    registration_token: Option<Secret>,
    refresh_token: Arc<Mutex<Option<Secret>>>,
    persist: Persist,
    client: Client,
    clock: Arc<dyn Clock>,
    metadata: Cache<TheOnly, Metadata>,
    subject: Cache<TheOnly, Secret>,
    applications: Cache<AgentName, Arc<ClientSecret>>,
}

/// What an exchange or a grant asks for.
#[derive(Clone)]
pub(super) struct Asked {
    pub(super) agent: AgentName,
    pub(super) user: UserName,
    pub(super) session: SessionId,
    pub(super) resource: ResourceId,
    pub(super) target: TargetParameter,
    pub(super) scopes: Scopes,
    pub(super) grant: Grant,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Grant {
    TokenExchange,
    ClientCredentials,
}

impl Zone {
    pub(super) fn new(access: ZoneAccess, client: Client, clock: Arc<dyn Clock>, tasks: &TaskTracker) -> Self {
        let (own, refresh_token, registration_token, persist) = match access.client {
            ZoneClient::SignedIn { client_id, client_secret, refresh_token, registration_token } => {
                let own = ClientSecret { id: client_id, secret: client_secret };
                (own, Some(refresh_token), Some(registration_token), Persist::nowhere())
            }
            ZoneClient::Client { client_id, client_secret, refresh_token, persist } => {
                (ClientSecret { id: client_id, secret: client_secret }, refresh_token, None, persist)
            }
        };
        Self {
            issuer: access.issuer,
            user: access.user,
            own: Arc::new(own),
            registration_token,
            refresh_token: Arc::new(Mutex::new(refresh_token)),
            persist,
            client,
            metadata: Cache::new(1, Arc::clone(&clock), tasks.clone()),
            subject: Cache::new(1, Arc::clone(&clock), tasks.clone()),
            applications: Cache::new(APPLICATIONS_MAX, Arc::clone(&clock), tasks.clone()),
            clock,
        }
    }

    pub(super) fn issuer(&self) -> &str {
        &self.issuer
    }

    /// A token for what is asked; once more with a fresh application or user token where the zone no longer
    /// knows the one at hand.
    pub(super) async fn token(self: &Arc<Self>, asked: &Asked) -> Result<(Granted, Moment), NotObtained> {
        if asked.grant == Grant::TokenExchange && asked.user != self.user {
            let (user, signed_in) = (asked.user.clone(), self.user.clone());
            return Err(NotObtained::OtherUser { issuer: self.issuer.clone(), user, signed_in });
        }
        let (application, subject) = self.parties(asked).await?;
        let denied = match self.ask(asked, &application, subject.as_ref()).await {
            Err(denied @ NotObtained::Denied { .. }) => denied,
            answer => return answer,
        };
        if self.forget(&denied, asked, &application, subject.as_ref()) == Refused::Final {
            return Err(denied);
        }
        let (application, subject) = self.parties(asked).await?;
        self.ask(asked, &application, subject.as_ref()).await
    }

    /// Who asks, and for whom: fetched side by side where they are not at hand.
    async fn parties(self: &Arc<Self>, asked: &Asked) -> Result<(Arc<ClientSecret>, Option<Secret>), NotObtained> {
        let subject = async {
            match asked.grant {
                Grant::TokenExchange => self.subject().await.map(Some),
                Grant::ClientCredentials => Ok(None),
            }
        };
        tokio::try_join!(self.application(&asked.agent), subject)
    }

    /// Drops what the zone no longer takes, where it can be had anew.
    fn forget(
        &self,
        denied: &NotObtained,
        asked: &Asked,
        application: &Arc<ClientSecret>,
        subject: Option<&Secret>,
    ) -> Refused {
        match (denied, subject) {
            (NotObtained::Denied { error, .. }, _)
                if error == "invalid_client" && self.registration_token.is_some() =>
            {
                self.applications.refuse(&asked.agent, |held| Arc::ptr_eq(held, application))
            }
            (NotObtained::Denied { error, .. }, Some(subject)) if error == "invalid_grant" => {
                self.subject.refuse(&TheOnly, |held| held.expose() == subject.expose())
            }
            _ => Refused::Final,
        }
    }

    async fn ask(
        self: &Arc<Self>,
        asked: &Asked,
        by: &ClientSecret,
        subject: Option<&Secret>,
    ) -> Result<(Granted, Moment), NotObtained> {
        let metadata = self.metadata().await?;
        let mut form = target(grant_form(subject), asked.target, &asked.resource, &asked.scopes);
        // servers ignore parameters that they don't know (RFC 6749 §3.2)
        form = form.field("session_id", asked.session.as_str());
        let since = Moment::now(&*self.clock);
        let secrets: Vec<&Secret> = subject.into_iter().collect();
        let granted = metadata.token.token(&self.client, by, form, asked.resource.as_str(), &secrets).await?;
        Ok((granted, since))
    }

    async fn metadata(self: &Arc<Self>) -> Result<Metadata, NotObtained> {
        let zone = Arc::clone(self);
        let fetch = || async move {
            let since = Moment::now(&*zone.clock);
            let value = discover(&zone.client, &zone.issuer).await?;
            Ok(Fetched { value, since, lifetime: Some(DISCOVERY_LIFETIME) })
        };
        Ok(self.metadata.get(&TheOnly, fetch).await?.into_value())
    }

    /// The user's own token, by the refresh token (RFC 6749 §6).
    async fn subject(self: &Arc<Self>) -> Result<Secret, NotObtained> {
        let zone = Arc::clone(self);
        let fetch = || async move {
            let bounded = tokio::time::timeout(OBTAIN_TIMEOUT, zone.refresh()).await;
            bounded.unwrap_or_else(|_| Err(zone.slow()))
        };
        Ok(self.subject.get(&TheOnly, fetch).await?.into_value())
    }

    async fn refresh(self: &Arc<Self>) -> Result<Fetched<Secret>, NotObtained> {
        let sign_in_needed = || NotObtained::SignInNeeded { issuer: self.issuer.clone(), user: self.user.clone() };
        let refresh_token = self.refresh_token.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let refresh_token = refresh_token.ok_or_else(sign_in_needed)?;
        let metadata = self.metadata().await?;
        let form = Form::new().field("grant_type", "refresh_token").field("refresh_token", refresh_token.expose());
        let since = Moment::now(&*self.clock);
        let user = self.user.as_str();
        let granted = match metadata.token.token(&self.client, &self.own, form, user, &[&refresh_token]).await {
            Err(NotObtained::Denied { error, .. }) if error == "invalid_grant" => return Err(sign_in_needed()),
            answer => answer?,
        };
        if let Some(rotated) = granted.refresh_token {
            self.keep(rotated).await;
        }
        Ok(Fetched { value: granted.token, since, lifetime: Some(granted.lifetime) })
    }

    /// Stores a rotated refresh token and then takes it into use, in that order, to the end even when nobody
    /// waits any longer: the old one is spent.
    async fn keep(&self, rotated: Secret) {
        let (persist, held) = (self.persist.clone(), Arc::clone(&self.refresh_token));
        let kept = tokio::task::spawn_blocking(move || {
            let kept = persist.keep(&rotated);
            *held.lock().unwrap_or_else(PoisonError::into_inner) = Some(rotated);
            kept
        });
        if let Ok(Err(error)) = kept.await {
            tracing::error!(issuer = self.issuer, %error, "the new refresh token could not be stored and is lost at the next restart");
        }
    }

    /// The agent's application: registered when the agent first appears, or the one client for all.
    async fn application(self: &Arc<Self>, agent: &AgentName) -> Result<Arc<ClientSecret>, NotObtained> {
        if self.registration_token.is_none() {
            return Ok(Arc::clone(&self.own));
        }
        let (zone, name) = (Arc::clone(self), agent.clone());
        let fetch = || async move {
            let since = Moment::now(&*zone.clock);
            let bounded = tokio::time::timeout(OBTAIN_TIMEOUT, zone.register(&name)).await;
            let value = bounded.unwrap_or_else(|_| Err(zone.slow()))?;
            Ok(Fetched { value: Arc::new(value), since, lifetime: None })
        };
        Ok(self.applications.get(agent, fetch).await?.into_value())
    }

    async fn register(self: &Arc<Self>, agent: &AgentName) -> Result<ClientSecret, NotObtained> {
        let endpoint = self.metadata().await?.registration;
        let endpoint = endpoint.ok_or_else(|| NotObtained::NoRegistration(self.issuer.clone()))?;
        let token = self.registration_token.as_ref().ok_or_else(|| NotObtained::NoRegistration(self.issuer.clone()))?;
        let body = serde_json::json!({
            "client_name": agent.as_str(),
            "grant_types": ["client_credentials", TOKEN_EXCHANGE],
            "token_endpoint_auth_method": "client_secret_basic",
        });
        let answer = endpoint.post_json(&self.client, token, &body, agent.as_str()).await?;
        let registered: Registered = serde_json::from_slice(&answer)
            .map_err(|_| endpoint.unusable("its registration is no JSON with `client_id` and `client_secret`"))?;
        if registered.client_id.is_empty() || registered.client_secret.is_empty() {
            return Err(endpoint.unusable("its registration has an empty `client_id` or `client_secret`"));
        }
        Ok(ClientSecret { id: registered.client_id, secret: Secret::new(registered.client_secret.into_bytes()) })
    }

    fn slow(&self) -> NotObtained {
        NotObtained::Slow { server: self.issuer.clone(), bound: OBTAIN_TIMEOUT }
    }
}

/// RFC 7591 §3.2.1.
#[derive(serde::Deserialize)]
struct Registered {
    client_id: String,
    client_secret: String,
}

/// The key of a cache with one entry.
#[derive(Clone, PartialEq, Eq, Hash)]
struct TheOnly;

impl Key for TheOnly {
    fn is_live(&self) -> bool {
        true
    }
}

impl Key for AgentName {
    fn is_live(&self) -> bool {
        true
    }
}

/// RFC 8693 §2.1 with a subject, RFC 6749 §4.4 without.
fn grant_form(subject: Option<&Secret>) -> Form {
    let Some(subject) = subject else {
        return Form::new().field("grant_type", "client_credentials");
    };
    Form::new()
        .field("grant_type", TOKEN_EXCHANGE)
        .field("subject_token", subject.expose())
        .field("subject_token_type", ACCESS_TOKEN)
        .field("requested_token_type", ACCESS_TOKEN)
}

/// Which API, and what there.
pub(super) fn target(form: Form, parameter: TargetParameter, resource: &ResourceId, scopes: &Scopes) -> Form {
    let name = match parameter {
        TargetParameter::Resource => "resource",
        TargetParameter::Audience => "audience",
    };
    let form = form.field(name, resource.as_str());
    if scopes.is_empty() { form } else { form.field("scope", scopes.to_string()) }
}

const TOKEN_EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
