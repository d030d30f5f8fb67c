//! The private half: an RSA-2048 key that signs with RS256.

use aws_lc_rs::digest;
use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::rsa::PublicKeyComponents;
use aws_lc_rs::signature::KeyPair as _;
use aws_lc_rs::signature::RSA_PKCS1_SHA256;
use aws_lc_rs::signature::RsaKeyPair;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;

use crate::jose::Jwk;
use crate::jose::Jws;
use crate::model::Secret;

/// Signs JWTs. Parsed once and kept, because checking an RSA key costs as much as a signature.
pub struct SigningKey {
    pair: RsaKeyPair,
    public: Jwk,
    kid: String,
}

/// These bytes are no RSA key of 2048 bits or more.
#[derive(Debug, thiserror::Error)]
#[error("not a PKCS#8 RSA private key of at least 2048 bits")]
pub struct KeyNotUsable;

/// The claims could not be written down or signed.
#[derive(Debug, thiserror::Error)]
#[error("the token could not be signed")]
pub struct NotSigned;

impl SigningKey {
    /// A new RSA-2048 key. Takes a few hundred milliseconds: not for the thread of a runtime.
    pub fn generate() -> Result<Self, KeyNotUsable> {
        Self::from_pair(RsaKeyPair::generate(KeySize::Rsa2048).map_err(|_| KeyNotUsable)?)
    }

    /// Reads what [`SigningKey::to_pkcs8`] wrote.
    pub fn from_pkcs8(der: &Secret) -> Result<Self, KeyNotUsable> {
        Self::from_pair(RsaKeyPair::from_pkcs8(der.expose()).map_err(|_| KeyNotUsable)?)
    }

    /// The private key as PKCS#8 DER.
    pub fn to_pkcs8(&self) -> Result<Secret, KeyNotUsable> {
        let der = self.pair.as_der().map_err(|_| KeyNotUsable)?;
        Ok(Secret::new(der.as_ref()))
    }

    /// The key's id: its RFC 7638 thumbprint, so that the same key always has the same name.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The public half, as a JWKS shows it.
    pub fn public(&self) -> &Jwk {
        &self.public
    }

    /// A compact JWS (RFC 7515 §7.1) over `claims`, with `typ` in its header.
    pub fn sign(&self, typ: &str, claims: &impl Serialize) -> Result<Secret, NotSigned> {
        let mut token = self.header(typ)?;
        token.push('.');
        token.push_str(&encode(claims)?);
        let signature = self.signature(token.as_bytes())?;
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(signature, &mut token);
        Ok(Secret::new(token))
    }

    /// A flattened JWS (RFC 7515 §7.2.2) over exactly these bytes: for what is shown to everybody.
    pub fn sign_flattened(&self, typ: &str, payload: &[u8]) -> Result<Jws, NotSigned> {
        let (protected, payload) = (self.header(typ)?, URL_SAFE_NO_PAD.encode(payload));
        let signature = self.signature(format!("{protected}.{payload}").as_bytes())?;
        Ok(Jws { protected, payload, signature: URL_SAFE_NO_PAD.encode(signature) })
    }

    fn header(&self, typ: &str) -> Result<String, NotSigned> {
        encode(&Header { alg: "RS256", typ, kid: &self.kid })
    }

    fn signature(&self, message: &[u8]) -> Result<Vec<u8>, NotSigned> {
        let mut signature = vec![0; self.pair.public_modulus_len()];
        self.pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature).map_err(|_| NotSigned)?;
        Ok(signature)
    }

    fn from_pair(pair: RsaKeyPair) -> Result<Self, KeyNotUsable> {
        if pair.public_modulus_len() < MODULUS_BYTES_MIN {
            return Err(KeyNotUsable);
        }
        let components = PublicKeyComponents::<Vec<u8>>::from(pair.public_key());
        let (n, e) = (URL_SAFE_NO_PAD.encode(&components.n), URL_SAFE_NO_PAD.encode(&components.e));
        // RFC 7638 §3.2: the required members, in this order, without white space.
        let canonical = format!(r#"{{"e":"{e}","kty":"RSA","n":"{n}"}}"#);
        let kid = URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, canonical.as_bytes()));
        let public = Jwk::rsa(kid.clone(), n, e);
        Ok(Self { pair, public, kid })
    }
}

#[derive(Serialize)]
struct Header<'a> {
    alg: &'a str,
    typ: &'a str,
    kid: &'a str,
}

fn encode(part: &impl Serialize) -> Result<String, NotSigned> {
    Ok(URL_SAFE_NO_PAD.encode(serde_json::to_vec(part).map_err(|_| NotSigned)?))
}

/// 2048 bits, the least that RFC 7518 §3.3 permits.
const MODULUS_BYTES_MIN: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_keeps_its_name_through_export_and_import() {
        let key = SigningKey::generate().unwrap();
        let again = SigningKey::from_pkcs8(&key.to_pkcs8().unwrap()).unwrap();
        assert_eq!(again.kid(), key.kid());
        assert_eq!(key.kid().len(), 43);
        assert_eq!(serde_json::to_value(again.public()).unwrap(), serde_json::to_value(key.public()).unwrap());
        assert!(SigningKey::from_pkcs8(&Secret::new("no key")).is_err());
    }
}
