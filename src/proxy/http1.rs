//! Serves HTTP/1 over a guarded stream and gives the stream back: for the protocol that follows, or for the
//! last word to a client that broke the framing.

use std::cell::Cell;
use std::convert::Infallible;
use std::future::Future;
use std::future::poll_fn;
use std::pin::Pin;
use std::pin::pin;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use bytes::Bytes;
use hyper::Request;
use hyper::Response;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;
use tokio_util::sync::CancellationToken;

use crate::http::Strict;
use crate::http::Violation;
use crate::limits;
use crate::proxy::farewell::Parting;
use crate::proxy::patience;
use crate::proxy::recorded::Recorded;
use crate::proxy::tunnel::Rewound;

/// How HTTP/1 on a stream came to its end.
#[derive(Debug)]
pub(super) enum Served<S, Next> {
    /// Both sides have switched to another protocol.
    Switched(Next, Rewound<S>),
    /// What came is no request.
    Unread(Violation, Parting<S>),
    /// The other side has ended, or nothing more is read from it.
    Done(Parting<S>),
}

/// Requests one after the other until the stream ends, breaks its framing, or switches protocols; nothing comes
/// for too long (`first` at first); or the daemon drains. `answer` says what follows where both sides switch.
pub(super) async fn serve<S, F, Answered, Next>(
    stream: Strict<S>,
    answer: F,
    first: Duration,
    draining: &CancellationToken,
) -> Served<S, Next>
where
    S: AsyncRead + AsyncWrite + Unpin,
    F: Fn(Request<Incoming>) -> Answered,
    Answered: Future<Output = (Response<Recorded>, Option<Next>)>,
{
    let gate = stream.gate();
    let switched = Mutex::new(None);
    let (gate, switched, count) = (&gate, &switched, Cell::new(0));
    let service = service_fn(move |request| {
        // the guard counts the heads that it passes in the same way
        let number = count.get() + 1;
        count.set(number);
        let answered = answer(request);
        async move {
            let (response, next) = answered.await;
            match next {
                Some(next) => *switched.lock().unwrap_or_else(PoisonError::into_inner) = Some(next),
                None => gate.proceed(number),
            }
            Ok::<_, Infallible>(response)
        }
    });
    let mut connection = http1::Builder::new()
        .max_headers(limits::HEADERS_MAX)
        .max_buf_size(limits::HTTP1_BUFFER_BYTES)
        .auto_date_header(false)
        .serve_connection(TokioIo::new(stream), service);
    let mut over = pin!(patience::is_over(first, gate.heard(), draining));
    let (mut leaving, mut broken, mut answering) = (false, false, false);
    let ended = poll_fn(|cx| {
        if !leaving && over.as_mut().poll(cx).is_ready() {
            leaving = true;
            Pin::new(&mut connection).graceful_shutdown();
        }
        let ended = Pin::new(&mut connection).poll(cx);
        if ended.is_ready() || broken || !gate.is_broken() {
            return ended;
        }
        // an answer that is under way is the last; without one the connection is done
        broken = true;
        Pin::new(&mut connection).graceful_shutdown();
        let ended = Pin::new(&mut connection).poll(cx);
        answering = ended.is_pending();
        ended
    });
    let ended = ended.await;
    let parts = connection.into_parts();
    let stream = parts.io.into_inner();
    let violation = stream.violation();
    let (stream, held) = stream.into_inner();
    let next = switched.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(next) = next {
        return Served::Switched(next, Rewound::new(joined(parts.read_buf, held), stream));
    }
    if let Err(error) = &ended {
        tracing::debug!(%error, "an agent's connection ended");
    }
    match (violation, ended) {
        (None, Ok(())) => Served::Done(Parting::Silent(stream)),
        // hyper has said by itself, without a word, what the guard should have
        (None, Err(error)) if error.is_parse() => Served::Unread(Violation::Head, Parting::Silent(stream)),
        (None, Err(_)) => Served::Done(Parting::Abrupt),
        // the record of the request whose body it was tells of it
        (Some(Violation::Chunk), Ok(())) => Served::Done(Parting::Silent(stream)),
        (Some(Violation::Chunk), Err(_)) => Served::Done(Parting::Abrupt),
        (Some(violation), Ok(())) if answering => Served::Unread(violation, Parting::Silent(stream)),
        (Some(violation), Err(_)) if broken => Served::Unread(violation, Parting::Abrupt),
        (Some(violation), _) => Served::Unread(violation, Parting::Spoken(stream)),
    }
}

fn joined(first: Bytes, second: Bytes) -> Bytes {
    if first.is_empty() { second } else { [first, second].concat().into() }
}
