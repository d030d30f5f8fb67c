//! An agent's HTTP/1 connection, shared by whoever serves it and the body of the request at hand. Both run in the
//! connection's own task, unless an HTTP/2 connection to the API sends the body; the lock is never held across a wait.

use std::future::Future;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::pin::pin;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::task::Context;
use std::task::Poll;
use std::task::Waker;
use std::task::ready;

use bytes::Bytes;
use hyper::body::Frame;
use hyper::body::SizeHint;
use hyper::http::request;
use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;
use tokio::time::Sleep;

use crate::http::BodyFailed;
use crate::http::Decoded;
use crate::http::Decoder;
use crate::http::Frames;
use crate::http::Framing;
use crate::http::Link;
use crate::http::Violation;
use crate::http::take_request;
use crate::limits;
use crate::proxy::farewell::Parting;

/// A handle to the connection.
pub(super) struct Line<S>(Arc<Mutex<Option<Held<S>>>>);

/// What is known while the connection is held.
struct Held<S> {
    link: Link<S>,
    /// Where in the body of the request at hand its reader is.
    decoder: Decoder,
    /// The agent waits to be told that its body is wanted (RFC 9110 §10.1.1).
    expects: bool,
    /// It is being told.
    continues: bool,
    /// So much of a head was looked at.
    searched: usize,
    head_deadline: Option<Pin<Box<Sleep>>>,
    /// Whoever serves the connection.
    server: Option<Waker>,
}

/// What came where a head was awaited.
#[expect(clippy::large_enum_variant, reason = "it is moved once; a box would be an allocation for each request")]
pub(super) enum Heard {
    Request(request::Parts, Framing),
    /// No request.
    Nonsense(Violation),
    /// Nothing, and it is time to go.
    Silence,
    /// The connection has ended.
    End,
}

impl<S> Line<S> {
    pub(super) fn new(stream: S) -> Self {
        let held = Held {
            link: Link::new(stream),
            decoder: Decoder::Done,
            expects: false,
            continues: false,
            searched: 0,
            head_deadline: None,
            server: None,
        };
        Self(Arc::new(Mutex::new(Some(held))))
    }

    fn lock(&self) -> MutexGuard<'_, Option<Held<S>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The stream, and what was read from it and not used. Whoever still reads the last body finds it broken off.
    pub(super) fn end(&self) -> Option<(S, Bytes)> {
        self.lock().take().map(|held| held.link.into_parts())
    }

    /// Drops the connection, whoever still reads from it.
    pub(super) fn abandon(&self) -> Parting<S> {
        drop(self.end());
        Parting::Abrupt
    }

    /// For the farewell.
    pub(super) fn part(&self, parting: fn(S) -> Parting<S>) -> Parting<S> {
        self.end().map_or(Parting::Abrupt, |(stream, _)| parting(stream))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Line<S> {
    /// The next head, unless `over` comes first: that is looked at only while nothing has come.
    pub(super) async fn head(&self, over: &mut (impl Future<Output = ()> + Unpin)) -> io::Result<Heard> {
        poll_fn(|cx| self.lock().as_mut().map_or(Poll::Ready(Ok(Heard::End)), |held| held.poll_head(over, cx))).await
    }

    /// What `work` gives, unless the agent hangs up before that.
    pub(super) async fn unless_gone<F: Future>(&self, work: F) -> Option<F::Output> {
        let mut work = pin!(work);
        poll_fn(|cx| {
            if let Poll::Ready(output) = work.as_mut().poll(cx) {
                return Poll::Ready(Some(output));
            }
            self.poll_gone(cx).map(|()| None)
        })
        .await
    }

    /// A body is to be read behind the head that was heard; none where there is none. `expects` is whether the agent
    /// waits to be told to send it.
    pub(super) fn body(&self, framing: Framing, expects: bool) -> Option<AgentBody<S>> {
        let mut held = self.lock();
        let held = held.as_mut()?;
        held.decoder = Decoder::of(framing);
        held.expects = expects && !held.decoder.is_done();
        (!held.decoder.is_done()).then(|| AgentBody(Self(Arc::clone(&self.0))))
    }

    /// Whether the body of the request at hand was read; what nobody wants and is there already is read away.
    /// From now on the agent is no more told to send it.
    pub(super) fn is_read(&self, cx: &mut Context<'_>) -> bool {
        let wanted = self.is_wanted();
        self.lock().as_mut().is_some_and(|held| held.is_read(wanted, cx))
    }

    /// Whether somebody still reads the body.
    pub(super) fn is_wanted(&self) -> bool {
        Arc::strong_count(&self.0) > 1
    }

    /// Adds to what is to be written; see [`Link`].
    pub(super) fn add<T>(&self, add: impl FnOnce(&mut Link<S>) -> T) -> Option<T> {
        self.lock().as_mut().map(|held| add(&mut held.link))
    }

    /// Writes what was added.
    pub(super) fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.lock().as_mut().map_or(Poll::Ready(Err(gone())), |held| held.link.poll_flush(cx))
    }

    /// Ready when the agent has hung up. What it sends meanwhile is kept, up to a bound.
    pub(super) fn poll_gone(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.lock().as_mut().map_or(Poll::Ready(()), |held| held.poll_gone(cx))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Held<S> {
    fn poll_head(
        &mut self,
        over: &mut (impl Future<Output = ()> + Unpin),
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<Heard>> {
        loop {
            match take_request(&mut self.link.input, self.searched) {
                Ok(Some((head, framing))) => {
                    (self.searched, self.head_deadline) = (0, None);
                    return Poll::Ready(Ok(Heard::Request(head, framing)));
                }
                Ok(None) => self.searched = self.link.input.len(),
                Err(violation) => return Poll::Ready(Ok(Heard::Nonsense(violation))),
            }
            match self.link.poll_read(cx, 0) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Ok(Heard::End)),
                Poll::Ready(read) => _ = read?,
                Poll::Pending => break,
            }
        }
        if self.link.input.is_empty() {
            return Pin::new(over).poll(cx).map(|()| Ok(Heard::Silence));
        }
        // a head that has begun must end within its time
        let sleep = || Box::pin(tokio::time::sleep(limits::HEAD_READ_TIMEOUT));
        let deadline = self.head_deadline.get_or_insert_with(sleep).as_mut();
        deadline.poll(cx).map(|()| Ok(Heard::Nonsense(Violation::Stalled)))
    }

    fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if !self.decoder.is_done() {
            // whoever reads the body finds out, and says when it has ended
            self.server.get_or_insert_with(|| cx.waker().clone()).clone_from(cx.waker());
            return Poll::Pending;
        }
        while self.link.input.len() < limits::HTTP1_READ_BYTES_MAX {
            match ready!(self.link.poll_read(cx, 0)) {
                Ok(0) | Err(_) => return Poll::Ready(()),
                Ok(_) => {}
            }
        }
        Poll::Pending
    }

    fn is_read(&mut self, wanted: bool, cx: &mut Context<'_>) -> bool {
        let told = !std::mem::take(&mut self.expects);
        self.continues = false;
        let mut passed = 0;
        while told && !wanted && !self.decoder.is_done() && passed < limits::HTTP1_READ_BYTES_MAX {
            match self.decoder.next(&mut self.link.input) {
                Ok(Decoded::Data(data)) => passed += data.len(),
                Ok(Decoded::More) => match self.link.poll_read(cx, 0) {
                    Poll::Ready(Ok(1..)) => {}
                    Poll::Ready(_) | Poll::Pending => break,
                },
                Ok(Decoded::Trailers(_) | Decoded::Done) => {}
                Err(_) => break,
            }
        }
        self.decoder.is_done()
    }

    fn poll_body(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyFailed>>> {
        loop {
            match self.decoder.next(&mut self.link.input) {
                Ok(Decoded::Data(data)) => return Poll::Ready(Some(Ok(Frame::data(data)))),
                Ok(Decoded::Trailers(fields)) => return Poll::Ready(Some(Ok(Frame::trailers(fields)))),
                Ok(Decoded::Done) => return Poll::Ready(None),
                Ok(Decoded::More) => {}
                Err(violation) => return broken(violation),
            }
            if std::mem::take(&mut self.expects) {
                self.link.out().extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
                self.continues = true;
            }
            // an answer is flushed by whoever writes it, who waits for the socket: there is one place to wait at
            if self.continues {
                match self.link.poll_flush(cx) {
                    Poll::Ready(Ok(())) => self.continues = false,
                    Poll::Ready(Err(error)) => return broken(error),
                    Poll::Pending => {}
                }
            }
            let wanted = self.decoder.size_hint().exact().unwrap_or(0);
            match ready!(self.link.poll_read(cx, wanted)) {
                Ok(0) => return broken(gone()),
                Ok(_) => {}
                Err(error) => return broken(error),
            }
        }
    }
}

/// The body of the request at hand.
pub(super) struct AgentBody<S>(Line<S>);

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Frames for AgentBody<S> {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyFailed>>> {
        let mut held = self.0.lock();
        let Some(held) = held.as_mut() else { return broken(gone()) };
        let frame = held.poll_body(cx);
        if held.decoder.is_done()
            && let Some(server) = held.server.take().filter(|server| !server.will_wake(cx.waker()))
        {
            server.wake();
        }
        frame
    }

    fn is_end(&self) -> bool {
        self.0.lock().as_ref().is_none_or(|held| held.decoder.is_done())
    }

    fn size_hint(&self) -> SizeHint {
        self.0.lock().as_ref().map_or_else(SizeHint::default, |held| held.decoder.size_hint())
    }
}

fn broken<T>(error: impl std::error::Error + Send + Sync + 'static) -> Poll<Option<Result<T, BodyFailed>>> {
    Poll::Ready(Some(Err(BodyFailed::Broken(Box::new(error)))))
}

fn gone() -> io::Error {
    io::ErrorKind::UnexpectedEof.into()
}
