//! The policy set that each zone has from its first moment, put there once. Its ids follow from the zone's, so that
//! replicas that start at the same moment put the same rows.

use serde_json::json;
use sqlx::Any;
use sqlx::Transaction;

use crate::model::Timestamp;
use crate::zone::access::DEFAULT_SCHEMA;
use crate::zone::access::MANAGED;
use crate::zone::access::MANAGED_SET;
use crate::zone::canonical;
use crate::zone::id::RowId;
use crate::zone::id::ZoneId;
use crate::zone::store::StoreFailed;
use crate::zone::store::policies::insert_entries;
use crate::zone::store::policy_bindings::mark;
use crate::zone::store::policy_bindings::take_turn;

/// Gives the zone the managed set, and binds it, unless it has the set already.
pub(super) async fn equip_with_policies(
    change: &mut Transaction<'_, Any>,
    zone: &ZoneId,
    now: Timestamp,
) -> Result<(), StoreFailed> {
    take_turn(change, zone).await?;
    let set = derived(zone, MANAGED_SET);
    let known: i64 = sqlx::query_scalar("SELECT count(*) FROM policy_sets WHERE id = $1")
        .bind(&set)
        .fetch_one(&mut **change)
        .await?;
    if known > 0 {
        return Ok(());
    }
    let (mut entries, mut versions) = (Vec::new(), Vec::new());
    for managed in &MANAGED {
        let text = managed.read().ok_or(StoreFailed::Damaged("policies"))?;
        let (policy, version) = (derived(zone, managed.name), derived(zone, &format!("{}/1", managed.name)));
        sqlx::query(
            "INSERT INTO policies (id, zone_id, owner_type, name, description, latest_version, latest_version_id,
             latest_schema_version, created_by, created_at, updated_at)
             VALUES ($1, $2, 'platform', $3, $4, 1, $5, $6, 'platform', $7, $7)",
        )
        .bind(&policy)
        .bind(zone.as_str())
        .bind(managed.name)
        .bind(managed.description)
        .bind(&version)
        .bind(DEFAULT_SCHEMA)
        .bind(now.as_millis())
        .execute(&mut **change)
        .await?;
        sqlx::query(
            "INSERT INTO policy_versions (id, zone_id, policy_id, owner_type, version, schema_version, sha, cedar_raw,
             cedar_json, created_by, created_at, updated_at)
             VALUES ($1, $2, $3, 'platform', 1, $4, $5, $6, $7, 'platform', $8, $8)",
        )
        .bind(&version)
        .bind(zone.as_str())
        .bind(&policy)
        .bind(DEFAULT_SCHEMA)
        .bind(&text.sha)
        .bind(&text.canonical.text)
        .bind(text.canonical.json.to_string())
        .bind(now.as_millis())
        .execute(&mut **change)
        .await?;
        entries.push(json!({"policy_id": policy, "policy_version_id": version, "sha": text.sha}));
        versions.push(version);
    }
    add_set(change, zone, &set, &json!({ "entries": entries }), &versions, now).await
}

async fn add_set(
    change: &mut Transaction<'_, Any>,
    zone: &ZoneId,
    set: &str,
    manifest: &serde_json::Value,
    versions: &[String],
    now: Timestamp,
) -> Result<(), StoreFailed> {
    let manifest = canonical::json(manifest).ok_or(StoreFailed::Damaged("policy_set_versions"))?;
    let version = derived(zone, &format!("{MANAGED_SET}/1"));
    sqlx::query(
        "INSERT INTO policy_sets (id, zone_id, owner_type, name, latest_version, latest_version_id, created_by,
         created_at, updated_at) VALUES ($1, $2, 'platform', $3, 1, $4, 'platform', $5, $5)",
    )
    .bind(set)
    .bind(zone.as_str())
    .bind(MANAGED_SET)
    .bind(&version)
    .bind(now.as_millis())
    .execute(&mut **change)
    .await?;
    sqlx::query(
        "INSERT INTO policy_set_versions (id, zone_id, policy_set_id, owner_type, version, schema_version, manifest,
         manifest_sha, created_by, created_at, updated_at)
         VALUES ($1, $2, $3, 'platform', 1, $4, $5, $6, 'platform', $7, $7)",
    )
    .bind(&version)
    .bind(zone.as_str())
    .bind(set)
    .bind(DEFAULT_SCHEMA)
    .bind(&manifest)
    .bind(canonical::sha256(manifest.as_bytes()))
    .bind(now.as_millis())
    .execute(&mut **change)
    .await?;
    insert_entries(change, &version, versions).await?;
    sqlx::query(
        "INSERT INTO policy_bindings (zone_id, mode, policy_set_id, policy_set_version_id, bound_by, bound_at)
         VALUES ($1, 'active', $2, $3, 'platform', $4)",
    )
    .bind(zone.as_str())
    .bind(set)
    .bind(&version)
    .bind(now.as_millis())
    .execute(&mut **change)
    .await?;
    mark(change, zone, set).await
}

fn derived(zone: &ZoneId, what: &str) -> String {
    RowId::derived(&format!("{zone}/{what}")).as_str().to_owned()
}
