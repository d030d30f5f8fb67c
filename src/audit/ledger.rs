//! The ledger of a running daemon.
//!
//! A decision is one write(2) under a short lock, in the thread that decided: that is cheaper than handing
//! the line to another thread and waiting for its answer. Completions are queued and go with the next decision,
//! or after [`LEDGER_GATHER`](crate::limits::LEDGER_GATHER). With [`Durability::Disk`] a decision also waits
//! until the writer thread's next fdatasync, which serves all that came meanwhile.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Condvar;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;

use tokio::sync::watch;

use crate::audit::Entry;
use crate::audit::FolderNotUsable;
use crate::audit::KeyNotUsable;
use crate::audit::Opening;
use crate::audit::Recovery;
use crate::audit::line::Body;
use crate::audit::recovery;
use crate::audit::state::Gap;
use crate::audit::state::State;
use crate::audit::writer;
use crate::limits::LEDGER_GATHER_BYTES;
use crate::limits::LEDGER_ROTATE_BYTES;
use crate::limits::LEDGER_SIGN_EVERY;
use crate::limits::LEDGER_SYNC_TIMEOUT;
use crate::model::Clock;
use crate::model::RecordId;
use crate::model::Timestamp;
use crate::os::random;

/// What a decision's line must have reached before anything is sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// The kernel: outlives the daemon, not a power cut.
    #[default]
    Os,
    /// The disk.
    Disk,
}

/// Where a ledger lives and how it is kept.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The files; made with mode 0700.
    pub folder: PathBuf,
    /// Where `ledger.key` lives; another folder, made with mode 0700.
    pub key_folder: PathBuf,
    /// `os` or `disk`.
    pub durability: Durability,
    /// A file that has grown to this is followed by a new one.
    pub rotate_bytes: u64,
    /// The head is signed at least once in so many lines.
    pub sign_every: u64,
}

impl Settings {
    /// The usual bounds, and [`Durability::Os`].
    pub fn new(folder: impl Into<PathBuf>, key_folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
            key_folder: key_folder.into(),
            durability: Durability::Os,
            rotate_bytes: LEDGER_ROTATE_BYTES,
            sign_every: LEDGER_SIGN_EVERY.into(),
        }
    }
}

/// The ledger can't be opened: without it the daemon does not start.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// Not private, not there, or another daemon's.
    #[error(transparent)]
    Folder(#[from] FolderNotUsable),
    /// No signatures without it.
    #[error(transparent)]
    Key(#[from] KeyNotUsable),
    /// A file can't be read, repaired or written.
    #[error("the ledger in `{}` can't be read or written", folder.display())]
    Files {
        /// Which folder.
        folder: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// The decision is not in the ledger: nothing may be obtained or sent.
#[derive(Debug, thiserror::Error)]
pub enum Unrecorded {
    /// A full disk, most likely.
    #[error("the ledger could not be written")]
    Write(#[source] io::Error),
    /// It was written, but did not reach the disk, or not in time.
    #[error("the ledger's line did not reach the disk")]
    NotDurable,
    /// This request was unrecorded already.
    #[error("the ledger could not be written for this request before")]
    Before,
    /// The daemon is stopping.
    #[error("the ledger is closed")]
    Closed,
}

/// How far the disk has the chain.
#[derive(Clone, Copy, Debug)]
pub(super) struct Synced {
    pub seq: u64,
    pub failed: bool,
}

/// Shared by the ledger and its writer thread.
pub(super) struct Shared {
    pub state: Mutex<State>,
    pub work: Condvar,
    pub synced: watch::Sender<Synced>,
    pub clock: Arc<dyn Clock>,
    pub sign_every: u64,
}

impl Shared {
    pub fn lock(&self) -> MutexGuard<'_, State> {
        // a panic can't leave the state half changed: the chain moves on after the write, in one assignment
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One daemon's open ledger.
pub struct Ledger {
    shared: Arc<Shared>,
    durability: Durability,
    run: u64,
    records: AtomicU64,
    writer: Mutex<Option<JoinHandle<()>>>,
    lock: Mutex<Option<std::fs::File>>,
}

impl Ledger {
    /// Takes the lock, repairs what a killed daemon left, and begins a run. What was found is told in
    /// [`Recovery`]; a chain that is broken inside is left as it is, for [`verify`](crate::audit::verify).
    pub fn open(settings: Settings, clock: Arc<dyn Clock>) -> Result<(Arc<Self>, Recovery), LedgerError> {
        let (state, lock, recovery) = recovery::open(&settings, clock.now())?;
        let (synced, _) = watch::channel(Synced { seq: 0, failed: false });
        let (durability, sign_every) = (settings.durability, settings.sign_every.max(1));
        let shared = Arc::new(Shared { state: Mutex::new(state), work: Condvar::new(), synced, clock, sign_every });
        let writer = writer::start(Arc::clone(&shared))
            .map_err(|source| LedgerError::Files { folder: settings.folder.clone(), source })?;
        let ledger = Self {
            shared,
            durability,
            run: u64::from_be_bytes(random::bytes()),
            records: AtomicU64::new(0),
            writer: Mutex::new(Some(writer)),
            lock: Mutex::new(Some(lock)),
        };
        Ok((Arc::new(ledger), recovery))
    }

    /// Opens the record of a request that has arrived.
    pub fn begin(self: &Arc<Self>, opening: Opening) -> Entry {
        let clock = self.clock();
        // 40 random bits of this run and a counter: ids of one millisecond sort as they came
        let record = self.records.fetch_add(1, Ordering::Relaxed) & COUNTER_MASK;
        let random = u128::from(self.run) << 40 | u128::from(record);
        let id = RecordId::new(clock.now().as_millis(), random);
        let begun = clock.monotonic();
        Entry::new(Arc::clone(self), id, opening, begun)
    }

    /// Whether the last write was whole and the writer thread lives.
    pub fn healthy(&self) -> bool {
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let writes = writer.as_ref().is_some_and(|thread| !thread.is_finished());
        let state = self.shared.lock();
        writes && state.gap.is_none() && !state.sync_failed && !state.closed
    }

    /// Writes what is queued, says that the daemon stopped, signs the head, and lets go of the lock. Entries
    /// that are still open then are marked `unknown` at the next start.
    pub fn close(&self) {
        if !self.stop_writer() {
            return;
        }
        let now = self.clock().now();
        let mut state = self.shared.lock();
        state.closed = true;
        let mut bytes = Vec::with_capacity(128);
        let mut body = Body::begin(&mut bytes, "stopped");
        body.time("time", now).number("open", state.open);
        body.end();
        let ended = state.write(Some(&bytes), now).and_then(|_| state.sign(now));
        let head = state.take_due_head(now);
        let told = ended.and_then(|()| head.map_or(Ok(()), |head| head.write(&state.folder)));
        let told =
            told.and_then(|()| if self.durability == Durability::Disk { state.file.sync_data() } else { Ok(()) });
        drop(state);
        if let Err(error) = told {
            tracing::error!(%error, "the ledger could not be closed in order");
        }
        self.lock.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    pub(super) fn clock(&self) -> &dyn Clock {
        &*self.shared.clock
    }

    /// Writes the queue and a decision; gives the decision's number.
    pub(super) fn write_decided(&self, body: &[u8], now: Timestamp) -> Result<u64, Unrecorded> {
        let mut state = self.shared.lock();
        if state.closed {
            return Err(Unrecorded::Closed);
        }
        if state.sync_failed {
            return Err(Unrecorded::NotDurable);
        }
        match state.write(Some(body), now) {
            Ok(seq) => {
                state.open = state.open.saturating_add(1);
                let signs = state.unsigned >= self.shared.sign_every || state.head_due;
                let syncs = self.durability == Durability::Disk;
                state.wants_sync |= syncs;
                let wake = (signs || syncs) && state.writer_sleeps;
                drop(state);
                if wake {
                    self.shared.work.notify_one();
                }
                Ok(seq)
            }
            Err(error) => {
                if let Some(gap) = &mut state.gap {
                    gap.requests = gap.requests.saturating_add(1);
                }
                Err(Unrecorded::Write(error))
            }
        }
    }

    /// Takes a line along that nobody waits for: a completion, or a decision that was never asked for.
    pub(super) fn queue(&self, body: &[u8], decided: bool) {
        let mut state = self.shared.lock();
        if state.closed {
            return;
        }
        if state.enqueue(body) {
            state.open = if decided { state.open.saturating_add(1) } else { state.open.saturating_sub(1) };
        } else {
            let now = self.clock().now();
            let none = Gap { since: now, requests: 0, completions: 0, cause: io::ErrorKind::StorageFull };
            let gap = state.gap.get_or_insert(none);
            gap.completions = gap.completions.saturating_add(1);
        }
        if state.queue.len() >= LEDGER_GATHER_BYTES && state.gap.is_none() {
            // a failure is kept in the gap, and the queue stays
            let _ = state.write(None, self.clock().now());
        }
        let wake = state.writer_sleeps;
        drop(state);
        if wake {
            self.shared.work.notify_one();
        }
    }

    /// Returns at once for [`Durability::Os`]; else when the disk has the line.
    pub(super) async fn durable(&self, seq: u64) -> Result<(), Unrecorded> {
        if self.durability == Durability::Os {
            return Ok(());
        }
        let mut synced = self.shared.synced.subscribe();
        let reached = synced.wait_for(|synced| synced.failed || synced.seq >= seq);
        match tokio::time::timeout(LEDGER_SYNC_TIMEOUT, reached).await {
            Ok(Ok(synced)) if synced.seq >= seq => Ok(()),
            _ => Err(Unrecorded::NotDurable),
        }
    }

    /// Ends the writer thread once it has written what is queued; false when it was ended before.
    fn stop_writer(&self) -> bool {
        let Some(thread) = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take() else { return false };
        self.shared.lock().stopping = true;
        self.shared.work.notify_one();
        if thread.join().is_err() {
            tracing::error!("the ledger's writer thread had panicked");
        }
        true
    }

    /// Ends as `kill -9` does: nothing queued is written, nothing is signed.
    #[cfg(test)]
    pub(super) fn kill(&self) {
        let mut state = self.shared.lock();
        state.queue.clear();
        state.closed = true;
        drop(state);
        self.stop_writer();
        self.lock.lock().unwrap().take();
    }

    #[cfg(test)]
    pub(super) fn shared(&self) -> &Shared {
        &self.shared
    }
}

impl Drop for Ledger {
    fn drop(&mut self) {
        self.close();
    }
}

impl std::fmt::Debug for Ledger {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ledger").field("durability", &self.durability).finish_non_exhaustive()
    }
}

const COUNTER_MASK: u64 = (1 << 40) - 1;
