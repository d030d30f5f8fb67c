//! One connection to the proxy's port: CONNECT opens a tunnel, an absolute-form request is carried.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;

use hyper::Method;
use hyper::Request;
use hyper::Response;
use hyper::body::Incoming;
use hyper::header::HeaderValue;
use hyper::header::PROXY_AUTHORIZATION;
use tokio::net::TcpStream;

use crate::audit::Entry;
use crate::broker::Knock;
use crate::broker::Way;
use crate::http::Malformed;
use crate::http::Strict;
use crate::http::guard;
use crate::model::Authority;
use crate::proxy::Entrance;
use crate::proxy::Proxy;
use crate::proxy::http1;
use crate::proxy::intercept;
use crate::proxy::recorded::Recorded;
use crate::proxy::reply;
use crate::proxy::tunnel;
use crate::upstream::Protocol;

/// What a connection turns into once its CONNECT is answered.
struct Opened {
    authority: Authority,
    way: Way,
    entry: Entry,
}

impl Proxy {
    /// Serves one connection to its end.
    pub(super) async fn connection(self: Arc<Self>, stream: TcpStream, entrance: Entrance) {
        let stream = Strict::new(stream);
        let gate = stream.gate();
        let opened = Mutex::new(None);
        let answer = |request| async {
            let response = self.outer(request, &entrance, &opened).await;
            if opened.lock().unwrap_or_else(PoisonError::into_inner).is_none() {
                gate.proceed();
            }
            response
        };
        let stream = http1::serve(stream, answer, &self.draining).await;
        if let Some(violation) = stream.violation() {
            let presented = entrance.presented(None);
            let answer = self.broker.refuse(&presented, reply::unread(None), violation.into()).await;
            reply::last_word(stream, violation, answer).await;
            return;
        }
        let (stream, early) = stream.into_inner();
        match opened.into_inner().unwrap_or_else(PoisonError::into_inner) {
            None => {}
            Some(Opened { authority, way: Way::Intercept(session), entry }) => {
                intercept::open(self, tunnel::Rewound::new(early, stream), session, authority, entry).await;
            }
            Some(Opened { way: Way::Tunnel(session, upstream), entry, .. }) => {
                let agent = tunnel::Rewound::new(early, stream);
                tunnel::pass(agent, upstream, &session, &self.draining, entry, hyper::StatusCode::OK).await;
            }
        }
    }

    async fn outer(
        &self,
        request: Request<Incoming>,
        entrance: &Entrance,
        opened: &Mutex<Option<Opened>>,
    ) -> Response<Recorded> {
        let mut shown = request.headers().get_all(PROXY_AUTHORIZATION).iter();
        let presented = match (shown.next(), shown.next()) {
            (Some(_), Some(_)) => entrance.presented(Some(HeaderValue::from_static("repeated"))),
            (header, _) => entrance.presented(header.cloned()),
        };
        if *request.method() != Method::CONNECT {
            return self.in_the_clear(request, presented).await;
        }
        let authority = match guard::connect(&request) {
            Ok(authority) => authority,
            Err(malformed) => {
                return self.malformed(&presented, reply::unread(Some(request.method())), malformed).await;
            }
        };
        let admission = self.broker.admit(Knock { presented, authority: authority.clone() }).await;
        match admission.way {
            Ok(way) => {
                let opening = Opened { authority, way, entry: admission.entry };
                *opened.lock().unwrap_or_else(PoisonError::into_inner) = Some(opening);
                Response::new(Recorded::empty())
            }
            Err(refusal) => reply::refuse(&refusal, admission.entry, 0),
        }
    }

    async fn in_the_clear(
        &self,
        request: Request<Incoming>,
        presented: crate::broker::Presented,
    ) -> Response<Recorded> {
        let destination = guard::in_the_clear(&request, |authority| self.broker.path_forms(authority));
        self.carry(request, presented, destination, Protocol::Http1).await.0
    }

    pub(super) async fn malformed(
        &self,
        presented: &crate::broker::Presented,
        opening: crate::audit::Opening,
        malformed: Malformed,
    ) -> Response<Recorded> {
        let answer = self.broker.refuse(presented, opening, malformed).await;
        reply::respond(answer, &Method::GET).0
    }
}
