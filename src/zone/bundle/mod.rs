//! A caller's own policies as one file (`application/vnd.keycard.policy-bundle.v1+tar+gzip`): a manifest, the schema, and
//! one file per policy.
//!
//! Promises: equal bundles are equal bytes, and have one digest, which names of policies do not change. Never: an entry
//! that is not known, is there twice, or that the manifest does not name is passed over; nothing is unpacked past its
//! bound.

mod archive;
mod manifest;

use std::collections::BTreeMap;

pub(in crate::zone) use self::manifest::Manifest;
use self::manifest::Policy;
use self::manifest::SchemaName;
use crate::zone::canonical;

/// A bundle in parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::zone) struct Bundle {
    pub(in crate::zone) manifest: Manifest,
    pub(in crate::zone) schema: String,
    /// The texts by the key that the manifest has for them.
    pub(in crate::zone) policies: BTreeMap<String, String>,
}

/// The bytes are no bundle.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(in crate::zone) struct BundleInvalid(pub(in crate::zone) String);

impl Bundle {
    /// Makes one of these policies: key, name and text of each.
    pub(in crate::zone) fn of(
        schema_version: &str,
        schema: &str,
        target_id: &str,
        policies: impl IntoIterator<Item = (String, Option<String>, String)>,
    ) -> Self {
        let (mut listed, mut texts) = (Vec::new(), BTreeMap::new());
        for (key, name, text) in policies {
            listed.push(Policy { public_id: Some(key.clone()), new_policy: None, name, sha: sha(&text) });
            texts.insert(key, text);
        }
        listed.sort_by(|one, other| one.public_id.cmp(&other.public_id));
        let manifest = Manifest {
            schema: SchemaName { version: schema_version.to_owned(), sha: sha(schema) },
            target_type: "user".to_owned(),
            target_id: target_id.to_owned(),
            policies: listed,
        };
        Self { manifest, schema: schema.to_owned(), policies: texts }
    }

    /// Reads a packed bundle. Hashes in it are not looked at: the reader makes its own. The schema may be left out.
    ///
    /// # Errors
    /// With what is wrong, in a sentence.
    pub(in crate::zone) fn unpack(packed: &[u8]) -> Result<Self, BundleInvalid> {
        let mut manifest = None;
        let (mut schema, mut policies) = (None, BTreeMap::new());
        for (name, text) in archive::unpack(packed)? {
            let twice =
                match (name.as_str(), name.strip_prefix("policies/").and_then(|name| name.strip_suffix(".cedar"))) {
                    (MANIFEST, _) => manifest.replace(text).is_some(),
                    (SCHEMA, _) => schema.replace(text).is_some(),
                    (_, Some(key)) if manifest::is_key(key) => policies.insert(key.to_owned(), text).is_some(),
                    (_, _) => return Err(BundleInvalid(format!("the entry `{}` is not known", name.escape_debug()))),
                };
            if twice {
                return Err(BundleInvalid(format!("the entry `{name}` is there twice")));
            }
        }
        let manifest = manifest.ok_or_else(|| BundleInvalid(format!("`{MANIFEST}` is missing")))?;
        let manifest = Manifest::read(&manifest)?;
        for policy in &manifest.policies {
            if !policies.contains_key(policy.key()) {
                return Err(BundleInvalid(format!("`policies/{}.cedar` is missing", policy.key())));
            }
        }
        if let Some(orphan) = policies.keys().find(|key| manifest.policies.iter().all(|policy| policy.key() != *key)) {
            return Err(BundleInvalid(format!("the manifest does not name `policies/{orphan}.cedar`")));
        }
        Ok(Self { manifest, schema: schema.unwrap_or_default(), policies })
    }

    /// As a file; none when it is too large to be one.
    pub(in crate::zone) fn pack(&self) -> Option<Vec<u8>> {
        let mut entries =
            vec![(MANIFEST.to_owned(), self.manifest.to_text()?), (SCHEMA.to_owned(), self.schema.clone())];
        let policies = self.policies.iter().map(|(key, text)| (format!("policies/{key}.cedar"), text.clone()));
        entries.extend(policies);
        archive::pack(&entries)
    }

    /// What the bundle says, as SHA-256 in hex: of the manifest in canonical form, without the names of policies.
    pub(in crate::zone) fn digest(&self) -> Option<String> {
        self.manifest.digest()
    }
}

/// As manifests write hashes.
fn sha(text: &str) -> String {
    format!("sha256:{}", canonical::sha256(text.as_bytes()))
}

const MANIFEST: &str = "manifest.json";
const SCHEMA: &str = "schema.cedarschema";

#[cfg(test)]
mod tests;
