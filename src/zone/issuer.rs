//! The one that issues: what a token says, and who it is signed by.

use std::sync::Arc;
use std::time::Duration;

use crate::jose::Algorithm;
use crate::jose::NotSigned;
use crate::jose::Refused;
use crate::jose::Verifier;
use crate::limits::ZONE_SESSION_TOKEN_LIFETIME;
use crate::model::Clock;
use crate::model::Scopes;
use crate::model::Secret;
use crate::model::SessionId;
use crate::model::Timestamp;
use crate::zone::access::Library;
use crate::zone::claims::Actor;
use crate::zone::claims::Claims;
use crate::zone::claims::Confirmation;
use crate::zone::claims::Session;
use crate::zone::claims::USER;
use crate::zone::client_documents::ClientDocuments;
use crate::zone::events::CREDENTIALS_ISSUE;
use crate::zone::events::Event;
use crate::zone::events::Field;
use crate::zone::foreign_issuers::ForeignIssuers;
use crate::zone::foreign_keys::ForeignKeys;
use crate::zone::id::SignInId;
use crate::zone::id::ZoneId;
use crate::zone::id::token_id;
use crate::zone::keyring::Keyring;
use crate::zone::keyring::KeyringFailed;
use crate::zone::names;
use crate::zone::own_client::own_client;
use crate::zone::people::People;
use crate::zone::rules::Rules;
use crate::zone::store::Application;
use crate::zone::store::Granted;
use crate::zone::store::Resource;
use crate::zone::store::Store;
use crate::zone::store::StoreFailed;
use crate::zone::store::User;

/// Everything that an endpoint needs.
pub(in crate::zone) struct Issuer {
    url: String,
    verifier: Verifier,
    pub(in crate::zone) store: Store,
    pub(in crate::zone) keyring: Keyring,
    pub(in crate::zone) clock: Arc<dyn Clock>,
    pub(in crate::zone) rules: Rules,
    pub(in crate::zone) foreign_keys: ForeignKeys,
    pub(in crate::zone) documents: ClientDocuments,
    pub(in crate::zone) foreign_issuers: ForeignIssuers,
    pub(in crate::zone) people: People,
    /// The access policies in use.
    pub(in crate::zone) policies: Library,
}

/// A signed access token, and what its answer says about it.
pub(in crate::zone) struct Issued {
    pub(in crate::zone) token: Secret,
    pub(in crate::zone) lifetime: Duration,
    pub(in crate::zone) scopes: Scopes,
    /// Whether it is bound to a key, and of no use without it.
    pub(in crate::zone) bound: bool,
}

/// Whom a token is about.
#[derive(Clone, Copy)]
pub(in crate::zone) enum Subject<'a> {
    /// The application itself.
    Application,
    /// A user, at an application that acts as nothing but their means.
    User(&'a User),
    /// A user, in whose name an application acts.
    UserThrough(&'a User),
}

/// A token that is to be issued.
pub(in crate::zone) struct Wanted<'a> {
    pub(in crate::zone) subject: Subject<'a>,
    pub(in crate::zone) client: &'a Application,
    pub(in crate::zone) resource: &'a Resource,
    pub(in crate::zone) scopes: Scopes,
    /// The session that it says it belongs to.
    pub(in crate::zone) session: Option<&'a str>,
    /// Whoever acted before the client.
    pub(in crate::zone) actor: Option<&'a serde_json::Value>,
    /// The thumbprint of the key that it is bound to.
    pub(in crate::zone) key: Option<&'a str>,
}

/// When and how the person of a session showed who they are.
#[derive(Clone, Copy)]
pub(in crate::zone) struct Shown {
    pub(in crate::zone) at: Timestamp,
    pub(in crate::zone) second_factor_at: Option<Timestamp>,
}

impl Issuer {
    /// `url` is the issuer's own address.
    pub(in crate::zone) fn new(
        url: String,
        store: Store,
        keyring: Keyring,
        clock: Arc<dyn Clock>,
        rules: Rules,
        people: People,
    ) -> Self {
        let verifier = Verifier::new(url.clone(), url.clone(), Arc::clone(&clock));
        let foreign_keys = ForeignKeys::new(rules.outbound.clone(), Arc::clone(&clock), &url);
        let (documents, foreign_issuers) = (ClientDocuments::new(), ForeignIssuers::new());
        let policies = Library::new();
        Self { url, verifier, store, keyring, clock, rules, foreign_keys, documents, foreign_issuers, people, policies }
    }

    /// The issuer's own address, as in `iss`.
    pub(in crate::zone) fn url(&self) -> &str {
        &self.url
    }

    /// The address of a zone of this database: the home zone's is the issuer's own, another's a name below it.
    pub(in crate::zone) fn url_of(&self, zone: &str, is_home: bool) -> String {
        if is_home { self.url.clone() } else { names::url_below(&self.url, zone) }
    }

    /// The issuer of another zone of this database, under the same rules, with keys and clients of its own.
    pub(in crate::zone) async fn for_zone(&self, zone: ZoneId) -> Result<Self, KeyringFailed> {
        let url = names::url_below(&self.url, zone.as_str());
        let store = self.store.of(zone);
        let keyring = self.keyring.of_zone(&store, self.clock.now()).await?;
        store.add_user_agent(&own_client(), None, self.clock.now()).await?;
        Ok(Self::new(url, store, keyring, Arc::clone(&self.clock), self.rules.clone(), self.people.clone()))
    }

    /// Reads a user's session token of this zone.
    pub(in crate::zone) fn read_session(&self, token: &str) -> Result<Session, Refused> {
        self.verifier.verify(token, self.keyring.keys().verifying())
    }

    /// Reads an access token of this zone for `audience`.
    pub(in crate::zone) fn read_token(&self, token: &str, audience: &str) -> Result<Session, Refused> {
        let verifier = Verifier::new(self.url.clone(), audience.to_owned(), Arc::clone(&self.clock));
        verifier.verify(token, self.keyring.keys().verifying())
    }

    /// Whether what a token speaks of still holds: it was not called back, and its session has not ended.
    pub(in crate::zone) async fn is_live(&self, token: &Session) -> Result<bool, StoreFailed> {
        if self.store.is_revoked(&token.jti).await? {
            return Ok(false);
        }
        let Some(user) = token.user() else { return Ok(!self.store.has_ended(token.sign_in().as_str()).await?) };
        Ok(self.store.standing(&token.sign_in(), &user).await?.is_some())
    }

    /// What a person grants who lets a client have `resource`: a sign-in is asked for by the zone's own address.
    pub(in crate::zone) fn granted<'a>(&self, resource: &'a str) -> Granted<'a> {
        if resource == self.url { Granted::SignIn } else { Granted::Resource(resource) }
    }

    /// A user's session token: its audience is the issuer, and it is good for exchanges and for the user's own things.
    pub(in crate::zone) fn issue_session(
        &self,
        user: &User,
        sign_in: &SignInId,
        client: &Application,
        scopes: Scopes,
        shown: Option<Shown>,
        key: Option<&str>,
    ) -> Result<Issued, NotSigned> {
        let claims = Claims {
            sub: user.id.as_str(),
            sub_profile: USER,
            aud: &self.url,
            preferred_username: Some(&user.identifier),
            sid: Some(sign_in.as_str()),
            auth_time: shown.map(|shown| shown.at.as_seconds()),
            mfa_time: shown.and_then(|shown| shown.second_factor_at).map(Timestamp::as_seconds),
            cnf: key.map(|jkt| Confirmation { jkt }),
            ..self.claims(client)
        };
        self.sign(claims, Algorithm::Rs256, ZONE_SESSION_TOKEN_LIFETIME, scopes, client)
    }

    /// An access token for a resource.
    pub(in crate::zone) fn issue(&self, wanted: Wanted<'_>) -> Result<Issued, NotSigned> {
        let Wanted { subject, client, resource, scopes, session, actor, key } = wanted;
        let cnf = key.map(|jkt| Confirmation { jkt });
        let claims = Claims { aud: resource.identifier.as_str(), sid: session, cnf, ..self.claims(client) };
        let claims = match subject {
            Subject::Application => claims,
            Subject::User(user) => Claims {
                sub: user.id.as_str(),
                sub_profile: USER,
                preferred_username: Some(&user.identifier),
                ..claims
            },
            Subject::UserThrough(user) => Claims {
                sub: user.id.as_str(),
                sub_profile: USER,
                preferred_username: Some(&user.identifier),
                act: Some(Actor { sub: client.id.as_str(), name: &client.name, act: actor }),
                ..claims
            },
        };
        self.sign(claims, resource.signing, resource.lifetime, scopes, client)
    }

    /// What each token of this client says; about the client itself unless overwritten.
    fn claims<'a>(&'a self, client: &'a Application) -> Claims<'a> {
        Claims {
            iss: &self.url,
            sub: client.id.as_str(),
            sub_profile: "app",
            aud: "",
            client_id: &client.client_id,
            client_name: &client.name,
            keycard_app_id: client.id.as_str(),
            preferred_username: None,
            scope: None,
            sid: None,
            act: None,
            cnf: None,
            auth_time: None,
            mfa_time: None,
            iat: 0,
            exp: 0,
            jti: String::new(),
        }
    }

    fn sign(
        &self,
        mut claims: Claims<'_>,
        algorithm: Algorithm,
        lifetime: Duration,
        scopes: Scopes,
        client: &Application,
    ) -> Result<Issued, NotSigned> {
        let now = self.clock.now();
        claims.iat = now.as_seconds();
        claims.exp = now.after(lifetime).as_seconds();
        claims.jti = token_id(now);
        claims.scope = (!scopes.is_empty()).then(|| scopes.to_string());
        let token = self.keyring.keys().signing_with(algorithm).sign(ACCESS_TOKEN, &claims)?;
        self.rules.events.record(&Event {
            name: CREDENTIALS_ISSUE,
            fields: &[
                ("application", Field::Text(client.id.as_str())),
                ("application_name", Field::Text(&client.name)),
                ("client_id", Field::Text(&client.client_id)),
                ("subject", Field::Text(claims.sub)),
                ("subject_name", Field::Text(claims.preferred_username.unwrap_or(""))),
                ("subject_profile", Field::Text(claims.sub_profile)),
                ("resource", Field::Text(claims.aud)),
                ("scopes", Field::Text(claims.scope.as_deref().unwrap_or(""))),
                ("session", Field::Text(claims.sid.unwrap_or(""))),
                ("token_id", Field::Text(&claims.jti)),
                ("lifetime_s", Field::Number(lifetime.as_secs())),
            ],
        });
        tracing::info!(
            client = client.id.as_str(),
            client_name = client.name,
            subject = claims.sub,
            resource = claims.aud,
            scopes = claims.scope.as_deref().unwrap_or(""),
            session = claims.sid.unwrap_or(""),
            token_id = claims.jti,
            lifetime_s = lifetime.as_secs(),
            "token issued"
        );
        Ok(Issued { token, lifetime, scopes, bound: claims.cnf.is_some() })
    }
}

/// A session as its token names it: the one the client asked for, else the subject's own.
pub(in crate::zone) fn session_or<'a>(asked: Option<&'a SessionId>, own: &'a str) -> &'a str {
    asked.map_or(own, SessionId::as_str)
}

const ACCESS_TOKEN: &str = "at+jwt";
