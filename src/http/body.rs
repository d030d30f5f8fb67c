//! Message bodies on their way through: frame in, frame out, nothing kept.

use std::fmt;
use std::future::Future as _;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::task::Context;
use std::task::Poll;
use std::task::ready;
use std::time::Duration;

use bytes::Bytes;
use hyper::body::Body as _;
use hyper::body::Frame;
use hyper::body::Incoming;
use hyper::body::SizeHint;
use tokio::time::Sleep;

/// A body: nothing, bytes at hand, or a stream from the other side. Back-pressure is that of the sockets.
#[derive(Debug)]
pub enum Body {
    /// No body.
    Empty,
    /// Bytes at hand.
    Whole(Bytes),
    /// What the other side sends, as it sends it.
    Stream(Box<Stream>),
}

/// A body in flight.
pub struct Stream {
    incoming: Incoming,
    counter: Option<Arc<AtomicU64>>,
    trailers: Trailers,
    idle_max: Duration,
    /// One for the whole body: frames only note that they came, and a deadline that passes looks.
    deadline: Option<Pin<Box<Sleep>>>,
    moved: bool,
    carrier: Option<Box<dyn Carrier>>,
}

/// What a body arrives on, where nobody else keeps it going.
pub trait Carrier: Send {
    /// Reads and writes what can be.
    fn drive(&mut self, cx: &mut Context<'_>);

    /// The body has passed whole. Never called for one that broke off or was dropped.
    fn finish(self: Box<Self>, cx: &mut Context<'_>);
}

/// What happens to fields behind the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trailers {
    /// They pass (gRPC ends with them).
    Pass,
    /// They are dropped: on HTTP/1 they are a second place for headers that a decision did not see.
    Drop,
}

/// Why a body broke off. Holds no byte of it.
#[derive(Debug, thiserror::Error)]
pub enum BodyFailed {
    /// The side that sends it broke off or broke its framing.
    #[error("the body broke off")]
    Broken(#[source] hyper::Error),
    /// Nothing came for the whole bound.
    #[error("no byte of the body came for {} s", .0.as_secs())]
    Idle(Duration),
}

impl Body {
    /// A stream that gives up when no frame has come for `idle_max`, and at the latest after twice that.
    pub fn stream(incoming: Incoming, trailers: Trailers, idle_max: Duration) -> Self {
        if incoming.is_end_stream() {
            return Self::Empty;
        }
        let stream =
            Stream { incoming, counter: None, trailers, idle_max, deadline: None, moved: false, carrier: None };
        Self::Stream(Box::new(stream))
    }

    /// Adds each byte that passes to `counter`.
    pub fn counted(mut self, counter: &Arc<AtomicU64>) -> Self {
        if let Self::Stream(stream) = &mut self {
            stream.counter = Some(Arc::clone(counter));
        }
        self
    }

    /// The bytes at hand, when the length is known and at most `bytes_max`; a longer or open body stays a stream.
    ///
    /// # Errors
    /// The body broke off.
    pub async fn gather(self, bytes_max: u64) -> Result<Self, BodyFailed> {
        use http_body_util::BodyExt as _;
        let known = self.size_hint().exact().is_some_and(|length| length <= bytes_max);
        match self {
            Self::Stream(_) if known => Ok(Self::Whole(self.collect().await?.to_bytes())),
            body => Ok(body),
        }
    }

    /// Keeps `carrier` going until the body has passed whole: at once for a body that is at hand already.
    pub async fn carried(mut self, carrier: Box<dyn Carrier>) -> Self {
        match &mut self {
            Self::Stream(stream) => stream.carrier = Some(carrier),
            Self::Empty | Self::Whole(_) => {
                let mut carrier = Some(carrier);
                poll_fn(|cx| Poll::Ready(carrier.take().map(|carrier| carrier.finish(cx)))).await;
            }
        }
        self
    }
}

impl hyper::body::Body for Body {
    type Data = Bytes;
    type Error = BodyFailed;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyFailed>>> {
        match &mut *self {
            Self::Empty => Poll::Ready(None),
            Self::Whole(bytes) => {
                let bytes = std::mem::take(bytes);
                *self = Self::Empty;
                Poll::Ready((!bytes.is_empty()).then(|| Ok(Frame::data(bytes))))
            }
            Self::Stream(stream) => stream.poll(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Whole(bytes) => bytes.is_empty(),
            Self::Stream(stream) => stream.carrier.is_none() && stream.incoming.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Whole(bytes) => SizeHint::with_exact(u64::try_from(bytes.len()).unwrap_or(u64::MAX)),
            Self::Stream(stream) => stream.incoming.size_hint(),
        }
    }
}

impl Stream {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyFailed>>> {
        loop {
            let frame = match self.poll_incoming(cx) {
                Poll::Pending => return self.poll_idle(cx),
                Poll::Ready(None) => {
                    self.end(cx);
                    return Poll::Ready(None);
                }
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Some(Err(BodyFailed::Broken(error)))),
                Poll::Ready(Some(Ok(frame))) => frame,
            };
            self.moved = true;
            if let (Some(data), Some(counter)) = (frame.data_ref(), &self.counter) {
                counter.fetch_add(u64::try_from(data.len()).unwrap_or(0), Ordering::Relaxed);
            }
            if frame.is_trailers() && self.trailers == Trailers::Drop {
                continue;
            }
            // hyper asks no more once a body of known length is whole
            if self.incoming.is_end_stream() {
                self.end(cx);
            }
            return Poll::Ready(Some(Ok(frame)));
        }
    }

    /// Asks first, so that the carrier knows that a frame is wanted, and again once it has had its turn.
    fn poll_incoming(&mut self, cx: &mut Context<'_>) -> Poll<Option<hyper::Result<Frame<Bytes>>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.incoming).poll_frame(cx) {
            return Poll::Ready(frame);
        }
        let Some(carrier) = &mut self.carrier else { return Poll::Pending };
        carrier.drive(cx);
        Pin::new(&mut self.incoming).poll_frame(cx)
    }

    fn end(&mut self, cx: &mut Context<'_>) {
        if let Some(carrier) = self.carrier.take() {
            carrier.finish(cx);
        }
    }

    fn poll_idle(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyFailed>>> {
        let idle_max = self.idle_max;
        let deadline = self.deadline.get_or_insert_with(|| {
            self.moved = false;
            Box::pin(tokio::time::sleep(idle_max))
        });
        loop {
            ready!(deadline.as_mut().poll(cx));
            if !std::mem::take(&mut self.moved) {
                return Poll::Ready(Some(Err(BodyFailed::Idle(idle_max))));
            }
            deadline.set(tokio::time::sleep(idle_max));
        }
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream").field("trailers", &self.trailers).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
