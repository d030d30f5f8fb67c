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
    // of its own, so that connections don't queue at one lock whenever they are polled
    let draining = draining.child_token();
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
    use super::*;

    const MOMENT: Duration = Duration::from_millis(10);

    async fn is_over_soon(heard: &AtomicBool, draining: &CancellationToken) -> bool {
        tokio::time::timeout(10 * MOMENT, is_over(MOMENT, heard, draining)).await.is_ok()
    }

    #[tokio::test]
    async fn silence_ends_it_soon_and_a_word_buys_time() {
        let (heard, draining) = (AtomicBool::new(false), CancellationToken::new());
        assert!(is_over_soon(&heard, &draining).await);
        heard.store(true, Ordering::Relaxed);
        assert!(!is_over_soon(&heard, &draining).await);
        assert!(!heard.load(Ordering::Relaxed), "who looks clears it");
        draining.cancel();
        heard.store(true, Ordering::Relaxed);
        assert!(is_over_soon(&heard, &draining).await);
    }
}
