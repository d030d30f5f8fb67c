//! HTTP/1 with an agent: one request after the other, and in the end the stream for the protocol that follows or
//! for a last word.
//!
//! All of it runs in the connection's own task. The body of a request is read by whoever wants it; the body of an
//! answer is written as it comes, a head together with what of its body is there.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::task::Poll;
use std::time::Duration;

use hyper::Method;
use hyper::Request;
use hyper::Response;
use hyper::StatusCode;
use hyper::Version;
use hyper::body::Body as _;
use hyper::header::CONTENT_LENGTH;
use hyper::header::EXPECT;
use hyper::http::request;
use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;
use tokio_util::sync::CancellationToken;

use crate::http::Body;
use crate::http::Rewound;
use crate::http::Told;
use crate::http::Trailers;
use crate::http::Violation;
use crate::http::is_bodiless;
use crate::http::keeps_alive;
use crate::http::write_response;
use crate::limits;
use crate::os;
use crate::os::Aside;
use crate::proxy::farewell::Breaking;
use crate::proxy::farewell::Parting;
use crate::proxy::line::Heard;
use crate::proxy::line::Line;
use crate::proxy::patience;
use crate::proxy::recorded::Recorded;

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

/// What a request's head says of its answer.
struct Asked {
    method: Method,
    version: Version,
    /// The agent wants to be told that its body is wanted.
    expects: bool,
    /// The connection is for another request after this one.
    stays: bool,
}

/// Requests one after the other until the stream ends, breaks its framing, or switches protocols; nothing comes
/// for too long (`first` at first); or the daemon drains. `answer` says what follows where both sides switch.
pub(super) async fn serve<S, F, Answered, Next>(
    stream: S,
    answer: F,
    first: Duration,
    draining: &CancellationToken,
) -> Served<S, Next>
where
    S: AsyncRead + AsyncWrite + Breaking + Unpin + Send + 'static,
    F: Fn(Request<Body>) -> Answered,
    Answered: Future<Output = (Response<Recorded>, Option<Next>)>,
{
    let line = Line::new(stream);
    // of its own, so that connections don't queue at one lock
    let draining = draining.child_token();
    let heard = AtomicBool::new(false);
    let mut over = Aside::new(patience::is_over(first, &heard, &draining));
    loop {
        let (head, framing) = match line.head(&mut over).await {
            Ok(Heard::Request(head, framing)) => (head, framing),
            Ok(Heard::Nonsense(violation)) => return Served::Unread(violation, line.part(Parting::Spoken)),
            Ok(Heard::Silence) => return Served::Done(line.part(Parting::Silent)),
            Ok(Heard::End) => return Served::Done(line.part(Parting::Over)),
            Err(_) => return Served::Done(line.abandon()),
        };
        heard.store(true, Ordering::Relaxed);
        let asked = Asked::by(&head);
        let body = line.body(framing, asked.expects);
        let body = body.map_or(Body::Empty, |body| Body::stream(body, Trailers::Drop, limits::AGENT_BODY_IDLE_TIMEOUT));
        let Some((response, next)) = line.unless_gone(answer(Request::from_parts(head, body))).await else {
            return Served::Done(line.abandon());
        };
        let stays = asked.stays && !draining.is_cancelled();
        match say(&line, &asked, response, stays, next.is_some()).await {
            Err(_) => return Served::Done(line.abandon()),
            Ok(_) if next.is_some() => {}
            Ok(true) => {
                heard.store(true, Ordering::Relaxed);
                continue;
            }
            Ok(false) => return Served::Done(line.part(Parting::Silent)),
        }
        return match (next, line.end()) {
            (Some(next), Some((stream, early))) => Served::Switched(next, Rewound::new(early, stream)),
            _ => Served::Done(Parting::Abrupt),
        };
    }
}

/// Writes an answer to its end; gives whether another request may follow.
async fn say<S>(
    line: &Line<S>,
    asked: &Asked,
    response: Response<Recorded>,
    stays: bool,
    switches: bool,
) -> io::Result<bool>
where
    S: AsyncRead + AsyncWrite + Breaking + Unpin,
{
    let (mut head, mut body) = response.into_parts();
    let told = asked.tell(head.status, &body, switches);
    if told == Told::Nothing {
        body.omit();
    }
    // the rest of a body that nobody reads could be taken for the next request
    let read = poll_fn(|cx| Poll::Ready(line.is_read(cx))).await;
    let stays = stays && told != Told::Close && (read || line.is_wanted());
    if head.status == StatusCode::NO_CONTENT || head.status.is_informational() {
        head.headers.remove(CONTENT_LENGTH);
    }
    line.add(|link| write_response(link.out(), &head, asked.version, told, stays || switches));
    let breaks = |breaks| line.add(|link| link.stream().breaks_when_dropped(breaks));
    if told == Told::Close {
        breaks(true);
    }
    let (mut ended, mut broken) = (false, None);
    os::behind_others().await;
    poll_fn(|cx| {
        loop {
            let mut waits = false;
            while !ended && !waits && line.add(|link| link.has_room()) == Some(true) {
                // not under the line's lock: this may lead to the body of the request
                match Pin::new(&mut body).poll_frame(cx) {
                    Poll::Ready(Some(Ok(frame))) => {
                        let data = frame.into_data().unwrap_or_default();
                        line.add(|link| link.push(data, told));
                        ended = body.is_end_stream();
                    }
                    Poll::Ready(Some(Err(error))) => (ended, broken) = (true, Some(io::Error::other(error))),
                    Poll::Ready(None) => ended = true,
                    Poll::Pending => waits = true,
                }
                if ended && broken.is_none() {
                    line.add(|link| link.push_end(told));
                }
            }
            match line.poll_flush(cx)? {
                // what there is arrives, also where the rest never will
                Poll::Ready(()) if ended => return Poll::Ready(broken.take().map_or(Ok(()), Err)),
                Poll::Ready(()) if !waits => {}
                Poll::Ready(()) => return line.poll_gone(cx).map(|()| Err(io::ErrorKind::BrokenPipe.into())),
                Poll::Pending => {
                    // an agent may send all of its body before it reads a word
                    body.go_on(cx);
                    return Poll::Pending;
                }
            }
        }
    })
    .await?;
    if told == Told::Close {
        breaks(false);
    }
    drop(body);
    Ok(stays && poll_fn(|cx| Poll::Ready(line.is_read(cx))).await)
}

impl Asked {
    fn by(head: &request::Parts) -> Self {
        let expects =
            head.headers.get(EXPECT).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"));
        Self {
            method: head.method.clone(),
            version: head.version,
            expects: expects && head.version == Version::HTTP_11,
            stays: keeps_alive(head.version, &head.headers),
        }
    }

    /// How the answer's end is told (RFC 9112 §6.3).
    fn tell(&self, status: StatusCode, body: &Recorded, switches: bool) -> Told {
        let bodiless = self.method == Method::HEAD || is_bodiless(status);
        match body.size_hint().exact() {
            _ if bodiless || switches => Told::Nothing,
            Some(length) => Told::Length(length),
            None if self.version == Version::HTTP_10 => Told::Close,
            None => Told::Chunks,
        }
    }
}

#[cfg(test)]
mod tests;
