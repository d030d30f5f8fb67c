//! The first step of a sign-in: when and by what means somebody showed who they are, before any second factor.

use crate::model::Timestamp;
use crate::zone::store::Means;

/// What a browser's session will say of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::zone) struct FirstStep {
    /// Now, or earlier at a provider that did not ask again.
    pub(in crate::zone) at: Timestamp,
    pub(in crate::zone) means: Means,
}

impl FirstStep {
    /// The zone's own password.
    pub(in crate::zone) fn by_password(now: Timestamp) -> Self {
        Self { at: now, means: Means::password() }
    }

    /// A link of whoever may read the zone's keys: no method has a name for that.
    pub(in crate::zone) fn by_link(now: Timestamp) -> Self {
        Self { at: now, means: Means::default() }
    }
}
