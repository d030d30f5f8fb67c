//! `manifest.json`: which policies there are, for whom, against which schema.

use std::collections::HashSet;

use serde::Deserialize;
use serde::Serialize;

use crate::zone::bundle::BundleInvalid;
use crate::zone::canonical;

/// The manifest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::zone) struct Manifest {
    pub(in crate::zone) schema: SchemaName,
    pub(in crate::zone) target_type: String,
    pub(in crate::zone) target_id: String,
    pub(in crate::zone) policies: Vec<Policy>,
}

/// What the policies are written against.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::zone) struct SchemaName {
    pub(in crate::zone) version: String,
    #[serde(default)]
    pub(in crate::zone) sha: String,
}

/// One policy: known by its id, or new under a word of the sender's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::zone) struct Policy {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::zone) public_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::zone) new_policy: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::zone) name: Option<String>,
    #[serde(default)]
    pub(in crate::zone) sha: String,
}

impl Manifest {
    /// Reads it, and refuses keys that could not be names of files, or are there twice.
    pub(super) fn read(text: &str) -> Result<Self, BundleInvalid> {
        let read: Self =
            serde_json::from_str(text).map_err(|error| BundleInvalid(format!("manifest.json: {error}")))?;
        let mut keys = HashSet::new();
        for policy in &read.policies {
            let one = policy.public_id.is_some() != policy.new_policy.is_some();
            if !one || !is_key(policy.key()) || !keys.insert(policy.key()) {
                return Err(BundleInvalid("each policy has one key of its own in manifest.json".to_owned()));
            }
        }
        Ok(read)
    }

    pub(super) fn to_text(&self) -> Option<String> {
        canonical::json(self)
    }

    pub(super) fn digest(&self) -> Option<String> {
        let mut nameless = self.clone();
        nameless.policies.iter_mut().for_each(|policy| policy.name = None);
        nameless.policies.sort_by(|one, other| one.key().cmp(other.key()));
        Some(canonical::sha256(canonical::json(&nameless)?.as_bytes()))
    }
}

impl Policy {
    /// The name of its file.
    pub(in crate::zone) fn key(&self) -> &str {
        self.public_id.as_deref().or(self.new_policy.as_deref()).unwrap_or_default()
    }
}

/// Whether it can be the name of a file in the archive, and of nothing beside it.
pub(super) fn is_key(key: &str) -> bool {
    (1..=64).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}
