//! Which version of which policy set decides in a zone, and which one is only asked for comparison.

use sqlx::Any;
use sqlx::Transaction;

use crate::model::Timestamp;
use crate::zone::id::ApplicationId;
use crate::zone::id::ZoneId;
use crate::zone::store::Store;
use crate::zone::store::StoreFailed;
use crate::zone::store::clients::counts;

/// What a bound set does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::zone) enum Mode {
    /// Decides.
    Active,
    /// Is asked, and changes nothing.
    Shadow,
}

/// What became of a binding.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::zone) enum Bound {
    /// It is in force.
    Done,
    /// The version, its set, one of its policies or their versions is archived.
    Archived,
}

/// What an access decision needs to know of an application.
#[derive(Clone, Debug)]
pub(in crate::zone) struct AccessFacts {
    /// The version of the set that decides.
    pub(in crate::zone) active: Option<String>,
    /// The one that is only asked.
    pub(in crate::zone) shadow: Option<String>,
    /// The application's identifier, where it is one that an administrator or the zone made.
    pub(in crate::zone) identifier: Option<String>,
    /// Its traits, as JSON.
    pub(in crate::zone) traits: Option<String>,
    /// The ids of the resources that it needs.
    pub(in crate::zone) dependencies: Vec<String>,
}

/// A bound policy in people's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::zone) struct PolicyWords {
    pub(in crate::zone) policy: String,
    pub(in crate::zone) set: String,
    pub(in crate::zone) version: i64,
}

impl Mode {
    /// As the table has it.
    pub(in crate::zone) fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Shadow => "shadow",
        }
    }
}

impl Store {
    /// Binds a version of a set in the place of whatever was bound, in one step.
    pub(in crate::zone) async fn bind_policies(
        &self,
        mode: Mode,
        set: &str,
        version: &str,
        by: &str,
        now: Timestamp,
    ) -> Result<Bound, StoreFailed> {
        let mut change = self.pool.begin().await?;
        take_turn(&mut change, &self.zone).await?;
        let alive: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM policy_set_versions v JOIN policy_sets s ON s.id = v.policy_set_id
             WHERE v.id = $1 AND s.id = $2 AND s.zone_id = $3 AND v.archived_at IS NULL AND s.archived_at IS NULL",
        )
        .bind(version)
        .bind(set)
        .bind(self.zone.as_str())
        .fetch_one(&mut *change)
        .await?;
        let archived: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM policy_set_entries e JOIN policy_versions v ON v.id = e.policy_version_id
             JOIN policies p ON p.id = v.policy_id
             WHERE e.policy_set_version_id = $1 AND (v.archived_at IS NOT NULL OR p.archived_at IS NOT NULL)",
        )
        .bind(version)
        .fetch_one(&mut *change)
        .await?;
        if alive == 0 || archived > 0 {
            return Ok(Bound::Archived);
        }
        sqlx::query(
            "INSERT INTO policy_bindings (zone_id, mode, policy_set_id, policy_set_version_id, bound_by, bound_at)
             VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (zone_id, mode) DO UPDATE SET
             policy_set_id = excluded.policy_set_id, policy_set_version_id = excluded.policy_set_version_id,
             bound_by = excluded.bound_by, bound_at = excluded.bound_at",
        )
        .bind(self.zone.as_str())
        .bind(mode.as_str())
        .bind(set)
        .bind(version)
        .bind(by)
        .bind(now.as_millis())
        .execute(&mut *change)
        .await?;
        if mode == Mode::Active {
            mark(&mut change, &self.zone, set).await?;
        }
        change.commit().await?;
        Ok(Bound::Done)
    }

    /// Asks the version for comparison no more.
    pub(in crate::zone) async fn unbind_shadow(&self, version: &str) -> Result<(), StoreFailed> {
        sqlx::query(
            "DELETE FROM policy_bindings WHERE zone_id = $1 AND mode = 'shadow' AND policy_set_version_id = $2",
        )
        .bind(self.zone.as_str())
        .bind(version)
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// What a decision about this application needs, while its own API at `accessing` is used, where it is; two short
    /// queries by key.
    pub(in crate::zone) async fn access_facts(
        &self,
        application: &ApplicationId,
        accessing: Option<&str>,
    ) -> Result<AccessFacts, StoreFailed> {
        let (active, shadow, identifier, traits): (Option<String>, Option<String>, Option<String>, Option<String>) =
            sqlx::query_as(
                "SELECT
                 (SELECT policy_set_version_id FROM policy_bindings WHERE zone_id = $1 AND mode = 'active'),
                 (SELECT policy_set_version_id FROM policy_bindings WHERE zone_id = $1 AND mode = 'shadow'),
                 (SELECT identifier FROM applications WHERE id = $2 AND zone_id = $1),
                 (SELECT traits FROM applications WHERE id = $2 AND zone_id = $1)",
            )
            .bind(self.zone.as_str())
            .bind(application.as_str())
            .fetch_one(&self.pool)
            .await?;
        let dependencies: Vec<(String, Option<String>, Option<String>)> = sqlx::query_as(
            "SELECT resource_id, when_accessing, (SELECT id FROM resources WHERE zone_id = $2 AND identifier = $3)
             FROM dependencies WHERE application_id = $1 ORDER BY resource_id",
        )
        .bind(application.as_str())
        .bind(self.zone.as_str())
        .bind(accessing)
        .fetch_all(&self.pool)
        .await?;
        let dependencies = dependencies.into_iter().filter(|(_, when, accessing)| counts(when, accessing));
        let dependencies = dependencies.map(|(resource, _, _)| resource).collect();
        Ok(AccessFacts { active, shadow, identifier, traits, dependencies })
    }

    /// What people call a policy of this version of a set.
    pub(in crate::zone) async fn policy_words(
        &self,
        set_version: &str,
        policy: &str,
    ) -> Result<Option<PolicyWords>, StoreFailed> {
        let row: Option<(String, String, i64)> = sqlx::query_as(
            "SELECT p.name, s.name, v.version FROM policy_set_versions v JOIN policy_sets s ON s.id = v.policy_set_id
             JOIN policies p ON p.id = $1 AND p.zone_id = v.zone_id WHERE v.id = $2 AND v.zone_id = $3",
        )
        .bind(policy)
        .bind(set_version)
        .bind(self.zone.as_str())
        .fetch_optional(&self.pool)
        .await?;
        Ok(row.map(|(policy, set, version)| PolicyWords { policy, set, version }))
    }

    /// The schema version that the zone's people write against, where they chose one.
    pub(in crate::zone) async fn default_schema(&self) -> Result<Option<String>, StoreFailed> {
        let row: Option<Option<String>> =
            sqlx::query_scalar("SELECT schema_version FROM policy_zones WHERE zone_id = $1")
                .bind(self.zone.as_str())
                .fetch_optional(&self.pool)
                .await?;
        Ok(row.flatten())
    }

    /// Chooses it.
    pub(in crate::zone) async fn set_default_schema(&self, version: &str) -> Result<(), StoreFailed> {
        sqlx::query(
            "INSERT INTO policy_zones (zone_id, revision, schema_version) VALUES ($1, 0, $2)
             ON CONFLICT (zone_id) DO UPDATE SET schema_version = excluded.schema_version",
        )
        .bind(self.zone.as_str())
        .bind(version)
        .execute(&self.pool)
        .await?;
        Ok(())
    }
}

/// Changes of what is bound, and of what may be, come one after the other.
pub(super) async fn take_turn(change: &mut Transaction<'_, Any>, zone: &ZoneId) -> Result<(), StoreFailed> {
    sqlx::query(
        "INSERT INTO policy_zones (zone_id, revision) VALUES ($1, 1)
         ON CONFLICT (zone_id) DO UPDATE SET revision = policy_zones.revision + 1",
    )
    .bind(zone.as_str())
    .execute(&mut **change)
    .await?;
    Ok(())
}

/// Writes down at the sets which of them is the active one.
pub(super) async fn mark(change: &mut Transaction<'_, Any>, zone: &ZoneId, set: &str) -> Result<(), StoreFailed> {
    sqlx::query(
        "UPDATE policy_sets SET status = CASE WHEN id = $1 THEN 'active' ELSE 'inactive' END
         WHERE zone_id = $2 AND (id = $1 OR status = 'active')",
    )
    .bind(set)
    .bind(zone.as_str())
    .execute(&mut **change)
    .await?;
    Ok(())
}
