//! The words of a record: what a request was, how it was decided, how it ended.

use std::fmt;
use std::path::Path as FilePath;
use std::str::FromStr;
use std::sync::Arc;

use hyper::Method;

use crate::model::Authority;
use crate::model::Path;
use crate::model::PolicyId;
use crate::model::Scheme;
use crate::policy::Action;
use crate::policy::PolicySetHash;

/// What is known of a request when it arrives. Whatever could not be parsed is left out.
#[derive(Clone, Debug)]
pub struct Opening {
    /// As sent.
    pub method: Method,
    /// `http` or `https`.
    pub scheme: Option<Scheme>,
    /// Canonical host and port.
    pub authority: Option<Authority>,
    /// Canonical, without the query.
    pub path: Option<Path>,
    /// The process at the other end of the connection, where known; else the session's.
    pub pid: Option<u32>,
    /// Its program, where known; else the session's.
    pub program: Option<Arc<FilePath>>,
}

/// How a request was decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// By a policy: yes.
    Permit,
    /// By a policy, or by none that permits: no.
    Deny,
    /// Before or beside policy: malformed, unidentified, aborted.
    Refuse,
}

impl Decision {
    /// As in the ledger.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Permit => "permit",
            Self::Deny => "deny",
            Self::Refuse => "refuse",
        }
    }
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Not one of the three.
#[derive(Debug, thiserror::Error)]
#[error("a decision is `permit`, `deny` or `refuse`")]
pub struct NotADecision;

impl FromStr for Decision {
    type Err = NotADecision;

    fn from_str(text: &str) -> Result<Self, NotADecision> {
        [Self::Permit, Self::Deny, Self::Refuse]
            .into_iter()
            .find(|decision| decision.as_str() == text)
            .ok_or(NotADecision)
    }
}

/// Who said no.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rejection {
    /// Policy.
    Deny,
    /// Anything before or beside policy.
    Refuse,
}

impl From<Rejection> for Decision {
    fn from(rejection: Rejection) -> Self {
        match rejection {
            Rejection::Deny => Self::Deny,
            Rejection::Refuse => Self::Refuse,
        }
    }
}

/// Why a request goes no further.
#[derive(Clone, Debug)]
pub struct RefusedBy {
    /// The refusal table's stable code.
    pub code: &'static str,
    /// Who said no.
    pub decision: Rejection,
    /// What was asked for, where it got so far.
    pub action: Option<Action>,
    /// The policies that decided.
    pub policies: Option<Arc<[PolicyId]>>,
    /// The set they belong to.
    pub policy_set: Option<PolicySetHash>,
}

impl RefusedBy {
    /// A refusal in which policy had no part.
    pub fn code(code: &'static str) -> Self {
        Self { code, decision: Rejection::Refuse, action: None, policies: None, policy_set: None }
    }
}

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Answered to the last byte.
    Ok,
    /// A CONNECT that was opened by us: its requests have records of their own.
    Intercepted,
    /// Answered by us instead of the upstream: a denial, a refusal.
    Refused,
    /// The upstream, the provider or the network failed.
    Failed,
    /// The agent or the session went away before the end.
    Aborted,
}

impl Outcome {
    /// As in the ledger.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Intercepted => "intercepted",
            Self::Refused => "refused",
            Self::Failed => "failed",
            Self::Aborted => "aborted",
        }
    }
}

/// The end of a request.
#[derive(Clone, Copy, Debug)]
pub struct Completion {
    /// What the agent was answered.
    pub status: u16,
    /// Body bytes from the agent.
    pub bytes_in: u64,
    /// Body bytes to the agent.
    pub bytes_out: u64,
    /// How it ended.
    pub outcome: Outcome,
    /// The refusal table's code, when something failed.
    pub error: Option<&'static str>,
}
