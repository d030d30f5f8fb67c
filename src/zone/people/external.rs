//! Signing in through a provider of the zone's choice (OpenID Connect Core §3.1, with PKCE).
//!
//! The state that a person carries is good once, for ten minutes, in the browser that they left with. Nonce and proof
//! key are made from it with the zone's own key, and the rest goes along in the browser (see `way`), so that whoever
//! sets out leaves nothing behind. What comes back is believed when the right issuer answers (RFC 9207) with an ID token
//! that it signed for this zone and this state, about a sign-in that is as new as it was asked to be.
//!
//! A person is known by issuer and subject. Never by an e-mail address: whoever registers it elsewhere would be somebody
//! else's user here.

use std::sync::Arc;
use std::time::Duration;

use axum::http::Request;
use axum::http::header::ACCEPT;
use axum::http::header::AUTHORIZATION;
use axum::http::header::CONTENT_TYPE;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::Deserialize;

use crate::http::Form;
use crate::http::form_encode;
use crate::jose::Refused;
use crate::jose::Unverified;
use crate::jose::Verifier;
use crate::jose::hash_of;
use crate::limits::JWT_LEEWAY;
use crate::limits::ZONE_METHOD_BYTES_MAX;
use crate::limits::ZONE_METHODS_MAX;
use crate::limits::ZONE_SECOND_FACTOR_FRESH;
use crate::model::Secret;
use crate::model::Timestamp;
use crate::zone::address;
use crate::zone::foreign_issuers::Endpoints;
use crate::zone::foreign_keys::NamedBy;
use crate::zone::issuer::Issuer;
use crate::zone::oauth::Parameters;
use crate::zone::oauth::Prompt;
use crate::zone::oauth::Wish;
use crate::zone::opaque;
use crate::zone::opaque::Hash;
use crate::zone::peer::Peer;
use crate::zone::people::FirstStep;
use crate::zone::people::place;
use crate::zone::people::way::Way;
use crate::zone::seal::SealFailed;
use crate::zone::store::Means;
use crate::zone::store::Seen;
use crate::zone::store::SignInProvider;
use crate::zone::store::StoreFailed;
use crate::zone::store::User;
use crate::zone::store::Vouched;

/// What a sign-in begins with.
#[must_use]
#[derive(Debug)]
pub(in crate::zone) enum Departure {
    /// Here: the zone has no provider.
    Here,
    /// At this address; the browser comes back with `state`, and with `carried` in a cookie.
    To { address: String, state: Secret, carried: String },
    /// Nowhere: the provider of this name can't be asked.
    Nowhere(String),
}

/// How somebody is to be asked who they are.
#[derive(Clone, Debug, Default)]
pub(in crate::zone) struct Asking {
    /// Who it may be; empty when nobody said.
    pub(in crate::zone) name: String,
    pub(in crate::zone) prompt: Prompt,
    /// A sign-in older than this many seconds does not count.
    pub(in crate::zone) age_max_s: Option<u64>,
}

/// Who came back.
#[derive(Debug)]
pub(in crate::zone) struct Arrived {
    pub(in crate::zone) user: User,
    /// Where they go on.
    pub(in crate::zone) going_on: String,
    pub(in crate::zone) first: FirstStep,
}

/// Why nobody is signed in. For the log; the person hears that it did not work.
#[derive(Debug, thiserror::Error)]
pub(in crate::zone) enum NotSignedIn {
    /// No such state, in this browser.
    #[error("the state is unknown, used, too old or another browser's")]
    State,
    /// The provider that the person left with is not the zone's any more.
    #[error("the zone has another provider now")]
    Provider,
    /// Another issuer's answer, or nobody's.
    #[error("the answer is not the provider's")]
    Mixed,
    /// The provider says no.
    #[error("the provider refused")]
    Denied,
    /// No answer that can be read.
    #[error("the provider's token endpoint gave no ID token")]
    NoToken,
    /// The ID token proves nothing.
    #[error("the ID token is not acceptable")]
    Token(#[from] Refused),
    /// The ID token is for another sign-in, or about nobody.
    #[error("the ID token is not for this sign-in")]
    Claims,
    /// The provider did not ask the person again, though it was to.
    #[error("the provider's sign-in is older than was asked for")]
    Stale,
    /// Too many from one address in too short a time.
    #[error("too many answers came from one address")]
    TooMany,
    /// Nobody of this zone.
    #[error("the person is disabled, or not invited")]
    Nobody,
    /// The client secret can't be opened.
    #[error(transparent)]
    Seal(#[from] SealFailed),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreFailed),
}

#[derive(Deserialize)]
struct Tokens {
    id_token: String,
}

#[derive(Deserialize)]
struct IdToken {
    sub: String,
    aud: serde_json::Value,
    azp: Option<String>,
    nonce: Option<String>,
    email: Option<String>,
    #[serde(default)]
    email_verified: serde_json::Value,
    #[serde(default)]
    auth_time: serde_json::Value,
    #[serde(default)]
    amr: serde_json::Value,
    #[serde(default)]
    acr: serde_json::Value,
}

impl Issuer {
    /// Where somebody goes to sign in who then goes on to `going_on`.
    pub(in crate::zone) async fn depart(
        &self,
        browser: &Hash,
        going_on: &str,
        asking: &Asking,
    ) -> Result<Departure, StoreFailed> {
        let Some(provider) = self.store.sign_in_provider().await? else { return Ok(Departure::Here) };
        let endpoints = self.foreign_issuers.endpoints(self, &provider).await;
        let (Some(endpoints), Some(client_id)) = (endpoints, provider.client_id.as_deref()) else {
            tracing::warn!(provider = provider.id, "the provider of the zone's people can't be asked");
            return Ok(Departure::Nowhere(provider.name));
        };
        let (secret, _) = opaque::generate("vks_");
        let state = secret.expose_str().unwrap_or_default();
        let (redirect_uri, scope) = (self.redirect_uri(), endpoints.scopes.join(" "));
        let (nonce, challenge) = (self.nonce(state), hash_of(&self.proof_key(state)));
        let (prompt, age_max_s) = (asking.prompt.for_provider(), asking.age_max_s().map(|age| age.to_string()));
        let mut parameters: Vec<(&str, &str)> =
            endpoints.parameters.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        parameters.extend([
            ("response_type", "code"),
            ("client_id", client_id),
            ("redirect_uri", &redirect_uri),
            ("scope", &scope),
            ("state", state),
            ("nonce", &nonce),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
        ]);
        if !asking.name.is_empty() {
            parameters.push(("login_hint", &asking.name));
        }
        parameters.extend(prompt.as_deref().map(|prompt| ("prompt", prompt)));
        parameters.extend(age_max_s.as_deref().map(|age| ("max_age", age)));
        let now = self.clock.now();
        let way = Way::new(provider.id, going_on.to_owned(), asking.since(now), now);
        match (address::with_parameters(&endpoints.authorization, &parameters), way.seal(self, browser, state)) {
            (Some(address), Some(carried)) => Ok(Departure::To { address, state: secret, carried }),
            (None, _) | (_, None) => Ok(Departure::Nowhere(provider.name)),
        }
    }

    /// Who came back with this answer, and with what their browser carried.
    pub(in crate::zone) async fn come_back(
        &self,
        browser: &Hash,
        carried: Option<&str>,
        answer: &Parameters,
        from: Option<Peer>,
    ) -> Result<Arrived, NotSignedIn> {
        let one = |name| answer.one(name).map_err(|_| NotSignedIn::Mixed);
        let state = one("state")?.ok_or(NotSignedIn::State)?;
        let way = carried.and_then(|carried| Way::open(self, browser, state, carried)).ok_or(NotSignedIn::State)?;
        // From here on each answer costs a row and a question to the provider.
        let place = from.map(place);
        if self.is_flooded(place.as_ref()).await? {
            return Err(NotSignedIn::TooMany);
        }
        let seen = Hash::of(&Secret::new(format!("external sign-in\n{state}")));
        if self.store.see(&seen, way.expires_at()).await? == Seen::Again {
            return Err(NotSignedIn::State);
        }
        let provider = self.store.sign_in_provider().await?.filter(|provider| provider.id == way.provider);
        let provider = provider.ok_or(NotSignedIn::Provider)?;
        let endpoints = self.foreign_issuers.endpoints(self, &provider).await.ok_or(NotSignedIn::Provider)?;
        match one("iss")? {
            Some(named) if named == provider.issuer => {}
            None if !endpoints.names_itself => {}
            Some(_) | None => return Err(NotSignedIn::Mixed),
        }
        if answer.first("error").is_some() {
            return Err(NotSignedIn::Denied);
        }
        let code = one("code")?.ok_or(NotSignedIn::Denied)?;
        let token = self.fetch_id_token(&provider, &endpoints, code, &self.proof_key(state)).await?;
        let claims = self.verify_id_token(&provider, &endpoints, &token, &self.nonce(state)).await?;
        let first = claims.first_step(self.clock.now());
        // A provider that does not say when may have found a session open.
        let is_stale = |since| claims.authenticated_at(self.clock.now()).is_none_or(|at| at.as_millis() < since);
        if way.asked_since.is_some_and(is_stale) {
            return Err(NotSignedIn::Stale);
        }
        let user = self.welcome(&provider, &claims).await?;
        self.was_right(place.as_ref()).await?;
        tracing::info!(user = user.id.as_str(), provider = provider.id, "the provider vouched for a person");
        Ok(Arrived { user, going_on: way.going_on, first })
    }

    async fn fetch_id_token(
        &self,
        provider: &SignInProvider,
        endpoints: &Endpoints,
        code: &str,
        proof_key: &str,
    ) -> Result<String, NotSignedIn> {
        let client_id = provider.client_id.as_deref().ok_or(NotSignedIn::Provider)?;
        let row = format!("providers/{}", provider.id);
        let secret = provider.client_secret_sealed.as_deref().map(|sealed| self.people.seal.unseal(&row, sealed));
        let secret = secret.transpose()?;
        let form = Form::new()
            .field("grant_type", "authorization_code")
            .field("code", code)
            .field("redirect_uri", self.redirect_uri())
            .field("code_verifier", proof_key);
        let request =
            Request::post(&endpoints.token).header(ACCEPT, "application/json").header(CONTENT_TYPE, Form::CONTENT_TYPE);
        let (request, form) = match &secret {
            None => (request, form.field("client_id", client_id)),
            Some(secret) if endpoints.secret_in_form => {
                (request, form.field("client_id", client_id).field("client_secret", secret.expose()))
            }
            Some(secret) => (request.header(AUTHORIZATION, basic(client_id, secret)), form),
        };
        let request: Request<Bytes> = request.body(form.into_bytes()).map_err(|_| NotSignedIn::NoToken)?;
        let answer = self.foreign_keys.send(request).await.ok_or(NotSignedIn::NoToken)?;
        let tokens: Tokens = serde_json::from_slice(&answer).map_err(|_| NotSignedIn::NoToken)?;
        Ok(tokens.id_token)
    }

    /// OpenID Connect Core §3.1.3.7.
    async fn verify_id_token(
        &self,
        provider: &SignInProvider,
        endpoints: &Endpoints,
        token: &str,
        nonce: &str,
    ) -> Result<IdToken, NotSignedIn> {
        let client_id = provider.client_id.clone().ok_or(NotSignedIn::Provider)?;
        let kid = Unverified::key_id(token);
        let keys = self.foreign_keys.at(NamedBy::Administrator, &endpoints.keys, kid.as_deref()).await;
        let keys = keys.ok_or(NotSignedIn::NoToken)?;
        // An access token is signed with the same keys, and is none.
        let kind = Unverified::read(token)?.typ;
        if kind.is_some_and(|kind| !kind.eq_ignore_ascii_case("jwt")) {
            return Err(NotSignedIn::Token(Refused::Type));
        }
        let verifier = Verifier::new(provider.issuer.clone(), client_id.clone(), Arc::clone(&self.clock));
        let claims: IdToken = verifier.verify(token, &keys)?;
        let several = claims.aud.as_array().is_some_and(|audiences| audiences.len() > 1);
        let for_us = match &claims.azp {
            Some(azp) => *azp == client_id,
            None => !several,
        };
        let about_somebody = (1..=255).contains(&claims.sub.len()) && !claims.sub.contains('\0');
        match claims.nonce.as_deref() == Some(nonce) && for_us && about_somebody {
            true => Ok(claims),
            false => Err(NotSignedIn::Claims),
        }
    }

    async fn welcome(&self, provider: &SignInProvider, claims: &IdToken) -> Result<User, NotSignedIn> {
        let verified = claims.email_verified == true || claims.email_verified == "true";
        // Policies go by it, and it is a name here: only an address that is theirs, and only while it is nobody else's.
        let email = claims.email.as_deref().filter(|email| verified && is_email(email));
        let mut names: Vec<String> = email.map(str::to_owned).into_iter().collect();
        names.push(name_of(&provider.issuer, &claims.sub));
        let vouched = Vouched {
            provider: &provider.id,
            issuer: &provider.issuer,
            subject: &claims.sub,
            email,
            email_verified: verified,
            names: &names,
        };
        self.store.welcome_vouched(&vouched, self.clock.now()).await?.ok_or(NotSignedIn::Nobody)
    }

    fn redirect_uri(&self) -> String {
        format!("{}{REDIRECT}", self.url())
    }

    fn nonce(&self, state: &str) -> String {
        self.people.seal.mark(&format!("external nonce\n{}\n{state}", self.store.zone()))
    }

    /// 43 characters, as RFC 7636 §4.1 has them.
    fn proof_key(&self, state: &str) -> String {
        self.people.seal.mark(&format!("external proof key\n{}\n{state}", self.store.zone()))
    }
}

impl Asking {
    /// Since when the provider must have asked the person, where it matters. Clocks differ.
    fn since(&self, now: Timestamp) -> Option<Timestamp> {
        Some(now.before(JWT_LEEWAY).before(Duration::from_secs(self.age_max_s()?)))
    }

    /// How long ago the sign-in may be, in seconds. Whoever is asked that must say when it was (OpenID Connect Core §2),
    /// so that it is asked along with `prompt=login`.
    fn age_max_s(&self) -> Option<u64> {
        if self.prompt.has(Wish::SignIn) { Some(0) } else { self.age_max_s }
    }
}

impl IdToken {
    /// When the provider says that the person signed in; a sign-in that is still to come is none.
    fn authenticated_at(&self, now: Timestamp) -> Option<Timestamp> {
        let at = self.auth_time.as_i64().filter(|at| *at > 0).map(Timestamp::from_seconds);
        at.filter(|at| *at <= now)
    }

    /// As the provider says; what it does not say is left out, but for the time: so long ago that nothing which wants a
    /// fresh sign-in goes by it.
    fn first_step(&self, now: Timestamp) -> FirstStep {
        let short = |text: &str| !text.is_empty() && text.len() <= ZONE_METHOD_BYTES_MAX && !text.contains('\0');
        let methods = self.amr.as_array().into_iter().flatten().filter_map(serde_json::Value::as_str);
        let methods = methods.filter(|method| short(method)).take(ZONE_METHODS_MAX).map(str::to_owned).collect();
        let class = self.acr.as_str().filter(|class| short(class)).map(str::to_owned);
        let not_fresh = || now.before(ZONE_SECOND_FACTOR_FRESH).before(Duration::from_secs(1));
        let at = self.authenticated_at(now).unwrap_or_else(not_fresh);
        FirstStep { at, means: Means { methods, class } }
    }
}

/// RFC 6749 §2.3.1.
fn basic(client_id: &str, secret: &Secret) -> String {
    let both = [form_encode(client_id.as_bytes()), form_encode(secret.expose())].join(":");
    format!("Basic {}", STANDARD.encode(both))
}

fn is_email(text: &str) -> bool {
    text.len() <= 254
        && !text.chars().any(|c| c.is_control() || c.is_whitespace())
        && text.split_once('@').is_some_and(|(name, host)| !name.is_empty() && !host.is_empty())
}

/// What somebody is called who has no address of their own; never one that could be an address.
fn name_of(issuer: &str, subject: &str) -> String {
    let host = issuer.split_once("://").map_or(issuer, |(_, host)| host);
    let subject = percent_encoding::utf8_percent_encode(subject, percent_encoding::NON_ALPHANUMERIC);
    format!("{}/{subject}", host.trim_end_matches('/')).replace('@', "%40")
}

/// Where the provider sends people back to.
pub(in crate::zone) const REDIRECT: &str = "/oauth/2/redirect";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_of_a_provider_is_never_an_address() {
        assert_eq!(name_of("https://idp.example/t/", "ada@example.com"), "idp.example/t/ada%40example%2Ecom");
        assert!(is_email("ada@example.com"));
        for wrong in ["", "@", "ada@", "@example.com", "a b@example.com", "a\u{0}@b"] {
            assert!(!is_email(wrong), "{wrong:?}");
        }
    }

    #[test]
    fn what_a_header_carries_is_encoded_twice() {
        assert_eq!(basic("a:b", &Secret::new("s p%")), format!("Basic {}", STANDARD.encode("a%3Ab:s+p%25")));
    }
}
