//! What the database may hold only sealed: private keys, secrets of others that must be shown again.
//!
//! The sealing key lives in a file of its own (0600) and never in the database: databases are copied, dumped and sent
//! around with questions, and a copy must be worth nothing. Each sealed text is bound to the row it belongs to, so that
//! it can't be moved to another one.

use std::io;
use std::path::Path;
use std::path::PathBuf;

use aws_lc_rs::aead::AES_256_GCM;
use aws_lc_rs::aead::Aad;
use aws_lc_rs::aead::NONCE_LEN;
use aws_lc_rs::aead::Nonce;
use aws_lc_rs::aead::RandomizedNonceKey;
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::model::Secret;
use crate::os::random;
use crate::zone::private_file;

/// Seals and opens, and makes marks that nobody else can make.
pub(in crate::zone) struct Seal {
    key: RandomizedNonceKey,
    marking: hmac::Key,
}

/// The sealing key is not to be had, or is another one.
#[derive(Debug, thiserror::Error)]
pub enum SealFailed {
    /// The file can't be read or written, or is open to others.
    #[error("can't use the zone's sealing key `{}`", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file holds something else.
    #[error("`{}` does not hold a sealing key of 32 bytes", path.display())]
    Content {
        /// Which.
        path: PathBuf,
    },
    /// A sealed text was changed, moved, or sealed with another key.
    #[error("the zone's database holds what its sealing key does not open")]
    Broken,
    /// Nothing can be sealed.
    #[error("nothing could be sealed")]
    Unable,
}

impl SealFailed {
    /// What to do about it, where there is something.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::File { .. } => Some("make it a file of your own: chmod 600, in a folder that you may write"),
            Self::Content { .. } => Some("put the right file in its place; without it, what was sealed is lost"),
            Self::Broken => Some("every replica needs the sealing key that this database was made with"),
            Self::Unable => None,
        }
    }
}

impl Seal {
    /// Reads the sealing key, or makes one on first start.
    pub(in crate::zone) fn open(file: &Path) -> Result<Self, SealFailed> {
        let failed = |source| SealFailed::File { path: file.to_owned(), source };
        let bytes = match private_file::read(file).map_err(failed)? {
            Some(bytes) => Secret::new(bytes),
            None => {
                let made = Secret::new(random::bytes::<32>().to_vec());
                private_file::prepare_folder(file).map_err(failed)?;
                private_file::replace(file, made.expose()).map_err(failed)?;
                made
            }
        };
        let key = RandomizedNonceKey::new(&AES_256_GCM, bytes.expose());
        let key = key.map_err(|_| SealFailed::Content { path: file.to_owned() })?;
        // A key for each use, so that what one of them shows says nothing of the other.
        let derived = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, bytes.expose()), b"valetkey zone marks");
        Ok(Self { key, marking: hmac::Key::new(hmac::HMAC_SHA256, derived.as_ref()) })
    }

    /// Seals `secret` as part of `row`.
    pub(in crate::zone) fn seal(&self, row: &str, secret: &Secret) -> Result<String, SealFailed> {
        let mut text = secret.expose().to_vec();
        let nonce = self.key.seal_in_place_append_tag(Aad::from(row.as_bytes()), &mut text);
        let nonce = nonce.map_err(|_| SealFailed::Unable)?;
        let mut sealed = nonce.as_ref().to_vec();
        sealed.append(&mut text);
        Ok(STANDARD.encode(sealed))
    }

    /// A mark on `text` that only this zone can make.
    pub(in crate::zone) fn mark(&self, text: &str) -> String {
        URL_SAFE_NO_PAD.encode(hmac::sign(&self.marking, text.as_bytes()))
    }

    /// Whether this zone made the mark.
    pub(in crate::zone) fn is_marked(&self, text: &str, mark: &str) -> bool {
        verify_slices_are_equal(self.mark(text).as_bytes(), mark.as_bytes()).is_ok()
    }

    /// Opens what was sealed as part of `row`.
    pub(in crate::zone) fn unseal(&self, row: &str, sealed: &str) -> Result<Secret, SealFailed> {
        let mut bytes = STANDARD.decode(sealed).map_err(|_| SealFailed::Broken)?;
        if bytes.len() < NONCE_LEN {
            return Err(SealFailed::Broken);
        }
        let mut text = bytes.split_off(NONCE_LEN);
        let nonce = Nonce::try_assume_unique_for_key(&bytes).map_err(|_| SealFailed::Broken)?;
        let opened = self.key.open_in_place(nonce, Aad::from(row.as_bytes()), &mut text);
        let length = opened.map_err(|_| SealFailed::Broken)?.len();
        text.truncate(length);
        Ok(Secret::new(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_sealed_opens_in_its_row_with_its_key_only() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("zone.seal");
        let seal = Seal::open(&file).unwrap();
        let sealed = seal.seal("secrets/1", &Secret::new("hunter2")).unwrap();
        assert_ne!(sealed, seal.seal("secrets/1", &Secret::new("hunter2")).unwrap());
        assert_eq!(Seal::open(&file).unwrap().unseal("secrets/1", &sealed).unwrap().expose(), b"hunter2");
        assert!(matches!(seal.unseal("secrets/2", &sealed), Err(SealFailed::Broken)));
        let other = Seal::open(&folder.path().join("other.seal")).unwrap();
        assert!(matches!(other.unseal("secrets/1", &sealed), Err(SealFailed::Broken)));
        for broken in ["", "AAAA", "not base64"] {
            assert!(matches!(seal.unseal("secrets/1", broken), Err(SealFailed::Broken)));
        }
    }

    #[test]
    fn a_mark_is_of_one_text_and_one_key() {
        let folder = tempfile::tempdir().unwrap();
        let (seal, other) = ("zone.seal", "other.seal");
        let [seal, other] = [seal, other].map(|name| Seal::open(&folder.path().join(name)).unwrap());
        let mark = seal.mark("text");
        assert!(seal.is_marked("text", &mark));
        assert!(!seal.is_marked("another", &mark) && !other.is_marked("text", &mark));
    }

    #[test]
    fn a_file_of_another_length_is_no_sealing_key() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("zone.seal");
        private_file::replace(&file, b"short").unwrap();
        assert!(matches!(Seal::open(&file), Err(SealFailed::Content { .. })));
    }
}
