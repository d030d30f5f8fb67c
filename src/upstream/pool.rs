//! Idle connections, kept apart by everything that must not be shared.

use std::collections::HashMap;
use std::collections::HashSet;
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::task::Poll;

use crate::limits;
use crate::model::Clock;
use crate::model::SessionId;
use crate::model::Timestamp;
use crate::resource::ResourceInstance;
use crate::upstream::Protocol;
use crate::upstream::connection::Sender;
use crate::upstream::key::Key;

/// Idle HTTP/1 connections, and HTTP/2 connections that many requests share. The last one used is the first
/// taken, so that what isn't needed grows old.
pub(super) struct Pool {
    clock: Arc<dyn Clock>,
    idle_max: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    idle: HashMap<Key, Vec<Idle>, foldhash::fast::RandomState>,
    count: usize,
    in_force: HashSet<ResourceInstance>,
}

#[derive(Debug)]
struct Idle {
    sender: Sender,
    since: Timestamp,
}

impl Pool {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        Self::holding(limits::UPSTREAM_IDLE_MAX, clock)
    }

    /// So many at most.
    pub(super) fn holding(idle_max: usize, clock: Arc<dyn Clock>) -> Self {
        Self { clock, idle_max, state: Mutex::default() }
    }

    /// A connection that takes another request now: young enough that nothing on its way has forgotten it, and
    /// not closed meanwhile, as a look at its socket tells.
    pub(super) async fn take(&self, key: &Key) -> Option<Sender> {
        let now = self.clock.now();
        loop {
            let (taken, _old) = self.lock().pop(key, now);
            let mut sender = taken?;
            if poll_fn(|cx| Poll::Ready(sender.is_idle(cx))).await {
                return Some(sender);
            }
        }
    }

    /// Gives a connection back once its body has passed, or to others from its beginning. One whose resource is no
    /// longer in force, or whose session has ended, is closed.
    pub(super) fn put(&self, key: &Key, sender: Sender) {
        let now = self.clock.now();
        let _closed_after_the_lock = self.lock().push(key, Idle { sender, since: now }, self.idle_max);
    }

    /// Whether a connection is at hand.
    pub(super) fn has(&self, key: &Key) -> bool {
        self.lock().idle.get(key).is_some_and(|idle| idle.iter().any(|idle| !idle.sender.is_closed()))
    }

    /// Drops the connections of a session.
    pub(super) fn end_session(&self, session: &SessionId) {
        let _dropped = self.lock().remove(|key, _| key.session().id() == session || !key.session().is_open());
    }

    /// From now on these resources are in force: connections of others go, and none of theirs comes back.
    pub(super) fn prepare(&self, in_force: HashSet<ResourceInstance>) {
        let mut state = self.lock();
        let dropped = state.remove(|key, _| !key.owner().is_in(&in_force));
        state.in_force = in_force;
        drop(state);
        drop(dropped);
    }

    /// Drops connections that are too old to be used again, or known to be closed. No socket is looked at here.
    pub(super) fn sweep(&self) {
        let now = self.clock.now();
        let _dropped = self.lock().remove(|_, idle| idle.is_old(now) || idle.sender.is_closed());
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The one used last, and those that it shows to be too old. They are closed by the caller, after the lock.
    fn pop(&mut self, key: &Key, now: Timestamp) -> (Option<Sender>, Vec<Idle>) {
        let Some(idle) = self.idle.get_mut(key) else { return (None, Vec::new()) };
        let Some(last) = idle.last_mut() else { return (None, Vec::new()) };
        if last.is_old(now) || last.sender.is_closed() {
            // those below it are older still, or shared with it
            let old = self.idle.remove(key).unwrap_or_default();
            self.count -= old.len();
            return (None, old);
        }
        if let Protocol::Http2 = last.sender.protocol() {
            if last.sender.is_full() {
                return (None, Vec::new());
            }
            last.since = now;
            return (last.sender.share(), Vec::new());
        }
        let taken = idle.pop();
        self.count -= usize::from(taken.is_some());
        (taken.map(|idle| idle.sender), Vec::new())
    }

    /// Keeps one, and gives what is not kept, to be closed after the lock.
    fn push(&mut self, key: &Key, new: Idle, idle_max: usize) -> Vec<Idle> {
        if new.sender.is_closed() || !key.session().is_open() || !key.owner().is_in(&self.in_force) {
            return vec![new];
        }
        let mut out = Vec::new();
        if self.count >= idle_max {
            out.extend(self.remove_oldest());
        }
        if !self.idle.contains_key(key) {
            self.idle.insert(key.clone(), Vec::new());
        }
        let Some(idle) = self.idle.get_mut(key) else { return vec![new] };
        let room = match new.sender.protocol() {
            Protocol::Http1 => idle.len() < limits::UPSTREAM_IDLE_PER_KEY_MAX,
            // one serves all, until it has no stream left
            Protocol::Http2 => {
                let kept = idle.iter().any(|idle| !idle.sender.is_closed() && !idle.sender.is_full());
                if !kept {
                    self.count -= idle.len();
                    out.append(idle);
                }
                !kept
            }
        };
        if room {
            idle.push(new);
            self.count += 1;
        } else {
            out.push(new);
        }
        out
    }

    fn remove(&mut self, unwanted: impl Fn(&Key, &Idle) -> bool) -> Vec<Idle> {
        let mut removed = Vec::new();
        self.idle.retain(|key, idle| {
            removed.extend(idle.extract_if(.., |idle| unwanted(key, idle)));
            !idle.is_empty()
        });
        self.count -= removed.len();
        removed
    }

    /// The first of each list is its oldest.
    fn remove_oldest(&mut self) -> Option<Idle> {
        let ages = self.idle.iter().filter_map(|(key, idle)| Some((idle.first()?.since, key)));
        let key = ages.min_by_key(|(since, _)| *since)?.1.clone();
        let idle = self.idle.get_mut(&key)?;
        let oldest = idle.remove(0);
        self.count -= 1;
        if idle.is_empty() {
            self.idle.remove(&key);
        }
        Some(oldest)
    }
}

impl Idle {
    fn is_old(&self, now: Timestamp) -> bool {
        now.since(self.since) > limits::UPSTREAM_IDLE_AGE_MAX
    }
}

impl std::fmt::Debug for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pool").finish_non_exhaustive()
    }
}
