//! What goes over the control socket, as JSON.
//!
//! Readers ignore members they do not know, so that a command and a daemon of different versions get along.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use serde::Deserialize;
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use crate::model::AgentName;
use crate::model::SessionId;
use crate::model::Timestamp;
use crate::model::UserName;

/// What `run` asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionWish {
    /// Which agent.
    pub agent: AgentName,
    /// For whom, when not for the user of the daemon.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<UserName>,
    /// The process that asks. The daemon takes the kernel's word for it where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    /// The program that is to run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub program: Option<PathBuf>,
    /// The caller's own values of variables that are lists to be added to.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub inherited: BTreeMap<String, String>,
}

/// A session, and everything its agent needs. Holds the session's secret: `Debug` keeps silent about it.
#[derive(Clone, Serialize, Deserialize)]
pub struct SessionOpened {
    /// Its name.
    pub session: SessionId,
    /// Which agent.
    pub agent: AgentName,
    /// For whom.
    pub user: UserName,
    /// The proxy, with the session's credentials.
    pub proxy_url: String,
    /// The session's own listener, which asks for no password.
    pub listener_url: String,
    /// Variables to set.
    pub environment: Vec<(String, String)>,
    /// Variables to take out.
    pub unset: Vec<String>,
    /// Fires when the session ends for another reason than its connection. The daemon's side only.
    #[serde(skip)]
    pub ended: CancellationToken,
}

impl fmt::Debug for SessionOpened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionOpened")
            .field("session", &self.session)
            .field("agent", &self.agent)
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

/// One open session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionSummary {
    /// Its name.
    pub session: SessionId,
    /// Which agent.
    pub agent: AgentName,
    /// For whom.
    pub user: UserName,
    /// Since when.
    pub opened_at: Timestamp,
    /// The process that opened it.
    pub pid: Option<u32>,
    /// The program that runs in it.
    pub program: Option<PathBuf>,
}

/// How the daemon is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Its process.
    pub pid: u32,
    /// Its version.
    pub version: String,
    /// Since when it serves.
    pub started_at: Timestamp,
    /// For how long.
    pub uptime_s: u64,
    /// Whose it is.
    pub user: UserName,
    /// Where agents connect.
    pub listening: Vec<SocketAddr>,
    /// Open sessions.
    pub sessions: usize,
    /// The zone its tokens come from.
    pub zone: ZoneStatus,
    /// What was configured.
    pub configuration: ConfigurationStatus,
    /// What decides.
    pub policies: PolicyStatus,
    /// What records.
    pub ledger: LedgerStatus,
    /// What opens TLS.
    pub certificates: CertificateStatus,
}

/// Whether a part works.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Health {
    /// As it should.
    Well,
    /// It goes on with what it had, or refuses.
    Failing,
}

/// The zone, as the daemon last saw it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ZoneStatus {
    /// Its URL.
    pub issuer: String,
    /// Whether it answers.
    pub health: Health,
    /// In words: `embedded`, `signed in as ada`, or what is wrong.
    pub detail: String,
}

/// The configuration in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigurationStatus {
    /// Its file; none for the built-in defaults.
    pub file: Option<PathBuf>,
    /// When it was read.
    pub loaded_at: Timestamp,
    /// How many resources it has.
    pub resources: usize,
    /// Why the file as it is now is not in force.
    pub last_error: Option<String>,
    /// It was taken over, but for what is bound or opened once.
    #[serde(default)]
    pub restart_needed: bool,
}

/// The policy set in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyStatus {
    /// How many policies.
    pub count: usize,
    /// The set's hash, as records have it.
    pub hash: String,
    /// Why the files as they are now are not in force.
    pub last_error: Option<String>,
}

/// The ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerStatus {
    /// When it is failing, requests are refused.
    pub health: Health,
    /// Where its files are.
    pub folder: PathBuf,
    /// What is wrong.
    pub last_error: Option<String>,
}

/// The local certificate authority.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertificateStatus {
    /// System roots and ours in one file.
    pub bundle: PathBuf,
    /// How many leaf certificates are in the cache.
    pub leaves: u64,
}

impl Status {
    /// Whether nothing in it asks for someone's attention.
    pub fn is_well(&self) -> bool {
        let parts = [self.zone.health, self.ledger.health];
        let errors = [&self.configuration.last_error, &self.policies.last_error, &self.ledger.last_error];
        parts.iter().all(|health| *health == Health::Well) && errors.iter().all(|error| error.is_none())
    }
}

/// What went wrong in the daemon, in the words for a person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct Problem {
    /// Whose fault.
    pub kind: ProblemKind,
    /// Stable, for programs.
    pub code: String,
    /// A sentence, lower case, no full stop.
    pub message: String,
    /// What to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// Whose fault a problem is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProblemKind {
    /// The request makes no sense.
    Invalid,
    /// There is no such thing.
    Missing,
    /// It is not permitted.
    Refused,
    /// A bound is reached.
    Busy,
    /// The configuration or a policy is off.
    Configuration,
    /// The daemon's own.
    Internal,
}

impl Problem {
    /// Without a hint.
    pub fn new(kind: ProblemKind, code: &str, message: impl Into<String>) -> Self {
        Self { kind, code: code.into(), message: message.into(), hint: None }
    }

    /// What to do about it.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// The answer to `POST /reload`.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::control) struct Reloaded {
    pub(in crate::control) summary: String,
}
