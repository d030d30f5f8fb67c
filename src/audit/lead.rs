//! Who writes: whoever finds the pen leads, and all others are followers.
//!
//! A leader writes what is queued, its own line too, as one group, in its own thread, with one write(2). Before
//! it steps down it writes the groups that gathered meanwhile and tells each follower. So the order of the
//! file is the order of the chain, and nobody who serves requests blocks on another's write.

use std::io;
use std::sync::Arc;
use std::sync::MutexGuard;

use crate::audit::Durability;
use crate::audit::Unrecorded;
use crate::audit::front::Front;
use crate::audit::front::Gap;
use crate::audit::front::Shared;
use crate::audit::pen::Pen;
use crate::audit::pen::Place;
use crate::audit::queue::Queue;
use crate::audit::seat::Seat;
use crate::limits::LEDGER_GATHER_BYTES;
use crate::limits::LEDGER_GROUPS_MAX;
use crate::model::Timestamp;

/// The leader. Dropped by a panic it counts its group as not written and still gives the pen back.
pub(super) struct Lead<'a> {
    shared: &'a Shared,
    /// None once it has stepped down.
    pen: Option<Box<Pen>>,
    /// What it writes next, or has just written.
    group: Queue,
    /// What its group tells of the gap.
    gap: Option<Gap>,
    /// When its last group was begun.
    now: Timestamp,
}

impl<'a> Lead<'a> {
    /// Takes the pen and what is queued; none while another leads.
    pub fn take(shared: &'a Shared, front: &mut Front, now: Timestamp) -> Option<Self> {
        let mut pen = front.pen.take()?;
        let group = std::mem::replace(&mut front.queue, std::mem::take(&mut pen.spare));
        Some(Self { shared, pen: Some(pen), group, gap: front.gap, now })
    }

    /// The pen, which it has until it steps down.
    pub fn pen(&mut self) -> Option<&mut Pen> {
        self.pen.as_deref_mut()
    }

    /// See [`Pen::heed_strangers`].
    pub fn heed_strangers(&mut self) {
        if let Some(pen) = self.pen.as_deref_mut() {
            pen.heed_strangers();
        }
    }

    /// Where the chain stands.
    pub fn place(&self) -> Option<Place> {
        self.pen.as_deref().map(Pen::place)
    }

    /// Takes what gathered meanwhile.
    pub fn regroup(&mut self, front: &mut Front) {
        std::mem::swap(&mut self.group, &mut front.queue);
        self.gap = front.gap;
    }

    /// Writes the group and then `body`, as one. On an error nothing of it is in the file.
    pub fn write(&mut self, body: Option<&[u8]>) -> io::Result<u64> {
        let Some(pen) = self.pen.as_deref_mut() else { return Err(io::Error::other("no pen")) };
        let written = pen.write(&self.group, body, self.gap.as_ref(), self.now);
        self.settle(&written);
        written
    }

    /// Writes what gathered meanwhile and steps down.
    pub fn finish(mut self) {
        let mut groups = 1;
        while self.take_next(groups < LEDGER_GROUPS_MAX) {
            groups += 1;
            // told to the followers, and kept in the gap
            self.now = self.shared.clock.now();
            let _ = self.write(None);
        }
    }

    /// Notes how the group went and tells the followers in it.
    fn settle(&mut self, written: &io::Result<u64>) {
        let decided = u64::try_from(self.group.seat_count()).unwrap_or(u64::MAX);
        // followers are told without the front lock, but not before the front knows
        let seats: Vec<Arc<Seat>> = self.group.seats().cloned().collect();
        let mut front = self.shared.lock();
        match written {
            Ok(seq) => {
                front.heal(self.gap.as_ref());
                front.open = front.open.saturating_add(decided);
                front.seq = *seq;
                front.signed = front.signed.max(self.pen.as_ref().map_or(0, |pen| pen.sealed));
                front.wants_sync |= decided > 0 && self.shared.durability == Durability::Disk;
                self.group.clear();
            }
            Err(error) => {
                let gap = front.gap(self.now, error.kind());
                gap.requests = gap.requests.saturating_add(decided);
                front.queue.put_back(&mut self.group);
            }
        }
        if !seats.is_empty() {
            drop(front);
            self.tell(&seats, written);
        }
    }

    /// Tells the followers; ends the records of those who left, whose completions can now stand behind their
    /// decisions. Where the decision was not written the gap has counted them.
    fn tell(&self, seats: &[Arc<Seat>], written: &io::Result<u64>) {
        for seat in seats {
            let result = written.as_ref().map(|seq| *seq).map_err(|error| Unrecorded::Write(same(error)));
            let left = seat.tell(result);
            if let (Some(completion), Ok(_)) = (left, written) {
                self.shared.lock().queue_completion(&completion, || self.now);
            }
        }
    }

    /// Takes the next group if anyone waits for it; else, or when it has led long enough and another goes on,
    /// steps down and gives false.
    pub fn take_next(&mut self, goes_on: bool) -> bool {
        let mut front = self.shared.lock();
        // INVARIANT: looking and stepping down are under one lock: who was seated before is seen here, and who
        // comes after finds the pen
        let waits = front.queue.seat_count() > 0;
        let full = front.queue.byte_count() >= LEDGER_GATHER_BYTES && front.gap.is_none();
        if (waits || full) && (goes_on || (waits && !front.queue.seats().any(|seat| seat.invite()))) {
            self.regroup(&mut front);
            return true;
        }
        self.step_down(front);
        false
    }

    /// Gives the pen back, and wakes the writer thread for what is due.
    fn step_down(&mut self, mut front: MutexGuard<'_, Front>) {
        if let Some(mut pen) = self.pen.take() {
            pen.spare = std::mem::take(&mut self.group);
            front.pen = Some(pen);
        }
        let due = front.wants_sync || !front.queue.is_empty() || front.unsigned() >= self.shared.sign_every;
        let wakes = due && front.writer_sleeps;
        let awaited = std::mem::take(&mut front.pen_awaited);
        drop(front);
        if wakes {
            self.shared.work.notify_one();
        }
        if awaited {
            self.shared.pen_free.notify_all();
        }
    }
}

impl Drop for Lead<'_> {
    /// INVARIANT: leadership is never lost. The pen is still here only when the leader panicked: what it wrote
    /// is cut off, since the chain does not know of it.
    fn drop(&mut self) {
        let Some(pen) = self.pen.as_deref_mut() else { return };
        pen.torn = true;
        self.settle(&Err(io::Error::other("the leader panicked")));
        self.step_down(self.shared.lock());
    }
}

/// The same error once more, for each who must hear it.
fn same(error: &io::Error) -> io::Error {
    error.raw_os_error().map_or_else(|| error.kind().into(), io::Error::from_raw_os_error)
}
