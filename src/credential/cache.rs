//! Values that are fetched once and held until shortly before they expire.
//!
//! Promises: one fetch in flight per key, in a task of its own, so that a caller who goes away cancels
//! nothing; a value past its refresh time is still given while one fetch in the background replaces it; none
//! is given past its expiry by either clock, nor when the wall clock stands before its issue; a failure
//! is remembered for a moment, so that nothing is hammered; never more than `capacity` entries.

use std::collections::HashMap;
use std::future::Future;
use std::hash::Hash;
use std::sync::Arc;
use std::sync::PoisonError;
use std::sync::RwLock;
use std::sync::RwLockReadGuard;
use std::sync::RwLockWriteGuard;
use std::sync::atomic::Ordering;

use tokio::sync::watch;
use tokio_util::task::TaskTracker;

use crate::credential::NotObtained;
use crate::credential::Refused;
use crate::credential::slot::Age;
use crate::credential::slot::ClearOnDrop;
use crate::credential::slot::Fetched;
use crate::credential::slot::Flight;
use crate::credential::slot::Moment;
use crate::credential::slot::Slot;
use crate::credential::slot::Work;
use crate::limits::REFUSAL_PAUSE;
use crate::model::Clock;

/// What names a value.
pub(super) trait Key: Clone + Eq + Hash + Send + Sync + 'static {
    /// Whether values for it may still be held; asked under the lock that inserts.
    fn is_live(&self) -> bool;
}

/// The values by key.
pub(super) struct Cache<K, V> {
    slots: RwLock<HashMap<K, Arc<Slot<V>>>>,
    capacity: usize,
    clock: Arc<dyn Clock>,
    tasks: TaskTracker,
}

/// A value, and whether it was at hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found<V> {
    AtHand(V),
    Fetched(V),
}

impl<K: Key, V: Clone + Send + Sync + 'static> Cache<K, V> {
    pub(super) fn new(capacity: usize, clock: Arc<dyn Clock>, tasks: TaskTracker) -> Self {
        Self { slots: RwLock::default(), capacity, clock, tasks }
    }

    /// The value for `key`: the one at hand, or what `fetch` brings, now or for somebody else.
    pub(super) async fn get<F>(&self, key: &K, fetch: impl FnOnce() -> F) -> Result<Found<V>, NotObtained>
    where
        F: Future<Output = Result<Fetched<V>, NotObtained>> + Send + 'static,
    {
        let now = Moment::now(&*self.clock);
        let slot = self.slot(key)?;
        slot.used_at.store(now.wall.as_millis(), Ordering::Relaxed);
        if let Some(held) = &*slot.held.load() {
            match held.age(now) {
                Age::Fresh => return Ok(Found::AtHand(held.value.clone())),
                Age::Ageing => {
                    let mut work = slot.work();
                    if work.flight.is_none() && work.failure(now).is_none() {
                        self.launch(&slot, &mut work, fetch());
                    }
                    return Ok(Found::AtHand(held.value.clone()));
                }
                Age::Gone => {}
            }
        }
        let flight = {
            let mut work = slot.work();
            // the fetch that was in flight may have landed before the lock was had
            if let Some(held) = slot.held.load().as_ref().filter(|held| !matches!(held.age(now), Age::Gone)) {
                return Ok(Found::AtHand(held.value.clone()));
            }
            if let Some(error) = work.failure(now) {
                return Err(error);
            }
            match &work.flight {
                Some(flight) => flight.clone(),
                None => self.launch(&slot, &mut work, fetch()),
            }
        };
        land(flight).await.map(Found::Fetched)
    }

    /// Drops the value of `key` if `which` says that it is the one that was refused, unless its forerunner was
    /// refused less than [`REFUSAL_PAUSE`] ago: who refuses everything is not to cause a fetch each time.
    pub(super) fn refuse(&self, key: &K, which: impl Fn(&V) -> bool) -> Refused {
        let now = self.clock.monotonic();
        let Some(slot) = self.read().get(key).cloned() else { return Refused::AskAgain };
        let mut work = slot.work();
        let held = slot.held.load();
        if !held.as_ref().is_some_and(|held| which(&held.value)) {
            return Refused::AskAgain;
        }
        if work.refused_at.is_some_and(|refused_at| now.saturating_sub(refused_at) < REFUSAL_PAUSE) {
            return Refused::Final;
        }
        work.refused_at = Some(now);
        slot.held.store(None);
        Refused::AskAgain
    }

    /// Drops every entry that `which` names. A fetch in flight for one still answers those who wait for it,
    /// and what it brings is held by nobody.
    pub(super) fn retain(&self, keep: impl Fn(&K) -> bool) {
        self.write().retain(|key, _| keep(key));
    }

    /// How many entries there are.
    pub(super) fn len(&self) -> usize {
        self.read().len()
    }

    fn slot(&self, key: &K) -> Result<Arc<Slot<V>>, NotObtained> {
        if let Some(slot) = self.read().get(key) {
            return Ok(Arc::clone(slot));
        }
        let mut slots = self.write();
        if !key.is_live() {
            return Err(NotObtained::SessionEnded);
        }
        if slots.len() >= self.capacity && !slots.contains_key(key) {
            let oldest = slots.iter().min_by_key(|(_, slot)| slot.used_at.load(Ordering::Relaxed));
            if let Some(oldest) = oldest.map(|(key, _)| key.clone()) {
                slots.remove(&oldest);
            }
        }
        Ok(Arc::clone(slots.entry(key.clone()).or_default()))
    }

    fn launch<F>(&self, slot: &Arc<Slot<V>>, work: &mut Work<V>, fetch: F) -> Flight<V>
    where
        F: Future<Output = Result<Fetched<V>, NotObtained>> + Send + 'static,
    {
        let (sender, flight) = watch::channel(None);
        work.flight = Some(flight.clone());
        let (slot, clock) = (Arc::clone(slot), Arc::clone(&self.clock));
        self.tasks.spawn(async move {
            let _cleared = ClearOnDrop(&slot);
            let answer = fetch.await;
            sender.send_replace(Some(slot.settle(answer, &*clock)));
        });
        flight
    }

    fn read(&self) -> RwLockReadGuard<'_, HashMap<K, Arc<Slot<V>>>> {
        self.slots.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, HashMap<K, Arc<Slot<V>>>> {
        self.slots.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<V> Found<V> {
    pub(super) fn into_value(self) -> V {
        match self {
            Self::AtHand(value) | Self::Fetched(value) => value,
        }
    }
}

async fn land<V: Clone>(mut flight: Flight<V>) -> Result<V, NotObtained> {
    let landed = flight.wait_for(Option::is_some).await;
    landed.ok().and_then(|answer| answer.clone()).unwrap_or(Err(NotObtained::Abandoned))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;
    use crate::os::SystemClock;

    impl Key for u8 {
        fn is_live(&self) -> bool {
            *self < 100
        }
    }

    fn cache(capacity: usize) -> Cache<u8, usize> {
        Cache::new(capacity, Arc::new(SystemClock::new()), TaskTracker::new())
    }

    async fn get(cache: &Cache<u8, usize>, key: u8, fetches: &Arc<AtomicUsize>) -> Result<Found<usize>, NotObtained> {
        let (since, fetches) = (Moment::now(&*cache.clock), Arc::clone(fetches));
        let fetch =
            || async move { Ok(Fetched { value: fetches.fetch_add(1, Ordering::SeqCst), since, lifetime: None }) };
        cache.get(&key, fetch).await
    }

    #[tokio::test]
    async fn past_the_capacity_the_least_recently_used_goes() {
        let (cache, fetches) = (cache(2), Arc::default());
        assert_eq!(get(&cache, 1, &fetches).await.unwrap(), Found::Fetched(0));
        cache.read()[&1].used_at.store(1, Ordering::Relaxed);
        assert_eq!(get(&cache, 2, &fetches).await.unwrap(), Found::Fetched(1));
        assert_eq!(get(&cache, 3, &fetches).await.unwrap(), Found::Fetched(2));
        assert_eq!(cache.len(), 2);
        assert_eq!(get(&cache, 2, &fetches).await.unwrap(), Found::AtHand(1));
        assert_eq!(get(&cache, 1, &fetches).await.unwrap(), Found::Fetched(3));
        assert!(matches!(get(&cache, 100, &fetches).await, Err(NotObtained::SessionEnded)));
        assert_eq!(cache.len(), 2);
    }

    #[tokio::test]
    async fn a_fetch_that_panics_holds_nobody_up() {
        let (cache, fetches) = (cache(2), Arc::default());
        let broken = cache.get(&1, || async { panic!("a fault of our own") }).await;
        assert!(matches!(broken, Err(NotObtained::Abandoned)));
        assert_eq!(get(&cache, 1, &fetches).await.unwrap(), Found::Fetched(0));
    }

    #[tokio::test]
    async fn what_a_fetch_brings_after_the_entry_is_dropped_is_held_by_nobody() {
        let (cache, fetches) = (Arc::new(cache(2)), Arc::default());
        let (go, wait) = tokio::sync::oneshot::channel::<()>();
        let since = Moment::now(&*cache.clock);
        let fetch = || async move {
            wait.await.unwrap();
            Ok(Fetched { value: 7, since, lifetime: None })
        };
        let waiter = cache.get(&1, fetch);
        tokio::pin!(waiter);
        assert!(futures_util::poll!(&mut waiter).is_pending());
        cache.retain(|_| false);
        go.send(()).unwrap();
        assert_eq!(waiter.await.unwrap(), Found::Fetched(7));
        assert_eq!(get(&cache, 1, &fetches).await.unwrap(), Found::Fetched(0));
    }
}
