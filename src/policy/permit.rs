//! The verdict that everything after it asks for.

use std::fmt;
use std::sync::Arc;

use crate::agent::Session;
use crate::model::AgentName;
use crate::model::Authority;
use crate::model::PolicyId;
use crate::resource::Resource;

/// What a request does, as policies see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// GET, HEAD, OPTIONS on a resource.
    Read,
    /// Any other method on a resource.
    Write,
    /// A tunnel to a host that is no resource.
    Connect,
    /// Opening the TLS of a resource's host; no policy speaks of it.
    Open,
}

impl Action {
    /// Its Cedar id.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Connect => "connect",
            Self::Open => "open",
        }
    }
}

/// SHA-256 of the policies' text, shown as `sha256:` and hex: names the set that decided.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct PolicySetHash(pub(crate) Arc<str>);

impl PolicySetHash {
    /// In lower-case hex.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PolicySetHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for PolicySetHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A refusal by policy, with what it rests on.
#[derive(Clone, Debug)]
#[must_use = "a denial is an answer"]
pub struct Denial {
    /// Why.
    pub reason: DenialReason,
    /// Who asked.
    pub agent: AgentName,
    /// What was asked.
    pub action: Action,
    /// Of what, as policies name it: `Resource::"…"` or `Host::"…"`.
    pub subject: String,
    /// The policies that forbade it; none where nothing permitted it.
    pub policies: Arc<[PolicyId]>,
    /// The set that was asked.
    pub policy_set: PolicySetHash,
}

/// Why policy said no.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DenialReason {
    /// No policy permits it.
    NotPermitted,
    /// A `forbid` matched.
    Forbidden,
    /// A policy could not be evaluated; skipping it could have allowed what it was to forbid.
    PolicyError,
}

/// A decision for one request of one session to one place. Can't be copied, has no default, and is made
/// nowhere but in this room.
#[derive(Debug)]
#[must_use = "a permit is for using once"]
pub struct Permit {
    session: Arc<Session>,
    subject: Subject,
    action: Action,
    policies: Arc<[PolicyId]>,
    policy_set: PolicySetHash,
}

/// What the permit is for.
#[derive(Clone, Debug)]
pub(crate) enum Subject {
    Resource(Arc<Resource>),
    Host(Authority),
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Resource(resource) => write!(f, "Resource::\"{}\"", resource.identifier),
            Self::Host(authority) => write!(f, "Host::\"{authority}\""),
        }
    }
}

impl Permit {
    pub(in crate::policy) fn new(
        session: Arc<Session>,
        subject: Subject,
        action: Action,
        policies: Arc<[PolicyId]>,
        policy_set: PolicySetHash,
    ) -> Self {
        Self { session, subject, action, policies, policy_set }
    }

    /// For unit tests of the rooms behind this one.
    #[cfg(test)]
    pub(crate) fn for_test(session: Arc<Session>, resource: Arc<Resource>, action: Action) -> Self {
        Self::new(session, Subject::Resource(resource), action, Arc::new([]), PolicySetHash("sha256:test".into()))
    }

    /// Who may.
    pub fn session(&self) -> &Arc<Session> {
        &self.session
    }

    /// To which resource; none for a tunnel.
    pub fn resource(&self) -> Option<&Arc<Resource>> {
        match &self.subject {
            Subject::Resource(resource) => Some(resource),
            Subject::Host(_) => None,
        }
    }

    /// What.
    pub fn action(&self) -> Action {
        self.action
    }

    /// The policies that decided.
    pub fn policies(&self) -> &Arc<[PolicyId]> {
        &self.policies
    }

    /// The set they belong to.
    pub fn policy_set(&self) -> &PolicySetHash {
        &self.policy_set
    }
}
