//! One request of an agent: carried, or not even read.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use hyper::Method;
use hyper::Request;
use hyper::Response;

use crate::audit::Opening;
use crate::broker::Arrival;
use crate::broker::Presented;
use crate::http::Body;
use crate::http::Malformed;
use crate::http::Violation;
use crate::http::guard;
use crate::model::Destination;
use crate::proxy::Proxy;
use crate::proxy::recorded::Recorded;
use crate::proxy::reply;
use crate::proxy::reply::Bridge;
use crate::upstream::Protocol;

impl Proxy {
    /// One request, once it is known where it goes, or that it can't be.
    pub(super) async fn carry(
        &self,
        request: Request<Body>,
        presented: Presented,
        destination: Result<Destination, Malformed>,
        protocol: Protocol,
    ) -> (Response<Recorded>, Option<Bridge>) {
        let method = request.method().clone();
        let websocket = guard::asks_for_websocket(&request);
        let destination = match destination {
            Ok(destination) => destination,
            Err(malformed) => {
                return (self.malformed(&presented, reply::unread(Some(&method)), malformed).await, None);
            }
        };
        let (head, body) = request.into_parts();
        let body_bytes = Arc::new(AtomicU64::new(0));
        let body = body.counted(&body_bytes);
        let head = Box::new(head);
        let arrival = Arrival { presented, destination, head, body, body_bytes, protocol, websocket };
        let answer = self.broker.serve(Box::new(arrival)).await;
        reply::respond(answer, &method)
    }

    /// A request that was read and can't be understood.
    pub(super) async fn malformed(
        &self,
        presented: &Presented,
        opening: Opening,
        malformed: Malformed,
    ) -> Response<Recorded> {
        let answer = self.broker.refuse(presented, opening, malformed).await;
        reply::respond(answer, &Method::GET).0
    }

    /// Bytes that are no request: recorded, and what there would be to say.
    pub(super) async fn unread(&self, presented: &Presented, opening: Opening, violation: Violation) -> Vec<u8> {
        let answer = self.broker.refuse(presented, opening, violation.into()).await;
        reply::last_word(answer)
    }
}
