//! What a TLS handshake writes, gathered: its last flight (the tickets) leaves together with the first answer, for an
//! agent that has sent its request along with its own last flight, as nearly all do. A write less for each tunnel, and
//! the agent is woken once.

use std::io;
use std::io::IoSlice;
use std::pin::Pin;
use std::task::Context;
use std::task::Poll;
use std::task::Waker;
use std::task::ready;

use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;
use tokio::io::ReadBuf;

/// A stream that holds back what is written, also when it is asked to flush, until there is nothing to read: whoever
/// is on the other side may wait for it then. What is held when it is dropped leaves too, as far as there is room for
/// it: an alert says why there is no connection.
#[derive(Debug)]
pub(super) struct Gathered<S: AsyncWrite + Unpin> {
    stream: S,
    held: Vec<u8>,
    gathers: bool,
}

impl<S: AsyncWrite + Unpin> Gathered<S> {
    pub(super) fn new(stream: S) -> Self {
        Self { stream, held: Vec::new(), gathers: true }
    }

    /// From now on a flush is one; what is held leaves in front of what is written next.
    pub(super) fn let_go(&mut self) {
        self.gathers = false;
    }

    fn poll_held(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.held.is_empty() {
            let wrote = ready!(Pin::new(&mut self.stream).poll_write(cx, &self.held))?;
            if wrote == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.held.drain(..wrote);
        }
        self.held = Vec::new();
        Poll::Ready(Ok(()))
    }

    /// Takes all of it; a flush says whether it has left.
    fn hold(&mut self, cx: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let before = self.held.len();
        slices.iter().for_each(|slice| self.held.extend_from_slice(slice));
        let taken = self.held.len() - before;
        if !self.gathers
            && let Poll::Ready(Err(error)) = self.poll_held(cx)
        {
            return Poll::Ready(Err(error));
        }
        Poll::Ready(Ok(taken))
    }

    fn holds(&self) -> bool {
        self.gathers || !self.held.is_empty()
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Gathered<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        if read.is_pending()
            && let Poll::Ready(Err(error)) = self.poll_held(cx)
        {
            return Poll::Ready(Err(error));
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Gathered<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.holds() {
            true => self.hold(cx, &[IoSlice::new(bytes)]),
            false => Pin::new(&mut self.stream).poll_write(cx, bytes),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.gathers {
            return Poll::Ready(Ok(()));
        }
        ready!(self.poll_held(cx))?;
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_held(cx))?;
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
        match self.holds() {
            true => self.hold(cx, slices),
            false => Pin::new(&mut self.stream).poll_write_vectored(cx, slices),
        }
    }
}

impl<S: AsyncWrite + Unpin> Drop for Gathered<S> {
    fn drop(&mut self) {
        // at once or never
        let _ = self.poll_held(&mut Context::from_waker(Waker::noop()));
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt as _;
    use tokio::io::AsyncWriteExt as _;

    use super::*;

    /// Says how many writes came, each of any length.
    #[derive(Debug, Default)]
    struct Counting {
        writes: Vec<Vec<u8>>,
        /// What there is to read; nothing pends.
        input: Vec<u8>,
    }

    impl AsyncRead for Counting {
        fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
            if self.input.is_empty() {
                return Poll::Pending;
            }
            buf.put_slice(&std::mem::take(&mut self.input));
            Poll::Ready(Ok(()))
        }
    }

    impl AsyncWrite for Counting {
        fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
            self.writes.push(bytes.to_vec());
            Poll::Ready(Ok(bytes.len()))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    fn try_to_read(stream: &mut Gathered<Counting>) -> Poll<io::Result<()>> {
        let mut space = [0; 16];
        let cx = &mut Context::from_waker(Waker::noop());
        Pin::new(stream).poll_read(cx, &mut ReadBuf::new(&mut space))
    }

    #[tokio::test]
    async fn what_is_held_leaves_as_one_when_there_is_nothing_to_read() {
        let mut stream = Gathered::new(Counting { input: b"x".to_vec(), ..Counting::default() });
        for flight in ["hello", "certificate"] {
            stream.write_all(flight.as_bytes()).await.unwrap();
            stream.flush().await.unwrap();
        }
        assert!(try_to_read(&mut stream).is_ready() && stream.stream.writes.is_empty());
        assert!(try_to_read(&mut stream).is_pending());
        assert_eq!(stream.stream.writes, [b"hellocertificate"]);
    }

    #[tokio::test]
    async fn what_is_held_at_the_end_of_the_handshake_leaves_with_the_first_answer() {
        let mut stream = Gathered::new(Counting::default());
        stream.write_all(b"ticket ").await.unwrap();
        stream.flush().await.unwrap();
        stream.let_go();
        stream.write_all(b"answer").await.unwrap();
        assert_eq!(stream.stream.writes, [b"ticket answer"]);
        stream.write_all(b" and more").await.unwrap();
        assert_eq!(stream.stream.writes.len(), 2);
    }

    #[tokio::test]
    async fn a_flush_is_one_once_the_handshake_is_over_however_narrow_the_way() {
        let (ours, mut theirs) = tokio::io::duplex(3);
        let mut stream = Gathered::new(ours);
        stream.write_all(b"ticket ").await.unwrap();
        stream.let_go();
        let speak = async {
            stream.write_all(b"answer").await.unwrap();
            stream.flush().await.unwrap();
        };
        let mut heard = [0; 13];
        let ((), read) = tokio::join!(speak, theirs.read_exact(&mut heard));
        read.unwrap();
        assert_eq!(&heard, b"ticket answer");
    }

    #[tokio::test]
    async fn what_is_held_leaves_also_when_the_stream_is_dropped() {
        let (ours, mut theirs) = tokio::io::duplex(64);
        let mut stream = Gathered::new(ours);
        stream.write_all(b"alert").await.unwrap();
        drop(stream);
        let mut heard = String::new();
        theirs.read_to_string(&mut heard).await.unwrap();
        assert_eq!(heard, "alert");
    }
}
