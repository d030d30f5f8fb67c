//! Step 5, forward: spends a [`Permit`] and gives the API's [`Reply`].
//!
//! TLS is always verified; a redirect is an answer like any other and is never followed; a connection is
//! shared by no two sessions, resources or hosts, nor by a resource and what a reload made of it.

mod address;
mod alarm;
mod connection;
mod connections;
mod dial;
mod failure;
mod flights;
mod http1;
mod http2;
mod key;
mod passage;
mod pool;
mod reply;
mod rewrite;
mod sent;
#[cfg(test)]
mod tests;
mod trust;
mod via;
mod wire;

use std::sync::Arc;

use hyper::Response;
use hyper::StatusCode;
use tokio_util::task::TaskTracker;

pub use address::is_loopback;
pub use address::is_public;
pub use connection::Upgraded;
pub use dial::Dialer;
pub use dial::Reach;
pub use failure::NotForwarded;
pub use reply::Reply;
pub use rewrite::Outbound;
pub use rewrite::Protocol;
pub use via::NoProxy;
pub use via::Via;

use crate::agent::Session;
use crate::credential::Credential;
use crate::limits;
use crate::model::Authority;
use crate::model::Clock;
use crate::policy::Permit;
use crate::resource::Resource;
use crate::resource::Source;
use crate::tls::Roots;
use crate::upstream::connection::Coming;
use crate::upstream::connection::Purpose;
use crate::upstream::connection::Sender;
use crate::upstream::connections::Connections;
use crate::upstream::key::Key;
use crate::upstream::key::Owner;
use crate::upstream::passage::passage;
use crate::upstream::reply::Carried;
use crate::upstream::rewrite::Handling;

/// Reaches APIs: dials, keeps connections, sends.
pub struct Upstream {
    connections: Arc<Connections>,
}

/// How a forwarding went.
#[derive(Debug)]
pub enum Forwarded {
    /// This is the answer.
    Answered(Reply),
    /// The API refused the credential (401).
    CredentialRefused {
        /// The refusal, which is the answer when nothing fresher can be had.
        reply: Reply,
        /// What to send once more, and the permit for it; none where the body is gone or a credential like the
        /// refused one is all there is.
        again: Option<Box<(Outbound, Permit)>>,
    },
}

impl Upstream {
    /// `roots` are the platform's; a resource adds its own. `tasks` owns the connections; `clock` tells how long
    /// one lay idle.
    pub fn new(dialer: Arc<Dialer>, roots: Roots, clock: Arc<dyn Clock>, tasks: TaskTracker) -> Self {
        Self { connections: Arc::new(Connections::new(dialer, roots, clock, tasks)) }
    }

    /// Puts a new set of resources in force: TLS is made ready for them, and connections made for others go. A
    /// resource whose own roots can't be used is told when it is asked for.
    pub fn prepare<'a>(&self, resources: impl Iterator<Item = &'a Arc<Resource>>) {
        self.connections.prepare(&resources.collect::<Vec<_>>());
    }

    /// Drops the idle connections of a session that has ended.
    pub fn end_session(&self, session: &Session) {
        self.connections.end_session(session.id());
    }

    /// Drops idle connections that have grown too old to be used.
    pub fn sweep(&self) {
        self.connections.sweep();
    }

    /// Closes what is idle; nobody sends any more.
    pub fn close(&self) {
        self.connections.close();
    }

    /// How tunnels are dialled.
    pub fn dialer(&self) -> &Arc<Dialer> {
        self.connections.dialer()
    }

    /// Starts a connection that a request will soon need, unless one is idle. A failure is told when the
    /// request meets it.
    pub fn warm(&self, session: &Arc<Session>, resource: &Arc<Resource>, host: &Authority, protocol: Protocol) {
        self.connections.warm(session, resource, host, protocol);
    }

    /// Sends one request to the resource that the permit names.
    pub async fn forward(
        &self,
        request: Outbound,
        permit: Permit,
        credential: Option<&Credential>,
    ) -> Result<Forwarded, NotForwarded> {
        let (resource, owner, handling) = match permit.resource() {
            Some(resource) => (Arc::clone(resource), Owner::Resource(resource.instance), Handling::Managed),
            None => {
                let destination = request.destination();
                (Arc::new(passage(destination)?), Owner::Passage(destination.scheme), Handling::Passed)
            }
        };
        let request = request.handled(handling);
        let copy = credential.filter(|_| is_renewable(&resource.source)).and_then(|_| request.copy());
        let key = Key::new(permit.session(), owner, &request.destination().authority, request.protocol());
        let reply = match request.switches_protocol() {
            true => Box::pin(self.switch(request, &resource, credential, key)).await?,
            false => self.exchange(request, &resource, credential, key).await?,
        };
        Ok(match reply.response.status() {
            StatusCode::UNAUTHORIZED if credential.is_some() => {
                Forwarded::CredentialRefused { reply, again: copy.map(|request| Box::new((request, permit))) }
            }
            _ => Forwarded::Answered(reply),
        })
    }

    async fn exchange(
        &self,
        request: Outbound,
        resource: &Resource,
        credential: Option<&Credential>,
        key: Key,
    ) -> Result<Reply, NotForwarded> {
        let (response, sender) = self.send(request, resource, credential, &key).await?;
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            return Err(NotForwarded::UnaskedSwitch);
        }
        reply::read(response, resource, Carried { sender, key, pool: Arc::clone(self.connections.pool()) })
    }

    /// On a connection of its own, which nothing else is sent on before or after.
    async fn switch(
        &self,
        request: Outbound,
        resource: &Resource,
        credential: Option<&Credential>,
        key: Key,
    ) -> Result<Reply, NotForwarded> {
        let mut sender = self.connections.connect(resource, &key, Purpose::Upgrade).await?;
        let message = rewrite::message(request, resource, credential, sender.host(), sender.protocol())?;
        let response = sender.send(message, key.host()).await?;
        match response.status() {
            StatusCode::SWITCHING_PROTOCOLS => reply::switched(response, resource, sender),
            _ => reply::read(response, resource, Carried { sender, key, pool: Arc::clone(self.connections.pool()) }),
        }
    }

    /// Over an idle connection if one is left; one that was closed meanwhile costs another try, which can't
    /// send anything twice.
    async fn send(
        &self,
        request: Outbound,
        resource: &Resource,
        credential: Option<&Credential>,
        key: &Key,
    ) -> Result<(Response<Coming>, Sender), NotForwarded> {
        let mut sender = self.connections.take(resource, key).await?;
        let mut message = rewrite::message(request, resource, credential, sender.host(), sender.protocol())?;
        for _ in 0..limits::UPSTREAM_RETRIES_UNSENT {
            match sender.try_send(message, key.host()).await? {
                Ok(response) => return Ok((response, sender)),
                Err(unsent) => {
                    message = unsent;
                    let fresh = match sender.protocol() {
                        Protocol::Http1 => Box::pin(self.connections.connect(resource, key, Purpose::Requests)).await?,
                        Protocol::Http2 => self.connections.take(resource, key).await?,
                    };
                    if fresh.protocol() != sender.protocol() {
                        rewrite::retarget(&mut message, fresh.host(), fresh.protocol())?;
                    }
                    sender = fresh;
                }
            }
        }
        sender.send(message, key.host()).await.map(|response| (response, sender))
    }
}

/// Whether another credential can be had for one that was refused.
fn is_renewable(source: &Source) -> bool {
    match source {
        Source::TokenExchange { .. } | Source::ClientCredentials { .. } => true,
        Source::None | Source::Stored { .. } => false,
    }
}

impl std::fmt::Debug for Upstream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Upstream").finish_non_exhaustive()
    }
}
