//! The set that each zone has from its first moment, `default-zone-policies`: an application acts for a user who granted
//! it, has what it depends on in its own name, and never becomes a user. The platform's own: seen, and not changed.
//!
//! Another text is another revision: zones that are there get it at the next start, as the set's version of that number.

use crate::zone::access::schemas::DEFAULT_SCHEMA;
use crate::zone::access::schemas::SchemaVersion;
use crate::zone::access::text::PolicyText;

/// The set as one release of the program carries it.
pub(in crate::zone) struct ManagedSet {
    /// Counted up with every change of a text, and never down.
    pub(in crate::zone) revision: i64,
    pub(in crate::zone) policies: &'static [ManagedPolicy],
}

/// One policy of the set.
#[derive(Clone, Copy)]
pub(in crate::zone) struct ManagedPolicy {
    pub(in crate::zone) name: &'static str,
    pub(in crate::zone) description: &'static str,
    pub(in crate::zone) text: &'static str,
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
pub(in crate::zone) const MANAGED: ManagedSet = ManagedSet {
    revision: 1,
    policies: &[
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
    ],
};

#[cfg(test)]
mod tests {
    use super::*;

    /// Each revision that a release carried, and what its texts were. A line is added here, and none is changed: zones
    /// that have a revision never get another text under its number.
    const REVISIONS: [(i64, [&str; 3]); 1] = [(
        1,
        [
            "9e04a50d480b23ac385b7fadfece5a5d0a557eea202387fa0fe8f1f705466ddc",
            "a0caa3b2a33fc7b4dadca0dd5413fa64593b9f7f08fef854bc9d517b9f4cff28",
            "a8bee442b7a23882337aeffce8d05a93c3581b6c30927f66004803e5fd2c14d4",
        ],
    )];

    #[test]
    fn each_of_them_is_a_good_policy_and_the_text_of_its_revision() {
        let shas: Vec<String> = MANAGED.policies.iter().map(|policy| policy.read().expect(policy.name).sha).collect();
        let (revision, known) = REVISIONS.last().unwrap();
        assert_eq!((MANAGED.revision, shas), (*revision, known.map(str::to_owned).to_vec()));
    }
}
