//! The end of a connection, such that what was said on it arrives, and what was not is missed.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use tokio::io::AsyncRead;
use tokio::io::AsyncReadExt as _;
use tokio::io::AsyncWrite;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;

use crate::limits;

/// How to part from an agent.
#[derive(Debug)]
pub(super) enum Parting<S> {
    /// No answer is under way: there may be a last word.
    Spoken(S),
    /// All was said: a word more would be read as part of it.
    Silent(S),
    /// The other side has ended, and all was said: nothing more will come.
    Over(S),
    /// An answer broke off, or nobody is there. A proper end would make half an answer look whole.
    Abrupt,
}

impl<S> Parting<S>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    /// Says `word` where it can be said, ends our side (with `close_notify` on TLS), and reads on for a moment
    /// what the other side still sends: a socket that is closed with bytes unread is reset, and an answer on its
    /// way may be lost with it. Not when the daemon drains, which waits for nobody's upload.
    pub(super) async fn leave(self, word: &[u8], draining: &CancellationToken) {
        let (mut stream, word) = match self {
            Self::Spoken(stream) => (stream, word),
            Self::Silent(stream) => (stream, &[][..]),
            Self::Over(mut stream) => {
                // at once or never: whoever has ended awaits no more than our end
                let _ = poll_fn(|cx| Poll::Ready(Pin::new(&mut stream).poll_shutdown(cx))).await;
                return;
            }
            Self::Abrupt => return,
        };
        let leaving = async {
            stream.write_all(word).await?;
            stream.shutdown().await?;
            draining.run_until_cancelled(discard(stream)).await.transpose()?;
            io::Result::Ok(())
        };
        // whoever is gone hears nothing, and nobody else needs to know
        let _ = tokio::time::timeout(limits::LEAVE_TIMEOUT, leaving).await;
    }
}

async fn discard(stream: impl AsyncRead + Unpin) -> io::Result<u64> {
    tokio::io::copy(&mut stream.take(limits::LEAVE_BYTES_MAX), &mut tokio::io::sink()).await
}

/// A stream whose end shows, on demand, that something is missing.
pub(super) trait Breaking {
    /// Whether a drop from now on looks broken off to the other side. Where only the end of the connection tells the
    /// end of an answer (RFC 9112 §6.3, item 8), half an answer would look whole otherwise.
    fn breaks_when_dropped(&self, breaks: bool);
}

/// By a reset in place of the orderly end.
impl Breaking for TcpStream {
    fn breaks_when_dropped(&self, breaks: bool) {
        // a socket that refuses has ended already
        let _ = rustix::net::sockopt::set_socket_linger(self, breaks.then_some(Duration::ZERO));
    }
}

/// By the lack of `close_notify` (RFC 8446 §6.1), whatever is asked.
impl<S> Breaking for TlsStream<S> {
    fn breaks_when_dropped(&self, _: bool) {}
}
