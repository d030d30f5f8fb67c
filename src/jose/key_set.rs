//! The public half: JSON Web Keys (RFC 7517) and the set that a verifier looks them up in.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;

use jsonwebtoken::Algorithm;
use jsonwebtoken::DecodingKey;
use jsonwebtoken::crypto;
use serde::Deserialize;
use serde::Serialize;

use crate::limits::JWKS_KEYS_MAX;

/// A public key as it stands in a JWKS. Members that belong to a private key have no place in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Jwk {
    kty: String,
    #[serde(rename = "use", skip_serializing_if = "Option::is_none")]
    usage: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    alg: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kid: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    n: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    e: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    crv: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    x: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    y: Option<String>,
}

impl Jwk {
    /// One without a name, for RS256.
    pub(super) fn rsa(n: String, e: String) -> Self {
        Self { n: Some(n), e: Some(e), ..Self::for_signatures("RSA", "RS256") }
    }

    /// One without a name, for ES256.
    pub(super) fn p256(x: String, y: String) -> Self {
        Self { crv: Some("P-256".to_owned()), x: Some(x), y: Some(y), ..Self::for_signatures("EC", "ES256") }
    }

    /// Gives it a name.
    pub(super) fn name(&mut self, kid: String) {
        self.kid = Some(kid);
    }

    fn for_signatures(kty: &str, alg: &str) -> Self {
        Self {
            kty: kty.to_owned(),
            usage: Some("sig".to_owned()),
            alg: Some(alg.to_owned()),
            kid: None,
            n: None,
            e: None,
            crv: None,
            x: None,
            y: None,
        }
    }

    /// Its name, where it has one.
    pub fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// Its RFC 7638 thumbprint; none when a member is missing that its kind must have.
    pub fn thumbprint(&self) -> Option<String> {
        let (n, e, crv) = (self.n.as_deref(), self.e.as_deref(), self.crv.as_deref());
        let (x, y) = (self.x.as_deref(), self.y.as_deref());
        // The required members of the kind, in the order of the alphabet.
        let canonical = match self.kty.as_str() {
            "RSA" => serde_json::json!({ "e": e?, "kty": "RSA", "n": n? }),
            "EC" => serde_json::json!({ "crv": crv?, "kty": "EC", "x": x?, "y": y? }),
            _ => return None,
        };
        Some(crate::jose::hash_of(&canonical.to_string()))
    }
}

/// The document at a `jwks_uri`. Keys that can't be read are skipped, as RFC 7517 §5 asks.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Jwks {
    keys: Vec<serde_json::Value>,
}

impl Jwks {
    /// Of these keys.
    pub fn of<'a>(keys: impl IntoIterator<Item = &'a Jwk>) -> Self {
        Self { keys: keys.into_iter().filter_map(|key| serde_json::to_value(key).ok()).collect() }
    }

    /// Reads the document; none when it is no JWKS.
    pub fn parse(document: &[u8]) -> Option<Self> {
        serde_json::from_slice(document).ok()
    }
}

/// Keys by name, each with the one algorithm it may be used with.
#[derive(Clone, Default)]
pub struct KeySet(HashMap<String, Known>);

impl KeySet {
    /// Takes the signature keys of the set: RSA for RS256, P-256 for ES256, each with a `kid`. All others are
    /// left out, and so is a name that stands for two different keys: which one was meant is anyone's guess.
    pub fn from_jwks(jwks: &Jwks) -> Self {
        let mut found: HashMap<String, Known> = HashMap::new();
        for value in jwks.keys.iter().take(JWKS_KEYS_MAX) {
            let Some((kid, jwk, key)) = signature_key(value) else { continue };
            match found.entry(kid) {
                Entry::Vacant(free) => {
                    free.insert(Known { jwk, key: Some(key) });
                }
                Entry::Occupied(mut taken) if taken.get().jwk != jwk => {
                    taken.get_mut().key = None;
                }
                Entry::Occupied(_) => {}
            }
        }
        found.retain(|_, known| known.key.is_some());
        Self(found)
    }

    /// Whether a key has this name.
    pub fn contains(&self, kid: &str) -> bool {
        self.0.contains_key(kid)
    }

    /// How many keys can be used.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether none can be used.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn find(&self, kid: &str) -> Option<&PublicKey> {
        self.0.get(kid)?.key.as_ref()
    }
}

impl fmt::Debug for KeySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// A key ready for use, and the only algorithm that it verifies.
#[derive(Clone)]
pub(super) struct PublicKey {
    algorithm: Algorithm,
    name: &'static str,
    key: DecodingKey,
}

impl PublicKey {
    /// The `alg` that a header must name to be verified with this key.
    pub(super) fn algorithm_name(&self) -> &'static str {
        self.name
    }

    /// Whether `signature` (base64url) is this key's over `message`.
    pub(super) fn verifies(&self, message: &[u8], signature: &str) -> bool {
        crypto::verify(signature, message, &self.key, self.algorithm).unwrap_or(false)
    }

    /// None when it is no key of the two kinds.
    pub(super) fn of(jwk: &Jwk) -> Option<Self> {
        let alg = jwk.alg.as_deref();
        match jwk.kty.as_str() {
            "RSA" if alg.is_none_or(|alg| alg == "RS256") => {
                let key = DecodingKey::from_rsa_components(jwk.n.as_deref()?, jwk.e.as_deref()?).ok()?;
                Some(Self { algorithm: Algorithm::RS256, name: "RS256", key })
            }
            "EC" if jwk.crv.as_deref() == Some("P-256") && alg.is_none_or(|alg| alg == "ES256") => {
                let key = DecodingKey::from_ec_components(jwk.x.as_deref()?, jwk.y.as_deref()?).ok()?;
                Some(Self { algorithm: Algorithm::ES256, name: "ES256", key })
            }
            _ => None,
        }
    }
}

#[derive(Clone)]
struct Known {
    jwk: Jwk,
    /// None once the name has proved ambiguous.
    key: Option<PublicKey>,
}

fn signature_key(value: &serde_json::Value) -> Option<(String, Jwk, PublicKey)> {
    let jwk = Jwk::deserialize(value).ok()?;
    let for_signatures = jwk.usage.as_deref().is_none_or(|usage| usage == "sig");
    let kid = jwk.kid.clone().filter(|kid| !kid.is_empty() && for_signatures)?;
    let key = PublicKey::of(&jwk)?;
    Some((kid, jwk, key))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn set(keys: &serde_json::Value) -> KeySet {
        KeySet::from_jwks(&Jwks::parse(json!({ "keys": keys }).to_string().as_bytes()).unwrap())
    }

    #[test]
    fn only_named_signature_keys_of_the_two_algorithms_are_taken() {
        let keys = set(&json!([
            {"kty": "RSA", "kid": "rsa", "n": "sXch", "e": "AQAB"},
            {"kty": "RSA", "kid": "encryption", "use": "enc", "n": "sXch", "e": "AQAB"},
            {"kty": "RSA", "kid": "pss", "alg": "PS256", "n": "sXch", "e": "AQAB"},
            {"kty": "RSA", "n": "sXch", "e": "AQAB"},
            {"kty": "oct", "kid": "shared", "alg": "HS256", "k": "c2VjcmV0"},
            {"kty": "EC", "kid": "p384", "crv": "P-384", "x": "AA", "y": "AA"},
            {"kty": "EC", "kid": "p256", "crv": "P-256", "x": "AA", "y": "AA"},
            "rubbish",
        ]));
        assert_eq!(keys.len(), 2, "{keys:?}");
        assert!(keys.contains("rsa") && keys.contains("p256"));
        assert!(Jwks::parse(b"[]").is_none());
    }

    #[test]
    fn a_name_that_stands_for_two_keys_stands_for_none() {
        let keys = set(&json!([
            {"kty": "RSA", "kid": "twice", "n": "sXch", "e": "AQAB"},
            {"kty": "RSA", "kid": "twice", "n": "sXci", "e": "AQAB"},
            {"kty": "RSA", "kid": "twice", "n": "sXch", "e": "AQAB"},
            {"kty": "RSA", "kid": "same", "n": "sXch", "e": "AQAB"},
            {"kty": "RSA", "kid": "same", "n": "sXch", "e": "AQAB"},
            {"kty": "RSA", "kid": "same", "n": "sXci", "e": "AQAB", "alg": "PS256"},
            {"kty": "RSA", "kid": "same", "n": "sXci", "e": "AQAB", "use": "enc"},
        ]));
        assert!(!keys.contains("twice"));
        assert!(keys.contains("same"));
    }
}
