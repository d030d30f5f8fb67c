//! Secrets that the zone hands out once and keeps only as a hash: client secrets, refresh and registration tokens.
//!
//! Each is 256 random bits, so that a plain SHA-256 is enough: there is nothing to guess, and no need for a slow hash.

use std::fmt::Write as _;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::model::Secret;
use crate::os::random;

/// What the store holds in a secret's place: its SHA-256 in hex.
#[derive(Clone)]
pub(in crate::zone) struct Hash(String);

impl Hash {
    /// Of what was presented.
    pub(in crate::zone) fn of(secret: &Secret) -> Self {
        let mut hex = String::with_capacity(64);
        for byte in digest::digest(&digest::SHA256, secret.expose()).as_ref() {
            let _ = write!(hex, "{byte:02x}");
        }
        Self(hex)
    }

    /// As the store wrote it.
    pub(in crate::zone) fn known(hex: String) -> Self {
        Self(hex)
    }

    /// As the store writes it.
    pub(in crate::zone) fn as_str(&self) -> &str {
        &self.0
    }

    /// Compares in constant time.
    pub(in crate::zone) fn matches(&self, other: &Self) -> bool {
        verify_slices_are_equal(self.0.as_bytes(), other.0.as_bytes()).is_ok()
    }
}

/// A new secret and its hash. The prefix tells a reader of a leak what it is, as secret scanners like it.
pub(in crate::zone) fn generate(prefix: &str) -> (Secret, Hash) {
    let word = URL_SAFE_NO_PAD.encode(random::bytes::<32>());
    let secret = Secret::new(format!("{prefix}{word}"));
    let hash = Hash::of(&secret);
    (secret, hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_secret_has_the_same_hash() {
        let (secret, hash) = generate("vks_");
        assert!(secret.expose_str().unwrap().starts_with("vks_"));
        assert!(hash.matches(&Hash::of(&secret)));
        assert!(!hash.matches(&generate("vks_").1));
        assert_eq!(Hash::of(&Secret::new("abc")).as_str().get(..16), Some("ba7816bf8f01cfea"));
    }
}
