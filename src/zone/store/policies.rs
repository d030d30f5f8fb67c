//! Policies, sets, and their versions, which are added and archived and never changed.

use sqlx::Any;
use sqlx::Transaction;

use crate::model::Timestamp;
use crate::zone::store::Change;
use crate::zone::store::Column;
use crate::zone::store::Store;
use crate::zone::store::StoreFailed;
use crate::zone::store::policy_bindings::take_turn;
use crate::zone::store::tables::insert_within;

/// One policy of a version of a set, as text.
#[derive(Clone, Debug)]
pub(in crate::zone) struct PolicyTextRow {
    pub(in crate::zone) policy_id: String,
    pub(in crate::zone) cedar_raw: String,
}

/// What has versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::zone) enum Versioned {
    /// A policy.
    Policy,
    /// A policy set.
    Set,
}

/// A version that is to be added.
pub(in crate::zone) struct NewVersion<'a> {
    pub(in crate::zone) of: Versioned,
    /// The id of the policy or set.
    pub(in crate::zone) parent: &'a str,
    pub(in crate::zone) id: &'a str,
    pub(in crate::zone) schema_version: &'a str,
    /// All columns but its number.
    pub(in crate::zone) columns: Vec<Column>,
    /// The policy versions of a set's manifest.
    pub(in crate::zone) entries: &'a [String],
}

/// What can be archived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::zone) enum Archivable {
    /// A policy with all its versions.
    Policy,
    /// One version of a policy.
    PolicyVersion,
    /// A set with all its versions.
    Set,
    /// One version of a set.
    SetVersion,
}

/// What became of an archive.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::zone) enum Archived {
    /// It is archived, now or since before.
    Done,
    /// It is bound, or part of what is.
    InUse,
    /// There is no such row.
    Missing,
    /// It was changed by somebody else since the caller looked.
    Stale,
}

impl Store {
    /// The policies of a version of a set.
    pub(in crate::zone) async fn policy_texts(&self, set_version: &str) -> Result<Vec<PolicyTextRow>, StoreFailed> {
        let rows: Vec<(String, String)> = sqlx::query_as(
            "SELECT v.policy_id, v.cedar_raw FROM policy_set_entries e
             JOIN policy_versions v ON v.id = e.policy_version_id
             WHERE e.policy_set_version_id = $1 AND v.zone_id = $2 ORDER BY v.policy_id",
        )
        .bind(set_version)
        .bind(self.zone.as_str())
        .fetch_all(&self.pool)
        .await?;
        Ok(rows.into_iter().map(|(policy_id, cedar_raw)| PolicyTextRow { policy_id, cedar_raw }).collect())
    }

    /// Adds a version with the next number. Missing when what it belongs to was archived meanwhile.
    pub(in crate::zone) async fn add_version(
        &self,
        new: NewVersion<'_>,
        now: Timestamp,
    ) -> Result<Change, StoreFailed> {
        let NewVersion { of, parent, id: version, schema_version, mut columns, entries } = new;
        let mut change = self.pool.begin().await?;
        let (counting, number) = match of {
            Versioned::Policy => (COUNT_POLICY, "SELECT latest_version FROM policies WHERE id = $1"),
            Versioned::Set => (COUNT_SET, "SELECT latest_version FROM policy_sets WHERE id = $1"),
        };
        let counted = sqlx::query(counting)
            .bind(parent)
            .bind(self.zone.as_str())
            .bind(version)
            .bind(now.as_millis())
            .execute(&mut *change)
            .await?;
        if counted.rows_affected() == 0 {
            return Ok(Change::Missing);
        }
        let number: i64 = sqlx::query_scalar(number).bind(parent).fetch_one(&mut *change).await?;
        columns.push(("version", number.into()));
        match of {
            Versioned::Policy => {
                insert_within(&mut change, "policy_versions", columns).await?;
                sqlx::query("UPDATE policies SET latest_schema_version = $2 WHERE id = $1")
                    .bind(parent)
                    .bind(schema_version)
                    .execute(&mut *change)
                    .await?;
            }
            Versioned::Set => insert_within(&mut change, "policy_set_versions", columns).await?,
        }
        insert_entries(&mut change, version, entries).await?;
        change.commit().await?;
        Ok(Change::Done)
    }

    /// Archives, unless it is in use. `expected` is when the caller saw it change last, where that matters.
    pub(in crate::zone) async fn archive(
        &self,
        what: Archivable,
        id: &str,
        by: &str,
        expected: Option<i64>,
        now: Timestamp,
    ) -> Result<Archived, StoreFailed> {
        let mut change = self.pool.begin().await?;
        take_turn(&mut change, &self.zone).await?;
        let row: Option<(i64, Option<i64>)> =
            sqlx::query_as(what.row()).bind(id).bind(self.zone.as_str()).fetch_optional(&mut *change).await?;
        let Some((updated_at, archived_at)) = row else { return Ok(Archived::Missing) };
        if expected.is_some_and(|expected| expected != updated_at) {
            return Ok(Archived::Stale);
        }
        if archived_at.is_some() {
            return Ok(Archived::Done);
        }
        let bound: i64 =
            sqlx::query_scalar(what.uses()).bind(self.zone.as_str()).bind(id).fetch_one(&mut *change).await?;
        if bound > 0 {
            return Ok(Archived::InUse);
        }
        sqlx::query(what.archiving())
            .bind(id)
            .bind(self.zone.as_str())
            .bind(now.as_millis())
            .bind(by)
            .execute(&mut *change)
            .await?;
        change.commit().await?;
        Ok(Archived::Done)
    }

    /// Keeps a new attestation, unless another replica did meanwhile.
    pub(in crate::zone) async fn attest(
        &self,
        set_version: &str,
        earlier: Option<&str>,
        attestation: &str,
    ) -> Result<(), StoreFailed> {
        sqlx::query(
            "UPDATE policy_set_versions SET attestation = $1
             WHERE id = $2 AND zone_id = $3 AND coalesce(attestation, '') = $4",
        )
        .bind(attestation)
        .bind(set_version)
        .bind(self.zone.as_str())
        .bind(earlier.unwrap_or_default())
        .execute(&self.pool)
        .await?;
        Ok(())
    }
}

impl Archivable {
    fn row(self) -> &'static str {
        match self {
            Self::Policy => "SELECT updated_at, archived_at FROM policies WHERE id = $1 AND zone_id = $2",
            Self::PolicyVersion => "SELECT updated_at, archived_at FROM policy_versions WHERE id = $1 AND zone_id = $2",
            Self::Set => "SELECT updated_at, archived_at FROM policy_sets WHERE id = $1 AND zone_id = $2",
            Self::SetVersion => {
                "SELECT updated_at, archived_at FROM policy_set_versions WHERE id = $1 AND zone_id = $2"
            }
        }
    }

    /// How many bindings rest on it.
    fn uses(self) -> &'static str {
        match self {
            Self::Policy => {
                "SELECT count(*) FROM policy_bindings b
                 JOIN policy_set_entries e ON e.policy_set_version_id = b.policy_set_version_id
                 JOIN policy_versions v ON v.id = e.policy_version_id WHERE b.zone_id = $1 AND v.policy_id = $2"
            }
            Self::PolicyVersion => {
                "SELECT count(*) FROM policy_bindings b
                 JOIN policy_set_entries e ON e.policy_set_version_id = b.policy_set_version_id
                 WHERE b.zone_id = $1 AND e.policy_version_id = $2"
            }
            Self::Set => "SELECT count(*) FROM policy_bindings WHERE zone_id = $1 AND policy_set_id = $2",
            Self::SetVersion => {
                "SELECT count(*) FROM policy_bindings WHERE zone_id = $1 AND policy_set_version_id = $2"
            }
        }
    }

    fn archiving(self) -> &'static str {
        match self {
            Self::Policy => {
                "UPDATE policies SET archived_at = $3, archived_by = $4, updated_at = $3, updated_by = $4
                 WHERE id = $1 AND zone_id = $2"
            }
            Self::PolicyVersion => {
                "UPDATE policy_versions SET archived_at = $3, archived_by = $4, updated_at = $3
                 WHERE id = $1 AND zone_id = $2"
            }
            Self::Set => {
                "UPDATE policy_sets SET archived_at = $3, archived_by = $4, updated_at = $3, updated_by = $4
                 WHERE id = $1 AND zone_id = $2"
            }
            Self::SetVersion => {
                "UPDATE policy_set_versions SET archived_at = $3, archived_by = $4, updated_at = $3
                 WHERE id = $1 AND zone_id = $2"
            }
        }
    }
}

/// What a manifest names.
pub(super) async fn insert_entries(
    change: &mut Transaction<'_, Any>,
    set_version: &str,
    entries: &[String],
) -> Result<(), StoreFailed> {
    for entry in entries {
        sqlx::query(
            "INSERT INTO policy_set_entries (policy_set_version_id, policy_version_id) VALUES ($1, $2)
             ON CONFLICT DO NOTHING",
        )
        .bind(set_version)
        .bind(entry)
        .execute(&mut **change)
        .await?;
    }
    Ok(())
}

/// The next number of a policy's version, and the row's lock.
const COUNT_POLICY: &str = "UPDATE policies SET latest_version = coalesce(latest_version, 0) + 1, latest_version_id = $3, \
    updated_at = CASE WHEN updated_at < $4 THEN $4 ELSE updated_at + 1 END \
    WHERE id = $1 AND zone_id = $2 AND archived_at IS NULL";

/// The same for a set.
const COUNT_SET: &str = "UPDATE policy_sets SET latest_version = coalesce(latest_version, 0) + 1, latest_version_id = $3, \
    updated_at = CASE WHEN updated_at < $4 THEN $4 ELSE updated_at + 1 END \
    WHERE id = $1 AND zone_id = $2 AND archived_at IS NULL";
