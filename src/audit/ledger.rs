//! The ledger of a running daemon.
//!
//! A decision is queued; once the other tasks of its thread have had their turn, and perhaps queued theirs, the first
//! of them writes all with one write(2), unless another thread is writing just then: that one takes them along (see
//! [`lead`](crate::audit::lead)). Completions are queued too, and go with the next decision, or after
//! [`LEDGER_GATHER`](crate::limits::LEDGER_GATHER). With [`Durability::Disk`] a decision also waits until the
//! writer thread's next fdatasync, which serves all that came meanwhile.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;

use crate::audit::Durability;
use crate::audit::Entry;
use crate::audit::LedgerError;
use crate::audit::Opening;
use crate::audit::Recovery;
use crate::audit::Settings;
use crate::audit::Unrecorded;
use crate::audit::front::Front;
use crate::audit::front::Shared;
use crate::audit::lead::Lead;
use crate::audit::line::Body;
use crate::audit::recovery;
use crate::audit::seat::Call;
use crate::audit::seat::Seat;
use crate::audit::writer;
use crate::limits::LEDGER_GATHER_BYTES;
use crate::limits::LEDGER_SYNC_TIMEOUT;
use crate::model::Clock;
use crate::model::RecordId;
use crate::model::Timestamp;
use crate::os::behind_others;
use crate::os::random;

/// One daemon's open ledger.
pub struct Ledger {
    shared: Arc<Shared>,
    run: u64,
    records: AtomicU64,
    writer: Mutex<Option<JoinHandle<()>>>,
    lock: Mutex<Option<std::fs::File>>,
}

impl Ledger {
    /// Takes the lock, repairs what a killed daemon left, and begins a run. What was found is told in
    /// [`Recovery`]; a chain that is broken inside is left as it is, for [`verify`](crate::audit::verify).
    pub fn open(settings: Settings, clock: Arc<dyn Clock>) -> Result<(Arc<Self>, Recovery), LedgerError> {
        let (pen, lock, recovery) = recovery::open(&settings, clock.now())?;
        let shared = Arc::new(Shared::new(pen, clock, settings.sign_every));
        let writer = writer::start(Arc::clone(&shared))
            .map_err(|source| LedgerError::Files { folder: settings.folder.clone(), source })?;
        let ledger = Self {
            shared,
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

    /// Whether the last write was whole and the writer thread lives: whether decisions can be recorded.
    pub fn healthy(&self) -> bool {
        let front = self.shared.lock();
        front.admits().is_ok() && front.gap.is_none()
    }

    /// Whether the writer thread lives. It ends with [`Ledger::close`]; before that only by a panic, and then
    /// nothing mends it but another start. A full disk does not end it.
    pub fn writer_lives(&self) -> bool {
        !self.shared.lock().writer_gone
    }

    /// Writes what is queued, says that the daemon stopped, signs the head, and lets go of the lock. Entries
    /// that are still open then are marked `unknown` at the next start.
    pub fn close(&self) {
        if !self.stop_writer() {
            return;
        }
        let now = self.clock().now();
        let mut front = self.shared.await_pen(self.shared.lock());
        front.closed = true;
        let lead = Lead::take(&self.shared, &mut front, now);
        drop(front);
        let told = lead.map_or(Ok(()), |lead| self.say_stopped(lead, now));
        if let Err(error) = told {
            tracing::error!(%error, "the ledger could not be closed in order");
        }
        self.lock.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    fn say_stopped(&self, mut lead: Lead<'_>, now: Timestamp) -> std::io::Result<()> {
        let written = lead.write(None);
        let mut front = self.shared.lock();
        lead.regroup(&mut front);
        let open = front.open;
        drop(front);
        let mut bytes = Vec::with_capacity(128);
        let mut body = Body::begin(&mut bytes, "stopped");
        body.time("time", now).number("open", open);
        body.end();
        let written = written.and_then(|_| lead.write(Some(&bytes)));
        let signed = written.and_then(|_| {
            let Some(pen) = lead.pen() else { return Ok(()) };
            pen.sign(now)?;
            pen.heads.write(&pen.vouch(now))?;
            if pen.durability == Durability::Disk { pen.file.sync_data() } else { Ok(()) }
        });
        lead.finish();
        signed
    }

    pub(super) fn clock(&self) -> &dyn Clock {
        &*self.shared.clock
    }

    /// Takes a decision, to be written with those of the same moment; see [`Ledger::follow`].
    pub(super) fn take_decided(&self, body: &[u8], now: Timestamp) -> Result<Arc<Seat>, Unrecorded> {
        let mut front = self.shared.lock();
        front.admits()?;
        let seat = Arc::new(Seat::new());
        if front.queue.push(body, Some(Arc::clone(&seat))) {
            return Ok(seat);
        }
        let full = std::io::ErrorKind::StorageFull;
        let gap = front.gap(now, full);
        gap.requests = gap.requests.saturating_add(1);
        Err(Unrecorded::Write(full.into()))
    }

    /// Leads, unless another has; waits for the leader's word, and leads when it is asked to.
    pub(super) async fn follow(&self, seat: &Seat) -> Result<u64, Unrecorded> {
        behind_others().await;
        if seat.waits() {
            self.write_queued();
        }
        loop {
            match seat.call().await {
                Call::Told(result) => return result,
                Call::Lead => self.write_queued(),
            }
        }
    }

    /// Ends the record of a follower that waits no more: behind its decision, if that is written.
    pub(super) fn leave(&self, seat: &Seat, completion: &[u8]) {
        match seat.leave(completion) {
            // perhaps nobody else has anything to write
            None => self.write_queued(),
            Some(Call::Told(Err(_))) => {}
            Some(Call::Told(Ok(_))) => self.queue_completion(completion),
            Some(Call::Lead) => self.write_queued(),
        }
    }

    /// Takes a completion along, which nobody waits for.
    pub(super) fn queue_completion(&self, body: &[u8]) {
        self.queue(|front| front.queue_completion(body, || self.clock().now()));
    }

    /// Takes a line along that belongs to no request.
    pub(super) fn queue_note(&self, body: &[u8]) {
        self.queue(|front| {
            if !front.queue.push(body, None) {
                let gap = front.gap(self.clock().now(), std::io::ErrorKind::StorageFull);
                gap.completions = gap.completions.saturating_add(1);
            }
        });
    }

    /// Takes a decision and its completion along that were never asked for.
    pub(super) fn queue_record(&self, decided: &[u8], completed: &[u8]) {
        self.queue(|front| {
            if front.queue.push(decided, None) {
                front.open = front.open.saturating_add(1);
                front.queue_completion(completed, || self.clock().now());
            } else {
                let gap = front.gap(self.clock().now(), std::io::ErrorKind::StorageFull);
                gap.requests = gap.requests.saturating_add(1);
            }
        });
    }

    fn queue(&self, push: impl FnOnce(&mut Front)) {
        let mut front = self.shared.lock();
        if front.closed {
            return;
        }
        push(&mut front);
        let full = front.queue.byte_count() >= LEDGER_GATHER_BYTES && front.gap.is_none();
        let wakes = front.writer_sleeps;
        drop(front);
        if full {
            self.write_queued();
        } else if wakes {
            self.shared.work.notify_one();
        }
    }

    /// Writes what is queued, unless another writes: that one takes it along.
    fn write_queued(&self) {
        let now = self.clock().now();
        let lead = Lead::take(&self.shared, &mut self.shared.lock(), now);
        if let Some(mut lead) = lead {
            // a failure is kept in the gap, and what nobody waits for in the queue
            let _ = lead.write(None);
            lead.finish();
        }
    }

    /// Returns at once for [`Durability::Os`]; else when the disk has the line.
    pub(super) async fn durable(&self, seq: u64) -> Result<(), Unrecorded> {
        if self.shared.durability == Durability::Os {
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
        let mut front = self.shared.await_pen(self.shared.lock());
        front.queue.clear();
        front.closed = true;
        drop(front);
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
        f.debug_struct("Ledger").field("durability", &self.shared.durability).finish_non_exhaustive()
    }
}

const COUNTER_MASK: u64 = (1 << 40) - 1;
