//! Step 3, decide: the only maker of a [`Permit`].
//!
//! Default deny. A policy that errors while it is evaluated denies, since Cedar itself would skip it. Each
//! request is decided by one snapshot of the set, which its record names by hash.

mod cedar;
mod facts;
mod permit;
mod source;

use std::sync::Arc;

use arc_swap::ArcSwap;

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

/// Decides. Holds the policy set in force; a reload replaces it whole or not at all.
#[derive(Debug)]
pub struct Policy {
    current: ArcSwap<Snapshot>,
}

impl Policy {
    /// Parses and validates the whole set; a set with any fault is refused with all of its faults.
    pub fn new(texts: &[PolicyText]) -> Result<Self, NotAPolicySet> {
        Ok(Self { current: ArcSwap::from_pointee(Snapshot::parse(texts)?) })
    }

    /// Puts another set in force from the next request on; where it has faults, the old one stays.
    pub fn replace(&self, texts: &[PolicyText]) -> Result<(), NotAPolicySet> {
        self.current.store(Arc::new(Snapshot::parse(texts)?));
        Ok(())
    }

    /// The set in force.
    pub fn hash(&self) -> PolicySetHash {
        self.current.load().hash.clone()
    }

    /// How many policies are in force.
    pub fn count(&self) -> usize {
        self.current.load().count
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
    /// itself, and no byte is sent before that.
    pub fn open(&self, session: &Arc<Session>, host: &Authority) -> Permit {
        let snapshot = self.current.load();
        let subject = Subject::Host(host.clone());
        Permit::new(Arc::clone(session), subject, Action::Open, Arc::new([]), snapshot.hash.clone())
    }

    fn judge(
        &self,
        session: &Arc<Session>,
        subject: Subject,
        action: Action,
        facts: &Facts<'_>,
    ) -> Result<Permit, Denial> {
        let snapshot = self.current.load();
        let verdict = snapshot.evaluate(session, &subject, action, facts);
        let policies = Arc::clone(&verdict.policies);
        match verdict.denied {
            None => Ok(Permit::new(Arc::clone(session), subject, action, policies, snapshot.hash.clone())),
            Some(reason) => Err(Denial { reason, action, policies, policy_set: snapshot.hash.clone() }),
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
