//! One request's record while the request lives.
//!
//! Exactly one record per request: an entry that is dropped before its end is recorded as aborted, and one
//! that was never decided as refused.

use std::sync::Arc;
use std::time::Duration;

use crate::agent::Session;
use crate::audit::Completion;
use crate::audit::Decision;
use crate::audit::Ledger;
use crate::audit::Opening;
use crate::audit::Outcome;
use crate::audit::RefusedBy;
use crate::audit::Unrecorded;
use crate::audit::chain;
use crate::audit::line;
use crate::audit::line::Body;
use crate::credential::Provenance;
use crate::limits::LEDGER_PATH_BYTES_MAX;
use crate::limits::LEDGER_POLICIES_MAX;
use crate::model::PolicyId;
use crate::model::RecordId;
use crate::model::ResourceId;
use crate::model::Timestamp;
use crate::policy::Action;
use crate::policy::Permit;
use crate::policy::PolicySetHash;

/// Made by [`Ledger::begin`], ended by [`Entry::complete`] or by its drop.
#[derive(Debug)]
#[must_use = "a request without its entry has no record"]
pub struct Entry {
    ledger: Arc<Ledger>,
    id: RecordId,
    opening: Opening,
    session: Option<Arc<Session>>,
    resource: Option<ResourceId>,
    credential: Option<Vec<u8>>,
    begun: Duration,
    first_byte: Option<Duration>,
    late_error: Option<&'static str>,
    stage: Stage,
}

/// How far the record has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Open,
    Decided,
    /// The ledger could not take the decision: its `gap` line will count this request.
    Unrecorded,
    Completed,
}

/// The part of a decision that permit and refusal share.
struct Verdict<'a> {
    decision: Decision,
    reason: Option<&'static str>,
    action: Option<Action>,
    policies: &'a [PolicyId],
    policy_set: Option<&'a PolicySetHash>,
}

impl Entry {
    pub(super) fn new(ledger: Arc<Ledger>, id: RecordId, opening: Opening, begun: Duration) -> Self {
        Self {
            ledger,
            id,
            opening,
            session: None,
            resource: None,
            credential: None,
            begun,
            first_byte: None,
            late_error: None,
            stage: Stage::Open,
        }
    }

    /// Told to the agent in every refusal.
    pub fn id(&self) -> RecordId {
        self.id
    }

    /// Identified as.
    pub fn session(&mut self, session: &Arc<Session>) {
        self.session = Some(Arc::clone(session));
    }

    /// Found to be for this resource, or for none.
    pub fn resource(&mut self, identifier: Option<ResourceId>) {
        self.resource = identifier;
    }

    /// Records the permit. When this returns `Ok`, the line is with the kernel ([`Durability::Os`]; there is no
    /// waiting) or on the disk ([`Durability::Disk`]); on `Err` nothing may be obtained or sent.
    ///
    /// [`Durability::Os`]: crate::audit::Durability::Os
    /// [`Durability::Disk`]: crate::audit::Durability::Disk
    pub async fn permit(&mut self, permit: &Permit) -> Result<(), Unrecorded> {
        self.session(permit.session());
        self.resource = permit.resource().map(|resource| resource.identifier.clone());
        self.decide(&Verdict {
            decision: Decision::Permit,
            reason: None,
            action: Some(permit.action()),
            policies: permit.policies(),
            policy_set: Some(permit.policy_set()),
        })
        .await
    }

    /// Records that the request goes no further. After a permit this only says why the request fails, for the
    /// completion.
    pub async fn refuse(&mut self, refusal: RefusedBy) -> Result<(), Unrecorded> {
        if self.stage != Stage::Open {
            self.late_error = Some(refusal.code);
            return Ok(());
        }
        self.decide(&Verdict {
            decision: refusal.decision.into(),
            reason: Some(refusal.code),
            action: refusal.action,
            policies: refusal.policies.as_deref().unwrap_or_default(),
            policy_set: refusal.policy_set.as_ref(),
        })
        .await
    }

    /// What was injected, as far as it may be told.
    pub fn credential(&mut self, provenance: &Provenance) {
        self.credential = Some(Body::object(|body| {
            body.text("source", provenance.source.as_str());
            if let Some(issuer) = &provenance.issuer {
                body.foreign("issuer", issuer);
            }
            if !provenance.scopes.is_empty() {
                body.foreign("scopes", &provenance.scopes.to_string());
            }
            body.shown("fingerprint", provenance.fingerprint);
            if let Some(expires_at) = provenance.expires_at {
                body.time("expires_at", expires_at);
            }
            body.flag("cached", provenance.cached);
        }));
    }

    /// The first byte of the answer is on its way; only the first call counts.
    pub fn first_byte(&mut self) {
        if self.first_byte.is_none() {
            self.first_byte = Some(self.ledger.clock().monotonic());
        }
    }

    /// The answer has ended.
    pub fn complete(mut self, completion: Completion) {
        self.finish(&completion);
    }

    async fn decide(&mut self, verdict: &Verdict<'_>) -> Result<(), Unrecorded> {
        match self.stage {
            Stage::Open => {}
            Stage::Decided | Stage::Completed => return Ok(()),
            Stage::Unrecorded => return Err(Unrecorded::Before),
        }
        let now = self.ledger.clock().now();
        let written = line::with_scratch(|bytes| {
            self.write_decided(bytes, now, verdict);
            self.ledger.write_decided(bytes, now)
        });
        match written {
            Ok(seq) => {
                // INVARIANT: set before the await, so that an entry dropped while it waits ends its record
                self.stage = Stage::Decided;
                self.ledger.durable(seq).await
            }
            Err(unrecorded) => {
                self.stage = Stage::Unrecorded;
                Err(unrecorded)
            }
        }
    }

    fn finish(&mut self, completion: &Completion) {
        match self.stage {
            Stage::Completed | Stage::Unrecorded => return,
            Stage::Decided => {}
            Stage::Open => {
                let now = self.ledger.clock().now();
                let reason = completion.error.unwrap_or(completion.outcome.as_str());
                let verdict = Verdict {
                    decision: Decision::Refuse,
                    reason: Some(reason),
                    action: None,
                    policies: &[],
                    policy_set: None,
                };
                line::with_scratch(|bytes| {
                    self.write_decided(bytes, now, &verdict);
                    self.ledger.queue(bytes, true);
                });
            }
        }
        self.stage = Stage::Completed;
        line::with_scratch(|bytes| {
            self.write_completed(bytes, completion);
            self.ledger.queue(bytes, false);
        });
    }

    fn write_decided(&self, bytes: &mut Vec<u8>, now: Timestamp, verdict: &Verdict<'_>) {
        let mut body = Body::begin(bytes, "decided");
        body.shown("id", self.id).time("time", now);
        if let Some(session) = &self.session {
            body.text("user", session.user().as_str());
            body.text("agent", session.agent().as_str());
            body.text("session", session.id().as_str());
        }
        self.write_caller(&mut body);
        self.write_request(&mut body);
        if let Some(resource) = &self.resource {
            body.text("resource", resource.as_str());
        }
        if let Some(action) = verdict.action {
            body.text("action", action.as_str());
        }
        body.text("decision", verdict.decision.as_str());
        if let Some(reason) = verdict.reason {
            body.text("reason", reason);
        }
        if let Some(policy_set) = verdict.policy_set {
            body.texts("policies", verdict.policies.iter().take(LEDGER_POLICIES_MAX).map(PolicyId::as_str));
            let more = verdict.policies.len().saturating_sub(LEDGER_POLICIES_MAX);
            if more > 0 {
                body.number("policies_more", u64::try_from(more).unwrap_or(u64::MAX));
            }
            body.shown("policy_set", policy_set);
        }
        body.end();
    }

    fn write_caller(&self, body: &mut Body<'_>) {
        let caller = self.session.as_deref().map(Session::caller);
        if let Some(pid) = self.opening.pid.or_else(|| caller?.pid) {
            body.number("pid", pid.into());
        }
        if let Some(program) = self.opening.program.as_deref().or_else(|| caller?.program.as_deref()) {
            body.foreign("program", &program.to_string_lossy());
        }
    }

    fn write_request(&self, body: &mut Body<'_>) {
        body.foreign("method", self.opening.method.as_str());
        if let Some(scheme) = self.opening.scheme {
            body.text("scheme", scheme.as_str());
        }
        if let Some(authority) = &self.opening.authority {
            body.text("host", authority.host.as_str()).number("port", authority.port.into());
        }
        let Some(path) = self.opening.path.as_ref().map(crate::model::Path::as_str) else { return };
        let kept = line::cut(path, LEDGER_PATH_BYTES_MAX);
        if kept.len() == path.len() {
            body.text("path", path);
        } else {
            body.text("path", &format!("{kept}…"));
            body.text("path_sha256", std::str::from_utf8(&chain::sha256_hex(path.as_bytes())).unwrap_or(""));
        }
    }

    fn write_completed(&self, bytes: &mut Vec<u8>, completion: &Completion) {
        let clock = self.ledger.clock();
        let micros = |until: Duration| u64::try_from(until.saturating_sub(self.begun).as_micros()).unwrap_or(u64::MAX);
        let mut body = Body::begin(bytes, "completed");
        body.shown("id", self.id).time("time", clock.now());
        if completion.status != 0 {
            body.number("status", completion.status.into());
        }
        body.number("bytes_in", completion.bytes_in).number("bytes_out", completion.bytes_out);
        if let Some(first_byte) = self.first_byte {
            body.number("first_byte_us", micros(first_byte));
        }
        body.number("total_us", micros(clock.monotonic())).text("outcome", completion.outcome.as_str());
        if let Some(error) = completion.error.or(self.late_error) {
            body.text("error", error);
        }
        if let Some(credential) = &self.credential {
            body.ready("credential", credential);
        }
        body.end();
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.finish(&Completion { status: 0, bytes_in: 0, bytes_out: 0, outcome: Outcome::Aborted, error: None });
    }
}
