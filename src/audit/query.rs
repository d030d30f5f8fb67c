//! Reading records: the lines of one request joined into one, filtered, and followed as they are written.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io;
use std::path::Path;

use serde::Deserialize;
use serde::Serialize;

use crate::audit::Decision;
use crate::audit::Outcome;
use crate::audit::chain::Frame;
use crate::audit::line;
use crate::audit::reader::Reader;
use crate::limits::LEDGER_OPEN_ROWS_MAX;
use crate::model::Timestamp;

/// One request: its decision, and its completion when it has one.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Record {
    /// The record's id.
    pub id: String,
    /// The decision's line.
    pub seq: u64,
    /// When it was decided.
    pub time: Timestamp,
    /// `permit`, `deny` or `refuse`.
    pub decision: String,
    #[serde(flatten)]
    decided: Decided,
    #[serde(flatten, default)]
    completed: Completed,
}

/// What else a decision says.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Decided {
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    agent: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    session: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pid: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    program: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    method: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scheme: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    host: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    port: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    path_sha256: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resource: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    action: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    policies: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    policies_more: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    policy_set: Option<String>,
}

/// What a completion says.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Completed {
    #[serde(skip_serializing_if = "Option::is_none")]
    completed_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes_in: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes_out: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_byte_us: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    total_us: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    credential: Option<serde_json::Map<String, serde_json::Value>>,
}

impl Record {
    /// Which agent, where identified.
    pub fn agent(&self) -> Option<&str> {
        self.decided.agent.as_deref()
    }

    /// As sent.
    pub fn method(&self) -> Option<&str> {
        self.decided.method.as_deref()
    }

    /// The resource's identifier, where it was for one.
    pub fn resource(&self) -> Option<&str> {
        self.decided.resource.as_deref()
    }

    /// What the agent was answered.
    pub fn status(&self) -> Option<u16> {
        self.completed.status
    }

    /// From arrival to the answer's last byte, in microseconds.
    pub fn total_us(&self) -> Option<u64> {
        self.completed.total_us
    }

    /// How it ended: an [`Outcome`], or `unknown` after a crash; none while it lasts.
    pub fn outcome(&self) -> Option<&str> {
        self.completed.outcome.as_deref()
    }

    /// Why it was not answered, or not whole: the refusal's code.
    pub fn why(&self) -> Option<&str> {
        self.decided.reason.as_deref().or(self.completed.error.as_deref())
    }

    /// Host, port where it is not the usual one, and path, as one text.
    pub fn place(&self) -> String {
        let mut place = self.decided.host.clone().unwrap_or_else(|| "-".to_owned());
        let usual = match self.decided.scheme.as_deref() {
            Some("http") => 80,
            _ => 443,
        };
        if let Some(port) = self.decided.port.filter(|port| *port != usual) {
            let _ = write!(place, ":{port}");
        }
        if self.method() != Some("CONNECT") {
            place.push_str(self.decided.path.as_deref().unwrap_or(""));
        }
        place
    }

    /// As one line of JSON in which nothing misleads a terminal.
    pub fn to_json(&self) -> String {
        line::plain(serde_json::to_string(self).unwrap_or_default())
    }
}

/// Which records are wanted; what is none is not asked for.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// This agent's.
    pub agent: Option<String>,
    /// The one with this id.
    pub record: Option<String>,
    /// This session's.
    pub session: Option<String>,
    /// For this resource's identifier, or one that holds the text.
    pub resource: Option<String>,
    /// Decided so.
    pub decision: Option<Decision>,
    /// Decided then or later.
    pub since: Option<Timestamp>,
    /// CONNECT requests that we opened too, though their requests have records of their own.
    pub intercepted: bool,
}

impl Filter {
    fn wants(&self, record: &Record) -> bool {
        let is = |wanted: &Option<String>, found: &Option<String>| wanted.is_none() || wanted == found;
        let resource = self.resource.as_deref();
        self.record.as_ref().is_none_or(|wanted| *wanted == record.id)
            && is(&self.agent, &record.decided.agent)
            && is(&self.session, &record.decided.session)
            && resource.is_none_or(|wanted| record.resource().is_some_and(|found| found.contains(wanted)))
            && self.decision.is_none_or(|wanted| wanted.as_str() == record.decision)
            && self.since.is_none_or(|since| record.time >= since)
    }

    fn shows(&self, record: &Record) -> bool {
        self.intercepted || self.record.is_some() || record.outcome() != Some(Outcome::Intercepted.as_str())
    }
}

/// Reads a ledger from where it was left, as often as asked.
#[derive(Debug)]
pub struct Records {
    reader: Reader,
    known: Known,
}

/// What is known of requests so far.
#[derive(Debug)]
struct Known {
    filter: Filter,
    open: HashMap<String, Record>,
    damaged: u64,
}

impl Records {
    /// From the first file that may hold what is wanted.
    pub fn new(folder: &Path, filter: Filter) -> Self {
        let reader = Reader::new(folder, filter.since);
        Self { reader, known: Known { filter, open: HashMap::new(), damaged: 0 } }
    }

    /// Gives `each` record that has been completed since the last call, in that order.
    pub fn read(&mut self, mut each: impl FnMut(Record)) -> io::Result<()> {
        let known = &mut self.known;
        self.reader.read(|line| known.take(line, &mut each))
    }

    /// Those that are decided and not completed.
    pub fn open(&self) -> impl Iterator<Item = &Record> {
        self.known.open.values()
    }

    /// Lines that could not be understood.
    pub fn damaged(&self) -> u64 {
        self.known.damaged
    }
}

impl Known {
    fn take(&mut self, bytes: &[u8], each: &mut impl FnMut(Record)) {
        let Some(frame) = Frame::parse(bytes) else {
            self.damaged += 1;
            return;
        };
        match (frame.kind, frame.id) {
            ("decided", Some(_)) => match serde_json::from_slice::<Record>(bytes) {
                Ok(record) if self.filter.wants(&record) && self.open.len() < LEDGER_OPEN_ROWS_MAX => {
                    self.open.insert(record.id.clone(), record);
                }
                Ok(_) => {}
                Err(_) => self.damaged += 1,
            },
            (kind @ ("completed" | "unknown"), Some(id)) => {
                let Some(mut record) = self.open.remove(id) else { return };
                match serde_json::from_slice::<Completion>(bytes) {
                    Ok(end) => record.completed = end.into_completed(kind == "unknown"),
                    Err(_) => self.damaged += 1,
                }
                if self.filter.shows(&record) {
                    each(record);
                }
            }
            _ => {}
        }
    }
}

/// A completion's line, whose time is not the record's.
#[derive(Deserialize)]
struct Completion {
    time: Timestamp,
    #[serde(flatten)]
    rest: Completed,
}

impl Completion {
    fn into_completed(self, unknown: bool) -> Completed {
        let outcome = if unknown { Some("unknown".to_owned()) } else { self.rest.outcome };
        Completed { completed_at: (!unknown).then_some(self.time), outcome, ..self.rest }
    }
}
