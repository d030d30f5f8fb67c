//! The set that each zone has from its first moment, `default-zone-policies`: an application acts for a user who granted
//! it, has what it depends on in its own name, and never becomes a user. The platform's own: seen, and not changed.

use crate::zone::access::schemas::DEFAULT_SCHEMA;
use crate::zone::access::schemas::SchemaVersion;
use crate::zone::access::text::PolicyText;

/// One policy of the set.
pub(in crate::zone) struct ManagedPolicy {
    pub(in crate::zone) name: &'static str,
    pub(in crate::zone) description: &'static str,
    text: &'static str,
}

impl ManagedPolicy {
    /// As any other policy is kept; none where the program's own text is no policy, which a test forbids.
    pub(in crate::zone) fn read(&self) -> Option<PolicyText> {
        PolicyText::of_cedar(self.text, SchemaVersion::find(DEFAULT_SCHEMA)?).ok()
    }
}

/// What the set is called.
pub(in crate::zone) const MANAGED_SET: &str = "default-zone-policies";

/// What is in it.
pub(in crate::zone) const MANAGED: [ManagedPolicy; 3] = [
    ManagedPolicy {
        name: "default-user-grants",
        description: "Users may let applications act for them",
        text: include_str!("managed/user_grants.cedar"),
    },
    ManagedPolicy {
        name: "default-app-delegation",
        description: "Applications may act for users who are signed in",
        text: include_str!("managed/app_delegation.cedar"),
    },
    ManagedPolicy {
        name: "default-app-direct-access",
        description: "Applications may have what they depend on in their own name",
        text: include_str!("managed/app_direct_access.cedar"),
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_of_them_is_a_good_policy() {
        for policy in &MANAGED {
            assert!(policy.read().is_some(), "{}", policy.name);
        }
    }
}
