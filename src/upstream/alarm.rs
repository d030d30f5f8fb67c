//! The wait for an answer, without a timer for each request.

use std::future::Future as _;
use std::pin::Pin;
use std::task::Context;
use std::task::Poll;
use std::task::ready;
use std::time::Duration;

use tokio::time::Instant;
use tokio::time::Sleep;

/// A bound that is begun again and again: one timer, set anew only when it fires.
pub(super) struct Alarm {
    bound: Duration,
    due: Instant,
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Alarm {
    pub(super) fn new(bound: Duration) -> Self {
        Self { bound, due: tokio::time::Instant::now(), sleep: None }
    }

    /// From now on.
    pub(super) fn begin(&mut self) {
        self.due = tokio::time::Instant::now() + self.bound;
    }

    /// Ready once the bound has passed since it was begun last.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let due = self.due;
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(due)));
        loop {
            ready!(sleep.as_mut().poll(cx));
            if tokio::time::Instant::now() >= due {
                return Poll::Ready(());
            }
            sleep.as_mut().reset(due);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    #[tokio::test]
    async fn it_rings_a_bound_after_it_was_begun_last() {
        let bound = Duration::from_millis(50);
        let started = Instant::now();
        let mut alarm = Alarm::new(bound);
        alarm.begin();
        assert!(futures_util::FutureExt::now_or_never(poll_fn(|cx| alarm.poll(cx))).is_none());
        tokio::time::sleep(bound / 2).await;
        alarm.begin();
        poll_fn(|cx| alarm.poll(cx)).await;
        assert!(started.elapsed() >= bound * 3 / 2, "{:?}", started.elapsed());
    }
}
