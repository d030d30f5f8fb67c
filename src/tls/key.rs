//! A P-256 signing key that cannot be printed, and is wiped when it goes.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::error::Unspecified;
use aws_lc_rs::pkcs8::Document;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::ECDSA_P256_SHA256_ASN1_SIGNING;
use aws_lc_rs::signature::EcdsaKeyPair;
use aws_lc_rs::signature::KeyPair as _;
use rcgen::PublicKeyData;
use rcgen::SigningKey;

/// Unlike rcgen's own key pair it keeps no serialised copy; aws-lc wipes the key itself when it is freed.
#[derive(Clone)]
pub(super) struct Key(Arc<EcdsaKeyPair>);

impl Key {
    pub(super) fn generate() -> Result<Self, Unspecified> {
        Ok(Self(Arc::new(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING)?)))
    }

    /// None when the bytes are no P-256 key in PKCS#8.
    pub(super) fn from_pkcs8(der: &[u8]) -> Option<Self> {
        EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, der).ok().map(|pair| Self(Arc::new(pair)))
    }

    /// The document is wiped when it is dropped.
    pub(super) fn to_pkcs8(&self) -> Result<Document, Unspecified> {
        self.0.to_pkcs8v1()
    }
}

impl PublicKeyData for Key {
    fn der_bytes(&self) -> &[u8] {
        self.0.public_key().as_ref()
    }

    fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        &rcgen::PKCS_ECDSA_P256_SHA256
    }
}

impl SigningKey for Key {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        let signature = self.0.sign(&SystemRandom::new(), message).map_err(|_| rcgen::Error::RingUnspecified)?;
        Ok(signature.as_ref().to_vec())
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(…)")
    }
}
