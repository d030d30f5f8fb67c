//! Verification as a strict resource server does it (RFC 8725, RFC 9068 §4).

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde::de::IgnoredAny;

use crate::jose::KeySet;
use crate::limits::JWT_BYTES_MAX;
use crate::limits::JWT_LEEWAY;
use crate::model::Clock;
use crate::model::Timestamp;

/// Accepts the tokens of one issuer for one audience.
#[derive(Clone)]
pub struct Verifier {
    issuer: String,
    audience: String,
    clock: Arc<dyn Clock>,
}

/// Why a token is not accepted. Holds nothing of the token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Not three base64url parts of JSON with the claims that every access token has.
    #[error("the token is malformed")]
    Malformed,
    /// The header names no key; guessing one would be the verifier's choice, not the issuer's.
    #[error("the token does not name its key")]
    NoKeyId,
    /// No key of the issuer has this name. Worth one more look at its key set.
    #[error("the token is signed with an unknown key")]
    UnknownKey,
    /// `none`, a shared-secret algorithm, or another than the key's own.
    #[error("the token's algorithm is not the one of its key")]
    Algorithm,
    /// A `crit` header: an extension that must be understood, and is not (RFC 7515 §4.1.11).
    #[error("the token demands an extension that is not supported")]
    Critical,
    /// A JWT of another kind, such as a logout token or a proof.
    #[error("the token is not an access token")]
    Type,
    /// Forged or damaged.
    #[error("the token's signature is wrong")]
    Signature,
    /// `iss` is not exactly the expected one.
    #[error("the token is from another issuer")]
    Issuer,
    /// `aud` does not hold exactly the expected one; a trailing slash is a difference.
    #[error("the token is for another audience")]
    Audience,
    /// `exp` is past.
    #[error("the token has expired")]
    Expired,
    /// `nbf` or `iat` is still to come.
    #[error("the token is not valid yet")]
    NotYet,
}

impl Verifier {
    /// `issuer` and `audience` are compared exactly, the time is `clock`'s.
    pub fn new(issuer: String, audience: String, clock: Arc<dyn Clock>) -> Self {
        Self { issuer, audience, clock }
    }

    /// Checks header, signature and registered claims, in this order, and reads the claims as `C`.
    pub fn verify<C: DeserializeOwned>(&self, token: &str, keys: &KeySet) -> Result<C, Refused> {
        let claims = Self::authentic(token, keys)?;
        self.judge(&decode(claims)?)?;
        decode(claims)
    }

    /// The same for a token that may be as old as it likes: a hint at whom it was about, good for nothing else.
    pub fn verify_even_expired<C: DeserializeOwned>(&self, token: &str, keys: &KeySet) -> Result<C, Refused> {
        let claims = Self::authentic(token, keys)?;
        match self.judge(&decode(claims)?) {
            Ok(()) | Err(Refused::Expired) => decode(claims),
            Err(refused) => Err(refused),
        }
    }

    /// The claims of a token that one of the keys signed.
    fn authentic<'a>(token: &'a str, keys: &KeySet) -> Result<&'a str, Refused> {
        if token.len() > JWT_BYTES_MAX {
            return Err(Refused::Malformed);
        }
        let (message, signature) = token.rsplit_once('.').ok_or(Refused::Malformed)?;
        let (header, claims) = message.split_once('.').ok_or(Refused::Malformed)?;
        let header: Header = decode(header)?;
        if header.crit.is_some() {
            return Err(Refused::Critical);
        }
        if !header.typ.is_none_or(|typ| TYPES.iter().any(|known| typ.eq_ignore_ascii_case(known))) {
            return Err(Refused::Type);
        }
        // Before the key is looked up: a token without signature or with a shared secret deserves its own answer.
        if !ALGORITHMS.contains(&header.alg.as_str()) {
            return Err(Refused::Algorithm);
        }
        let kid = header.kid.filter(|kid| !kid.is_empty()).ok_or(Refused::NoKeyId)?;
        let key = keys.find(&kid).ok_or(Refused::UnknownKey)?;
        if key.algorithm_name() != header.alg {
            return Err(Refused::Algorithm);
        }
        if !key.verifies(message.as_bytes(), signature) {
            return Err(Refused::Signature);
        }
        Ok(claims)
    }

    fn judge(&self, claims: &Registered) -> Result<(), Refused> {
        if claims.iss != self.issuer {
            return Err(Refused::Issuer);
        }
        if !claims.aud.holds(&self.audience) {
            return Err(Refused::Audience);
        }
        let now = self.clock.now();
        if moment(&claims.exp)? <= now.before(JWT_LEEWAY) {
            return Err(Refused::Expired);
        }
        for not_before in [claims.nbf.as_ref(), Some(&claims.iat)].into_iter().flatten() {
            if moment(not_before)? > now.after(JWT_LEEWAY) {
                return Err(Refused::NotYet);
            }
        }
        Ok(())
    }
}

/// The members that are read; all others, `jku`, `x5u`, `x5c` and `jwk` among them, are passed over.
#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    typ: Option<String>,
    #[serde(default, deserialize_with = "present")]
    crit: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct Registered {
    iss: String,
    aud: Audience,
    exp: serde_json::Number,
    iat: serde_json::Number,
    nbf: Option<serde_json::Number>,
}

/// One string or several (RFC 7519 §4.1.3).
#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Several(Vec<String>),
}

impl Audience {
    fn holds(&self, expected: &str) -> bool {
        match self {
            Self::One(audience) => audience == expected,
            Self::Several(audiences) => audiences.iter().any(|audience| audience == expected),
        }
    }
}

/// Even `"crit": null` counts: a member that is there was meant to be understood.
fn present<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<IgnoredAny>, D::Error> {
    IgnoredAny::deserialize(deserializer).map(Some)
}

pub(super) fn decode<T: DeserializeOwned>(part: &str) -> Result<T, Refused> {
    let bytes = URL_SAFE_NO_PAD.decode(part).map_err(|_| Refused::Malformed)?;
    serde_json::from_slice(&bytes).map_err(|_| Refused::Malformed)
}

/// A `NumericDate`, which may have a fraction (RFC 7519 §2).
fn moment(date: &serde_json::Number) -> Result<Timestamp, Refused> {
    if let Some(seconds) = date.as_i64() {
        return Ok(Timestamp::from_seconds(seconds));
    }
    let seconds = date.as_f64().filter(|seconds| seconds.abs() < LAST_DATE).ok_or(Refused::Malformed)?;
    #[allow(clippy::cast_possible_truncation, reason = "bounded above, and a fraction of a millisecond is no matter")]
    Ok(Timestamp::from_millis((seconds * 1000.0) as i64))
}

/// What this verifier can check at all; each key allows one of them.
const ALGORITHMS: [&str; 2] = ["RS256", "ES256"];

/// RFC 9068 §2.1, and `JWT` for the many issuers from before it.
const TYPES: [&str; 3] = ["JWT", "at+jwt", "application/at+jwt"];

/// The year 9999, in seconds: nothing later is a date.
const LAST_DATE: f64 = 253_402_300_800.0;

#[cfg(test)]
mod tests;
