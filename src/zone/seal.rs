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
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::model::Secret;
use crate::os::random;
use crate::zone::private_file;

/// Seals and opens.
pub(in crate::zone) struct Seal {
    key: RandomizedNonceKey,
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
        Ok(Self { key: key.map_err(|_| SealFailed::Content { path: file.to_owned() })? })
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
    fn a_file_of_another_length_is_no_sealing_key() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("zone.seal");
        private_file::replace(&file, b"short").unwrap();
        assert!(matches!(Seal::open(&file), Err(SealFailed::Content { .. })));
    }
}
