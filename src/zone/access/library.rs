//! The sets that are in use, compiled once each. Which version is in use is looked up for every question, so that an
//! activation counts at once and at each replica; what a version says is looked up once, since it never changes.

use std::sync::Arc;

use crate::limits::ZONE_POLICY_SETS_KEPT_MAX;
use crate::zone::access::Compiled;
use crate::zone::store::Store;
use crate::zone::store::StoreFailed;

/// Compiled sets by the id of their version.
pub(in crate::zone) struct Library {
    sets: moka::sync::Cache<String, Kept>,
}

/// None where the version can't be compiled: whoever asks it is denied.
pub(in crate::zone) type Kept = Option<Arc<Compiled>>;

impl Library {
    /// An empty one.
    pub(in crate::zone) fn new() -> Self {
        Self { sets: moka::sync::Cache::new(ZONE_POLICY_SETS_KEPT_MAX) }
    }

    /// The set of this version. Several that ask for a new one at once may compile it each; that takes milliseconds.
    pub(in crate::zone) async fn set(&self, store: &Store, version: &str) -> Result<Kept, StoreFailed> {
        if let Some(kept) = self.sets.get(version) {
            return Ok(kept);
        }
        let texts = store.policy_texts(version).await?;
        let compiled = Compiled::new(texts.iter().map(|text| (text.policy_id.as_str(), text.cedar_raw.as_str())));
        let kept = match compiled {
            Ok(compiled) => Some(Arc::new(compiled)),
            Err(fault) => {
                tracing::error!(version, %fault, "the policy set in use can't be compiled: everything is denied");
                None
            }
        };
        self.sets.insert(version.to_owned(), kept.clone());
        Ok(kept)
    }
}
