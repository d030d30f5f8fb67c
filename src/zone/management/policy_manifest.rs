//! The manifest of a set's version: which versions of which policies, each with its hash.

use std::collections::HashMap;
use std::collections::HashSet;

use serde::Deserialize;
use serde::Serialize;
use utoipa::ToSchema;

use crate::limits::ZONE_POLICY_SET_ENTRIES_MAX;
use crate::zone::management::in_zone::InZone;
use crate::zone::management::policy_rows::PolicyRow as _;
use crate::zone::management::policy_versions;
use crate::zone::management::refused::Refused;

/// The policies of a version of a set.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
#[schema(as = PolicySetManifest)]
pub(super) struct Manifest {
    pub(super) entries: Vec<Entry>,
}

/// One of them.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
#[schema(as = PolicySetManifestEntry)]
pub(super) struct Entry {
    pub(super) policy_id: String,
    pub(super) policy_version_id: String,
    /// SHA-256 of the version's canonical text. Where it is sent, it must be right; it is always told.
    pub(super) sha: Option<String>,
}

impl Manifest {
    /// With all hashes, after each entry was found in this zone, in use, and written against the one schema.
    pub(super) async fn checked(self, place: &InZone, schema_version: &str) -> Result<Self, Refused> {
        if !(1..=ZONE_POLICY_SET_ENTRIES_MAX).contains(&self.entries.len()) {
            let many = format!("must have 1 to {ZONE_POLICY_SET_ENTRIES_MAX} entries");
            return Err(Refused::bad("manifest.entries", &many));
        }
        let ids: Vec<String> = self.entries.iter().map(|entry| entry.policy_version_id.clone()).collect();
        let conditions = place.rows().one_of("t.id", &ids);
        let (columns, tables) = (policy_versions::Row::COLUMNS, policy_versions::Row::TABLES);
        let rows: Vec<policy_versions::Row> = place.store.find_all(columns, tables, conditions).await?;
        let rows: HashMap<&str, &policy_versions::Row> = rows.iter().map(|row| (row.id.as_str(), row)).collect();
        let mut policies = HashSet::new();
        let mut entries = Vec::with_capacity(self.entries.len());
        for (index, entry) in self.entries.into_iter().enumerate() {
            let bad = |field: &str, what: &str| Refused::bad(&format!("manifest.entries[{index}].{field}"), what);
            let row = rows.get(entry.policy_version_id.as_str());
            let row = row.ok_or_else(|| bad("policy_version_id", "is no policy version of this zone"))?;
            if row.policy_id != entry.policy_id {
                return Err(bad("policy_id", "is not the policy of this version"));
            }
            if !policies.insert(entry.policy_id.clone()) {
                return Err(bad("policy_id", "is there twice"));
            }
            if row.authors.archived_at.is_some() {
                return Err(bad("policy_version_id", "is archived"));
            }
            if row.schema_version != schema_version {
                return Err(bad("policy_version_id", &format!("is written against schema {}", row.schema_version)));
            }
            if entry.sha.is_some_and(|sha| sha != row.sha) {
                return Err(bad("sha", "is not the hash of this version"));
            }
            entries.push(Entry { sha: Some(row.sha.clone()), ..Entry::of(row) });
        }
        Ok(Self { entries })
    }
}

impl Entry {
    fn of(row: &policy_versions::Row) -> Self {
        Self { policy_id: row.policy_id.clone(), policy_version_id: row.id.clone(), sha: None }
    }
}
