//! The page: how a request passes, step by step.
//!
//! [`Broker::serve`] carries one request: identify, find, decide, record, obtain, forward. [`Broker::admit`]
//! judges a CONNECT: who, and do we open this tunnel. A request inside an opened tunnel is judged again by
//! itself, so that a session revoked in the middle of a long connection stops there.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use arc_swap::ArcSwap;
use hyper::Method;
use hyper::header::HeaderValue;
use hyper::http::request::Parts;
use tokio::net::TcpStream;

use crate::agent::Registry;
use crate::agent::Session;
use crate::agent::Strangers;
use crate::agent::Unidentified;
use crate::audit::Entry;
use crate::audit::Ledger;
use crate::audit::Opening;
use crate::credential::Credential;
use crate::credential::Refused;
use crate::credential::Secrets;
use crate::credential::Vault;
use crate::http::Body;
use crate::http::Malformed;
use crate::limits;
use crate::model::Authority;
use crate::model::Clock;
use crate::model::Destination;
use crate::model::PathForms;
use crate::model::Scheme;
use crate::model::Timestamp;
use crate::policy::Facts;
use crate::policy::Permit;
use crate::policy::PolicySet;
use crate::refusal::Refusal;
use crate::resource::HostPattern;
use crate::resource::Resource;
use crate::resource::Resources;
use crate::resource::Source;
use crate::resource::Target;
use crate::upstream::Forwarded;
use crate::upstream::Outbound;
use crate::upstream::Protocol;
use crate::upstream::Reach;
use crate::upstream::Reply;
use crate::upstream::Upstream;

/// The steps, wired.
pub struct Broker {
    /// Step 1.
    pub agents: Arc<Registry>,
    /// Steps 2 and 3: what is configured. Each request is carried under one state of it.
    pub in_force: ArcSwap<InForce>,
    /// Step 4.
    pub vault: Vault,
    /// Step 5.
    pub upstream: Arc<Upstream>,
    /// Step 6.
    pub ledger: Arc<Ledger>,
    /// Callers that nobody knows.
    pub strangers: Strangers,
    /// When a request is received.
    pub clock: Arc<dyn Clock>,
}

/// One load of the configuration: replaced whole, so that no request mixes two.
#[derive(Debug)]
pub struct InForce {
    /// What may be asked for.
    pub resources: Arc<Resources>,
    /// What may be done.
    pub policies: Arc<PolicySet>,
    /// What the resources' sources need.
    pub secrets: Arc<Secrets>,
    /// What happens to hosts that are no resource.
    pub unlisted: Unlisted,
}

/// What happens to hosts that no resource claims.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unlisted {
    /// They are tunnelled untouched, where policy permits.
    Tunnel {
        /// Ports that may be reached; by default 443.
        ports: Vec<u16>,
        /// Hosts that may be reached although their address is not public.
        private_hosts: Vec<HostPattern>,
    },
    /// They are refused.
    Deny,
}

/// How a caller shows who it is.
#[derive(Clone, Debug)]
pub enum Presented {
    /// `Proxy-Authorization`, or none.
    Basic(Option<HeaderValue>),
    /// By the listener it came to, or the tunnel it is in.
    Session(Arc<Session>),
}

/// One request, as it arrived.
#[derive(Debug)]
pub struct Arrival {
    /// Who.
    pub presented: Presented,
    /// Where to, canonical.
    pub destination: Destination,
    /// Method, target, headers.
    pub head: Box<Parts>,
    /// The body, as it comes.
    pub body: Body,
    /// Counts the body's bytes.
    pub body_bytes: Arc<AtomicU64>,
    /// What the agent speaks.
    pub protocol: Protocol,
    /// Whether it asks for a WebSocket.
    pub websocket: bool,
}

/// One CONNECT, as it arrived.
#[derive(Clone, Debug)]
pub struct Knock {
    /// Who.
    pub presented: Presented,
    /// Where to.
    pub authority: Authority,
}

/// What became of a request; its record closes when the answer's body ends.
#[derive(Debug)]
pub struct Answer {
    /// The API's reply, or why there is none.
    pub outcome: Result<Reply, Refusal>,
    /// The record.
    pub entry: Entry,
    /// Bytes of the request's body so far.
    pub body_bytes: Arc<AtomicU64>,
}

/// What became of a CONNECT.
#[derive(Debug)]
pub struct Admission {
    /// What to do with the connection, or why nothing.
    pub way: Result<Way, Refusal>,
    /// The record.
    pub entry: Entry,
}

/// An admitted connection.
#[derive(Debug)]
pub enum Way {
    /// A resource claims the host: open the TLS; each request inside is judged.
    Intercept(Arc<Session>),
    /// Nothing claims it: bytes pass untouched.
    Tunnel(Arc<Session>, TcpStream),
}

impl Broker {
    /// Carries one request from its arrival to its answer.
    pub async fn serve(&self, arrival: Box<Arrival>) -> Answer {
        let body_bytes = Arc::clone(&arrival.body_bytes);
        let mut entry = self.ledger.begin(opening(&arrival));
        let outcome = self.carry(arrival, &mut entry).await;
        if let Err(refusal) = &outcome {
            self.hold_back(refusal).await;
            // a refusal that can't be recorded is a refusal all the same
            let _ = entry.refuse(refusal.record()).await;
        }
        Answer { outcome, entry, body_bytes }
    }

    async fn carry(&self, arrival: Box<Arrival>, entry: &mut Entry) -> Result<Reply, Refusal> {
        let in_force = self.in_force.load_full();
        let session = self.identify(&arrival.presented)?;
        entry.session(&session);
        let target = in_force.find(&arrival)?;
        entry.resource(target.as_ref().map(|resource| resource.identifier.clone()));
        let permit = in_force.decide(&session, target.as_ref(), &arrival, self.clock.now())?;
        entry.permit(&permit).await?; // recorded before anything is obtained or sent
        let credential = self.obtain(&permit, &in_force).await?;
        if let Some(credential) = &credential {
            entry.credential(credential.provenance());
        }
        self.forward(arrival, permit, credential, &in_force, entry).await
    }

    /// Judges a CONNECT.
    pub async fn admit(&self, knock: Knock) -> Admission {
        let mut entry = self.ledger.begin(Opening {
            method: Method::CONNECT,
            scheme: Some(Scheme::Https),
            authority: Some(knock.authority.clone()),
            path: None,
            pid: None,
            program: None,
        });
        let way = self.open(knock, &mut entry).await;
        if let Err(refusal) = &way {
            self.hold_back(refusal).await;
            let _ = entry.refuse(refusal.record()).await;
        }
        Admission { way, entry }
    }

    async fn open(&self, knock: Knock, entry: &mut Entry) -> Result<Way, Refusal> {
        let in_force = self.in_force.load_full();
        let session = self.identify(&knock.presented)?;
        entry.session(&session);
        if let Some(resource) = in_force.resources.claimant(Scheme::Https, &knock.authority) {
            entry.resource(Some(resource.identifier.clone()));
            entry.permit(&in_force.policies.open(&session, &knock.authority)).await?;
            return Ok(Way::Intercept(session));
        }
        let reach = in_force.reach(&knock.authority)?;
        let facts = Facts {
            method: &Method::CONNECT,
            scheme: Scheme::Https,
            authority: &knock.authority,
            path: "",
            time: self.clock.now(),
            websocket: false,
        };
        let permit = in_force.policies.decide_tunnel(&session, &knock.authority, &facts)?;
        entry.permit(&permit).await?;
        let stream = self.upstream.dialer().dial(&knock.authority, reach).await?;
        Ok(Way::Tunnel(session, stream))
    }

    /// A request that could not be read, or a connection that broke its own terms: recorded, and refused.
    pub async fn refuse(&self, presented: &Presented, opening: Opening, malformed: Malformed) -> Answer {
        let mut entry = self.ledger.begin(opening);
        match self.identify(presented) {
            Ok(session) => entry.session(&session),
            Err(_) => self.strangers.hold_back(self.clock.now()).await,
        }
        let refusal = Refusal::Malformed(malformed);
        let _ = entry.refuse(refusal.record()).await;
        Answer { outcome: Err(refusal), entry, body_bytes: Arc::default() }
    }

    /// The path spellings that the place's resources permit.
    pub fn path_forms(&self, authority: &Authority) -> PathForms {
        self.in_force.load().resources.path_forms(authority)
    }

    /// Starts the connection that the first request of an opened tunnel will need, if policy might permit one.
    /// Never for a name that a wildcard made: looking it up would tell it to whoever answers for the domain.
    pub fn warm(&self, session: &Arc<Session>, host: &Authority, protocol: Protocol) {
        let in_force = self.in_force.load_full();
        let Some(resource) = in_force.resources.claimant(Scheme::Https, host) else { return };
        let named = resource.hosts.iter().any(|pattern| *pattern == HostPattern::Exact(host.host.clone()));
        let (scheme, time) = (Scheme::Https, self.clock.now());
        let facts = Facts { method: &Method::GET, scheme, authority: host, path: "/", time, websocket: false };
        if (named || resource.connect.is_some()) && in_force.policies.might_permit(session, &resource, &facts) {
            self.upstream.warm(session, &resource, host, protocol);
        }
    }

    /// Who it is, if anybody. What the caller may do is not said with it.
    pub fn identify(&self, presented: &Presented) -> Result<Arc<Session>, Unidentified> {
        match presented {
            Presented::Session(session) if session.is_open() => Ok(Arc::clone(session)),
            Presented::Session(_) => Err(Unidentified::Ended),
            Presented::Basic(header) => match (self.agents.identify_basic(header.as_ref()), self.agents.anonymous()) {
                (Err(Unidentified::Missing), Some(anonymous)) => Ok(anonymous),
                (identified, _) => identified,
            },
        }
    }

    /// Strangers alone: whoever is known is answered at once.
    async fn hold_back(&self, refusal: &Refusal) {
        if let Refusal::Unidentified(_) = refusal {
            self.strangers.hold_back(self.clock.now()).await;
        }
    }

    /// A client that did not identify itself is decided on and recorded like any other, but lent nothing.
    async fn obtain(&self, permit: &Permit, in_force: &InForce) -> Result<Option<Credential>, Refusal> {
        if self.agents.is_anonymous(permit.session()) {
            return Ok(None);
        }
        Ok(self.vault.obtain(permit, &in_force.secrets).await?)
    }

    /// Once more with a fresh credential when the API refuses the one at hand and the body can be sent again.
    async fn forward(
        &self,
        arrival: Box<Arrival>,
        permit: Permit,
        credential: Option<Credential>,
        in_force: &InForce,
        entry: &mut Entry,
    ) -> Result<Reply, Refusal> {
        // A small body is held where it may be needed again, and for HTTP/2 always: an answer that comes before its
        // request has ended resets the stream, which some clients take for a failure.
        let held = match permit.resource().map(|resource| &resource.source) {
            Some(Source::TokenExchange { .. } | Source::ClientCredentials { .. }) => true,
            Some(Source::Stored { .. } | Source::None) | None => arrival.protocol == Protocol::Http2,
        };
        let arrival = *arrival;
        let body = match arrival.body {
            body @ Body::Stream(_) if held && !arrival.websocket => {
                Box::pin(body.gather(limits::REPLAY_BYTES_MAX)).await.map_err(|_| Refusal::BodyBroken)?
            }
            body => body,
        };
        let request = Outbound::new(arrival.head, arrival.destination, body, arrival.protocol, arrival.websocket);
        match self.upstream.forward(request, permit, credential.as_ref()).await? {
            Forwarded::Answered(reply) => Ok(reply),
            // boxed: what is rare must not make the future of every request large
            Forwarded::CredentialRefused { reply, again } => {
                Box::pin(self.renew(reply, again, credential, in_force, entry)).await
            }
        }
    }

    async fn renew(
        &self,
        reply: Reply,
        again: Option<Box<(Outbound, Permit)>>,
        refused: Option<Credential>,
        in_force: &InForce,
        entry: &mut Entry,
    ) -> Result<Reply, Refusal> {
        let Some(refused) = refused else { return Ok(reply) };
        // the vault is told whether or not this request can be sent again: the next one needs another credential
        let verdict = self.vault.refuse(&refused);
        let Some(again) = again.filter(|_| verdict != Refused::Final) else { return Ok(reply) };
        let (request, permit) = *again;
        let Ok(Some(fresh)) = self.vault.obtain(&permit, &in_force.secrets).await else { return Ok(reply) };
        entry.credential(fresh.provenance());
        match self.upstream.forward(request, permit, Some(&fresh)).await? {
            Forwarded::Answered(reply) => Ok(reply),
            Forwarded::CredentialRefused { reply, .. } => {
                let _ = self.vault.refuse(&fresh);
                Ok(reply)
            }
        }
    }
}

impl InForce {
    /// None for a host that is no resource and may be passed on to.
    fn find(&self, arrival: &Arrival) -> Result<Option<Arc<Resource>>, Refusal> {
        match self.resources.find(&arrival.destination, &arrival.head.method) {
            Target::Resource(resource) => {
                crate::model::Path::parse(arrival.destination.path.as_str(), resource.path_forms)
                    .map_err(|ambiguous| Refusal::Malformed(ambiguous.into()))?;
                Ok(Some(resource))
            }
            Target::Unclaimed => Err(Refusal::Unclaimed),
            Target::Unlisted => self.reach(&arrival.destination.authority).map(|_| None),
        }
    }

    fn decide(
        &self,
        session: &Arc<Session>,
        target: Option<&Arc<Resource>>,
        arrival: &Arrival,
        time: Timestamp,
    ) -> Result<Permit, Refusal> {
        let Destination { scheme, authority, path } = &arrival.destination;
        let (method, websocket) = (&arrival.head.method, arrival.websocket);
        let facts = Facts { method, scheme: *scheme, authority, path: path.as_str(), time, websocket };
        let decision = match target {
            Some(resource) => self.policies.decide(session, resource, &facts),
            None => self.policies.decide_tunnel(session, authority, &facts),
        };
        Ok(decision?)
    }

    /// How far a host that is no resource may be reached, if at all.
    fn reach(&self, authority: &Authority) -> Result<Reach, Refusal> {
        match &self.unlisted {
            Unlisted::Deny => Err(Refusal::Unlisted),
            Unlisted::Tunnel { ports, .. } if !ports.contains(&authority.port) => Err(Refusal::TunnelPort),
            Unlisted::Tunnel { private_hosts, .. } => {
                let private = private_hosts.iter().any(|pattern| pattern.matches(&authority.host));
                Ok(if private { Reach::Any } else { Reach::Public })
            }
        }
    }
}

impl std::fmt::Debug for Broker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Broker").field("policies", self.in_force.load().policies.hash()).finish_non_exhaustive()
    }
}

fn opening(arrival: &Arrival) -> Opening {
    let Destination { scheme, authority, path } = &arrival.destination;
    Opening {
        method: arrival.head.method.clone(),
        scheme: Some(*scheme),
        authority: Some(authority.clone()),
        path: Some(path.clone()),
        pid: None,
        program: None,
    }
}
