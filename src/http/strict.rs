//! HTTP/1 as an agent may send it: a byte stream that ends at the first byte two parsers could read
//! differently.
//!
//! hyper accepts much that is ambiguous (both `Content-Length` and `Transfer-Encoding`, a repeated or
//! padded length, bare line feeds, fragments cut off in silence). [`Strict`] stands between the socket and
//! hyper, follows the framing of each message by itself, and lets nothing through that RFC 9112 does not
//! spell in exactly one way. It changes no byte: what it permits reaches hyper as it came.
//!
//! A request that may switch the connection (CONNECT, Upgrade) parks the stream until [`Gate::proceed`]
//! says that this very request did not; what came behind it is kept, and handed out by [`Strict::into_inner`] if
//! it did.
//!
//! Bytes that are no request, behind requests that were, end the stream without an error: hyper would drop an
//! answer that is under way. [`Gate::is_broken`] tells who serves the connection to let it finish and leave.

use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Context;
use std::task::Poll;
use std::task::ready;

use bytes::Buf as _;
use bytes::Bytes;
use bytes::BytesMut;
use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;
use tokio::io::ReadBuf;
use tokio::time::Sleep;

use crate::http::Gate;
use crate::http::framing::Violation;
use crate::http::messages::Messages;
use crate::limits;

/// A stream that passes HTTP/1 requests on only while they can be read in one way.
#[derive(Debug)]
pub struct Strict<S> {
    stream: S,
    messages: Messages,
    /// Read from the socket, not yet passed on.
    held: BytesMut,
    gate: Arc<Gate>,
    violation: Option<Violation>,
    head_deadline: Option<Pin<Box<Sleep>>>,
}

impl<S> Strict<S> {
    /// Guards `stream` from its first byte.
    pub fn new(stream: S) -> Self {
        Self {
            stream,
            messages: Messages::default(),
            held: BytesMut::new(),
            gate: Arc::default(),
            violation: None,
            head_deadline: None,
        }
    }

    /// To be told when a request that could have switched protocols did not, and to tell how the stream is.
    pub fn gate(&self) -> Arc<Gate> {
        Arc::clone(&self.gate)
    }

    /// What ended the stream, if it was not the other side.
    pub fn violation(&self) -> Option<Violation> {
        self.violation
    }

    /// The stream itself, and what was read from it behind the request that switched protocols.
    pub fn into_inner(self) -> (S, Bytes) {
        (self.stream, self.held.freeze())
    }

    /// How many of `bytes` may go on. Fewer than all of them leaves the rest to be held.
    fn judge(&mut self, bytes: &[u8]) -> usize {
        let heads = self.messages.heads();
        let (passed, violation) = self.messages.follow(bytes, &self.gate);
        self.violation = violation;
        if self.messages.heads() != heads {
            self.head_deadline = None;
        }
        passed
    }

    /// A head that has begun must end within its time.
    fn poll_head_deadline(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if !self.messages.is_within_head() {
            return Poll::Pending;
        }
        let deadline =
            self.head_deadline.get_or_insert_with(|| Box::pin(tokio::time::sleep(limits::HEAD_READ_TIMEOUT)));
        deadline.as_mut().poll(cx)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Strict<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if let Some(violation) = this.violation {
            return this.end(violation);
        }
        if this.gate.stays_parked(cx) {
            return Poll::Pending;
        }
        if !this.held.is_empty() {
            let held = std::mem::take(&mut this.held);
            let room = held.len().min(buf.remaining());
            let passed = this.judge(held.get(..room).unwrap_or_default());
            buf.put_slice(held.get(..passed).unwrap_or_default());
            this.held = held;
            this.held.advance(passed);
            return this.after(passed, cx);
        }
        let before = buf.filled().len();
        match Pin::new(&mut this.stream).poll_read(cx, buf) {
            Poll::Ready(read) => read?,
            Poll::Pending => {
                ready!(this.poll_head_deadline(cx));
                this.violation = Some(Violation::Stalled);
                return this.end(Violation::Stalled);
            }
        }
        let read = buf.filled().len() - before;
        if read == 0 {
            return Poll::Ready(Ok(()));
        }
        this.gate.hear();
        let passed = this.judge(buf.filled().get(before..).unwrap_or_default());
        if passed < read {
            this.held.extend_from_slice(buf.filled().get(before + passed..).unwrap_or_default());
            buf.set_filled(before + passed);
        }
        this.after(passed, cx)
    }
}

impl<S> Strict<S> {
    /// Zero bytes would mean the end of the stream, so that nothing passed is an error or a wait.
    fn after(&mut self, passed: usize, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match (passed, self.violation) {
            (0, Some(violation)) => self.end(violation),
            (0, None) => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            _ => Poll::Ready(Ok(())),
        }
    }

    /// A broken body is an error for its request. Behind other requests, which may not be answered yet, a broken
    /// head is a silence, of which the gate tells.
    fn end(&self, violation: Violation) -> Poll<io::Result<()>> {
        if violation == Violation::Chunk || self.messages.heads() == 0 {
            return Poll::Ready(Err(io::ErrorKind::InvalidData.into()));
        }
        self.gate.break_off();
        Poll::Pending
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Strict<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    /// Whoever gets the stream back ends it: there may be a last word to say.
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_flush(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }
}

#[cfg(test)]
mod tests;
