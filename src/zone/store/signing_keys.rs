//! The keys that sign, those that are to, and those before them whose tokens may still live.

use sqlx::Any;
use sqlx::Transaction;
use sqlx::any::AnyArguments;
use sqlx::query::Query;

use crate::jose::Algorithm;
use crate::jose::Jwk;
use crate::model::Timestamp;
use crate::zone::id::ZoneId;
use crate::zone::store::Store;
use crate::zone::store::StoreFailed;

/// The key that signs, as the store holds it.
pub(in crate::zone) struct CurrentKey {
    pub(in crate::zone) kid: String,
    pub(in crate::zone) sealed: String,
}

/// A key that is to sign, as the store will hold it.
pub(in crate::zone) struct NewKey {
    pub(in crate::zone) kid: String,
    pub(in crate::zone) algorithm: Algorithm,
    /// The public half, as JSON.
    pub(in crate::zone) jwk: String,
    pub(in crate::zone) sealed: String,
}

/// How a key came to be the current one.
#[must_use]
#[derive(Debug, PartialEq, Eq)]
pub(in crate::zone) enum Succession {
    /// It is now.
    Done,
    /// Another replica was faster: its key is the current one.
    Overtaken,
}

/// How old the key is that signs with an algorithm, and its successor, where it is shown already.
pub(in crate::zone) struct KeyAges {
    pub(in crate::zone) current: KeyAge,
    pub(in crate::zone) upcoming: Option<KeyAge>,
}

/// Since when a key has been what it is.
pub(in crate::zone) struct KeyAge {
    pub(in crate::zone) kid: String,
    pub(in crate::zone) since: Timestamp,
}

impl Store {
    /// The key that signs so; none before the first start is over.
    pub(in crate::zone) async fn current_key(&self, algorithm: Algorithm) -> Result<Option<CurrentKey>, StoreFailed> {
        let row: Option<(String, Option<String>)> = sqlx::query_as(
            "SELECT kid, sealed FROM signing_keys
             WHERE zone_id = $1 AND algorithm = $2 AND upcoming = 0 AND dies_at IS NULL",
        )
        .bind(self.zone.as_str())
        .bind(algorithm.as_str())
        .fetch_optional(&self.pool)
        .await?;
        match row {
            None => Ok(None),
            Some((kid, Some(sealed))) => Ok(Some(CurrentKey { kid, sealed })),
            Some((_, None)) => Err(StoreFailed::Damaged("signing_keys")),
        }
    }

    /// How old the keys of an algorithm are; none when there are none.
    pub(in crate::zone) async fn key_ages(&self, algorithm: Algorithm) -> Result<Option<KeyAges>, StoreFailed> {
        let rows: Vec<(String, i64, i64)> = sqlx::query_as(
            "SELECT kid, since, upcoming FROM signing_keys WHERE zone_id = $1 AND algorithm = $2 AND dies_at IS NULL",
        )
        .bind(self.zone.as_str())
        .bind(algorithm.as_str())
        .fetch_all(&self.pool)
        .await?;
        let (mut current, mut upcoming) = (None, None);
        for (kid, since, is_upcoming) in rows {
            let age = Some(KeyAge { kid, since: Timestamp::from_millis(since) });
            if is_upcoming == 0 { current = age } else { upcoming = age }
        }
        Ok(current.map(|current| KeyAges { current, upcoming }))
    }

    /// Shows `key`, which is to sign later, where no other is shown.
    pub(in crate::zone) async fn show_key(&self, key: &NewKey, now: Timestamp) -> Result<Succession, StoreFailed> {
        let added = insert_key(&self.zone, key, Place::Upcoming, now).execute(&self.pool).await?;
        Ok(if added.rows_affected() == 1 { Succession::Done } else { Succession::Overtaken })
    }

    /// Lets the key that is shown sign in the place of `current`, which is shown until `dies_at` and whose private half
    /// is gone.
    pub(in crate::zone) async fn promote_key(
        &self,
        current: &str,
        upcoming: &str,
        dies_at: Timestamp,
        now: Timestamp,
    ) -> Result<Succession, StoreFailed> {
        let mut change = self.pool.begin().await?;
        if !retire(&mut change, &self.zone, current, dies_at).await? {
            return Ok(Succession::Overtaken);
        }
        let promoted = sqlx::query(
            "UPDATE signing_keys SET upcoming = 0, since = $1
             WHERE zone_id = $2 AND kid = $3 AND upcoming = 1 AND dies_at IS NULL",
        )
        .bind(now.as_millis())
        .bind(self.zone.as_str())
        .bind(upcoming)
        .execute(&mut *change)
        .await?;
        if promoted.rows_affected() != 1 {
            return Ok(Succession::Overtaken);
        }
        change.commit().await?;
        Ok(Succession::Done)
    }

    /// Makes `key` the one that signs with its algorithm, in the place of `predecessor`, which is shown until `dies_at`
    /// and whose private half is gone. A key that was to sign next is dropped: whoever rotates at once may have lost it.
    pub(in crate::zone) async fn succeed_key(
        &self,
        predecessor: Option<&str>,
        key: &NewKey,
        dies_at: Timestamp,
        now: Timestamp,
    ) -> Result<Succession, StoreFailed> {
        let mut change = self.pool.begin().await?;
        if let Some(predecessor) = predecessor {
            if !retire(&mut change, &self.zone, predecessor, dies_at).await? {
                return Ok(Succession::Overtaken);
            }
            sqlx::query("DELETE FROM signing_keys WHERE zone_id = $1 AND algorithm = $2 AND upcoming = 1")
                .bind(self.zone.as_str())
                .bind(key.algorithm.as_str())
                .execute(&mut *change)
                .await?;
        }
        if !add_key(&mut change, &self.zone, key, now).await? {
            return Ok(Succession::Overtaken);
        }
        change.commit().await?;
        Ok(Succession::Done)
    }

    /// Those that are shown and sign later.
    pub(in crate::zone) async fn upcoming_keys(&self) -> Result<Vec<Jwk>, StoreFailed> {
        let rows: Vec<String> = sqlx::query_scalar(
            "SELECT jwk FROM signing_keys WHERE zone_id = $1 AND upcoming = 1 AND dies_at IS NULL ORDER BY since, kid",
        )
        .bind(self.zone.as_str())
        .fetch_all(&self.pool)
        .await?;
        Ok(rows.into_iter().filter_map(|jwk| serde_json::from_str(&jwk).ok()).collect())
    }

    /// Those whose tokens may still live.
    pub(in crate::zone) async fn retired_keys(&self, now: Timestamp) -> Result<Vec<(Jwk, Timestamp)>, StoreFailed> {
        let rows: Vec<(String, i64)> = sqlx::query_as(
            "SELECT jwk, dies_at FROM signing_keys WHERE zone_id = $1 AND dies_at > $2 ORDER BY dies_at",
        )
        .bind(self.zone.as_str())
        .bind(now.as_millis())
        .fetch_all(&self.pool)
        .await?;
        let read =
            |(jwk, dies_at): (String, i64)| Some((serde_json::from_str(&jwk).ok()?, Timestamp::from_millis(dies_at)));
        Ok(rows.into_iter().filter_map(read).collect())
    }
}

/// Adds a key that signs, as part of a larger change; false when the zone has one of its algorithm.
pub(super) async fn add_key(
    change: &mut Transaction<'_, Any>,
    zone: &ZoneId,
    key: &NewKey,
    now: Timestamp,
) -> Result<bool, StoreFailed> {
    let added = insert_key(zone, key, Place::Current, now).execute(&mut **change).await?;
    Ok(added.rows_affected() == 1)
}

/// Ends the signing of a key, as part of a larger change; false when somebody else was faster.
async fn retire(
    change: &mut Transaction<'_, Any>,
    zone: &ZoneId,
    kid: &str,
    dies_at: Timestamp,
) -> Result<bool, StoreFailed> {
    let retired = sqlx::query(
        "UPDATE signing_keys SET dies_at = $1, sealed = NULL
         WHERE zone_id = $2 AND kid = $3 AND upcoming = 0 AND dies_at IS NULL",
    )
    .bind(dies_at.as_millis())
    .bind(zone.as_str())
    .bind(kid)
    .execute(&mut **change)
    .await?;
    Ok(retired.rows_affected() == 1)
}

/// Whether a key signs, or is only shown.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Current,
    Upcoming,
}

fn insert_key<'a>(zone: &'a ZoneId, key: &'a NewKey, place: Place, now: Timestamp) -> Query<'a, Any, AnyArguments> {
    sqlx::query(
        "INSERT INTO signing_keys (kid, zone_id, algorithm, jwk, sealed, created_at, since, upcoming)
         VALUES ($1, $2, $3, $4, $5, $6, $6, $7) ON CONFLICT DO NOTHING",
    )
    .bind(&key.kid)
    .bind(zone.as_str())
    .bind(key.algorithm.as_str())
    .bind(&key.jwk)
    .bind(&key.sealed)
    .bind(now.as_millis())
    .bind(i64::from(place == Place::Upcoming))
}
