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
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::sync::RwLock;
use std::sync::RwLockReadGuard;
use std::sync::RwLockWriteGuard;
use std::sync::atomic::AtomicI64;
use std::sync::atomic::Ordering;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use tokio::sync::watch;
use tokio_util::task::TaskTracker;

use crate::credential::NotObtained;
use crate::credential::Refused;
use crate::limits::CLOCK_BACK_LEEWAY;
use crate::limits::EXPIRY_SKEW;
use crate::limits::FAILURE_PAUSE_MAX;
use crate::limits::FAILURE_PAUSE_MIN;
use crate::limits::REFRESH_MARGIN_MAX;
use crate::limits::REFUSAL_PAUSE;
use crate::model::Clock;
use crate::model::Timestamp;
use crate::os::random;

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

/// What a fetch brings.
pub(super) struct Fetched<V> {
    pub(super) value: V,
    /// When the request for it was sent, by both clocks.
    pub(super) since: Moment,
    /// How long it is good; none for as long as it is not dropped.
    pub(super) lifetime: Option<Duration>,
}

/// A value, and whether it was at hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found<V> {
    AtHand(V),
    Fetched(V),
}

/// Now, by both clocks.
#[derive(Clone, Copy)]
pub(super) struct Moment {
    pub(super) wall: Timestamp,
    pub(super) monotonic: Duration,
}

struct Slot<V> {
    held: ArcSwapOption<Held<V>>,
    work: Mutex<Work<V>>,
    used_at: AtomicI64,
}

struct Held<V> {
    value: V,
    issued: Moment,
    times: Option<Times>,
}

/// From the issue on: when to look for a fresh one, and when to stop using this one.
struct Times {
    refresh_after: Duration,
    usable_for: Duration,
}

struct Work<V> {
    flight: Option<Flight<V>>,
    failed: Option<Failed>,
    refused_at: Option<Duration>,
}

struct Failed {
    until: Duration,
    error: NotObtained,
}

type Flight<V> = watch::Receiver<Option<Result<V, NotObtained>>>;

enum Age {
    Fresh,
    Ageing,
    Gone,
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

impl<V: Clone> Slot<V> {
    fn work(&self) -> MutexGuard<'_, Work<V>> {
        self.work.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn settle(&self, answer: Result<Fetched<V>, NotObtained>, clock: &dyn Clock) -> Result<V, NotObtained> {
        let mut work = self.work();
        work.flight = None;
        match answer {
            Ok(fetched) => {
                let times = fetched.lifetime.map(|lifetime| Times::of(lifetime, by_chance()));
                let value = fetched.value;
                work.failed = None;
                self.held.store(Some(Arc::new(Held { value: value.clone(), issued: fetched.since, times })));
                Ok(value)
            }
            Err(error) => {
                let pause = FAILURE_PAUSE_MIN + (FAILURE_PAUSE_MAX - FAILURE_PAUSE_MIN).mul_f64(by_chance());
                work.failed = Some(Failed { until: clock.monotonic() + pause, error: error.clone() });
                Err(error)
            }
        }
    }
}

impl<V> Default for Slot<V> {
    fn default() -> Self {
        let work = Work { flight: None, failed: None, refused_at: None };
        Self { held: ArcSwapOption::empty(), work: Mutex::new(work), used_at: AtomicI64::new(i64::MAX) }
    }
}

impl<V> Work<V> {
    fn failure(&self, now: Moment) -> Option<NotObtained> {
        self.failed.as_ref().filter(|failed| now.monotonic < failed.until).map(|failed| failed.error.clone())
    }
}

impl<V> Held<V> {
    /// By the clock that counts more: the monotonic one may stop while the machine sleeps, the wall clock may
    /// be set back.
    fn age(&self, now: Moment) -> Age {
        if now.wall < self.issued.wall.before(CLOCK_BACK_LEEWAY) {
            return Age::Gone;
        }
        let Some(times) = &self.times else { return Age::Fresh };
        let age = now.wall.since(self.issued.wall).max(now.monotonic.saturating_sub(self.issued.monotonic));
        if age < times.refresh_after {
            Age::Fresh
        } else if age < times.usable_for {
            Age::Ageing
        } else {
            Age::Gone
        }
    }
}

impl Times {
    /// `chance` is from 0 to 1: entries that were fetched together are not refreshed together.
    fn of(lifetime: Duration, chance: f64) -> Self {
        let margin = (lifetime / 5).min(REFRESH_MARGIN_MAX).mul_f64(1.0 + chance / 2.0);
        let skew = EXPIRY_SKEW.min(lifetime / 4);
        let usable_for = lifetime - skew;
        Self { refresh_after: usable_for.saturating_sub(margin), usable_for }
    }
}

impl Moment {
    pub(super) fn now(clock: &dyn Clock) -> Self {
        Self { wall: clock.now(), monotonic: clock.monotonic() }
    }
}

impl<V> Found<V> {
    pub(super) fn into_value(self) -> V {
        match self {
            Self::AtHand(value) | Self::Fetched(value) => value,
        }
    }
}

/// Frees the slot for the next fetch even where this one panicked.
struct ClearOnDrop<'a, V: Clone>(&'a Slot<V>);

impl<V: Clone> Drop for ClearOnDrop<'_, V> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.work().flight = None;
        }
    }
}

async fn land<V: Clone>(mut flight: Flight<V>) -> Result<V, NotObtained> {
    let landed = flight.wait_for(Option::is_some).await;
    landed.ok().and_then(|answer| answer.clone()).unwrap_or(Err(NotObtained::Abandoned))
}

fn by_chance() -> f64 {
    f64::from(u16::from_be_bytes(random::bytes())) / f64::from(u16::MAX)
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

    #[test]
    fn every_lifetime_leaves_time_to_use_and_to_refresh() {
        for seconds in [1, 2, 10, 39, 40, 60, 300, 3600, 86_400] {
            for chance in [0.0, 0.5, 1.0] {
                let lifetime = Duration::from_secs(seconds);
                let times = Times::of(lifetime, chance);
                assert!(times.refresh_after > Duration::ZERO, "{seconds} {chance}");
                assert!(times.refresh_after < times.usable_for && times.usable_for < lifetime, "{seconds} {chance}");
            }
        }
    }
}
