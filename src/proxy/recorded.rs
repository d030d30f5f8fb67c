//! A body whose end ends its record.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::task::Context;
use std::task::Poll;

use bytes::Bytes;
use hyper::body::Body as _;
use hyper::body::Frame;
use hyper::body::SizeHint;

use crate::audit::Completion;
use crate::audit::Entry;
use crate::audit::Outcome;
use crate::http::Body;
use crate::http::BodyFailed;

/// What the agent is sent. When the last byte has passed the record is completed; when the body is dropped
/// before that, it says so.
#[derive(Debug)]
pub(super) struct Recorded {
    body: Body,
    record: Option<Box<Record>>,
}

#[derive(Debug)]
struct Record {
    entry: Entry,
    completion: Completion,
    request_bytes: Arc<AtomicU64>,
}

impl Recorded {
    /// No body, and a record that is kept elsewhere.
    pub(super) fn empty() -> Self {
        Self { body: Body::Empty, record: None }
    }

    /// A body without a record.
    #[cfg(test)]
    pub(super) fn of(body: Body) -> Self {
        Self { body, record: None }
    }

    /// Completes `entry` when `body` has passed.
    pub(super) fn new(body: Body, entry: Entry, completion: Completion, request_bytes: Arc<AtomicU64>) -> Self {
        let mut recorded = Self { body, record: Some(Box::new(Record { entry, completion, request_bytes })) };
        if recorded.body.is_end_stream() {
            recorded.complete(None);
        }
        recorded
    }

    /// See [`Body::go_on`].
    pub(super) fn go_on(&mut self, cx: &mut Context<'_>) {
        self.body.go_on(cx);
    }

    /// The answer has no body after all: to HEAD, or by its status.
    pub(super) fn omit(&mut self) {
        self.body = Body::Empty;
        self.complete(None);
    }

    fn complete(&mut self, broken: Option<(Outcome, &'static str)>) {
        let Some(record) = self.record.take() else { return };
        let Record { entry, mut completion, request_bytes } = *record;
        completion.bytes_in += request_bytes.load(Ordering::Relaxed);
        if let Some((outcome, error)) = broken {
            completion.outcome = outcome;
            completion.error = completion.error.or(Some(error));
        }
        entry.complete(completion);
    }
}

impl hyper::body::Body for Recorded {
    type Data = Bytes;
    type Error = BodyFailed;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyFailed>>> {
        let frame = std::task::ready!(Pin::new(&mut self.body).poll_frame(cx));
        match &frame {
            Some(Ok(frame)) => {
                if let (Some(data), Some(record)) = (frame.data_ref(), &mut self.record) {
                    record.entry.first_byte();
                    record.completion.bytes_out += u64::try_from(data.len()).unwrap_or(0);
                }
                if self.body.is_end_stream() {
                    self.complete(None);
                }
            }
            Some(Err(_)) => self.complete(Some((Outcome::Failed, "upstream-body-broken"))),
            None => self.complete(None),
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.record.is_none() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Recorded {
    fn drop(&mut self) {
        self.complete(Some((Outcome::Aborted, "agent-gone")));
    }
}
