//! One entry of a cache: the value that is held, how old it is, and the work that is done for it.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::sync::atomic::AtomicI64;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use tokio::sync::watch;

use crate::credential::NotObtained;
use crate::limits::CLOCK_BACK_LEEWAY;
use crate::limits::EXPIRY_SKEW;
use crate::limits::FAILURE_PAUSE_MAX;
use crate::limits::FAILURE_PAUSE_MIN;
use crate::limits::REFRESH_MARGIN_MAX;
use crate::model::Clock;
use crate::model::Timestamp;
use crate::os::random;

/// What a fetch brings.
pub(super) struct Fetched<V> {
    pub(super) value: V,
    /// When the request for it was sent, by both clocks.
    pub(super) since: Moment,
    /// How long it is good; none for as long as it is not dropped.
    pub(super) lifetime: Option<Duration>,
}

/// Now, by both clocks.
#[derive(Clone, Copy)]
pub(super) struct Moment {
    pub(super) wall: Timestamp,
    pub(super) monotonic: Duration,
}

pub(super) struct Slot<V> {
    pub(super) held: ArcSwapOption<Held<V>>,
    pub(super) work: Mutex<Work<V>>,
    pub(super) used_at: AtomicI64,
}

pub(super) struct Held<V> {
    pub(super) value: V,
    issued: Moment,
    times: Option<Times>,
}

/// From the issue on: when to look for a fresh one, and when to stop using this one.
struct Times {
    refresh_after: Duration,
    usable_for: Duration,
}

pub(super) struct Work<V> {
    pub(super) flight: Option<Flight<V>>,
    failed: Option<Failed>,
    pub(super) refused_at: Option<Duration>,
}

struct Failed {
    until: Duration,
    error: NotObtained,
}

pub(super) type Flight<V> = watch::Receiver<Option<Result<V, NotObtained>>>;

pub(super) enum Age {
    Fresh,
    Ageing,
    Gone,
}

impl<V: Clone> Slot<V> {
    pub(super) fn work(&self) -> MutexGuard<'_, Work<V>> {
        self.work.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn settle(&self, answer: Result<Fetched<V>, NotObtained>, clock: &dyn Clock) -> Result<V, NotObtained> {
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
                tracing::warn!(code = error.code(), %error, "a fetch for a credential failed");
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
    pub(super) fn failure(&self, now: Moment) -> Option<NotObtained> {
        self.failed.as_ref().filter(|failed| now.monotonic < failed.until).map(|failed| failed.error.clone())
    }
}

impl<V> Held<V> {
    /// By the clock that counts more: the monotonic one may stop while the machine sleeps, the wall clock may
    /// be set back.
    pub(super) fn age(&self, now: Moment) -> Age {
        let Some(times) = &self.times else { return Age::Fresh };
        if now.wall < self.issued.wall.before(CLOCK_BACK_LEEWAY) {
            return Age::Gone;
        }
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

/// Frees the slot for the next fetch even where this one panicked.
pub(super) struct ClearOnDrop<'a, V: Clone>(pub(super) &'a Slot<V>);

impl<V: Clone> Drop for ClearOnDrop<'_, V> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.work().flight = None;
        }
    }
}

fn by_chance() -> f64 {
    f64::from(u16::from_be_bytes(random::bytes())) / f64::from(u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

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
