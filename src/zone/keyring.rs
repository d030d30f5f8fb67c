//! The signing keys: one that signs for each algorithm, and those before them that may still be asked for.
//!
//! They are in the database, so that every replica signs with the same one, and the private half is sealed (see
//! `seal`), so that a copy of the database can't sign. A retired key's private half is gone.
//!
//! A key signs for [`ZONE_KEY_LIFETIME`]; then its successor is shown for [`ZONE_KEY_SHOWN_BEFORE`], and signs. Each of
//! the two is one change of the database that only one replica makes. Whoever can't wait rotates at once, by command.
//!
//! A replica learns of another's rotation when it is asked for the JWKS, when it meets a key that it does not know, and
//! every now and then. Until then it signs with the retired key, which is in every JWKS for longer than its tokens live.

use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

use crate::jose::Algorithm;
use crate::jose::Jwk;
use crate::jose::Jwks;
use crate::jose::KeyNotUsable;
use crate::jose::KeySet;
use crate::jose::SigningKey;
use crate::limits::JWT_LEEWAY;
use crate::limits::ZONE_KEY_LIFETIME;
use crate::limits::ZONE_KEY_SHOWN_BEFORE;
use crate::limits::ZONE_TOKEN_LIFETIME_MAX;
use crate::model::Secret;
use crate::model::Timestamp;
use crate::zone::private_file;
use crate::zone::seal::Seal;
use crate::zone::seal::SealFailed;
use crate::zone::store::CurrentKey;
use crate::zone::store::KeyAges;
use crate::zone::store::NewKey;
use crate::zone::store::Store;
use crate::zone::store::StoreFailed;
use crate::zone::store::Succession;

/// The zone's keys; read without a lock.
pub(in crate::zone) struct Keyring {
    seal: Arc<Seal>,
    keys: ArcSwap<Keys>,
    /// One rotation at a time: a key that is made in vain takes a while.
    rotation: Semaphore,
}

/// One moment's keys.
pub(in crate::zone) struct Keys {
    rsa: Arc<SigningKey>,
    ec: Arc<SigningKey>,
    upcoming: Vec<Jwk>,
    retired: Vec<(Jwk, Timestamp)>,
    verifying: KeySet,
}

/// The signing key is not to be had.
#[derive(Debug, thiserror::Error)]
pub enum KeyringFailed {
    /// The sealing key is not to be had, or is another one.
    #[error(transparent)]
    Seal(#[from] SealFailed),
    /// A file or row holds something else.
    #[error("what should be the zone's signing key is none")]
    Content(#[source] KeyNotUsable),
    /// No key could be made.
    #[error("no signing key could be made")]
    Generation,
    /// There is none, for there is no such zone any more.
    #[error("the zone has no signing key")]
    None,
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreFailed),
}

impl KeyringFailed {
    /// What to do about it, where there is something.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Seal(failed) => failed.hint(),
            Self::Content(_) | Self::Generation | Self::None | Self::Store(_) => None,
        }
    }
}

impl Keyring {
    /// Reads the keys of the store's zone. On first start they are made, or the RSA key is taken over from `earlier`: the
    /// file beside a personal zone's database where an earlier version kept it.
    pub(in crate::zone) async fn open(
        seal: Arc<Seal>,
        earlier: Option<&Path>,
        store: &Store,
        now: Timestamp,
    ) -> Result<Self, KeyringFailed> {
        for algorithm in Algorithm::ALL {
            if store.current_key(algorithm).await?.is_some() {
                continue;
            }
            let earlier = earlier.filter(|_| algorithm == Algorithm::Rs256);
            let made = match earlier.map(take_over).transpose()?.flatten() {
                Some(key) => key,
                None => generate(algorithm).await?,
            };
            // Overtaken by another replica's first start: then there is a key, and it is the one.
            let _ = succeed(&seal, store, None, &made, now).await?;
        }
        let keys = read(&seal, store, None, now).await?;
        Ok(Self { seal, keys: ArcSwap::from_pointee(keys), rotation: Semaphore::new(1) })
    }

    /// The keys of another zone of the same database. A zone that an earlier version made gets its first one now.
    pub(in crate::zone) async fn of_zone(&self, store: &Store, now: Timestamp) -> Result<Self, KeyringFailed> {
        Self::open(Arc::clone(&self.seal), None, store, now).await
    }

    /// The keys of a zone that is to be made, sealed as the store holds them.
    pub(in crate::zone) async fn first_keys(&self) -> Result<Vec<NewKey>, KeyringFailed> {
        let mut keys = Vec::with_capacity(Algorithm::ALL.len());
        for algorithm in Algorithm::ALL {
            keys.push(sealed(&self.seal, &generate(algorithm).await?)?);
        }
        Ok(keys)
    }

    /// The keys of this moment.
    pub(in crate::zone) fn keys(&self) -> Arc<Keys> {
        self.keys.load_full()
    }

    /// What seals the keys, and everything else that this database must not show.
    pub(in crate::zone) fn seal(&self) -> &Seal {
        &self.seal
    }

    /// Looks whether another replica changed the keys.
    pub(in crate::zone) async fn refresh(&self, store: &Store, now: Timestamp) -> Result<Arc<Keys>, KeyringFailed> {
        let keys = Arc::new(read(&self.seal, store, Some(&self.keys()), now).await?);
        self.keys.store(Arc::clone(&keys));
        Ok(keys)
    }

    /// Does what the keys' age asks for, and looks whether another replica did.
    pub(in crate::zone) async fn keep_young(&self, store: &Store, now: Timestamp) -> Result<Arc<Keys>, KeyringFailed> {
        // Where somebody is at it already, there is nothing to do.
        if let Ok(_turn) = self.rotation.try_acquire() {
            for algorithm in Algorithm::ALL {
                self.renew(store, algorithm, now).await?;
            }
        }
        self.refresh(store, now).await
    }

    async fn renew(&self, store: &Store, algorithm: Algorithm, now: Timestamp) -> Result<(), KeyringFailed> {
        let KeyAges { current, upcoming } = store.key_ages(algorithm).await?.ok_or(KeyringFailed::None)?;
        let renewed = match upcoming {
            Some(next) if now.since(next.since) >= ZONE_KEY_SHOWN_BEFORE => {
                store.promote_key(&current.kid, &next.kid, dies_at(now), now).await?
            }
            None if now.since(current.since) >= ZONE_KEY_LIFETIME => {
                store.show_key(&sealed(&self.seal, &generate(algorithm).await?)?, now).await?
            }
            Some(_) | None => return Ok(()),
        };
        match renewed {
            Succession::Done => tracing::info!(algorithm = algorithm.as_str(), "a signing key took its next step"),
            Succession::Overtaken => tracing::debug!("another replica renewed the signing key at the same moment"),
        }
        Ok(())
    }

    /// Makes new keys and signs with them from now on. A verifier that does not know them yet fetches the JWKS again.
    pub(in crate::zone) async fn rotate(&self, store: &Store, now: Timestamp) -> Result<(), KeyringFailed> {
        let _turn = self.rotation.acquire().await.map_err(|_| KeyringFailed::Generation)?;
        for algorithm in Algorithm::ALL {
            let made = generate(algorithm).await?;
            let predecessors = self.refresh(store, now).await?;
            let predecessor = predecessors.signing_with(algorithm).kid();
            if succeed(&self.seal, store, Some(predecessor), &made, now).await? == Succession::Overtaken {
                tracing::info!("another replica rotated the signing key at the same moment");
            }
        }
        self.refresh(store, now).await?;
        Ok(())
    }
}

impl Keys {
    fn new(rsa: Arc<SigningKey>, ec: Arc<SigningKey>, upcoming: Vec<Jwk>, retired: Vec<(Jwk, Timestamp)>) -> Self {
        // Another replica may sign with the next key a moment before this one learns of it.
        let public = [rsa.public(), ec.public()].into_iter().chain(&upcoming);
        let verifying = KeySet::from_jwks(&Jwks::of(public.chain(retired.iter().map(|(key, _)| key))));
        Self { rsa, ec, upcoming, retired, verifying }
    }

    /// The one that signs what every client must be able to verify.
    pub(in crate::zone) fn signing(&self) -> &SigningKey {
        &self.rsa
    }

    /// The one that signs so.
    pub(in crate::zone) fn signing_with(&self, algorithm: Algorithm) -> &Arc<SigningKey> {
        match algorithm {
            Algorithm::Rs256 => &self.rsa,
            Algorithm::Es256 => &self.ec,
        }
    }

    /// All that may verify a token of this zone.
    pub(in crate::zone) fn verifying(&self) -> &KeySet {
        &self.verifying
    }

    /// What the JWKS shows at this moment.
    pub(in crate::zone) fn jwks(&self, now: Timestamp) -> Jwks {
        let current = [self.rsa.public(), self.ec.public()];
        let is_current = |key: &Jwk| current.iter().any(|current| current.kid() == key.kid());
        let alive = self.retired.iter().filter(|(key, dies_at)| *dies_at > now && !is_current(key));
        let upcoming = self.upcoming.iter().filter(|key| !is_current(key));
        Jwks::of(current.into_iter().chain(upcoming).chain(alive.map(|(key, _)| key)))
    }
}

async fn read(seal: &Seal, store: &Store, known: Option<&Keys>, now: Timestamp) -> Result<Keys, KeyringFailed> {
    let rsa = read_one(seal, store, known, Algorithm::Rs256).await?;
    let ec = read_one(seal, store, known, Algorithm::Es256).await?;
    Ok(Keys::new(rsa, ec, store.upcoming_keys().await?, store.retired_keys(now).await?))
}

async fn read_one(
    seal: &Seal,
    store: &Store,
    known: Option<&Keys>,
    algorithm: Algorithm,
) -> Result<Arc<SigningKey>, KeyringFailed> {
    let CurrentKey { kid, sealed } = store.current_key(algorithm).await?.ok_or(KeyringFailed::None)?;
    if let Some(known) = known.map(|known| known.signing_with(algorithm)).filter(|known| known.kid() == kid) {
        return Ok(Arc::clone(known));
    }
    let key = SigningKey::from_pkcs8(&seal.unseal(&row(&kid), &sealed)?).map_err(KeyringFailed::Content)?;
    Ok(Arc::new(key))
}

async fn succeed(
    seal: &Seal,
    store: &Store,
    predecessor: Option<&str>,
    key: &SigningKey,
    now: Timestamp,
) -> Result<Succession, KeyringFailed> {
    Ok(store.succeed_key(predecessor, &sealed(seal, key)?, dies_at(now), now).await?)
}

/// When the last token is dead that a key signed which retires now.
fn dies_at(now: Timestamp) -> Timestamp {
    now.after(ZONE_TOKEN_LIFETIME_MAX).after(JWT_LEEWAY)
}

fn sealed(seal: &Seal, key: &SigningKey) -> Result<NewKey, KeyringFailed> {
    let der = key.to_pkcs8().map_err(|_| KeyringFailed::Generation)?;
    let jwk = serde_json::to_string(key.public()).map_err(|_| KeyringFailed::Generation)?;
    let sealed = seal.seal(&row(key.kid()), &der)?;
    Ok(NewKey { kid: key.kid().to_owned(), algorithm: key.algorithm(), jwk, sealed })
}

fn row(kid: &str) -> String {
    format!("signing_keys/{kid}")
}

/// Off the runtime's threads: finding two primes takes a while.
async fn generate(algorithm: Algorithm) -> Result<SigningKey, KeyringFailed> {
    let made = spawn_blocking(move || SigningKey::generate_for(algorithm)).await;
    made.map_err(|_| KeyringFailed::Generation)?.map_err(|_| KeyringFailed::Generation)
}

/// The key of an earlier version's file, which is of no more use afterwards.
fn take_over(file: &Path) -> Result<Option<SigningKey>, KeyringFailed> {
    let failed = |source| SealFailed::File { path: PathBuf::from(file), source };
    let Some(der) = private_file::read(file).map_err(failed)? else { return Ok(None) };
    SigningKey::from_pkcs8(&Secret::new(der)).map(Some).map_err(KeyringFailed::Content)
}
