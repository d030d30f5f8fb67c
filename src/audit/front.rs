//! What everyone may touch for a moment: the queue, the pen while nobody writes with it, and how it went.
//!
//! INVARIANT: the front lock is never held across hashing, signing, write(2) or fdatasync, so that no thread
//! that serves requests waits for another's.

use std::io;
use std::sync::Arc;
use std::sync::Condvar;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

use tokio::sync::watch;

use crate::audit::Durability;
use crate::audit::Unrecorded;
use crate::audit::heads::HeadFiles;
use crate::audit::pen::Pen;
use crate::audit::queue::Queue;
use crate::audit::signing::Signer;
use crate::model::Clock;
use crate::model::Timestamp;

/// Shared by the ledger and its writer thread.
pub(super) struct Shared {
    front: Mutex<Front>,
    /// The writer thread sleeps on it.
    pub work: Condvar,
    /// The writer thread and the end of the daemon wait for the pen on it; no request does.
    pub pen_free: Condvar,
    pub synced: watch::Sender<Synced>,
    pub clock: Arc<dyn Clock>,
    pub sign_every: u64,
    pub durability: Durability,
    pub heads: HeadFiles,
    pub signer: Arc<Signer>,
}

/// How far the disk has the chain.
#[derive(Clone, Copy, Debug)]
pub(super) struct Synced {
    pub seq: u64,
    pub failed: bool,
}

/// What stands under the front lock.
#[derive(Debug)]
pub(super) struct Front {
    /// The writing end of the chain; whoever takes it leads, and nobody else writes until it is back.
    pub pen: Option<Box<Pen>>,
    pub queue: Queue,
    /// Since when nothing could be written, and what was lost by it.
    pub gap: Option<Gap>,
    /// Decided, but not completed.
    pub open: u64,
    /// The last line that was written.
    pub seq: u64,
    /// The last line that a `signed` line vouches for.
    pub signed: u64,
    /// The last line that `head.json` vouches for.
    pub vouched: u64,
    /// `head.json` is to vouch for the last line.
    pub head_due: bool,
    /// The disk did not take what the kernel had: nothing more may be promised.
    pub sync_failed: bool,
    /// A request waits for the disk.
    pub wants_sync: bool,
    pub synced: u64,
    pub writer_sleeps: bool,
    /// The writer thread has ended, in order or by a panic.
    pub writer_gone: bool,
    pub pen_awaited: bool,
    pub stopping: bool,
    pub closed: bool,
}

/// A time in which the ledger could not be written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Gap {
    pub since: Timestamp,
    /// Requests that were refused for it.
    pub requests: u64,
    /// Completions for which there was no room in the queue either.
    pub completions: u64,
    pub cause: io::ErrorKind,
}

impl Shared {
    pub fn new(pen: Pen, clock: Arc<dyn Clock>, sign_every: u64) -> Self {
        let (synced, _) = watch::channel(Synced { seq: 0, failed: false });
        Self {
            work: Condvar::new(),
            pen_free: Condvar::new(),
            synced,
            clock,
            // a signature is a line itself: signing each line would never end
            sign_every: sign_every.max(2),
            durability: pen.durability,
            heads: pen.heads.clone(),
            signer: Arc::clone(&pen.signer),
            front: Mutex::new(Front::new(pen)),
        }
    }

    pub fn lock(&self) -> MutexGuard<'_, Front> {
        // a panic can't leave it half changed: what is done under it can't panic
        self.front.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Blocks until nobody writes. For the writer thread and the end only.
    pub fn await_pen<'a>(&self, mut front: MutexGuard<'a, Front>) -> MutexGuard<'a, Front> {
        while front.pen.is_none() {
            front.pen_awaited = true;
            front = self.pen_free.wait(front).unwrap_or_else(PoisonError::into_inner);
        }
        front
    }
}

impl Front {
    fn new(pen: Pen) -> Self {
        let seq = pen.head.seq();
        Self {
            pen: Some(Box::new(pen)),
            queue: Queue::default(),
            gap: None,
            open: 0,
            seq,
            signed: seq,
            vouched: seq,
            head_due: false,
            sync_failed: false,
            wants_sync: false,
            synced: 0,
            writer_sleeps: false,
            writer_gone: false,
            pen_awaited: false,
            stopping: false,
            closed: false,
        }
    }

    /// Whether a decision can be taken at all.
    pub fn admits(&self) -> Result<(), Unrecorded> {
        let closed = self.closed || (self.writer_gone && self.stopping);
        match (closed, self.writer_gone, self.sync_failed) {
            (true, _, _) => Err(Unrecorded::Closed),
            (_, true, _) => Err(Unrecorded::NoWriter),
            (_, _, true) => Err(Unrecorded::NotDurable),
            (false, false, false) => Ok(()),
        }
    }

    /// Lines that no `signed` line vouches for.
    pub fn unsigned(&self) -> u64 {
        self.seq.saturating_sub(self.signed)
    }

    /// The gap, begun with the first failure.
    pub fn gap(&mut self, now: Timestamp, cause: io::ErrorKind) -> &mut Gap {
        let gap = self.gap.get_or_insert(Gap { since: now, requests: 0, completions: 0, cause });
        gap.cause = cause;
        gap
    }

    /// Queues a completion; one for which there is no room is counted.
    pub fn queue_completion(&mut self, body: &[u8], now: impl FnOnce() -> Timestamp) {
        if self.queue.push(body, None) {
            self.open = self.open.saturating_sub(1);
        } else {
            let gap = self.gap(now(), io::ErrorKind::StorageFull);
            gap.completions = gap.completions.saturating_add(1);
        }
    }

    /// The gap has been told in the ledger; what was lost meanwhile is still to tell.
    pub fn heal(&mut self, told: Option<&Gap>) {
        let Some(gap) = &mut self.gap else { return };
        gap.requests = gap.requests.saturating_sub(told.map_or(0, |told| told.requests));
        gap.completions = gap.completions.saturating_sub(told.map_or(0, |told| told.completions));
        if gap.requests == 0 && gap.completions == 0 {
            self.gap = None;
        }
    }
}
