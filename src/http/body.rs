//! Message bodies on their way through: frame in, frame out, nothing kept.

use std::fmt;
use std::future::Future as _;
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
    frames: Box<dyn Frames>,
    counter: Option<Arc<AtomicU64>>,
    trailers: Trailers,
    idle_max: Duration,
    /// One for the whole body: frames only note that they came, and a deadline that passes looks.
    deadline: Option<Pin<Box<Sleep>>>,
    moved: bool,
}

/// Where the frames of a body come from: a stream of HTTP/2, or an HTTP/1 connection that they keep going.
pub trait Frames: Send {
    /// The next frame; none is the end, after which nobody asks any more.
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyFailed>>>;

    /// Keeps going what goes the other way meanwhile, where nobody else does.
    fn go_on(&mut self, _cx: &mut Context<'_>) {}

    /// Whether nothing more will come, as far as is known without a look.
    fn is_end(&self) -> bool;

    /// How much is to come.
    fn size_hint(&self) -> SizeHint;
}

impl Frames for Incoming {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyFailed>>> {
        let frame = ready!(hyper::body::Body::poll_frame(Pin::new(self), cx));
        Poll::Ready(frame.map(|frame| frame.map_err(|error| BodyFailed::Broken(Box::new(error)))))
    }

    fn is_end(&self) -> bool {
        self.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        hyper::body::Body::size_hint(self)
    }
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
    Broken(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Nothing came for the whole bound.
    #[error("no byte of the body came for {} s", .0.as_secs())]
    Idle(Duration),
}

impl Body {
    /// A stream that gives up when no frame has come for `idle_max`, and at the latest after twice that.
    pub fn stream(frames: impl Frames + 'static, trailers: Trailers, idle_max: Duration) -> Self {
        if frames.is_end() {
            return Self::Empty;
        }
        let frames = Box::new(frames);
        Self::Stream(Box::new(Stream { frames, counter: None, trailers, idle_max, deadline: None, moved: false }))
    }

    /// Adds each byte that passes to `counter`.
    pub fn counted(mut self, counter: &Arc<AtomicU64>) -> Self {
        if let Self::Stream(stream) = &mut self {
            stream.counter = Some(Arc::clone(counter));
        }
        self
    }

    /// Keeps going what goes the other way, while nobody has room for a frame.
    pub fn go_on(&mut self, cx: &mut Context<'_>) {
        if let Self::Stream(stream) = self {
            stream.frames.go_on(cx);
        }
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
            Self::Stream(stream) => stream.frames.is_end(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Whole(bytes) => SizeHint::with_exact(u64::try_from(bytes.len()).unwrap_or(u64::MAX)),
            Self::Stream(stream) => stream.frames.size_hint(),
        }
    }
}

impl Stream {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyFailed>>> {
        loop {
            let frame = match self.frames.poll_frame(cx) {
                Poll::Pending => return self.poll_idle(cx),
                Poll::Ready(Some(Ok(frame))) => frame,
                Poll::Ready(end) => return Poll::Ready(end),
            };
            self.moved = true;
            if let (Some(data), Some(counter)) = (frame.data_ref(), &self.counter) {
                counter.fetch_add(u64::try_from(data.len()).unwrap_or(0), Ordering::Relaxed);
            }
            if frame.is_trailers() && self.trailers == Trailers::Drop {
                continue;
            }
            return Poll::Ready(Some(Ok(frame)));
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
