//! What the zone's tokens say: as they are signed, and as they are read back.

use serde::Deserialize;
use serde::Serialize;

use crate::zone::access::SubjectClaims;
use crate::zone::id::SignInId;
use crate::zone::id::UserId;

/// A token of this zone, read back.
#[derive(Clone, Debug, Deserialize)]
pub(in crate::zone) struct Session {
    sub: String,
    #[serde(default)]
    sid: String,
    sub_profile: String,
    act: Option<serde_json::Value>,
    pub(in crate::zone) aud: String,
    pub(in crate::zone) client_id: String,
    pub(in crate::zone) scope: Option<String>,
    pub(in crate::zone) jti: String,
    pub(in crate::zone) iat: i64,
    pub(in crate::zone) exp: i64,
    pub(in crate::zone) auth_time: Option<i64>,
    pub(in crate::zone) mfa_time: Option<i64>,
    pub(in crate::zone) preferred_username: Option<String>,
    cnf: Option<Confirmation<String>>,
}

impl Session {
    /// Who is signed in; none when the token is not about a user.
    pub(in crate::zone) fn user(&self) -> Option<UserId> {
        (self.sub_profile == USER).then(|| UserId::known(self.sub.clone()))
    }

    /// Whom it is about, of whatever kind.
    pub(in crate::zone) fn subject(&self) -> &str {
        &self.sub
    }

    /// Which sign-in it belongs to.
    pub(in crate::zone) fn sign_in(&self) -> SignInId {
        SignInId::known(self.sid.clone())
    }

    /// The actor before the one that presents it.
    pub(in crate::zone) fn actor(&self) -> Option<&serde_json::Value> {
        self.act.as_ref()
    }

    /// What access policies see of it.
    pub(in crate::zone) fn for_policies(&self) -> SubjectClaims<'_> {
        SubjectClaims { client_id: &self.client_id, scope: self.scope.as_deref(), session: &self.sid }
    }

    /// The thumbprint of the key without which it is of no use.
    pub(in crate::zone) fn key(&self) -> Option<&str> {
        self.cnf.as_ref().map(|confirmation| confirmation.jkt.as_str())
    }
}

/// RFC 9068 §2.2, and what makes a token readable to people: `preferred_username`, `client_name`, `act.name`.
///
/// `client_id` is the credential that was shown, which an application has several of and changes; `keycard_app_id` is
/// the application itself, under the name by which the guards of protected APIs look for it.
#[derive(Serialize)]
pub(super) struct Claims<'a> {
    pub(super) iss: &'a str,
    pub(super) sub: &'a str,
    pub(super) sub_profile: &'a str,
    pub(super) aud: &'a str,
    pub(super) client_id: &'a str,
    pub(super) client_name: &'a str,
    pub(super) keycard_app_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) preferred_username: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) scope: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) sid: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) act: Option<Actor<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) cnf: Option<Confirmation<&'a str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) auth_time: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) mfa_time: Option<i64>,
    pub(super) iat: i64,
    pub(super) exp: i64,
    pub(super) jti: String,
}

/// The key that a token is bound to (RFC 9449 §6.1).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Confirmation<T> {
    pub(super) jkt: T,
}

/// Who acts (RFC 8693 §4.1), and through whom before.
#[derive(Serialize)]
pub(super) struct Actor<'a> {
    pub(super) sub: &'a str,
    pub(super) name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) act: Option<&'a serde_json::Value>,
}

/// The profile of a token about a user.
pub(super) const USER: &str = "user";
