//! The one that issues: what a token says, and who it is signed by.

use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde::Serialize;

use crate::jose::NotSigned;
use crate::jose::Refused;
use crate::jose::Verifier;
use crate::limits::ZONE_SESSION_TOKEN_LIFETIME;
use crate::model::Clock;
use crate::model::Scopes;
use crate::model::Secret;
use crate::model::SessionId;
use crate::zone::id::SignInId;
use crate::zone::id::UserId;
use crate::zone::id::token_id;
use crate::zone::keyring::Keyring;
use crate::zone::store::Application;
use crate::zone::store::Resource;
use crate::zone::store::Store;
use crate::zone::store::User;

/// Everything that an endpoint needs.
pub(in crate::zone) struct Issuer {
    url: String,
    verifier: Verifier,
    pub(in crate::zone) store: Store,
    pub(in crate::zone) keyring: Keyring,
    pub(in crate::zone) clock: Arc<dyn Clock>,
}

/// A signed access token, and what its answer says about it.
pub(in crate::zone) struct Issued {
    pub(in crate::zone) token: Secret,
    pub(in crate::zone) lifetime: Duration,
    pub(in crate::zone) scopes: Scopes,
}

/// Whom a token is about.
pub(in crate::zone) enum Subject<'a> {
    /// The application itself.
    Application,
    /// A user, in whose name an application acts.
    UserThrough(&'a User),
}

/// A user's session token, read back.
#[derive(Debug, Deserialize)]
pub(in crate::zone) struct Session {
    sub: String,
    sid: String,
    sub_profile: String,
    act: Option<serde_json::Value>,
}

impl Session {
    /// Who is signed in; none when the token is not about a user.
    pub(in crate::zone) fn user(&self) -> Option<UserId> {
        (self.sub_profile == USER).then(|| UserId::known(self.sub.clone()))
    }

    /// Which sign-in it belongs to.
    pub(in crate::zone) fn sign_in(&self) -> SignInId {
        SignInId::known(self.sid.clone())
    }

    /// The actor before the one that presents it.
    pub(in crate::zone) fn actor(&self) -> Option<&serde_json::Value> {
        self.act.as_ref()
    }
}

impl Issuer {
    /// `url` is the issuer's own address.
    pub(in crate::zone) fn new(url: String, store: Store, keyring: Keyring, clock: Arc<dyn Clock>) -> Self {
        let verifier = Verifier::new(url.clone(), url.clone(), Arc::clone(&clock));
        Self { url, verifier, store, keyring, clock }
    }

    /// The issuer's own address, as in `iss`.
    pub(in crate::zone) fn url(&self) -> &str {
        &self.url
    }

    /// The address of a zone of this database: the home zone's is the issuer's own, another's a name below it, as a
    /// cookie or a CORS rule of one zone must not reach the next.
    pub(in crate::zone) fn url_of(&self, zone: &str, is_home: bool) -> String {
        if is_home {
            return self.url.clone();
        }
        let (scheme, authority) = self.url.split_once("://").unwrap_or(("http", self.url.as_str()));
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if port.bytes().all(|digit| digit.is_ascii_digit()) => (host, format!(":{port}")),
            _ => (authority, String::new()),
        };
        // An address has no names below it; localhost has (RFC 6761 §6.3).
        let is_address = host.starts_with('[') || host.parse::<std::net::Ipv4Addr>().is_ok();
        let host = if is_address { "localhost" } else { host };
        format!("{scheme}://{zone}.{host}{port}")
    }

    /// Reads a user's session token of this zone.
    pub(in crate::zone) fn read_session(&self, token: &str) -> Result<Session, Refused> {
        self.verifier.verify(token, self.keyring.keys().verifying())
    }

    /// A user's session token: its audience is the issuer, and it is good for exchanges only.
    pub(in crate::zone) fn issue_session(
        &self,
        user: &User,
        sign_in: &SignInId,
        client: &Application,
    ) -> Result<Issued, NotSigned> {
        let claims = Claims {
            sub: user.id.as_str(),
            sub_profile: USER,
            aud: &self.url,
            preferred_username: Some(&user.identifier),
            sid: Some(sign_in.as_str()),
            ..self.claims(client)
        };
        self.sign(claims, ZONE_SESSION_TOKEN_LIFETIME, Scopes::default(), client)
    }

    /// An access token for `resource`. `session` is the session that it says it belongs to, `actor` whoever acted
    /// before the client.
    pub(in crate::zone) fn issue(
        &self,
        subject: &Subject<'_>,
        client: &Application,
        resource: &Resource,
        scopes: Scopes,
        session: Option<&str>,
        actor: Option<&serde_json::Value>,
    ) -> Result<Issued, NotSigned> {
        let claims = Claims { aud: resource.identifier.as_str(), sid: session, ..self.claims(client) };
        let claims = match subject {
            Subject::Application => claims,
            Subject::UserThrough(user) => Claims {
                sub: user.id.as_str(),
                sub_profile: USER,
                preferred_username: Some(&user.identifier),
                act: Some(Actor { sub: client.id.as_str(), name: &client.name, act: actor }),
                ..claims
            },
        };
        self.sign(claims, resource.lifetime, scopes, client)
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
            preferred_username: None,
            scope: None,
            sid: None,
            act: None,
            iat: 0,
            exp: 0,
            jti: String::new(),
        }
    }

    fn sign(
        &self,
        mut claims: Claims<'_>,
        lifetime: Duration,
        scopes: Scopes,
        client: &Application,
    ) -> Result<Issued, NotSigned> {
        let now = self.clock.now();
        claims.iat = now.as_seconds();
        claims.exp = now.after(lifetime).as_seconds();
        claims.jti = token_id(now);
        claims.scope = (!scopes.is_empty()).then(|| scopes.to_string());
        let token = self.keyring.keys().signing().sign(ACCESS_TOKEN, &claims)?;
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
        Ok(Issued { token, lifetime, scopes })
    }
}

/// RFC 9068 §2.2, and what makes a token readable to people: `preferred_username`, `client_name`, `act.name`.
#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    sub: &'a str,
    sub_profile: &'a str,
    aud: &'a str,
    client_id: &'a str,
    client_name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    preferred_username: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sid: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    act: Option<Actor<'a>>,
    iat: i64,
    exp: i64,
    jti: String,
}

/// Who acts (RFC 8693 §4.1), and through whom before.
#[derive(Serialize)]
struct Actor<'a> {
    sub: &'a str,
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    act: Option<&'a serde_json::Value>,
}

/// A session as its token names it: the one the client asked for, else the subject's own.
pub(in crate::zone) fn session_or<'a>(asked: Option<&'a SessionId>, own: &'a str) -> &'a str {
    asked.map_or(own, SessionId::as_str)
}

const ACCESS_TOKEN: &str = "at+jwt";
const USER: &str = "user";
