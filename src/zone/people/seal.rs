//! Sealing what must be read again, such as the secret of a person's authenticator: AES-256-GCM under a key that lies
//! in a file of its own, and never in the database.

use std::path::Path;

use aws_lc_rs::aead::AES_256_GCM;
use aws_lc_rs::aead::Aad;
use aws_lc_rs::aead::LessSafeKey;
use aws_lc_rs::aead::Nonce;
use aws_lc_rs::aead::UnboundKey;
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use zeroize::Zeroizing;

use crate::model::Secret;
use crate::os::random;
use crate::zone::private_file;

/// Seals and marks with one key.
pub(in crate::zone) struct Seal {
    sealing: LessSafeKey,
    marking: hmac::Key,
}

/// What was sealed was sealed by another key, for another purpose, or was changed.
#[derive(Debug, thiserror::Error)]
#[error("what is sealed in the database can't be opened with the zone's key")]
pub(in crate::zone) struct NotOpened;

impl Seal {
    /// Reads the key from `file`, or makes one on first start.
    pub(in crate::zone) fn open(file: &Path) -> std::io::Result<Self> {
        let key = match private_file::read(file)? {
            Some(key) => Zeroizing::new(key),
            None => {
                let made = Zeroizing::new(random::bytes::<32>().to_vec());
                private_file::replace(file, &made)?;
                made
            }
        };
        Self::of(&key).ok_or_else(|| std::io::Error::new(std::io::ErrorKind::InvalidData, "not a key of 32 bytes"))
    }

    fn of(key: &[u8]) -> Option<Self> {
        let sealing = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key).ok()?);
        // A key for each use, so that what one of them shows says nothing of the other.
        let derived = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), b"valetkey zone marks");
        Some(Self { sealing, marking: hmac::Key::new(hmac::HMAC_SHA256, derived.as_ref()) })
    }

    /// Seals `content` for one `purpose`, such as a person's id: it opens for the same purpose only.
    pub(in crate::zone) fn seal(&self, purpose: &str, content: &[u8]) -> Option<String> {
        let nonce: [u8; 12] = random::bytes();
        let mut sealed = content.to_vec();
        let aad = Aad::from(purpose.as_bytes());
        self.sealing.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), aad, &mut sealed).ok()?;
        Some(URL_SAFE_NO_PAD.encode([&nonce[..], &sealed].concat()))
    }

    /// Opens what [`Seal::seal`] gave.
    pub(in crate::zone) fn open_sealed(&self, purpose: &str, sealed: &str) -> Result<Secret, NotOpened> {
        let bytes = URL_SAFE_NO_PAD.decode(sealed).map_err(|_| NotOpened)?;
        let (nonce, sealed) = bytes.split_at_checked(12).ok_or(NotOpened)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| NotOpened)?;
        let mut sealed = Zeroizing::new(sealed.to_vec());
        let opened = self.sealing.open_in_place(nonce, Aad::from(purpose.as_bytes()), &mut sealed);
        Ok(Secret::new(&*opened.map_err(|_| NotOpened)?))
    }

    /// A mark that only this zone can make.
    pub(in crate::zone) fn mark(&self, text: &str) -> String {
        URL_SAFE_NO_PAD.encode(hmac::sign(&self.marking, text.as_bytes()))
    }

    /// Whether this zone made the mark.
    pub(in crate::zone) fn is_marked(&self, text: &str, mark: &str) -> bool {
        verify_slices_are_equal(self.mark(text).as_bytes(), mark.as_bytes()).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_opens_for_its_purpose_only() {
        let seal = Seal::of(&[7; 32]).unwrap();
        let sealed = seal.seal("ada", b"secret").unwrap();
        assert_ne!(sealed, seal.seal("ada", b"secret").unwrap());
        assert_eq!(seal.open_sealed("ada", &sealed).unwrap().expose(), b"secret");
        assert!(seal.open_sealed("bob", &sealed).is_err());
        assert!(Seal::of(&[8; 32]).unwrap().open_sealed("ada", &sealed).is_err());
        assert!(seal.open_sealed("ada", "rubbish").is_err());
        assert!(Seal::of(b"short").is_none());
    }

    #[test]
    fn a_mark_is_of_one_text_and_one_key() {
        let seal = Seal::of(&[7; 32]).unwrap();
        let mark = seal.mark("text");
        assert!(seal.is_marked("text", &mark));
        assert!(!seal.is_marked("another", &mark));
        assert!(!Seal::of(&[8; 32]).unwrap().is_marked("text", &mark));
    }
}
