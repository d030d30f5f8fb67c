//! Step 5, forward: spends a [`Permit`] and gives the API's [`Reply`].
//!
//! TLS is always verified; a redirect is an answer like any other and is never followed; a connection is
//! shared by no two sessions, resources or hosts.

mod address;
mod connection;
mod dial;
mod failure;
mod pool;
mod rewrite;
mod wire;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::task::Context;

use arc_swap::ArcSwap;
use hyper::Response;
use hyper::StatusCode;
use hyper::body::Incoming;
use hyper::upgrade::Upgraded;
use rustls::ClientConfig;
use tokio_util::task::TaskTracker;

pub use address::is_public;
pub use dial::Dialer;
pub use dial::NoProxy;
pub use dial::Reach;
pub use dial::Via;
pub use failure::NotForwarded;
pub use rewrite::Outbound;
pub use rewrite::Protocol;

use crate::agent::Session;
use crate::credential::Credential;
use crate::http::Body;
use crate::http::Carrier;
use crate::limits;
use crate::model::Authority;
use crate::model::CredentialHeader;
use crate::model::Destination;
use crate::model::PathForms;
use crate::model::ResourceId;
use crate::policy::Permit;
use crate::resource::Cookies;
use crate::resource::HostPattern;
use crate::resource::PrivateAddresses;
use crate::resource::Resource;
use crate::resource::Source;
use crate::tls;
use crate::tls::Roots;
use crate::upstream::connection::Purpose;
use crate::upstream::connection::Sender;
use crate::upstream::pool::Key;
use crate::upstream::pool::Pool;
use crate::upstream::rewrite::Handling;

/// Reaches APIs: dials, keeps connections, sends.
pub struct Upstream {
    dialer: Arc<Dialer>,
    roots: Roots,
    tls: ArcSwap<HashMap<ResourceId, Arc<TlsOf>>>,
    pool: Arc<Pool>,
    tasks: TaskTracker,
}

/// What an API answered.
#[derive(Debug)]
pub struct Reply {
    /// Status, headers that may travel, and the body as it comes.
    pub response: Response<Body>,
    /// The other side of a WebSocket, once the API has switched.
    pub upgraded: Option<Upgraded>,
}

/// How a forwarding went.
#[derive(Debug)]
pub enum Forwarded {
    /// This is the answer.
    Answered(Reply),
    /// The API refused the credential (401) and the request can be sent once more: the permit comes back.
    CredentialRefused {
        /// The refusal, which is the answer when nothing fresher can be had.
        reply: Reply,
        /// What to send again.
        request: Outbound,
        /// For the one repetition.
        permit: Permit,
    },
}

/// The connection that an answer's body arrives on.
struct Carried {
    sender: Sender,
    key: Key,
    pool: Arc<Pool>,
}

impl Carrier for Carried {
    fn drive(&mut self, cx: &mut Context<'_>) {
        self.sender.drive(cx);
    }

    fn finish(self: Box<Self>, cx: &mut Context<'_>) {
        let Self { mut sender, key, pool } = *self;
        if sender.is_idle(cx) {
            pool.put(key, sender);
        }
    }
}

/// How to speak TLS to one resource, by what is offered.
struct TlsOf {
    http1: Arc<ClientConfig>,
    http2: Arc<ClientConfig>,
    /// Learnt from a refusal of HTTP/1.
    http2_only: AtomicBool,
}

impl Upstream {
    /// `roots` are the platform's; a resource adds its own. `tasks` owns the connections.
    pub fn new(dialer: Arc<Dialer>, roots: Roots, tasks: TaskTracker) -> Self {
        Self { dialer, roots, tls: ArcSwap::default(), pool: Arc::default(), tasks }
    }

    /// Prepares TLS for a new set of resources and forgets connections made for the old one. A resource whose
    /// own roots can't be used is told when it is asked for.
    pub fn prepare<'a>(&self, resources: impl Iterator<Item = &'a Arc<Resource>>) {
        let tls = resources.filter_map(|resource| Some((resource.identifier.clone(), self.tls_of(resource).ok()?)));
        self.tls.store(Arc::new(tls.collect()));
        self.pool.clear();
    }

    /// Drops the idle connections of a session that has ended.
    pub fn end_session(&self, session: &Session) {
        self.pool.end_session(session.id());
    }

    /// Drops idle connections that the other side has closed.
    pub fn sweep(&self) {
        self.pool.sweep();
    }

    /// Closes what is idle; nobody sends any more.
    pub fn close(&self) {
        self.pool.clear();
    }

    /// How tunnels are dialled.
    pub fn dialer(&self) -> &Arc<Dialer> {
        &self.dialer
    }

    /// Starts a connection that a request will soon need, unless one is idle. A failure is told when the
    /// request meets it.
    pub fn warm(
        self: &Arc<Self>,
        session: &Arc<Session>,
        resource: &Arc<Resource>,
        host: &Authority,
        protocol: Protocol,
    ) {
        let key = Key::new(session, resource, host, protocol);
        if self.pool.has(&key) {
            return;
        }
        let (this, resource, host) = (Arc::clone(self), Arc::clone(resource), host.clone());
        let ended = session.ended().clone();
        self.tasks.spawn(async move {
            let work = this.connect(&resource, &host, protocol, Purpose::Requests);
            if let Some(Ok(sender)) = ended.run_until_cancelled(work).await {
                this.pool.put(key, sender);
            }
        });
    }

    /// Sends one request to the resource that the permit names.
    pub async fn forward(
        &self,
        request: Outbound,
        permit: Permit,
        credential: Option<&Credential>,
    ) -> Result<Forwarded, NotForwarded> {
        let resource = match permit.resource() {
            Some(resource) => Arc::clone(resource),
            None => Arc::new(passage(request.destination())?),
        };
        let handling = if permit.resource().is_some() { Handling::Managed } else { Handling::Passed };
        let request = request.handled(handling);
        let copy = request.copy();
        let switching = request.switches_protocol();
        let host = request.destination().authority.clone();
        let protocol = request.protocol();
        let key = Key::new(permit.session(), &resource, &host, protocol);

        let (response, sender) = if switching {
            let mut sender = self.connect(&resource, &host, Protocol::Http1, Purpose::Upgrade).await?;
            let message = rewrite::message(request, &resource, credential, sender.protocol())?;
            (sender.send(message, &host).await?, None)
        } else {
            self.send(request, &resource, credential, &host, &key).await?
        };
        let reply = self.reply(response, &resource, key, sender, switching).await?;
        match copy {
            Some(request) if reply.response.status() == StatusCode::UNAUTHORIZED && credential.is_some() => {
                Ok(Forwarded::CredentialRefused { reply, request, permit })
            }
            _ => Ok(Forwarded::Answered(reply)),
        }
    }

    /// Over an idle connection if one is left; one that was closed meanwhile costs another try, which can't
    /// send anything twice.
    async fn send(
        &self,
        request: Outbound,
        resource: &Arc<Resource>,
        credential: Option<&Credential>,
        host: &Authority,
        key: &Key,
    ) -> Result<(Response<Incoming>, Option<Sender>), NotForwarded> {
        let mut sender = match self.pool.take(key).await {
            Some(sender) => sender,
            None => self.connect(resource, host, key.protocol(), Purpose::Requests).await?,
        };
        let mut message = rewrite::message(request, resource, credential, sender.protocol())?;
        for _ in 0..limits::UPSTREAM_RETRIES_UNSENT {
            match sender.try_send(message, host).await? {
                Ok(response) => return Ok((response, Some(sender))),
                Err(unsent) => {
                    message = unsent;
                    let fresh = self.connect(resource, host, key.protocol(), Purpose::Requests).await?;
                    if fresh.protocol() != sender.protocol() {
                        rewrite::retarget(&mut message, host, fresh.protocol())?;
                    }
                    sender = fresh;
                }
            }
        }
        sender.send(message, host).await.map(|response| (response, Some(sender)))
    }

    async fn reply(
        &self,
        response: Response<Incoming>,
        resource: &Resource,
        key: Key,
        sender: Option<Sender>,
        switching: bool,
    ) -> Result<Reply, NotForwarded> {
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            if !switching {
                return Err(NotForwarded::UnaskedSwitch);
            }
            let (response, upgraded) = connection::upgrade(response, key.host()).await?;
            return Ok(Reply { response: response.map(|()| Body::Empty), upgraded: Some(upgraded) });
        }
        let (mut head, incoming) = response.into_parts();
        rewrite::check_response(&head.headers)?;
        rewrite::clean_response(&mut head.headers, resource);
        head.version = hyper::Version::HTTP_11;
        let body = Body::stream(incoming, crate::http::Trailers::Pass, limits::UPSTREAM_BODY_IDLE_TIMEOUT);
        let body = match sender {
            Some(sender) => body.carried(Box::new(Carried { sender, key, pool: Arc::clone(&self.pool) })).await,
            None => body,
        };
        Ok(Reply { response: Response::from_parts(head, body), upgraded: None })
    }

    async fn connect(
        &self,
        resource: &Resource,
        host: &Authority,
        protocol: Protocol,
        purpose: Purpose,
    ) -> Result<Sender, NotForwarded> {
        let tls = match resource.scheme {
            crate::model::Scheme::Http => None,
            crate::model::Scheme::Https => {
                let known = self.tls.load().get(&resource.identifier).cloned();
                Some(known.map_or_else(|| self.tls_of(resource), Ok)?)
            }
        };
        let dial = |config| connection::connect(&self.dialer, resource, host, config, purpose, &self.tasks);
        let work = async {
            let Some(tls) = tls else { return dial(None).await };
            let offered = match protocol {
                Protocol::Http1 if !tls.http2_only.load(Ordering::Relaxed) => &tls.http1,
                Protocol::Http1 | Protocol::Http2 => &tls.http2,
            };
            match dial(Some(Arc::clone(offered))).await {
                // a server of gRPC alone knows no HTTP/1, whatever the agent speaks
                Err(NotForwarded::Protocol { .. }) if protocol == Protocol::Http1 => {
                    tls.http2_only.store(true, Ordering::Relaxed);
                    dial(Some(Arc::clone(&tls.http2))).await
                }
                outcome => outcome,
            }
        };
        match tokio::time::timeout(limits::UPSTREAM_CONNECT_TIMEOUT, work).await {
            Ok(sender) => sender,
            Err(_) => Err(NotForwarded::ConnectTimeout { host: host.to_string() }),
        }
    }

    /// An agent that speaks HTTP/1 needs no more upstream, and one connection for each of its own carries no
    /// head-of-line wait; one that speaks HTTP/2 is offered both.
    fn tls_of(&self, resource: &Resource) -> Result<Arc<TlsOf>, NotForwarded> {
        let config = |alpn: &[&[u8]]| {
            tls::client_config(&self.roots, &resource.extra_roots, alpn).map_err(NotForwarded::OwnRoots)
        };
        let (http1, http2) = (config(&[b"http/1.1"])?, config(&[b"h2", b"http/1.1"])?);
        Ok(Arc::new(TlsOf { http1, http2, http2_only: AtomicBool::new(false) }))
    }
}

/// How a host that is no resource is reached in the clear: nothing injected, cookies and the agent's own
/// `Authorization` left alone, public addresses only.
fn passage(destination: &Destination) -> Result<Resource, NotForwarded> {
    let Destination { scheme, authority, .. } = destination;
    let name = format!("{}://{authority}", scheme.as_str());
    Ok(Resource {
        identifier: ResourceId::parse(&name).map_err(|_| NotForwarded::Target)?,
        scheme: *scheme,
        hosts: vec![HostPattern::Exact(authority.host.clone())],
        port: authority.port,
        paths: Vec::new(),
        methods: Vec::new(),
        path_forms: PathForms::default(),
        source: Source::None,
        header: CredentialHeader::bearer(),
        connect: None,
        extra_roots: Vec::new(),
        cookies: Cookies::Pass,
        private_addresses: PrivateAddresses::Refuse,
    })
}

impl std::fmt::Debug for Upstream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Upstream").finish_non_exhaustive()
    }
}
