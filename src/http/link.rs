//! A connection as HTTP/1 uses it: the stream, what was read from it and not used, and what is still to be written.

use std::io;
use std::io::IoSlice;
use std::pin::Pin;
use std::task::Context;
use std::task::Poll;
use std::task::ready;

use bytes::Buf as _;
use bytes::Bytes;
use bytes::BytesMut;
use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;
use tokio::io::ReadBuf;
use tokio_util::io::poll_read_buf;

use crate::http::head::Told;
use crate::limits;

/// One connection. Nothing is written before [`Link::poll_flush`], so that a head and a small body leave as one.
#[derive(Debug)]
pub(crate) struct Link<S> {
    stream: S,
    /// What was read and not used.
    pub(crate) input: BytesMut,
    /// Heads, chunk sizes and small bodies, of which `written` bytes are gone.
    out: Vec<u8>,
    written: usize,
    /// A large part of a body behind `out`, and what ends it.
    large: Bytes,
    tail: &'static [u8],
    /// The stream took something, and perhaps still holds a part of it: TLS keeps records that the socket has no room
    /// for.
    touched: bool,
}

impl<S> Link<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self {
            stream,
            input: BytesMut::new(),
            out: Vec::new(),
            written: 0,
            large: Bytes::new(),
            tail: &[],
            touched: false,
        }
    }

    /// The stream itself.
    pub(crate) fn stream(&self) -> &S {
        &self.stream
    }

    /// Where the next head is written to.
    pub(crate) fn out(&mut self) -> &mut Vec<u8> {
        &mut self.out
    }

    /// Adds a part of a body, framed as it was told.
    pub(crate) fn push(&mut self, data: Bytes, told: Told) {
        if data.is_empty() {
            return; // an empty chunk would be the last
        }
        let chunked = told == Told::Chunks;
        if chunked {
            push_hexadecimal(&mut self.out, data.len());
            self.out.extend_from_slice(b"\r\n");
        }
        let tail: &[u8] = if chunked { b"\r\n" } else { b"" };
        if data.len() <= limits::HTTP1_COPY_BYTES_MAX {
            self.out.extend_from_slice(&data);
            self.out.extend_from_slice(tail);
        } else {
            (self.large, self.tail) = (data, tail);
        }
    }

    /// Ends a body, as it was told.
    pub(crate) fn push_end(&mut self, told: Told) {
        if told == Told::Chunks {
            self.out.extend_from_slice(b"0\r\n\r\n");
        }
    }

    /// Whether more may be added before something is written.
    pub(crate) fn has_room(&self) -> bool {
        self.large.is_empty() && self.tail.is_empty() && self.out.len() < limits::HTTP1_GATHER_BYTES
    }

    /// Whether everything has left for the socket.
    pub(crate) fn is_flushed(&self) -> bool {
        self.is_handed_over() && !self.touched
    }

    /// Whether the stream took nothing since all had left last.
    pub(crate) fn is_untouched(&self) -> bool {
        !self.touched
    }

    /// How much was added and not yet taken by the stream.
    pub(crate) fn pending(&self) -> usize {
        self.out.len() - self.written + self.large.len() + self.tail.len()
    }

    fn is_handed_over(&self) -> bool {
        self.out.is_empty() && self.large.is_empty() && self.tail.is_empty()
    }

    /// The stream, and what was read from it.
    pub(crate) fn into_parts(self) -> (S, Bytes) {
        (self.stream, self.input.freeze())
    }
}

impl<S: AsyncRead + Unpin> Link<S> {
    /// Reads what has come, for whoever still waits for `wanted` bytes; 0 is the end.
    pub(crate) fn poll_read(&mut self, cx: &mut Context<'_>, wanted: u64) -> Poll<io::Result<usize>> {
        let room = usize::try_from(wanted).unwrap_or(usize::MAX);
        let room = room.clamp(limits::HTTP1_READ_BYTES, limits::HTTP1_READ_BYTES_MAX);
        if self.input.capacity() - self.input.len() < room / 8 {
            self.input.reserve(room);
        }
        poll_read_buf(Pin::new(&mut self.stream), cx, &mut self.input)
    }
}

impl<S: AsyncWrite + Unpin> Link<S> {
    /// Writes everything.
    pub(crate) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.is_flushed() {
            return Poll::Ready(Ok(()));
        }
        while !self.is_handed_over() {
            let head = self.out.get(self.written..).unwrap_or_default();
            let stream = Pin::new(&mut self.stream);
            let wrote = if self.large.is_empty() && self.tail.is_empty() {
                ready!(stream.poll_write(cx, head))?
            } else {
                let slices = [IoSlice::new(head), IoSlice::new(&self.large), IoSlice::new(self.tail)];
                ready!(stream.poll_write_vectored(cx, &slices))?
            };
            if wrote == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.touched = true;
            self.wrote(wrote);
        }
        // asked again until it is done: nobody else would
        ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
        self.touched = false;
        Poll::Ready(Ok(()))
    }

    fn wrote(&mut self, count: usize) {
        let of_out = count.min(self.out.len() - self.written);
        self.written += of_out;
        if self.written == self.out.len() {
            self.out.clear();
            self.out.shrink_to(limits::HTTP1_READ_BYTES);
            self.written = 0;
        }
        let of_large = (count - of_out).min(self.large.len());
        self.large.advance(of_large);
        self.tail = self.tail.get(count - of_out - of_large..).unwrap_or_default();
    }
}

/// A stream with bytes that were read from it already put back in front.
#[derive(Debug)]
pub struct Rewound<S> {
    early: Bytes,
    stream: S,
}

impl<S> Rewound<S> {
    /// `early` comes first.
    pub fn new(early: Bytes, stream: S) -> Self {
        Self { early, stream }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Rewound<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.early.is_empty() {
            return Pin::new(&mut self.stream).poll_read(cx, buf);
        }
        let room = self.early.len().min(buf.remaining());
        buf.put_slice(self.early.get(..room).unwrap_or_default());
        self.early.advance(room);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Rewound<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }
}

fn push_hexadecimal(out: &mut Vec<u8>, value: usize) {
    use std::io::Write as _;
    let _ = write!(out, "{value:x}");
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::io::AsyncReadExt as _;
    use tokio::io::AsyncWriteExt as _;

    use super::*;

    #[tokio::test]
    async fn what_is_added_leaves_in_its_order_through_any_narrowness() {
        for room in [3, 64 * 1024] {
            let (ours, mut theirs) = tokio::io::duplex(room);
            let mut link = Link::new(ours);
            let large = "x".repeat(limits::HTTP1_COPY_BYTES_MAX + 1);
            let write = async {
                link.out().extend_from_slice(b"head\r\n");
                link.push("small".into(), Told::Chunks);
                link.push(Bytes::new(), Told::Chunks);
                link.push(large.clone().into(), Told::Chunks);
                assert!(!link.has_room());
                poll_fn(|cx| link.poll_flush(cx)).await.unwrap();
                link.push_end(Told::Chunks);
                poll_fn(|cx| link.poll_flush(cx)).await.unwrap();
                assert!(link.is_flushed() && link.has_room() && link.is_untouched());
                drop(link);
            };
            let mut text = String::new();
            let ((), read) = tokio::join!(write, theirs.read_to_string(&mut text));
            read.unwrap();
            let expected = format!("head\r\n5\r\nsmall\r\n{:x}\r\n{large}\r\n0\r\n\r\n", large.len());
            assert_eq!(text, expected);
        }
    }

    /// Takes everything at once and lets go of it only the second time it is asked to.
    #[derive(Default)]
    struct Holds(usize);

    impl AsyncWrite for Holds {
        fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
            Poll::Ready(Ok(bytes.len()))
        }

        fn poll_flush(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            self.0 += 1;
            if self.0 == 1 { Poll::Pending } else { Poll::Ready(Ok(())) }
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    #[test]
    fn what_the_stream_still_holds_is_asked_for_until_it_has_left() {
        let mut link = Link::new(Holds::default());
        let cx = &mut Context::from_waker(std::task::Waker::noop());
        link.push("small".into(), Told::Length(5));
        assert!(link.poll_flush(cx).is_pending() && !link.is_flushed() && !link.is_untouched());
        assert!(matches!(link.poll_flush(cx), Poll::Ready(Ok(()))) && link.is_flushed());
    }

    #[tokio::test]
    async fn what_came_early_comes_first() {
        let (ours, mut theirs) = tokio::io::duplex(64);
        theirs.write_all(b" world").await.unwrap();
        drop(theirs);
        let mut text = String::new();
        Rewound::new("hello".into(), ours).read_to_string(&mut text).await.unwrap();
        assert_eq!(text, "hello world");
    }

    #[tokio::test]
    async fn what_is_read_is_kept_until_it_is_used() {
        let (ours, mut theirs) = tokio::io::duplex(64);
        let mut link = Link::new(ours);
        theirs.write_all(b"abc").await.unwrap();
        assert_eq!(poll_fn(|cx| link.poll_read(cx, 0)).await.unwrap(), 3);
        drop(theirs);
        assert_eq!(poll_fn(|cx| link.poll_read(cx, 0)).await.unwrap(), 0);
        assert_eq!(link.into_parts().1, "abc");
    }
}
