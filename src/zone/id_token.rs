//! ID tokens (OpenID Connect Core §2): who signed in, when and by what means, told to the client; and what is read of one
//! that comes back as a hint.
//!
//! Never: a claim that nobody made. Methods that are not known are left out, and an address of which the zone does not
//! know that it is theirs is said to be unverified.

use std::sync::Arc;

use serde::Deserialize;
use serde::Serialize;

use crate::jose::NotSigned;
use crate::jose::Unverified;
use crate::jose::Verifier;
use crate::limits::ZONE_SESSION_TOKEN_LIFETIME;
use crate::model::Secret;
use crate::zone::id::SignInId;
use crate::zone::issuer::Issuer;
use crate::zone::issuer::Shown;
use crate::zone::store::Application;
use crate::zone::store::Means;
use crate::zone::store::User;

/// An ID token that is to be issued.
pub(in crate::zone) struct WantedIdToken<'a> {
    pub(in crate::zone) user: &'a User,
    pub(in crate::zone) sign_in: &'a SignInId,
    pub(in crate::zone) client: &'a Application,
    pub(in crate::zone) shown: Shown,
    pub(in crate::zone) means: &'a Means,
    pub(in crate::zone) nonce: Option<&'a str>,
}

/// What an ID token of this zone says that comes back. It may be an old one: it is a hint, and not a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::zone) struct IdTokenHint {
    /// The client id of the client that it was issued to.
    pub(in crate::zone) client: String,
    /// The id of the person.
    pub(in crate::zone) user: String,
    /// What the person was called then.
    pub(in crate::zone) name: String,
}

impl Issuer {
    /// Who signed in, told to the client.
    pub(in crate::zone) fn issue_id_token(&self, wanted: &WantedIdToken<'_>) -> Result<Secret, NotSigned> {
        let WantedIdToken { user, sign_in, client, shown, means, nonce } = wanted;
        let now = self.clock.now();
        let email = user.stated_email();
        let claims = IdClaims {
            iss: self.url(),
            sub: user.id.as_str(),
            aud: &client.client_id,
            azp: &client.client_id,
            sid: sign_in.as_str(),
            preferred_username: &user.identifier,
            email: email.map(|(address, _)| address),
            email_verified: email.map(|(_, verified)| verified),
            nonce: *nonce,
            auth_time: shown.at.as_seconds(),
            amr: methods(means, *shown),
            acr: means.class.as_deref(),
            iat: now.as_seconds(),
            exp: now.after(ZONE_SESSION_TOKEN_LIFETIME).as_seconds(),
        };
        self.keyring.keys().signing().sign(ID_TOKEN, &claims)
    }

    /// Reads an ID token that this zone signed, whatever its age.
    pub(in crate::zone) fn read_id_token_hint(&self, token: &str) -> Option<IdTokenHint> {
        let said = Unverified::read(token).ok()?;
        let client = said.audience()?.to_owned();
        if said.typ.as_deref() != Some(ID_TOKEN) {
            return None;
        }
        let verifier = Verifier::new(self.url().to_owned(), client.clone(), Arc::clone(&self.clock));
        let claims: HintClaims = verifier.verify_even_expired(token, self.keyring.keys().verifying()).ok()?;
        Some(IdTokenHint { client, user: claims.sub, name: claims.preferred_username })
    }
}

/// Those of the first step, and what the zone's own second factor adds (RFC 8176).
fn methods(means: &Means, shown: Shown) -> Vec<&str> {
    let mut methods: Vec<&str> = means.methods.iter().map(String::as_str).collect();
    if shown.second_factor_at.is_some() {
        let more: &[&str] = if methods.is_empty() { &["otp"] } else { &["otp", "mfa"] };
        for method in more {
            if !methods.contains(method) {
                methods.push(method);
            }
        }
    }
    methods
}

#[derive(Serialize)]
struct IdClaims<'a> {
    iss: &'a str,
    sub: &'a str,
    /// The client id, and not the application behind it: clients compare it with their own (§3.1.3.7).
    aud: &'a str,
    azp: &'a str,
    sid: &'a str,
    preferred_username: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    email_verified: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    nonce: Option<&'a str>,
    auth_time: i64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    amr: Vec<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    acr: Option<&'a str>,
    iat: i64,
    exp: i64,
}

#[derive(Deserialize)]
struct HintClaims {
    sub: String,
    #[serde(default)]
    preferred_username: String,
}

const ID_TOKEN: &str = "JWT";
