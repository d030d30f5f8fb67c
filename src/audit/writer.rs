//! The thread that does what no request should wait for: completions that no decision took along,
//! signatures, `head.json`, and with `disk` the one fdatasync for all that came since the last.
//!
//! It writes as everyone does, with the pen; it signs and syncs without it.

use std::fs::File;
use std::io;
use std::sync::Arc;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::thread;
use std::thread::JoinHandle;
use std::time::Duration;

use crate::audit::Durability;
use crate::audit::front::Front;
use crate::audit::front::Shared;
use crate::audit::front::Synced;
use crate::audit::lead::Lead;
use crate::audit::pen::Place;
use crate::audit::signing::SignedHead;
use crate::limits::LEDGER_GATHER;
use crate::limits::LEDGER_RETRY;
use crate::limits::LEDGER_VOUCH_AFTER;
use crate::model::Timestamp;

/// Starts it. It ends when `stopping` is set and the queue has been tried once more.
pub(super) fn start(shared: Arc<Shared>) -> io::Result<JoinHandle<()>> {
    thread::Builder::new().name("ledger".to_owned()).spawn(move || {
        let _presence = Presence(&shared);
        while round(&shared) {}
    })
}

/// Says when the thread is gone, also by a panic: from then on every decision is refused.
struct Presence<'a>(&'a Shared);

impl Drop for Presence<'_> {
    fn drop(&mut self) {
        self.0.lock().writer_gone = true;
        if thread::panicking() {
            tracing::error!("the ledger's writer thread has panicked; every request is refused until a restart");
            self.0.synced.send_modify(|synced| synced.failed = true);
        }
    }
}

/// Waits for work and does it; false when there will be no more.
fn round(shared: &Shared) -> bool {
    drop(wait(shared, shared.lock()));
    let now = shared.clock.now();
    let mut front = shared.lock();
    let stopping = front.stopping;
    if front.closed {
        return !stopping;
    }
    if stopping || front.wants_sync || front.gap.is_some() || vouching_is_due(shared, &front) {
        front = shared.await_pen(front);
    }
    // who leads just now takes along what is queued, or leaves it for the next time
    let Some(mut lead) = Lead::take(shared, &mut front, now) else { return true };
    let head_due = std::mem::take(&mut front.head_due);
    front.wants_sync = false;
    drop(front);
    lead.heed_strangers();
    let written = lead.write(None);
    let place = lead.place();
    lead.finish();
    match (written, place) {
        (Ok(_), Some(place)) => look_after(shared, &place, head_due, now),
        (Err(error), _) => tracing::warn!(%error, "the ledger could not be written"),
        (Ok(_), None) => {}
    }
    !stopping
}

/// Syncs and vouches for the chain up to `place`, without the pen.
fn look_after(shared: &Shared, place: &Place, head_due: bool, now: Timestamp) {
    let front = shared.lock();
    let syncs = shared.durability == Durability::Disk && front.synced < place.head.seq() && !front.sync_failed;
    let signs = front.unsigned() >= shared.sign_every && !front.stopping;
    drop(front);
    if syncs {
        sync(shared, &place.file, place.head.seq());
    }
    if signs || head_due {
        vouch(shared, place, signs, now);
    }
}

fn vouching_is_due(shared: &Shared, front: &Front) -> bool {
    front.head_due || front.unsigned() >= shared.sign_every
}

/// Sleeps until something is queued, due or waited for; lets completions gather, and a failing disk rest. As long as
/// others write it looks by itself whether they left something, so that nobody has to wake it.
fn wait<'a>(shared: &'a Shared, mut front: MutexGuard<'a, Front>) -> MutexGuard<'a, Front> {
    let mut seen = None;
    while !front.stopping && !front.wants_sync {
        let pause = match (&front.gap, front.queue.is_empty(), vouching_is_due(shared, &front)) {
            _ if front.closed => LEDGER_RETRY,
            (Some(_), _, _) => LEDGER_RETRY,
            (None, true, true) => return front,
            (None, true, false) => {
                let others_write = seen != Some(front.seq);
                seen = others_write.then_some(front.seq);
                front = match others_write {
                    true => pause_for(shared, front, LEDGER_GATHER),
                    false => rest(shared, front),
                };
                continue;
            }
            (None, false, _) if seen.is_some() => return front,
            (None, false, _) => LEDGER_GATHER,
        };
        return pause_for(shared, front, pause);
    }
    front
}

/// Sleeps until there is a line; once, when it stays quiet, asks for `head.json` to vouch for the last one.
fn rest<'a>(shared: &'a Shared, mut front: MutexGuard<'a, Front>) -> MutexGuard<'a, Front> {
    front.writer_sleeps = true;
    if front.vouched == front.seq {
        front = shared.work.wait(front).unwrap_or_else(PoisonError::into_inner);
    } else {
        let waited = shared.work.wait_timeout(front, LEDGER_VOUCH_AFTER);
        let (woken, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
        front = woken;
        front.head_due |= timeout.timed_out() && front.queue.is_empty();
    }
    front.writer_sleeps = false;
    front
}

/// A pause that a request for the disk, or the end, cuts short.
fn pause_for<'a>(shared: &'a Shared, mut front: MutexGuard<'a, Front>, pause: Duration) -> MutexGuard<'a, Front> {
    // only `disk` and the end need to cut a pause short; completions would wake it for nothing
    front.writer_sleeps = shared.durability == Durability::Disk && front.gap.is_none();
    let (mut front, _) = shared.work.wait_timeout(front, pause).unwrap_or_else(PoisonError::into_inner);
    front.writer_sleeps = false;
    front
}

/// Signs the head. The line that says so is queued and stands behind what came meanwhile.
fn vouch(shared: &Shared, place: &Place, signs: bool, now: Timestamp) {
    let head = SignedHead::new(&shared.signer, &place.day, &place.head, now);
    let mut body = Vec::with_capacity(512);
    head.write_body(&mut body);
    let mut front = shared.lock();
    if signs && !front.closed {
        // without room for it `head.json` vouches alone until the next one
        front.queue.push(&body, None);
        front.signed = front.signed.max(place.head.seq());
    }
    front.vouched = place.head.seq();
    drop(front);
    if let Err(error) = shared.heads.write(&head) {
        // the next signature brings a newer one
        tracing::warn!(%error, "the ledger's head could not be written");
    }
}

/// One fdatasync for every line up to `seq`. After a failed one the kernel may have dropped what it could not
/// write, so nothing is promised any more until the next start.
fn sync(shared: &Shared, file: &File, seq: u64) {
    match file.sync_data() {
        Ok(()) => {
            shared.lock().synced = seq;
            shared.synced.send_replace(Synced { seq, failed: false });
        }
        Err(error) => {
            tracing::error!(%error, "the disk did not take the ledger; every request is refused until a restart");
            shared.lock().sync_failed = true;
            shared.synced.send_modify(|synced| synced.failed = true);
        }
    }
}
