//! The keys that sign, and those before them whose tokens may still live.

use sqlx::Any;
use sqlx::Transaction;

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

impl Store {
    /// The key that signs so; none before the first start is over.
    pub(in crate::zone) async fn current_key(&self, algorithm: Algorithm) -> Result<Option<CurrentKey>, StoreFailed> {
        let row: Option<(String, Option<String>)> = sqlx::query_as(
            "SELECT kid, sealed FROM signing_keys WHERE zone_id = $1 AND algorithm = $2 AND dies_at IS NULL",
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

    /// Makes `key` the one that signs with its algorithm, in the place of `predecessor`, which is shown until `dies_at`
    /// and whose private half is gone.
    pub(in crate::zone) async fn succeed_key(
        &self,
        predecessor: Option<&str>,
        key: &NewKey,
        dies_at: Timestamp,
        now: Timestamp,
    ) -> Result<Succession, StoreFailed> {
        let mut change = self.pool.begin().await?;
        if let Some(predecessor) = predecessor {
            let retired = sqlx::query(
                "UPDATE signing_keys SET dies_at = $1, sealed = NULL
                 WHERE zone_id = $2 AND kid = $3 AND dies_at IS NULL",
            )
            .bind(dies_at.as_millis())
            .bind(self.zone.as_str())
            .bind(predecessor)
            .execute(&mut *change)
            .await?;
            if retired.rows_affected() == 0 {
                return Ok(Succession::Overtaken);
            }
        }
        if !add_key(&mut change, &self.zone, key, now).await? {
            return Ok(Succession::Overtaken);
        }
        change.commit().await?;
        Ok(Succession::Done)
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
    let added = sqlx::query(
        "INSERT INTO signing_keys (kid, zone_id, algorithm, jwk, sealed, created_at) VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT DO NOTHING",
    )
    .bind(&key.kid)
    .bind(zone.as_str())
    .bind(key.algorithm.as_str())
    .bind(&key.jwk)
    .bind(&key.sealed)
    .bind(now.as_millis())
    .execute(&mut **change)
    .await?;
    Ok(added.rows_affected() == 1)
}
