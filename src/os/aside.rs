//! A future that is looked at only when something has woken it, not whenever its neighbours in the task are polled.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::task::Context;
use std::task::Poll;
use std::task::Wake;
use std::task::Waker;

use futures_util::task::AtomicWaker;

/// Waits beside the work of a task: for the end of a session, for a timer. Polling it costs a look at a flag.
#[derive(Debug)]
pub struct Aside<F> {
    future: Pin<Box<F>>,
    bell: Arc<Bell>,
    waker: Waker,
}

#[derive(Debug)]
struct Bell {
    rung: AtomicBool,
    task: AtomicWaker,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.rung.store(true, Ordering::Release);
        self.task.wake();
    }
}

impl<F: Future> Aside<F> {
    /// It must be polled again by whichever task polls it first: that one is woken.
    pub fn new(future: F) -> Self {
        let bell = Arc::new(Bell { rung: AtomicBool::new(true), task: AtomicWaker::new() });
        Self { future: Box::pin(future), waker: Waker::from(Arc::clone(&bell)), bell }
    }
}

impl<F: Future> Future for Aside<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        if !self.bell.rung.load(Ordering::Acquire) {
            return Poll::Pending;
        }
        self.bell.task.register(cx.waker());
        // before the look, so that what happens during it is seen by the next one
        self.bell.rung.store(false, Ordering::Release);
        let waker = self.waker.clone();
        self.future.as_mut().poll(&mut Context::from_waker(&waker))
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::future::poll_fn;
    use std::pin::pin;

    use tokio::sync::Notify;

    use super::*;

    #[tokio::test]
    async fn it_is_looked_at_when_it_was_woken_and_not_before() {
        let (looks, notify) = (Cell::new(0), Notify::new());
        let mut notified = pin!(notify.notified());
        let counted = poll_fn(|cx| {
            looks.set(looks.get() + 1);
            notified.as_mut().poll(cx)
        });
        let mut aside = Aside::new(counted);
        for _ in 0..5 {
            assert!(futures_util::poll!(&mut aside).is_pending());
        }
        assert_eq!(looks.get(), 1);
        let ring = async { notify.notify_waiters() };
        tokio::join!(&mut aside, ring);
        assert_eq!(looks.get(), 2);
    }
}
