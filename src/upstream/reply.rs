//! From what an API answered to the [`Reply`]: less what may not travel, its body on the connection it comes on.

use std::sync::Arc;
use std::task::Context;
use std::task::Poll;
use std::task::ready;

use bytes::Bytes;
use hyper::Response;
use hyper::Version;
use hyper::body::Frame;
use hyper::body::Incoming;
use hyper::body::SizeHint;

use crate::http::Body;
use crate::http::BodyFailed;
use crate::http::Frames;
use crate::http::Trailers;
use crate::limits;
use crate::resource::Resource;
use crate::upstream::NotForwarded;
use crate::upstream::Upgraded;
use crate::upstream::connection::Coming;
use crate::upstream::connection::Sender;
use crate::upstream::http1::Http1;
use crate::upstream::key::Key;
use crate::upstream::pool::Pool;
use crate::upstream::rewrite;

/// What an API answered.
#[derive(Debug)]
pub struct Reply {
    /// Status, headers that may travel, and the body as it comes.
    pub response: Response<Body>,
    /// The other side of a WebSocket, once the API has switched.
    pub upgraded: Option<Upgraded>,
}

/// The connection that an answer's body arrives on.
pub(super) struct Carried {
    pub(super) sender: Sender,
    pub(super) key: Key,
    pub(super) pool: Arc<Pool>,
}

impl Carried {
    /// The exchange is over. A connection of HTTP/2 is in the pool already; what ends here is a stream.
    fn finish(self) {
        if self.sender.protocol() == rewrite::Protocol::Http1 && !self.sender.is_closed() {
            self.pool.put(&self.key, self.sender);
        }
    }
}

/// A body that keeps its HTTP/1 connection going, and gives it back when it has passed whole.
struct Http1Body {
    carried: Option<Carried>,
    /// The API took the request: what is left of its body goes out, too, though the answer is whole (RFC 9110 §7.5).
    wants_all: bool,
}

impl Frames for Http1Body {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyFailed>>> {
        let Some(http1) = self.carried.as_mut().and_then(|carried| carried.sender.http1()) else {
            return Poll::Ready(None);
        };
        let frame = match http1.is_read() {
            true if self.wants_all => ready!(http1.go_on_sending(cx).map(|()| Poll::Ready(None))),
            true => Poll::Ready(None),
            false => http1.poll_frame(cx),
        };
        if http1.is_read()
            && (!self.wants_all || !http1.is_sending())
            && let Some(carried) = self.carried.take()
        {
            carried.finish();
        }
        frame
    }

    fn go_on(&mut self, cx: &mut Context<'_>) {
        if let Some(http1) = self.carried.as_mut().and_then(|carried| carried.sender.http1()) {
            let _ = http1.go_on_sending(cx);
        }
    }

    fn is_end(&self) -> bool {
        self.carried.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        let http1 = self.carried.as_ref().and_then(|carried| carried.sender.as_http1());
        http1.map_or_else(|| SizeHint::with_exact(0), Http1::size_hint)
    }
}

/// A body on a stream of HTTP/2, which is one use of its connection.
struct Http2Body {
    incoming: Incoming,
    _carried: Carried,
}

impl Frames for Http2Body {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyFailed>>> {
        Frames::poll_frame(&mut self.incoming, cx)
    }

    fn is_end(&self) -> bool {
        self.incoming.is_end()
    }

    fn size_hint(&self) -> SizeHint {
        Frames::size_hint(&self.incoming)
    }
}

/// An answer; `carried` is what its body comes on.
pub(super) fn read(
    response: Response<Coming>,
    resource: &Resource,
    mut carried: Carried,
) -> Result<Reply, NotForwarded> {
    let (mut head, coming) = response.into_parts();
    rewrite::check_response(&head.headers)?;
    rewrite::clean_response(&mut head.headers, resource);
    head.version = Version::HTTP_11;
    let bound = limits::UPSTREAM_BODY_IDLE_TIMEOUT;
    let body = match coming {
        Coming::Http1 => {
            let wants_all = head.status.is_success();
            let over = |http1: &mut Http1| http1.is_read() && !(wants_all && http1.is_sending());
            if carried.sender.http1().is_some_and(over) {
                carried.finish();
                Body::Empty
            } else {
                Body::stream(Http1Body { carried: Some(carried), wants_all }, Trailers::Pass, bound)
            }
        }
        Coming::Http2(incoming) => Body::stream(Http2Body { incoming, _carried: carried }, Trailers::Pass, bound),
    };
    Ok(Reply { response: Response::from_parts(head, body), upgraded: None })
}

/// A 101 to a request that asked for a WebSocket, cleaned like any other answer.
pub(super) fn switched(response: Response<Coming>, resource: &Resource, sender: Sender) -> Result<Reply, NotForwarded> {
    rewrite::check_response(response.headers())?;
    if !rewrite::switches_to_websocket(response.headers()) {
        return Err(NotForwarded::UnaskedSwitch);
    }
    let upgraded = sender.switch().ok_or(NotForwarded::UnaskedSwitch)?;
    let mut response = response.map(|_| Body::Empty);
    rewrite::clean_response(response.headers_mut(), resource);
    Ok(Reply { response, upgraded: Some(upgraded) })
}
