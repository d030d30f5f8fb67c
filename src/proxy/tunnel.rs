//! Bytes both ways, untouched: tunnels to hosts that are no resource, and WebSockets once they are open.

use std::io;
use std::pin::Pin;
use std::task::Context;
use std::task::Poll;

use hyper::StatusCode;
use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;
use tokio::io::ReadBuf;

use crate::agent::Session;
use crate::audit::Completion;
use crate::audit::Entry;
use crate::audit::Outcome;
use crate::limits;

/// Passes bytes until both sides have ended or the session ends; then completes the record. A daemon that stops
/// lets it go on until it ends the sessions.
pub(super) async fn pass<A, U>(agent: A, upstream: U, session: &Session, mut entry: Entry, status: StatusCode)
where
    A: AsyncRead + AsyncWrite + Unpin,
    U: AsyncRead + AsyncWrite + Unpin,
{
    entry.first_byte();
    let (mut agent, mut upstream) = (Counted::new(agent), Counted::new(upstream));
    let bytes = limits::TUNNEL_BUFFER_BYTES;
    let (outcome, error) = tokio::select! {
        passed = tokio::io::copy_bidirectional_with_sizes(&mut agent, &mut upstream, bytes, bytes) => match passed {
            Ok(_) => (Outcome::Ok, None),
            Err(_) => (Outcome::Aborted, Some("connection-broken")),
        },
        () = session.ended().cancelled() => (Outcome::Aborted, Some("session-ended")),
    };
    let (bytes_in, bytes_out) = (agent.read, upstream.read);
    entry.complete(Completion { status: status.as_u16(), bytes_in, bytes_out, outcome, error });
}

/// Counts what is read, so that a broken tunnel still says how much passed.
struct Counted<S> {
    stream: S,
    read: u64,
}

impl<S> Counted<S> {
    fn new(stream: S) -> Self {
        Self { stream, read: 0 }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Counted<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        self.read += u64::try_from(buf.filled().len() - before).unwrap_or(0);
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Counted<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
