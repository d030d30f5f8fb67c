//! How long a connection is kept for an agent that says nothing.

use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::limits;

/// Ends when it is time to let a connection go, once what it carries is done: the daemon drains, nothing was
/// `heard` in its `first` moments, or nothing for a long time after. Whoever hears something only notes it, so
/// that no request touches a timer; the bound is held within twice its length.
pub(super) async fn is_over(first: Duration, heard: &AtomicBool, draining: &CancellationToken) {
    let quiet = async {
        tokio::time::sleep(first).await;
        while heard.swap(false, Ordering::Relaxed) {
            tokio::time::sleep(limits::KEPT_ALIVE_IDLE_TIMEOUT).await;
        }
    };
    tokio::select! {
        biased;
        () = draining.cancelled() => {}
        () = quiet => {}
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn silence_ends_soon_at_first_and_later_after_long() {
        let (draining, start) = (CancellationToken::new(), Instant::now());
        is_over(limits::HEAD_READ_TIMEOUT, &AtomicBool::new(false), &draining).await;
        assert_eq!(start.elapsed().as_secs(), limits::HEAD_READ_TIMEOUT.as_secs());
        let start = Instant::now();
        is_over(limits::HEAD_READ_TIMEOUT, &AtomicBool::new(true), &draining).await;
        let both = limits::HEAD_READ_TIMEOUT + limits::KEPT_ALIVE_IDLE_TIMEOUT;
        assert_eq!(start.elapsed().as_secs(), both.as_secs());
    }
}
