//! One connection to the proxy's port: CONNECT opens a tunnel, an absolute-form request is carried.

use std::sync::Arc;

use hyper::Method;
use hyper::Request;
use hyper::Response;
use hyper::StatusCode;
use hyper::header::HeaderValue;
use hyper::header::PROXY_AUTHORIZATION;
use tokio::net::TcpStream;

use crate::agent::Session;
use crate::audit::Entry;
use crate::broker::Knock;
use crate::broker::Presented;
use crate::broker::Way;
use crate::http::Body;
use crate::http::Rewound;
use crate::http::guard;
use crate::limits;
use crate::model::Authority;
use crate::proxy::Entrance;
use crate::proxy::Proxy;
use crate::proxy::carried::Carried;
use crate::proxy::http1;
use crate::proxy::http1::Served;
use crate::proxy::intercept;
use crate::proxy::recorded::Recorded;
use crate::proxy::reply;
use crate::proxy::reply::Bridge;
use crate::proxy::tunnel;
use crate::upstream::Protocol;

/// What a connection turns into.
enum Opened {
    /// A CONNECT was answered.
    Way { authority: Authority, way: Way, entry: Entry },
    /// A WebSocket in the clear.
    WebSocket { bridge: Bridge, session: Arc<Session> },
}

impl Proxy {
    /// Serves one connection to its end.
    pub(super) async fn connection(self: Arc<Self>, stream: TcpStream, entrance: Entrance) {
        let carried = Carried::default();
        let answer = |request| self.outer(request, &entrance, &carried);
        let serve = http1::serve(stream, answer, limits::HEAD_READ_TIMEOUT, &self.draining);
        // a session that ends takes what is carried for it along
        let Some(served) = carried.until_ended(serve).await else { return };
        match served {
            Served::Switched(opened, agent) => self.go_on(opened, agent).await,
            Served::Unread(violation, parting) => {
                let presented = entrance.presented(None);
                let word = self.unread(&presented, reply::unread(None), violation).await;
                parting.leave(&word, &self.draining).await;
            }
            Served::Done(parting) => parting.leave(&[], &self.draining).await,
        }
    }

    async fn go_on(self: Arc<Self>, opened: Opened, agent: Rewound<TcpStream>) {
        match opened {
            Opened::Way { authority, way: Way::Intercept(session), entry } => {
                intercept::open(self, agent, session, authority, entry).await;
            }
            Opened::Way { way: Way::Tunnel(session, upstream), entry, .. } => {
                tunnel::pass(agent, upstream, &session, entry, StatusCode::OK).await;
            }
            Opened::WebSocket { bridge: Bridge { upgraded, entry }, session } => {
                tunnel::pass(agent, upgraded, &session, entry, StatusCode::SWITCHING_PROTOCOLS).await;
            }
        }
    }

    async fn outer(
        &self,
        request: Request<Body>,
        entrance: &Entrance,
        carried: &Carried,
    ) -> (Response<Recorded>, Option<Opened>) {
        let mut shown = request.headers().get_all(PROXY_AUTHORIZATION).iter();
        let presented = match (shown.next(), shown.next()) {
            (Some(_), Some(_)) => entrance.presented(Some(HeaderValue::from_static("repeated"))),
            (header, _) => entrance.presented(header.cloned()),
        };
        if *request.method() != Method::CONNECT {
            return self.in_the_clear(request, presented, carried).await;
        }
        let authority = match guard::connect(&request) {
            Ok(authority) => authority,
            Err(malformed) => {
                let opening = reply::unread(Some(request.method()));
                return (self.malformed(&presented, opening, malformed).await, None);
            }
        };
        let admission = self.broker.admit(Knock { presented, authority: authority.clone() }).await;
        match admission.way {
            Ok(way) => (Response::new(Recorded::empty()), Some(Opened::Way { authority, way, entry: admission.entry })),
            Err(refusal) => (reply::refuse(&refusal, admission.entry, 0), None),
        }
    }

    async fn in_the_clear(
        &self,
        request: Request<Body>,
        presented: Presented,
        carried: &Carried,
    ) -> (Response<Recorded>, Option<Opened>) {
        // whose end will be the request's end; the broker identifies again, and refuses who is nobody
        let session = self.broker.identify(&presented).ok();
        let presented = match &session {
            Some(session) => {
                carried.for_session(session);
                Presented::Session(Arc::clone(session))
            }
            None => presented,
        };
        let destination = guard::in_the_clear(&request, |authority| self.broker.path_forms(authority));
        let (response, bridge) = self.carry(request, presented, destination, Protocol::Http1).await;
        let opened = bridge.zip(session).map(|(bridge, session)| Opened::WebSocket { bridge, session });
        (response, opened)
    }
}
