//! Callers' own policies, each as one packed file in base64.

use crate::model::Timestamp;
use crate::zone::store::Change;
use crate::zone::store::Store;
use crate::zone::store::StoreFailed;

/// A kept bundle.
#[derive(Clone, Debug)]
pub(in crate::zone) struct KeptBundle {
    pub(in crate::zone) digest: String,
    /// In base64.
    pub(in crate::zone) bundle: String,
}

/// What must be there for a change to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::zone) enum Before<'a> {
    /// Whatever there is.
    Anything,
    /// Nothing was kept yet.
    Nothing,
    /// The bundle of this digest.
    Digest(&'a str),
}

impl Store {
    /// The caller's bundle.
    pub(in crate::zone) async fn policy_bundle(&self, owner: &str) -> Result<Option<KeptBundle>, StoreFailed> {
        let row: Option<(String, String)> =
            sqlx::query_as("SELECT digest, bundle FROM policy_bundles WHERE zone_id = $1 AND owner_id = $2")
                .bind(self.zone.as_str())
                .bind(owner)
                .fetch_optional(&self.pool)
                .await?;
        Ok(row.map(|(digest, bundle)| KeptBundle { digest, bundle }))
    }

    /// Keeps another one in its place, unless something else is there than was expected.
    pub(in crate::zone) async fn keep_policy_bundle(
        &self,
        owner: &str,
        kept: &KeptBundle,
        before: Before<'_>,
        now: Timestamp,
    ) -> Result<Change, StoreFailed> {
        let (sql, expected) = match before {
            Before::Anything => (KEEP, None),
            Before::Nothing => (KEEP_FIRST, None),
            Before::Digest(digest) => (KEEP_NEXT, Some(digest)),
        };
        let query = sqlx::query(sql)
            .bind(self.zone.as_str())
            .bind(owner)
            .bind(&kept.digest)
            .bind(&kept.bundle)
            .bind(now.as_millis());
        let query = match expected {
            Some(digest) => query.bind(digest),
            None => query,
        };
        let done = query.execute(&self.pool).await?;
        Ok(if done.rows_affected() > 0 { Change::Done } else { Change::Stale })
    }

    /// Forgets it.
    pub(in crate::zone) async fn forget_policy_bundle(&self, owner: &str) -> Result<(), StoreFailed> {
        sqlx::query("DELETE FROM policy_bundles WHERE zone_id = $1 AND owner_id = $2")
            .bind(self.zone.as_str())
            .bind(owner)
            .execute(&self.pool)
            .await?;
        Ok(())
    }
}

const KEEP: &str = "INSERT INTO policy_bundles (zone_id, owner_id, digest, bundle, created_at, updated_at) \
    VALUES ($1, $2, $3, $4, $5, $5) ON CONFLICT (zone_id, owner_id) DO UPDATE SET \
    digest = excluded.digest, bundle = excluded.bundle, updated_at = excluded.updated_at";

const KEEP_FIRST: &str = "INSERT INTO policy_bundles (zone_id, owner_id, digest, bundle, created_at, updated_at) \
    VALUES ($1, $2, $3, $4, $5, $5) ON CONFLICT (zone_id, owner_id) DO NOTHING";

const KEEP_NEXT: &str = "UPDATE policy_bundles SET digest = $3, bundle = $4, updated_at = $5 \
    WHERE zone_id = $1 AND owner_id = $2 AND digest = $6";
