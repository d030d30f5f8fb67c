//! From what an API answered to the [`Reply`]: less what may not travel, its body on the connection it comes on.

use std::sync::Arc;
use std::task::Context;

use hyper::Response;
use hyper::Version;
use hyper::body::Incoming;
use hyper::upgrade::Upgraded;

use crate::http::Body;
use crate::http::Carrier;
use crate::http::Trailers;
use crate::limits;
use crate::model::Authority;
use crate::resource::Resource;
use crate::upstream::NotForwarded;
use crate::upstream::connection;
use crate::upstream::connection::Sender;
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

impl Carrier for Carried {
    fn drive(&mut self, cx: &mut Context<'_>) {
        self.sender.drive(cx);
    }

    /// An HTTP/2 connection is in the pool already; what ends here is a stream.
    fn finish(self: Box<Self>, cx: &mut Context<'_>) {
        let Self { mut sender, key, pool } = *self;
        match sender.protocol() {
            rewrite::Protocol::Http1 if sender.is_idle(cx) => pool.put(&key, sender),
            rewrite::Protocol::Http1 | rewrite::Protocol::Http2 => {}
        }
    }
}

/// An answer; `carried` is what its body comes on, unless that keeps itself going.
pub(super) async fn read(
    response: Response<Incoming>,
    resource: &Resource,
    carried: Option<Carried>,
) -> Result<Reply, NotForwarded> {
    let (mut head, incoming) = response.into_parts();
    rewrite::check_response(&head.headers)?;
    rewrite::clean_response(&mut head.headers, resource);
    head.version = Version::HTTP_11;
    let body = Body::stream(incoming, Trailers::Pass, limits::UPSTREAM_BODY_IDLE_TIMEOUT);
    let body = match carried {
        Some(carried) => body.carried(Box::new(carried)).await,
        None => body,
    };
    Ok(Reply { response: Response::from_parts(head, body), upgraded: None })
}

/// A 101 to a request that asked for a WebSocket, cleaned like any other answer.
pub(super) async fn switched(
    mut response: Response<Incoming>,
    resource: &Resource,
    host: &Authority,
) -> Result<Reply, NotForwarded> {
    rewrite::check_response(response.headers())?;
    if !rewrite::switches_to_websocket(response.headers()) {
        return Err(NotForwarded::UnaskedSwitch);
    }
    let upgraded = connection::upgrade(&mut response, host).await?;
    rewrite::clean_response(response.headers_mut(), resource);
    Ok(Reply { response: response.map(|_| Body::Empty), upgraded: Some(upgraded) })
}
