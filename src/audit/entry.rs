//! One request's record while the request lives.
//!
//! Exactly one record per request: an entry that is dropped before its end is recorded as aborted, and one
//! that was never decided as refused.

mod lines;

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
use crate::audit::line;
use crate::audit::seat::Seat;
use crate::credential::Provenance;
use crate::model::PolicyId;
use crate::model::RecordId;
use crate::model::ResourceId;
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
    credential: Option<Arc<[u8]>>,
    begun: Duration,
    first_byte: Option<Duration>,
    late_error: Option<&'static str>,
    stage: Stage,
}

/// How far the record has come.
#[derive(Debug)]
enum Stage {
    Open,
    /// The decision is queued, or another is writing it.
    Seated(Arc<Seat>),
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
        // a CONNECT's permit is for a host; the resource that it belongs to was found before
        if let Some(resource) = permit.resource() {
            self.resource = Some(resource.identifier.clone());
        }
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
        if !matches!(self.stage, Stage::Open) {
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
        self.credential = Some(lines::credential(provenance));
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
        let recorded = match &self.stage {
            Stage::Open => self.take_decided(verdict).await,
            Stage::Seated(seat) => self.ledger.follow(seat).await,
            Stage::Decided | Stage::Completed => return Ok(()),
            Stage::Unrecorded => return Err(Unrecorded::Before),
        };
        // INVARIANT: set before the next await, so that an entry dropped while it waits ends its record
        self.stage = if recorded.is_ok() { Stage::Decided } else { Stage::Unrecorded };
        self.ledger.durable(recorded?).await
    }

    async fn take_decided(&mut self, verdict: &Verdict<'_>) -> Result<u64, Unrecorded> {
        let now = self.ledger.clock().now();
        let taken = line::with_scratch(|bytes| {
            self.write_decided(bytes, now, verdict);
            self.ledger.take_decided(bytes, now)
        });
        let seat = taken?;
        // INVARIANT: set before the await, as above
        self.stage = Stage::Seated(Arc::clone(&seat));
        self.ledger.follow(&seat).await
    }

    fn finish(&mut self, completion: &Completion) {
        match std::mem::replace(&mut self.stage, Stage::Completed) {
            Stage::Completed => {}
            Stage::Unrecorded => self.stage = Stage::Unrecorded,
            Stage::Open => self.finish_undecided(completion),
            Stage::Decided => line::with_scratch(|bytes| {
                self.write_completed(bytes, completion);
                self.ledger.queue_completion(bytes);
            }),
            Stage::Seated(seat) => line::with_scratch(|bytes| {
                self.write_completed(bytes, completion);
                self.ledger.leave(&seat, bytes);
            }),
        }
    }

    fn finish_undecided(&self, completion: &Completion) {
        let verdict = Verdict {
            decision: Decision::Refuse,
            reason: Some(completion.error.unwrap_or(completion.outcome.as_str())),
            action: None,
            policies: &[],
            policy_set: None,
        };
        let now = self.ledger.clock().now();
        line::with_scratch(|bytes| {
            self.write_decided(bytes, now, &verdict);
            let decided = bytes.len();
            self.write_completed(bytes, completion);
            let (decided, completed) = bytes.split_at_checked(decided).unwrap_or_default();
            self.ledger.queue_record(decided, completed);
        });
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.finish(&Completion { status: 0, bytes_in: 0, bytes_out: 0, outcome: Outcome::Aborted, error: None });
    }
}
