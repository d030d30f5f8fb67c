//! The signing keys: one that signs, and those before it that may still be asked for.
//!
//! The private key lives in a file of its own (0600) beside the database and never in it: databases are copied,
//! dumped and sent around with questions, and a copy must not be able to sign. Sealing it in the database would need
//! a key beside the database again. A retired key's private half is gone with the file that it was in.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

use crate::jose::Jwk;
use crate::jose::Jwks;
use crate::jose::KeyNotUsable;
use crate::jose::KeySet;
use crate::jose::SigningKey;
use crate::limits::JWT_LEEWAY;
use crate::limits::ZONE_TOKEN_LIFETIME_MAX;
use crate::model::Secret;
use crate::model::Timestamp;
use crate::zone::private_file;
use crate::zone::store::Store;
use crate::zone::store::StoreFailed;

/// The zone's keys; read without a lock, changed by `rotate` only.
pub(in crate::zone) struct Keyring {
    file: PathBuf,
    keys: ArcSwap<Keys>,
    /// One rotation at a time: two at once would lose the key of the first.
    rotation: Semaphore,
}

/// One moment's keys.
pub(in crate::zone) struct Keys {
    signing: SigningKey,
    retired: Vec<(Jwk, Timestamp)>,
    verifying: KeySet,
}

/// The signing key is not to be had.
#[derive(Debug, thiserror::Error)]
pub enum KeyringFailed {
    /// The file can't be read or written, or is open to others.
    #[error("can't use the zone's signing key `{}`", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file holds something else.
    #[error("`{}` does not hold the zone's signing key", path.display())]
    Content {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        source: KeyNotUsable,
    },
    /// No key could be made.
    #[error("no signing key could be made")]
    Generation,
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreFailed),
}

impl KeyringFailed {
    /// What to do about it, where there is something.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::File { .. } => Some("make it a file of your own: chmod 600, in a folder that you may write"),
            Self::Content { .. } => Some("move it away: a new key is made at the next start, and old tokens end"),
            Self::Generation | Self::Store(_) => None,
        }
    }
}

impl Keyring {
    /// Reads the key from `file`, or makes one on first start.
    pub(in crate::zone) async fn open(file: PathBuf, store: &Store, now: Timestamp) -> Result<Self, KeyringFailed> {
        let unreadable = |source| KeyringFailed::File { path: file.clone(), source };
        let signing = match private_file::read(&file).map_err(unreadable)?.map(Secret::new) {
            Some(der) => {
                SigningKey::from_pkcs8(&der).map_err(|source| KeyringFailed::Content { path: file.clone(), source })?
            }
            None => {
                let made = generate().await?;
                keep(&file, &made)?;
                made
            }
        };
        let keys = Keys::new(signing, store.retired_keys(now).await?);
        Ok(Self { file, keys: ArcSwap::from_pointee(keys), rotation: Semaphore::new(1) })
    }

    /// The keys of this moment.
    pub(in crate::zone) fn keys(&self) -> Arc<Keys> {
        self.keys.load_full()
    }

    /// Makes a new key and signs with it from now on. A verifier that does not know it yet fetches the JWKS again.
    pub(in crate::zone) async fn rotate(&self, store: &Store, now: Timestamp) -> Result<(), KeyringFailed> {
        let _turn = self.rotation.acquire().await.map_err(|_| KeyringFailed::Generation)?;
        let made = generate().await?;
        // The old key is remembered before the new one takes its file: a crash between the two loses nothing.
        let dies_at = now.after(ZONE_TOKEN_LIFETIME_MAX).after(JWT_LEEWAY);
        store.retire_key(self.keys().signing.public(), dies_at).await?;
        keep(&self.file, &made)?;
        self.keys.store(Arc::new(Keys::new(made, store.retired_keys(now).await?)));
        Ok(())
    }
}

impl Keys {
    fn new(signing: SigningKey, retired: Vec<(Jwk, Timestamp)>) -> Self {
        let public = std::iter::once(signing.public()).chain(retired.iter().map(|(key, _)| key));
        let verifying = KeySet::from_jwks(&Jwks::of(public));
        Self { signing, retired, verifying }
    }

    /// The one that signs.
    pub(in crate::zone) fn signing(&self) -> &SigningKey {
        &self.signing
    }

    /// All that may verify a token of this zone.
    pub(in crate::zone) fn verifying(&self) -> &KeySet {
        &self.verifying
    }

    /// What the JWKS shows at this moment.
    pub(in crate::zone) fn jwks(&self, now: Timestamp) -> Jwks {
        let current = self.signing.public();
        let alive = self.retired.iter().filter(|(key, dies_at)| *dies_at > now && key.kid() != current.kid());
        Jwks::of(std::iter::once(current).chain(alive.map(|(key, _)| key)))
    }
}

/// Off the runtime's threads: finding two primes takes a while.
async fn generate() -> Result<SigningKey, KeyringFailed> {
    let made = spawn_blocking(SigningKey::generate).await;
    made.map_err(|_| KeyringFailed::Generation)?.map_err(|_| KeyringFailed::Generation)
}

fn keep(file: &std::path::Path, key: &SigningKey) -> Result<(), KeyringFailed> {
    let der = key.to_pkcs8().map_err(|_| KeyringFailed::Generation)?;
    private_file::replace(file, der.expose()).map_err(|source| KeyringFailed::File { path: file.to_owned(), source })
}
