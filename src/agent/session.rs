//! One run of one agent, for one user.

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;

use tokio_util::sync::CancellationToken;

use crate::model::AgentName;
use crate::model::SessionId;
use crate::model::Timestamp;
use crate::model::UserName;

/// Who is calling, for as long as its `run` lives. Opened and ended by the registry only.
#[derive(Debug)]
pub struct Session {
    pub(crate) id: SessionId,
    pub(crate) agent: AgentName,
    pub(crate) user: UserName,
    pub(crate) opened_at: Timestamp,
    pub(crate) caller: Caller,
    pub(crate) ended: Ended,
}

/// Whether a session has ended: a flag that each request looks at, and what is told to those who wait.
#[derive(Debug, Default)]
pub(crate) struct Ended {
    over: AtomicBool,
    told: CancellationToken,
}

impl Ended {
    /// From now on; whoever waits is told.
    pub(crate) fn end(&self) {
        self.over.store(true, Ordering::Release);
        self.told.cancel();
    }
}

/// The process that opened the session, as the control socket saw it. For the record, not for decisions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Caller {
    /// Process id.
    pub pid: Option<u32>,
    /// The program that was run.
    pub program: Option<PathBuf>,
}

impl Session {
    /// Its name in records and tokens.
    pub fn id(&self) -> &SessionId {
        &self.id
    }

    /// Which agent.
    pub fn agent(&self) -> &AgentName {
        &self.agent
    }

    /// For whom.
    pub fn user(&self) -> &UserName {
        &self.user
    }

    /// Since when.
    pub fn opened_at(&self) -> Timestamp {
        self.opened_at
    }

    /// The process that opened it.
    pub fn caller(&self) -> &Caller {
        &self.caller
    }

    /// Whether it may still be used.
    pub fn is_open(&self) -> bool {
        !self.ended.over.load(Ordering::Acquire)
    }

    /// Resolves when the session ends; tunnels and long bodies wait on it to close at once.
    pub fn ended(&self) -> &CancellationToken {
        &self.ended.told
    }
}
