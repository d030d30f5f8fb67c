//! An HTTP/1 connection to an API as a value that whoever uses it drives: the request in flight, then the body of its
//! answer, then nobody while it is idle. So an exchange runs in the task of the agent's own connection, without a
//! second task to wake.

use std::error::Error;
use std::fmt;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::Context;
use std::task::Poll;
use std::task::ready;

use bytes::Bytes;
use hyper::Method;
use hyper::StatusCode;
use hyper::Version;
use hyper::body::Body as _;
use hyper::body::Frame;
use hyper::body::SizeHint;
use hyper::header::CONTENT_LENGTH;
use hyper::header::TRANSFER_ENCODING;
use hyper::http::response;

use crate::http::BodyFailed;
use crate::http::Decoded;
use crate::http::Decoder;
use crate::http::Link;
use crate::http::NotAnAnswer;
use crate::http::Rewound;
use crate::http::Told;
use crate::http::is_bodiless;
use crate::http::keeps_alive;
use crate::http::take_response;
use crate::http::write_request;
use crate::limits;
use crate::upstream::alarm::Alarm;
use crate::upstream::rewrite::Message;
use crate::upstream::sent::Sent;
use crate::upstream::wire::Wire;

/// A connection and what is under way on it.
pub(super) struct Http1 {
    link: Link<Wire>,
    /// The body that is going out, and how its end is told.
    sending: Option<(Sent, Told)>,
    /// Where in the answer's body its reader is.
    decoder: Decoder,
    /// It takes another request once this exchange is over.
    stays: bool,
    /// Answers of 1xx to this request so far.
    interim: usize,
    alarm: Alarm,
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum NoAnswer {
    /// Nothing of the message was sent.
    Unsent(Message),
    /// The agent broke off its body.
    AgentBody,
    /// The API broke the connection or speaks no HTTP/1.
    Broken(Box<dyn Error + Send + Sync>),
    /// Nothing came in time.
    Late,
}

impl Http1 {
    pub(super) fn new(wire: Wire) -> Self {
        Self {
            link: Link::new(wire),
            sending: None,
            decoder: Decoder::Done,
            stays: true,
            interim: 0,
            alarm: Alarm::new(limits::UPSTREAM_HEAD_TIMEOUT),
        }
    }

    /// Whether another request may follow, as far as is known without a look at the socket.
    pub(super) fn is_ready(&self) -> bool {
        let quiet = self.link.is_flushed() && self.link.input.is_empty();
        self.stays && quiet && self.sending.is_none() && self.decoder.is_done()
    }

    /// Whether another request may follow: nothing has come since the last, not even the end.
    pub(super) fn is_idle(&mut self, cx: &mut Context<'_>) -> bool {
        self.stays = self.is_ready() && self.link.poll_read(cx, 0).is_pending();
        self.stays
    }

    /// The head of the answer; its body is asked for by [`Http1::poll_frame`]. The wait for it begins anew with each
    /// part of the request's body that goes out.
    pub(super) async fn exchange(&mut self, message: Message) -> Result<response::Parts, NoAnswer> {
        let Message { head, body } = message;
        let told = match body.size_hint().exact() {
            Some(0) => Told::Nothing,
            Some(length) => Told::Length(length),
            None => Told::Chunks,
        };
        self.alarm.begin();
        (self.stays, self.interim) = (false, 0);
        write_request(self.link.out(), &head, told);
        if let Some(bytes) = body.at_hand() {
            self.link.push(bytes, told);
        }
        // one record of TLS goes whole or not at all
        let one = self.link.pending() <= limits::HTTP1_GATHER_BYTES;
        // before any of a body that could not be sent again
        if let Poll::Ready(Err(error)) = poll_fn(|cx| Poll::Ready(self.link.poll_flush(cx))).await {
            return Err(match one && self.link.is_untouched() {
                true => NoAnswer::Unsent(Message { head, body }),
                false => NoAnswer::Broken(Box::new(error)),
            });
        }
        self.sending = body.at_hand().is_none().then_some((body, told));
        let answer = poll_fn(|cx| self.poll_head(cx)).await?;
        self.decoder =
            decoder(&answer, head.method == Method::HEAD).map_err(|error| NoAnswer::Broken(Box::new(error)))?;
        let told = !matches!(self.decoder, Decoder::Close);
        let old = answer.version == Version::HTTP_10 && answer.headers.contains_key(TRANSFER_ENCODING);
        self.stays = told && !old && keeps_alive(answer.version, &answer.headers);
        Ok(answer)
    }

    fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<Result<response::Parts, NoAnswer>> {
        // a server may answer and hang up before it has read the whole request: what it said comes first
        let unwritten = match self.poll_sending(cx) {
            Poll::Ready(Err(Unsendable::Body)) => return Poll::Ready(Err(NoAnswer::AgentBody)),
            Poll::Ready(Err(Unsendable::Wire(error))) => Some(error),
            Poll::Ready(Ok(())) | Poll::Pending => None,
        };
        loop {
            match take_response(&mut self.link.input) {
                Ok(Some(head)) if is_interim(&head) && self.interim < limits::INTERIM_ANSWERS_MAX => self.interim += 1,
                Ok(Some(head)) if is_interim(&head) => return broken(NotAnAnswer),
                Ok(Some(head)) => return Poll::Ready(Ok(head)),
                Ok(None) => match self.link.poll_read(cx, 0) {
                    Poll::Ready(Ok(1..)) => {}
                    Poll::Ready(Ok(_)) => return broken(unwritten.unwrap_or(io::ErrorKind::UnexpectedEof.into())),
                    Poll::Ready(Err(error)) => return broken(unwritten.unwrap_or(error)),
                    Poll::Pending => return self.alarm.poll(cx).map(|()| Err(NoAnswer::Late)),
                },
                Err(error) => return broken(error),
            }
        }
    }

    /// Sends what is left of the request's body, as far as that goes now.
    pub(super) fn go_on_sending(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.poll_sending(cx).map(|sent| self.stays &= sent.is_ok())
    }

    fn poll_sending(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Unsendable>> {
        let sent = self.poll_all_sent(cx);
        if let Poll::Ready(Err(_)) = sent {
            self.sending = None;
        }
        sent
    }

    fn poll_all_sent(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Unsendable>> {
        loop {
            let mut waits = false;
            while let Some((body, told)) = self.sending.as_mut().filter(|_| !waits && self.link.has_room()) {
                match Pin::new(body).poll_frame(cx) {
                    Poll::Ready(Some(Ok(frame))) => {
                        self.link.push(frame.into_data().unwrap_or_default(), *told);
                        self.alarm.begin();
                    }
                    Poll::Ready(Some(Err(_))) => return Poll::Ready(Err(Unsendable::Body)),
                    Poll::Ready(None) => {
                        self.link.push_end(*told);
                        self.sending = None;
                    }
                    Poll::Pending => waits = true,
                }
            }
            ready!(self.link.poll_flush(cx)).map_err(Unsendable::Wire)?;
            match self.sending {
                None => return Poll::Ready(Ok(())),
                Some(_) if waits => return Poll::Pending,
                Some(_) => {}
            }
        }
    }

    /// The next of the answer's body, while what is left of the request's goes out.
    pub(super) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyFailed>>> {
        let _ = self.go_on_sending(cx);
        let failed = |error: Box<dyn Error + Send + Sync>| Poll::Ready(Some(Err(BodyFailed::Broken(error))));
        loop {
            match self.decoder.next(&mut self.link.input) {
                Ok(Decoded::Data(data)) => return Poll::Ready(Some(Ok(Frame::data(data)))),
                Ok(Decoded::Trailers(fields)) => return Poll::Ready(Some(Ok(Frame::trailers(fields)))),
                Ok(Decoded::Done) => return Poll::Ready(None),
                Ok(Decoded::More) => {}
                Err(error) => return failed(Box::new(error)),
            }
            let wanted = self.decoder.size_hint().exact().unwrap_or(0);
            match ready!(self.link.poll_read(cx, wanted)) {
                Ok(0) if self.decoder.close() => return Poll::Ready(None),
                Ok(0) => return failed(Box::new(io::Error::from(io::ErrorKind::UnexpectedEof))),
                Ok(_) => {}
                Err(error) => return failed(Box::new(error)),
            }
        }
    }

    /// Whether the answer's body was read to its end.
    pub(super) fn is_read(&self) -> bool {
        self.decoder.is_done()
    }

    /// Whether the request's body is still going out.
    pub(super) fn is_sending(&self) -> bool {
        self.sending.is_some() || !self.link.is_flushed()
    }

    /// How much of the answer's body is to come.
    pub(super) fn size_hint(&self) -> SizeHint {
        self.decoder.size_hint()
    }

    /// What the other protocol's bytes pass on, once both sides have switched.
    pub(super) fn switch(self) -> Rewound<Wire> {
        let (wire, early) = self.link.into_parts();
        Rewound::new(early, wire)
    }
}

impl fmt::Debug for Http1 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Http1").field("stays", &self.stays).finish_non_exhaustive()
    }
}

/// Why a body did not go out whole.
enum Unsendable {
    Body,
    Wire(io::Error),
}

/// How the answer's body ends (RFC 9112 §6.3). What can be read in two ways is refused elsewhere.
fn decoder(head: &response::Parts, head_only: bool) -> Result<Decoder, NotAnAnswer> {
    if head_only || is_bodiless(head.status) {
        return Ok(Decoder::Done);
    }
    if head.headers.contains_key(TRANSFER_ENCODING) {
        return Ok(Decoder::chunked_by_a_server());
    }
    let Some(length) = head.headers.get(CONTENT_LENGTH) else { return Ok(Decoder::Close) };
    let digits = Some(length.as_bytes()).filter(|bytes| bytes.iter().all(u8::is_ascii_digit));
    let length = digits.and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok());
    length.map(Decoder::length).ok_or(NotAnAnswer)
}

/// 101 is none: both sides have switched.
fn is_interim(head: &response::Parts) -> bool {
    head.status.is_informational() && head.status != StatusCode::SWITCHING_PROTOCOLS
}

fn broken<T>(error: impl Error + Send + Sync + 'static) -> Poll<Result<T, NoAnswer>> {
    Poll::Ready(Err(NoAnswer::Broken(Box::new(error))))
}

#[cfg(test)]
mod tests;
