//! The private half: an RSA-2048 key that signs with RS256, or a P-256 key that signs with ES256.

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::rsa::PublicKeyComponents;
use aws_lc_rs::signature::ECDSA_P256_SHA256_FIXED_SIGNING;
use aws_lc_rs::signature::EcdsaKeyPair;
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
    pair: Pair,
    public: Jwk,
    kid: String,
}

/// How a key signs (RFC 7518 §3.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// RSA with SHA-256: what every client can verify.
    #[default]
    Rs256,
    /// P-256 with SHA-256: a signature costs a thirtieth of the time.
    Es256,
}

enum Pair {
    Rsa(RsaKeyPair),
    Ec(EcdsaKeyPair),
}

/// These bytes are no key of the two kinds.
#[derive(Debug, thiserror::Error)]
#[error("not a PKCS#8 private key: RSA of at least 2048 bits, or P-256")]
pub struct KeyNotUsable;

/// The claims could not be written down or signed.
#[derive(Debug, thiserror::Error)]
#[error("the token could not be signed")]
pub struct NotSigned;

impl Algorithm {
    /// All that there are.
    pub const ALL: [Self; 2] = [Self::Rs256, Self::Es256];

    /// Its name in `alg`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Es256 => "ES256",
        }
    }

    /// By its name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.as_str() == name)
    }
}

impl SigningKey {
    /// A new RSA-2048 key. Takes a few hundred milliseconds: not for the thread of a runtime.
    pub fn generate() -> Result<Self, KeyNotUsable> {
        Self::generate_for(Algorithm::Rs256)
    }

    /// A new key that signs so. One for RS256 takes a few hundred milliseconds.
    pub fn generate_for(algorithm: Algorithm) -> Result<Self, KeyNotUsable> {
        Self::from_pair(match algorithm {
            Algorithm::Rs256 => Pair::Rsa(RsaKeyPair::generate(KeySize::Rsa2048).map_err(|_| KeyNotUsable)?),
            Algorithm::Es256 => {
                Pair::Ec(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).map_err(|_| KeyNotUsable)?)
            }
        })
    }

    /// Reads what [`SigningKey::to_pkcs8`] wrote.
    pub fn from_pkcs8(der: &Secret) -> Result<Self, KeyNotUsable> {
        let rsa = RsaKeyPair::from_pkcs8(der.expose()).map(Pair::Rsa);
        let ec = || EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der.expose()).map(Pair::Ec);
        Self::from_pair(rsa.or_else(|_| ec()).map_err(|_| KeyNotUsable)?)
    }

    /// The private key as PKCS#8 DER.
    pub fn to_pkcs8(&self) -> Result<Secret, KeyNotUsable> {
        match &self.pair {
            Pair::Rsa(pair) => Ok(Secret::new(pair.as_der().map_err(|_| KeyNotUsable)?.as_ref())),
            Pair::Ec(pair) => Ok(Secret::new(pair.to_pkcs8v1().map_err(|_| KeyNotUsable)?.as_ref())),
        }
    }

    /// The key's id: its RFC 7638 thumbprint, so that the same key always has the same name.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The public half, as a JWKS shows it.
    pub fn public(&self) -> &Jwk {
        &self.public
    }

    /// How it signs.
    pub fn algorithm(&self) -> Algorithm {
        match self.pair {
            Pair::Rsa(_) => Algorithm::Rs256,
            Pair::Ec(_) => Algorithm::Es256,
        }
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
        encode(&Header { alg: self.algorithm().as_str(), typ, kid: &self.kid })
    }

    fn signature(&self, message: &[u8]) -> Result<Vec<u8>, NotSigned> {
        let random = SystemRandom::new();
        match &self.pair {
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature).map_err(|_| NotSigned)?;
                Ok(signature)
            }
            Pair::Ec(pair) => Ok(pair.sign(&random, message).map_err(|_| NotSigned)?.as_ref().to_vec()),
        }
    }

    fn from_pair(pair: Pair) -> Result<Self, KeyNotUsable> {
        let mut public = match &pair {
            Pair::Rsa(pair) if pair.public_modulus_len() < MODULUS_BYTES_MIN => return Err(KeyNotUsable),
            Pair::Rsa(pair) => {
                let components = PublicKeyComponents::<Vec<u8>>::from(pair.public_key());
                Jwk::rsa(URL_SAFE_NO_PAD.encode(&components.n), URL_SAFE_NO_PAD.encode(&components.e))
            }
            Pair::Ec(pair) => {
                // SEC 1 §2.3.3: a four, and the two coordinates.
                let point = pair.public_key().as_ref().strip_prefix(&[4]).ok_or(KeyNotUsable)?;
                let (x, y) = point.split_at_checked(point.len() / 2).ok_or(KeyNotUsable)?;
                Jwk::p256(URL_SAFE_NO_PAD.encode(x), URL_SAFE_NO_PAD.encode(y))
            }
        };
        let kid = public.thumbprint().ok_or(KeyNotUsable)?;
        public.name(kid.clone());
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
        for algorithm in Algorithm::ALL {
            let key = SigningKey::generate_for(algorithm).unwrap();
            let again = SigningKey::from_pkcs8(&key.to_pkcs8().unwrap()).unwrap();
            assert_eq!((again.kid(), again.algorithm()), (key.kid(), algorithm));
            assert_eq!(key.kid().len(), 43);
            assert_eq!(serde_json::to_value(again.public()).unwrap(), serde_json::to_value(key.public()).unwrap());
        }
        assert!(SigningKey::from_pkcs8(&Secret::new("no key")).is_err());
    }
}
