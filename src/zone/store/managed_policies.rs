//! The policy set that each zone has from its first moment, and its next versions when the program carries another text.
//! Its ids follow from the zone's and from the revision, so that replicas that start at the same moment put the same rows.

use serde_json::json;
use sqlx::Any;
use sqlx::Transaction;

use crate::model::Timestamp;
use crate::zone::access::DEFAULT_SCHEMA;
use crate::zone::access::MANAGED;
use crate::zone::access::MANAGED_SET;
use crate::zone::access::ManagedPolicy;
use crate::zone::access::ManagedSet;
use crate::zone::canonical;
use crate::zone::id::RowId;
use crate::zone::id::ZoneId;
use crate::zone::store::Store;
use crate::zone::store::StoreFailed;
use crate::zone::store::policies::insert_entries;
use crate::zone::store::policy_bindings::mark;
use crate::zone::store::policy_bindings::take_turn;

/// A version of the managed set that a zone got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::zone) struct Renewed {
    pub(in crate::zone) zone: ZoneId,
    pub(in crate::zone) set: String,
    /// Its id.
    pub(in crate::zone) version: String,
    pub(in crate::zone) manifest_sha: String,
    /// Whether it decides now. Not where the zone's people chose another set, or an earlier version.
    pub(in crate::zone) decides: bool,
}

/// A version of a managed policy, as a manifest names it.
struct Entry {
    policy: String,
    version: String,
    sha: String,
}

impl Store {
    /// Gives each zone whose managed set is of an earlier revision the set of this one, each in one step. A revision that
    /// another replica gave meanwhile, or a later one, is left alone; what this gave is told.
    pub(in crate::zone) async fn renew_policies(
        &self,
        managed: &ManagedSet,
        now: Timestamp,
    ) -> Result<Vec<Renewed>, StoreFailed> {
        let behind: Vec<String> = sqlx::query_scalar(
            "SELECT zone_id FROM policy_sets WHERE owner_type = 'platform' AND name = $1 AND latest_version < $2",
        )
        .bind(MANAGED_SET)
        .bind(managed.revision)
        .fetch_all(&self.pool)
        .await?;
        let mut all = Vec::with_capacity(behind.len());
        for zone in behind {
            let mut change = self.pool.begin().await?;
            let zone = ZoneId::known(zone);
            take_turn(&mut change, &zone).await?;
            let renewed = renew(&mut change, &zone, managed, now).await?;
            change.commit().await?;
            all.extend(renewed);
        }
        Ok(all)
    }
}

/// Gives the zone the managed set, and binds it, unless it has the set already.
pub(super) async fn equip_with_policies(
    change: &mut Transaction<'_, Any>,
    zone: &ZoneId,
    now: Timestamp,
) -> Result<(), StoreFailed> {
    take_turn(change, zone).await?;
    if latest(change, &derived(zone, MANAGED_SET)).await?.is_none() {
        renew(change, zone, &MANAGED, now).await?;
    }
    Ok(())
}

/// The revision that the zone has, and the id of that version.
async fn latest(change: &mut Transaction<'_, Any>, set: &str) -> Result<Option<(i64, String)>, StoreFailed> {
    let row = sqlx::query_as("SELECT latest_version, latest_version_id FROM policy_sets WHERE id = $1");
    Ok(row.bind(set).fetch_optional(&mut **change).await?)
}

async fn renew(
    change: &mut Transaction<'_, Any>,
    zone: &ZoneId,
    managed: &ManagedSet,
    now: Timestamp,
) -> Result<Option<Renewed>, StoreFailed> {
    let set = derived(zone, MANAGED_SET);
    let earlier = latest(change, &set).await?;
    // INVARIANT: a program of before never takes a later one's policies back.
    if earlier.as_ref().is_some_and(|(revision, _)| *revision >= managed.revision) {
        return Ok(None);
    }
    let mut entries = Vec::with_capacity(managed.policies.len());
    for policy in managed.policies {
        entries.push(add_policy(change, zone, policy, managed.revision, now).await?);
    }
    let (version, manifest_sha) = add_set_version(change, zone, &set, managed.revision, &entries, now).await?;
    let decides = match &earlier {
        None => bind_first(change, zone, &set, &version, now).await?,
        Some((_, earlier)) => bind_next(change, zone, earlier, &version, now).await?,
    };
    if decides {
        mark(change, zone, &set).await?;
    }
    Ok(Some(Renewed { zone: zone.clone(), set, version, manifest_sha, decides }))
}

/// The policy with this text: the version that there is, where it is the same text, else the next one.
async fn add_policy(
    change: &mut Transaction<'_, Any>,
    zone: &ZoneId,
    managed: &ManagedPolicy,
    revision: i64,
    now: Timestamp,
) -> Result<Entry, StoreFailed> {
    let text = managed.read().ok_or(StoreFailed::Damaged("policies"))?;
    let policy = derived(zone, managed.name);
    let known: Option<(String, String)> = sqlx::query_as(
        "SELECT v.id, v.sha FROM policies p JOIN policy_versions v ON v.id = p.latest_version_id WHERE p.id = $1",
    )
    .bind(&policy)
    .fetch_optional(&mut **change)
    .await?;
    if let Some((version, sha)) = known.filter(|(_, sha)| *sha == text.sha) {
        return Ok(Entry { policy, version, sha });
    }
    let version = derived(zone, &format!("{}/{revision}", managed.name));
    sqlx::query(
        "INSERT INTO policies (id, zone_id, owner_type, name, description, latest_version, latest_version_id,
         latest_schema_version, created_by, created_at, updated_at)
         VALUES ($1, $2, 'platform', $3, $4, $5, $6, $7, 'platform', $8, $8)
         ON CONFLICT (id) DO UPDATE SET description = excluded.description, latest_version = excluded.latest_version,
         latest_version_id = excluded.latest_version_id, latest_schema_version = excluded.latest_schema_version,
         updated_by = 'platform', updated_at = excluded.updated_at",
    )
    .bind(&policy)
    .bind(zone.as_str())
    .bind(managed.name)
    .bind(managed.description)
    .bind(revision)
    .bind(&version)
    .bind(DEFAULT_SCHEMA)
    .bind(now.as_millis())
    .execute(&mut **change)
    .await?;
    sqlx::query(
        "INSERT INTO policy_versions (id, zone_id, policy_id, owner_type, version, schema_version, sha, cedar_raw,
         cedar_json, created_by, created_at, updated_at)
         VALUES ($1, $2, $3, 'platform', $4, $5, $6, $7, $8, 'platform', $9, $9)",
    )
    .bind(&version)
    .bind(zone.as_str())
    .bind(&policy)
    .bind(revision)
    .bind(DEFAULT_SCHEMA)
    .bind(&text.sha)
    .bind(&text.canonical.text)
    .bind(text.canonical.json.to_string())
    .bind(now.as_millis())
    .execute(&mut **change)
    .await?;
    Ok(Entry { policy, version, sha: text.sha })
}

/// The version of the set with these policies: its id, and its manifest's sha.
async fn add_set_version(
    change: &mut Transaction<'_, Any>,
    zone: &ZoneId,
    set: &str,
    revision: i64,
    entries: &[Entry],
    now: Timestamp,
) -> Result<(String, String), StoreFailed> {
    let named = entries.iter().map(|entry| {
        let Entry { policy, version, sha } = entry;
        json!({"policy_id": policy, "policy_version_id": version, "sha": sha})
    });
    let manifest = json!({ "entries": named.collect::<Vec<_>>() });
    let manifest = canonical::json(&manifest).ok_or(StoreFailed::Damaged("policy_set_versions"))?;
    let sha = canonical::sha256(manifest.as_bytes());
    let version = derived(zone, &format!("{MANAGED_SET}/{revision}"));
    sqlx::query(
        "INSERT INTO policy_sets (id, zone_id, owner_type, name, latest_version, latest_version_id, created_by,
         created_at, updated_at) VALUES ($1, $2, 'platform', $3, $4, $5, 'platform', $6, $6)
         ON CONFLICT (id) DO UPDATE SET latest_version = excluded.latest_version,
         latest_version_id = excluded.latest_version_id, updated_by = 'platform', updated_at = excluded.updated_at",
    )
    .bind(set)
    .bind(zone.as_str())
    .bind(MANAGED_SET)
    .bind(revision)
    .bind(&version)
    .bind(now.as_millis())
    .execute(&mut **change)
    .await?;
    sqlx::query(
        "INSERT INTO policy_set_versions (id, zone_id, policy_set_id, owner_type, version, schema_version, manifest,
         manifest_sha, created_by, created_at, updated_at)
         VALUES ($1, $2, $3, 'platform', $4, $5, $6, $7, 'platform', $8, $8)",
    )
    .bind(&version)
    .bind(zone.as_str())
    .bind(set)
    .bind(revision)
    .bind(DEFAULT_SCHEMA)
    .bind(&manifest)
    .bind(&sha)
    .bind(now.as_millis())
    .execute(&mut **change)
    .await?;
    let versions: Vec<String> = entries.iter().map(|entry| entry.version.clone()).collect();
    insert_entries(change, &version, &versions).await?;
    Ok((version, sha))
}

async fn bind_first(
    change: &mut Transaction<'_, Any>,
    zone: &ZoneId,
    set: &str,
    version: &str,
    now: Timestamp,
) -> Result<bool, StoreFailed> {
    sqlx::query(
        "INSERT INTO policy_bindings (zone_id, mode, policy_set_id, policy_set_version_id, bound_by, bound_at)
         VALUES ($1, 'active', $2, $3, 'platform', $4)",
    )
    .bind(zone.as_str())
    .bind(set)
    .bind(version)
    .bind(now.as_millis())
    .execute(&mut **change)
    .await?;
    Ok(true)
}

/// Only where the newest decided until now: whoever chose another set, or went back to an earlier version, meant it.
async fn bind_next(
    change: &mut Transaction<'_, Any>,
    zone: &ZoneId,
    earlier: &str,
    version: &str,
    now: Timestamp,
) -> Result<bool, StoreFailed> {
    let bound = sqlx::query(
        "UPDATE policy_bindings SET policy_set_version_id = $1, bound_by = 'platform', bound_at = $2
         WHERE zone_id = $3 AND mode = 'active' AND policy_set_version_id = $4",
    )
    .bind(version)
    .bind(now.as_millis())
    .bind(zone.as_str())
    .bind(earlier)
    .execute(&mut **change)
    .await?;
    Ok(bound.rows_affected() > 0)
}

fn derived(zone: &ZoneId, what: &str) -> String {
    RowId::derived(&format!("{zone}/{what}")).as_str().to_owned()
}
