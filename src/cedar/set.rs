//! A set of policies, and its answers.

use cedar_policy::Authorizer;
use cedar_policy::Decision;
use cedar_policy::PolicySet;
use cedar_policy::Request;
use cedar_policy::Response;

use crate::cedar::Entities;
use crate::cedar::Facts;
use crate::cedar::Policy;
use crate::cedar::Uid;
use crate::cedar::fault::one_line;

/// Policies under their names.
pub struct Set {
    policies: PolicySet,
    authorizer: Authorizer,
}

/// There is a policy of this name in the set.
#[derive(Debug, thiserror::Error)]
#[error("the name of the policy is taken already")]
pub struct NameTaken;

/// What a set says to one question.
#[must_use]
pub struct Answer(Response);

impl Set {
    /// Without a policy: it permits nothing.
    pub fn new() -> Self {
        Self { policies: PolicySet::new(), authorizer: Authorizer::new() }
    }

    /// Adds a policy.
    ///
    /// # Errors
    /// When its name is taken.
    pub fn add(&mut self, policy: Policy) -> Result<(), NameTaken> {
        self.policies.add(policy.0).map_err(|_| NameTaken)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.policies.num_of_policies()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.policies.is_empty()
    }

    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = Policy> {
        self.policies.policies().cloned().map(Policy)
    }

    /// May `principal` do this? None when there is no such question.
    pub fn ask(&self, principal: Uid, action: Uid, resource: Uid, facts: Facts, entities: &Entities) -> Option<Answer> {
        let request = Request::new(principal.0, action.0, resource.0, facts.0, None).ok()?;
        Some(Answer(self.authorizer.is_authorized(&request, &self.policies, &entities.0)))
    }

    pub(super) fn policies(&self) -> &PolicySet {
        &self.policies
    }
}

impl Default for Set {
    fn default() -> Self {
        Self::new()
    }
}

impl Answer {
    /// What Cedar decided. A policy that could not be evaluated was passed over, see [`Answer::failures`].
    pub fn allows(&self) -> bool {
        match self.0.decision() {
            Decision::Allow => true,
            Decision::Deny => false,
        }
    }

    /// The policies that it rests on: permits of an allowance, forbids of a denial; none where nothing permits.
    pub fn reasons(&self) -> impl Iterator<Item = &str> {
        self.0.diagnostics().reason().map(AsRef::<str>::as_ref)
    }

    /// What went wrong, each with its policy.
    pub fn failures(&self) -> impl Iterator<Item = String> {
        self.0.diagnostics().errors().map(|error| one_line(&error.to_string()))
    }
}
