//! The thread that does what no request should wait for: completions that no decision took along,
//! signatures, `head.json`, and with `disk` the one fdatasync for all that came since the last.

use std::io;
use std::sync::Arc;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::thread;
use std::thread::JoinHandle;
use std::time::Duration;

use crate::audit::ledger::Durability;
use crate::audit::ledger::Shared;
use crate::audit::ledger::Synced;
use crate::audit::state::State;
use crate::limits::LEDGER_GATHER;
use crate::limits::LEDGER_RETRY;

/// Starts it. It ends when `stopping` is set and the queue has been tried once more.
pub(super) fn start(shared: Arc<Shared>) -> io::Result<JoinHandle<()>> {
    thread::Builder::new().name("ledger".to_owned()).spawn(move || while round(&shared) {})
}

/// Waits for work and does it; false when there will be no more.
fn round(shared: &Shared) -> bool {
    let mut state = wait(shared, shared.lock());
    let now = shared.clock.now();
    let signs = state.unsigned >= shared.sign_every;
    let written = match state.closed {
        true => Ok(()),
        false => state.write(None, now).and_then(|_| if signs { state.sign(now) } else { Ok(()) }),
    };
    let head = state.take_due_head(now);
    let folder = head.is_some().then(|| state.folder.clone());
    let syncs = state.durability == Durability::Disk && state.synced < state.head.seq();
    let job = (syncs && !state.sync_failed).then(|| (Arc::clone(&state.file), state.head.seq()));
    let (stopping, failed) = (state.stopping, written.is_err());
    state.wants_sync = false;
    drop(state);
    if let Some((file, seq)) = job {
        sync(shared, &file, seq);
    }
    if let (Some(head), Some(folder)) = (head, folder)
        && let Err(error) = head.write(&folder)
    {
        tracing::warn!(%error, "the ledger's head could not be written");
        shared.lock().head_due = true;
    }
    if let (true, Err(error)) = (failed, written) {
        tracing::warn!(%error, "the ledger could not be written");
    }
    !stopping
}

/// Sleeps until something is queued, due or waited for; lets completions gather, and a failing disk rest.
fn wait<'a>(shared: &'a Shared, mut state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
    let due = |state: &State| state.stopping || state.wants_sync;
    while !due(&state) {
        let pause = match (&state.gap, state.queue.is_empty(), state.head_due || state.unsigned >= shared.sign_every) {
            (Some(_), _, _) => LEDGER_RETRY,
            (None, true, true) => return state,
            (None, true, false) => {
                state.writer_sleeps = true;
                state = shared.work.wait(state).unwrap_or_else(PoisonError::into_inner);
                state.writer_sleeps = false;
                continue;
            }
            (None, false, _) => LEDGER_GATHER,
        };
        return pause_for(shared, state, pause);
    }
    state
}

/// A pause that a request for the disk, or the end, cuts short.
fn pause_for<'a>(shared: &'a Shared, mut state: MutexGuard<'a, State>, pause: Duration) -> MutexGuard<'a, State> {
    // only `disk` and the end need to cut a pause short; completions would wake it for nothing
    state.writer_sleeps = state.durability == Durability::Disk && state.gap.is_none();
    let (mut state, _) = shared.work.wait_timeout(state, pause).unwrap_or_else(PoisonError::into_inner);
    state.writer_sleeps = false;
    state
}

/// One fdatasync for every line up to `seq`. After a failed one the kernel may have dropped what it could not
/// write, so nothing is promised any more until the next start.
fn sync(shared: &Shared, file: &std::fs::File, seq: u64) {
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
