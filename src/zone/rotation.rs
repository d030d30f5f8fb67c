//! A new signing key at once, at the word of whoever holds the database and its sealing key. In time the zone renews its
//! keys by itself (see `keyring`).

use std::path::Path;
use std::sync::Arc;

use crate::model::Timestamp;
use crate::zone::error::Error;
use crate::zone::id::ZoneId;
use crate::zone::keyring::Keyring;
use crate::zone::seal::Seal;
use crate::zone::seal::SealFailed;
use crate::zone::store::Database;
use crate::zone::store::Store;

/// Makes a zone of the database sign with a new key; its id. Without a name it is the home zone.
///
/// The old key stays in the JWKS until its last token is dead. Processes that serve the zone take the new key up when
/// they are next asked for their JWKS, and within [`ZONE_KEYS_LOOK`](crate::limits::ZONE_KEYS_LOOK).
///
/// # Errors
/// When there is no such zone, or database or sealing key can't be used.
pub async fn rotate_key(
    database: &Database,
    sealing_key: &Path,
    zone: Option<&str>,
    now: Timestamp,
) -> Result<String, Error> {
    // Where there is none, none is made: it would open nothing.
    sealing_key.metadata().map_err(|source| SealFailed::File { path: sealing_key.to_owned(), source })?;
    let seal = Arc::new(Seal::open(sealing_key)?);
    let home = Store::open(database, now).await?;
    let rotated = rotate(&home, seal, zone, now).await;
    home.close().await;
    rotated
}

async fn rotate(home: &Store, seal: Arc<Seal>, zone: Option<&str>, now: Timestamp) -> Result<String, Error> {
    let store = match zone {
        None => home.clone(),
        Some(named) => {
            let id = ZoneId::known(named.to_owned());
            if named.contains('\0') || !home.is_zone(&id).await? {
                return Err(Error::NoZone(named.escape_debug().to_string()));
            }
            home.of(id)
        }
    };
    let keyring = Keyring::open(seal, None, &store, now).await?;
    keyring.rotate(&store, now).await?;
    Ok(store.zone().to_string())
}
