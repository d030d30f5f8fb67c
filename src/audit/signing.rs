//! Who vouches for the head of the chain: an Ed25519 key (RFC 8032) that does not live beside the ledger.
//!
//! Whoever can write the ledger but not read the key can't cut, rewrite or re-chain what was signed.

use std::io;
use std::io::Read as _;
use std::path::Path;
use std::path::PathBuf;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::ED25519;
use aws_lc_rs::signature::Ed25519KeyPair;
use aws_lc_rs::signature::KeyPair as _;
use aws_lc_rs::signature::UnparsedPublicKey;
use serde::Deserialize;
use serde::Serialize;
use zeroize::Zeroizing;

use crate::audit::chain;
use crate::audit::chain::Head;
use crate::audit::folder;
use crate::audit::line::Body;
use crate::model::Timestamp;

/// The ledger's key can't be made or read.
#[derive(Debug, thiserror::Error)]
pub enum KeyNotUsable {
    /// Can't be made or read.
    #[error("the ledger's key `{}` can't be used", path.display())]
    Unusable {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Others may read it.
    #[error(transparent)]
    NotPrivate(#[from] folder::FolderNotUsable),
    /// Not an Ed25519 key as PKCS #8.
    #[error("`{}` is not an Ed25519 key", path.display())]
    NotAKey {
        /// Which file.
        path: PathBuf,
    },
}

/// Signs heads.
#[derive(Debug)]
pub(super) struct Signer {
    pair: Ed25519KeyPair,
    public: PublicKey,
}

impl Signer {
    /// Reads `ledger.key` from the folder, or makes it there.
    pub fn load(key_folder: &Path) -> Result<Self, KeyNotUsable> {
        let path = key_folder.join("ledger.key");
        let unusable = |source| KeyNotUsable::Unusable { path: path.clone(), source };
        let not_a_key = || KeyNotUsable::NotAKey { path: path.clone() };
        folder::private_folder(key_folder)?;
        let mut pkcs8 = Zeroizing::new(Vec::new());
        match folder::open_to_read(&path) {
            Ok(file) => {
                folder::private(&path, &file.metadata().map_err(unusable)?)?;
                file.take(KEY_BYTES_MAX).read_to_end(&mut pkcs8).map_err(unusable)?;
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let made = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).map_err(|_| not_a_key())?;
                pkcs8.extend_from_slice(made.as_ref());
                folder::create_private(&path, &pkcs8).map_err(unusable)?;
                folder::sync_folder(key_folder).map_err(unusable)?;
            }
            Err(error) => return Err(unusable(error)),
        }
        let pair = Ed25519KeyPair::from_pkcs8(&pkcs8).map_err(|_| not_a_key())?;
        let public = PublicKey(<[u8; 32]>::try_from(pair.public_key().as_ref()).map_err(|_| not_a_key())?);
        Ok(Self { pair, public })
    }

    /// Whoever has this can verify.
    pub fn public(&self) -> PublicKey {
        self.public
    }

    /// Vouches that the chain stood at `head` on `day`.
    pub fn sign(&self, day: &str, head: &Head) -> String {
        chain::hex(self.pair.sign(&message(day, head.seq(), head.hash())).as_ref())
    }
}

/// The half of the ledger's key that verifies; shown as 64 hex digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublicKey([u8; 32]);

impl PublicKey {
    /// Reads what `Display` writes; white space around it is fine.
    pub fn parse(text: &str) -> Option<Self> {
        chain::unhex(text.trim()).and_then(|bytes| <[u8; 32]>::try_from(bytes).ok()).map(Self)
    }

    /// From a file such as the `ledger.pub` beside the ledger.
    pub fn read(path: &Path) -> io::Result<Self> {
        let mut text = String::new();
        folder::open_to_read(path)?.take(KEY_BYTES_MAX).read_to_string(&mut text)?;
        Self::parse(&text).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "not 64 hex digits"))
    }

    fn vouches(&self, day: &str, seq: u64, hash: &str, signature: &str) -> bool {
        let Some(signature) = chain::unhex(signature) else { return false };
        UnparsedPublicKey::new(&ED25519, self.0).verify(&message(day, seq, hash), &signature).is_ok()
    }
}

impl std::fmt::Display for PublicKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// A head with its signature, as it stands in the file `head.json` and in `signed` lines.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct SignedHead {
    pub day: String,
    #[serde(rename = "head_seq")]
    pub seq: u64,
    pub head: String,
    pub time: Timestamp,
    pub key: String,
    pub signature: String,
}

impl SignedHead {
    /// Signs `head`.
    pub fn new(signer: &Signer, day: &str, head: &Head, time: Timestamp) -> Self {
        Self {
            day: day.to_owned(),
            seq: head.seq(),
            head: head.hash().to_owned(),
            time,
            key: signer.public().to_string(),
            signature: signer.sign(day, head),
        }
    }

    /// The head it names, when `key` vouches for it.
    pub fn vouched(&self, key: &PublicKey) -> Option<Head> {
        let vouched = key.vouches(&self.day, self.seq, &self.head, &self.signature);
        Head::new(self.seq, self.head.as_bytes()).filter(|_| vouched)
    }

    /// Writes the body of a `signed` line.
    pub fn write_body(&self, bytes: &mut Vec<u8>) {
        let mut body = Body::begin(bytes, "signed");
        body.time("time", self.time).text("day", &self.day).number("head_seq", self.seq).text("head", &self.head);
        body.text("key", &self.key).text("signature", &self.signature);
        body.end();
    }

    /// Puts it in the place of the one before.
    pub fn write(&self, folder: &Path, name: &str) -> io::Result<()> {
        folder::replace(folder, name, &serde_json::to_vec(self)?)
    }

    /// The same without waiting for the disk.
    pub fn write_soon(&self, folder: &Path, name: &str) -> io::Result<()> {
        folder::replace_soon(folder, name, &serde_json::to_vec(self)?)
    }

    /// The last one that was written; none when there is none.
    pub fn read(folder: &Path, name: &str) -> io::Result<Option<Self>> {
        let file = match folder::open_to_read(&folder.join(name)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut text = Vec::new();
        file.take(KEY_BYTES_MAX).read_to_end(&mut text)?;
        if text.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(Some(serde_json::from_slice(&text)?))
    }
}

/// What is signed: it says what it is for, so that the signature is good for nothing else.
fn message(day: &str, seq: u64, hash: &str) -> Vec<u8> {
    format!("valetkey ledger head v1\n{day}\n{seq}\n{hash}\n").into_bytes()
}

/// No key file or head file is longer.
const KEY_BYTES_MAX: u64 = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_is_made_once_and_vouches_for_exactly_what_was_signed() {
        let folder = tempfile::tempdir().unwrap();
        let keys = folder.path().join("keys");
        let first = Signer::load(&keys).unwrap();
        let second = Signer::load(&keys).unwrap();
        assert_eq!(first.public(), second.public());
        let mut signed = SignedHead::new(&first, "2026-11-20", &Head::START, Timestamp::from_millis(0));
        assert_eq!(signed.vouched(&second.public()), Some(Head::START));
        signed.seq = 1;
        assert_eq!(signed.vouched(&second.public()), None);
    }

    #[test]
    fn a_key_that_others_may_read_is_refused() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let keys = folder.path().join("keys");
        Signer::load(&keys).unwrap();
        std::fs::set_permissions(keys.join("ledger.key"), std::fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(Signer::load(&keys), Err(KeyNotUsable::NotPrivate(_))));
    }
}
