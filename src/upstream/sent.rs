//! A request's body as it is handed over, and the wait for the answer that begins where the body ends.

use std::fmt;
use std::pin::Pin;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::task::Context;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use hyper::body::Frame;
use hyper::body::SizeHint;
use tokio::time::Instant;

use crate::http::Body;
use crate::http::BodyFailed;

/// A body on its way to an API. Only one that streams is watched: what is at hand is handed over at once.
pub(super) struct Sent {
    body: Body,
    progress: Option<Arc<Progress>>,
}

/// How far the handing over is.
#[derive(Debug)]
pub(super) struct Progress {
    since: Instant,
    moved_after_ms: AtomicU64,
    broken: AtomicBool,
}

/// How a body fared on the agent's side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BodySent {
    /// Nothing is known against it.
    Whole,
    /// The agent broke off.
    Broken,
}

impl Sent {
    pub(super) fn new(body: Body) -> Self {
        let progress = match &body {
            Body::Empty | Body::Whole(_) => None,
            Body::Stream(_) => Some(Arc::new(Progress::new())),
        };
        Self { body, progress }
    }

    /// All of it, where it need not be waited for.
    pub(super) fn at_hand(&self) -> Option<Bytes> {
        match &self.body {
            Body::Empty => Some(Bytes::new()),
            Body::Whole(bytes) => Some(bytes.clone()),
            Body::Stream(_) => None,
        }
    }

    /// For whom waits while it is sent.
    pub(super) fn progress(&self) -> Option<Arc<Progress>> {
        self.progress.clone()
    }
}

impl hyper::body::Body for Sent {
    type Data = Bytes;
    type Error = BodyFailed;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyFailed>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        if let (Poll::Ready(frame), Some(progress)) = (&polled, &self.progress) {
            progress.moved();
            if matches!(frame, Some(Err(_))) {
                progress.broken.store(true, Ordering::Relaxed);
            }
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Sent {
    /// hyper lets go of a body once its last byte is written.
    fn drop(&mut self) {
        if let Some(progress) = &self.progress {
            progress.moved();
        }
    }
}

impl Progress {
    fn new() -> Self {
        Self { since: tokio::time::Instant::now(), moved_after_ms: AtomicU64::new(0), broken: AtomicBool::new(false) }
    }

    fn moved(&self) {
        let after = u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.moved_after_ms.store(after, Ordering::Relaxed);
    }

    /// How it fared so far.
    pub(super) fn fared(&self) -> BodySent {
        if self.broken.load(Ordering::Relaxed) { BodySent::Broken } else { BodySent::Whole }
    }

    /// What is left of `bound` since the body moved last.
    fn left(&self, bound: Duration) -> Option<Duration> {
        let moved_after = Duration::from_millis(self.moved_after_ms.load(Ordering::Relaxed));
        bound.checked_sub(self.since.elapsed().saturating_sub(moved_after)).filter(|left| !left.is_zero())
    }
}

/// What `work` gives, unless nothing has moved for `bound`: a body that still goes out takes its time, and the wait
/// for the answer begins anew with each part of it. One timer, looked at again only when it fires.
pub(super) async fn within<F: Future>(bound: Duration, progress: Option<&Progress>, work: F) -> Option<F::Output> {
    let mut work = pin!(work);
    let mut wait = bound;
    loop {
        if let Ok(output) = tokio::time::timeout(wait, work.as_mut()).await {
            return Some(output);
        }
        wait = progress.and_then(|progress| progress.left(bound))?;
    }
}

impl fmt::Debug for Sent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sent").field("body", &self.body).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUND: Duration = Duration::from_millis(200);

    #[tokio::test]
    async fn a_long_upload_outlives_the_wait_for_its_answer() {
        let progress = Progress::new();
        let upload = async {
            for _ in 0..10 {
                tokio::time::sleep(BOUND / 4).await;
                progress.moved();
            }
        };
        assert_eq!(within(BOUND, Some(&progress), upload).await, Some(()));
    }

    #[tokio::test]
    async fn the_wait_ends_where_nothing_moves() {
        let started = Instant::now();
        let progress = Progress::new();
        let upload = async {
            tokio::time::sleep(BOUND / 2).await;
            progress.moved();
            std::future::pending::<()>().await;
        };
        assert_eq!(within(BOUND, Some(&progress), upload).await, None);
        assert!(started.elapsed() >= BOUND * 3 / 2, "{:?}", started.elapsed());
        assert_eq!(within(BOUND, None, std::future::pending::<()>()).await, None);
    }
}
