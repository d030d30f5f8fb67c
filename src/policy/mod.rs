//! Step 3, decide: the only maker of a [`Permit`].
//!
//! Default deny. A policy that errors while it is evaluated denies, since Cedar itself would skip it. Each
//! request is decided by one snapshot of the set, which its record names by hash.

mod cedar;
mod facts;
mod permit;
mod source;

use std::sync::Arc;

pub use cedar::NotAPolicySet;
pub use facts::Facts;
pub use permit::Action;
pub use permit::Denial;
pub use permit::DenialReason;
pub use permit::Permit;
pub use permit::PolicySetHash;
pub use source::PolicyText;
pub use source::Unreadable;
pub use source::builtin;
pub use source::read_folder;

use crate::agent::Session;
use crate::model::Authority;
use crate::model::PolicyId;
use crate::policy::cedar::Snapshot;
use crate::policy::permit::Subject;
use crate::resource::Resource;

/// Decides. Immutable: a changed set is another one, and each request is decided by one.
#[derive(Debug)]
pub struct PolicySet {
    snapshot: Snapshot,
}

/// A policy that speaks of a resource which is not configured.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the policy `{policy}` names the resource `{}`, which is not configured", resource.escape_debug())]
pub struct UnknownResource {
    /// Which policy.
    pub policy: PolicyId,
    /// The identifier as it stands there.
    pub resource: String,
}

impl PolicySet {
    /// Parses and validates the whole set; a set with any fault is refused with all of its faults.
    pub fn parse(texts: &[PolicyText]) -> Result<Self, NotAPolicySet> {
        Ok(Self { snapshot: Snapshot::parse(texts)? })
    }

    /// Names the set.
    pub fn hash(&self) -> &PolicySetHash {
        &self.snapshot.hash
    }

    /// How many policies it has.
    pub fn count(&self) -> usize {
        self.snapshot.count
    }

    /// What looks like a slip: policies that name a resource which is not `known`, in the order of their ids. They
    /// decide nothing, since no request is for it.
    pub fn strangers(&self, known: impl Fn(&str) -> bool) -> Vec<UnknownResource> {
        let named = self.snapshot.named_resources().filter(|(_, resource)| !known(resource));
        let mut strangers: Vec<_> = named.map(|(policy, resource)| UnknownResource { policy, resource }).collect();
        strangers.sort_by(|one, other| one.policy.cmp(&other.policy).then_with(|| one.resource.cmp(&other.resource)));
        strangers.dedup();
        strangers
    }

    /// May the session do this to the resource?
    pub fn decide(
        &self,
        session: &Arc<Session>,
        resource: &Arc<Resource>,
        facts: &Facts<'_>,
    ) -> Result<Permit, Denial> {
        let subject = Subject::Resource(Arc::clone(resource));
        self.judge(session, subject, facts.action(), facts)
    }

    /// May the session open a tunnel to a host that is no resource?
    pub fn decide_tunnel(&self, session: &Arc<Session>, host: &Authority, facts: &Facts<'_>) -> Result<Permit, Denial> {
        self.judge(session, Subject::Host(host.clone()), Action::Connect, facts)
    }

    /// Opening the TLS of a host that a resource claims needs no policy: each request inside is decided by
    /// itself, and none is sent before that.
    pub fn open(&self, session: &Arc<Session>, host: &Authority) -> Permit {
        let subject = Subject::Host(host.clone());
        Permit::new(Arc::clone(session), subject, Action::Open, Arc::new([]), self.snapshot.hash.clone())
    }

    /// Whether the session could be permitted anything at all on the resource's front page: reason enough to dial
    /// while its first request is on the way, and no decision.
    pub fn might_permit(&self, session: &Arc<Session>, resource: &Arc<Resource>, facts: &Facts<'_>) -> bool {
        let subject = Subject::Resource(Arc::clone(resource));
        let permits = |action| self.snapshot.evaluate(session, &subject, action, facts).denied.is_none();
        permits(Action::Read) || permits(Action::Write)
    }

    fn judge(
        &self,
        session: &Arc<Session>,
        subject: Subject,
        action: Action,
        facts: &Facts<'_>,
    ) -> Result<Permit, Denial> {
        let verdict = self.snapshot.evaluate(session, &subject, action, facts);
        let (policies, policy_set) = (Arc::clone(&verdict.policies), self.snapshot.hash.clone());
        match verdict.denied {
            None => Ok(Permit::new(Arc::clone(session), subject, action, policies, policy_set)),
            Some(reason) => {
                let (agent, subject) = (session.agent().clone(), subject.to_string());
                Err(Denial { reason, agent, action, subject, policies, policy_set })
            }
        }
    }
}

/// What a set says to one request.
#[derive(Debug)]
struct Verdict {
    denied: Option<DenialReason>,
    policies: Arc<[PolicyId]>,
}

#[cfg(test)]
mod tests;
