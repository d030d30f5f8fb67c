//! The connections to APIs: kept, being made, or to be made.

use std::collections::HashSet;
use std::sync::Arc;

use tokio_util::task::TaskTracker;

use crate::agent::Session;
use crate::limits;
use crate::model::Authority;
use crate::model::Clock;
use crate::model::Scheme;
use crate::model::SessionId;
use crate::resource::Resource;
use crate::tls::Roots;
use crate::upstream::Dialer;
use crate::upstream::NotForwarded;
use crate::upstream::Protocol;
use crate::upstream::connection;
use crate::upstream::connection::Purpose;
use crate::upstream::connection::Sender;
use crate::upstream::flights::Flights;
use crate::upstream::flights::Seat;
use crate::upstream::key::Key;
use crate::upstream::key::Owner;
use crate::upstream::pool::Pool;
use crate::upstream::trust::Trust;

/// Where a request gets its connection.
pub(super) struct Connections {
    dialer: Arc<Dialer>,
    trust: Trust,
    pool: Arc<Pool>,
    flights: Arc<Flights>,
    tasks: TaskTracker,
}

impl Connections {
    /// `tasks` owns what drives them; `clock` tells how long one lay idle.
    pub(super) fn new(dialer: Arc<Dialer>, roots: Roots, clock: Arc<dyn Clock>, tasks: TaskTracker) -> Self {
        let (pool, flights) = (Arc::new(Pool::new(clock)), Arc::default());
        Self { dialer, trust: Trust::new(roots), pool, flights, tasks }
    }

    /// Puts a new set of resources in force.
    pub(super) fn prepare(&self, resources: &[&Arc<Resource>]) {
        self.trust.prepare(resources);
        self.pool.prepare(resources.iter().map(|resource| resource.instance).collect::<HashSet<_>>());
    }

    pub(super) fn end_session(&self, session: &SessionId) {
        self.pool.end_session(session);
    }

    pub(super) fn sweep(&self) {
        self.pool.sweep();
    }

    pub(super) fn dialer(&self) -> &Arc<Dialer> {
        &self.dialer
    }

    /// Where one goes when its exchange is over.
    pub(super) fn pool(&self) -> &Arc<Pool> {
        &self.pool
    }

    /// Starts a connection that a request will soon need, unless one is idle. A failure is told when the
    /// request meets it.
    pub(super) fn warm(
        self: &Arc<Self>,
        session: &Arc<Session>,
        resource: &Arc<Resource>,
        host: &Authority,
        protocol: Protocol,
    ) {
        let key = Key::new(session, Owner::Resource(resource.instance), host, protocol);
        if self.pool.has(&key) || (self.is_shared(resource, protocol) && self.flights.has(&key)) {
            return;
        }
        let flight = self.flights.begin(&key);
        let (this, resource) = (Arc::clone(self), Arc::clone(resource));
        let ended = session.ended().clone();
        self.tasks.spawn(async move {
            let work = this.connect(&resource, &key, Purpose::Requests);
            if let Some(Ok(sender)) = ended.run_until_cancelled(work).await {
                this.pool.put(&key, sender);
            }
            drop(flight); // landed: whoever waits finds it in the pool
        });
    }

    /// An idle connection, one that is just being made, or a new one.
    pub(super) async fn take(&self, resource: &Resource, key: &Key) -> Result<Sender, NotForwarded> {
        match self.pool.take(key).await {
            Some(sender) => Ok(sender),
            // boxed: what is rare must not make the future of every request large
            None => Box::pin(self.make(resource, key)).await,
        }
    }

    async fn make(&self, resource: &Resource, key: &Key) -> Result<Sender, NotForwarded> {
        match self.flights.join(key, self.is_shared(resource, key.protocol())) {
            Seat::Waits(landing) => {
                landing.wait().await;
                if let Some(sender) = self.pool.take(key).await {
                    return Ok(sender);
                }
                self.connect(resource, key, Purpose::Requests).await
            }
            Seat::Leads(_flight) => self.connect(resource, key, Purpose::Requests).await,
            Seat::Alone => self.connect(resource, key, Purpose::Requests).await,
        }
    }

    /// Closes what is idle.
    pub(super) fn close(&self) {
        self.pool.prepare(HashSet::new());
    }

    /// A connection of HTTP/2 is there for others from its beginning.
    pub(super) async fn connect(
        &self,
        resource: &Resource,
        key: &Key,
        purpose: Purpose,
    ) -> Result<Sender, NotForwarded> {
        let protocol = match purpose {
            Purpose::Requests => key.protocol(),
            Purpose::Upgrade => Protocol::Http1,
        };
        let dial = self.dial(resource, key.host(), protocol);
        let sender = match tokio::time::timeout(limits::UPSTREAM_CONNECT_TIMEOUT, dial).await {
            Ok(sender) => sender?,
            Err(_) => return Err(NotForwarded::ConnectTimeout { host: key.host().to_string() }),
        };
        if let (Purpose::Requests, Some(shared)) = (purpose, sender.share()) {
            self.pool.put(key, shared);
        }
        Ok(sender)
    }

    async fn dial(&self, resource: &Resource, host: &Authority, protocol: Protocol) -> Result<Sender, NotForwarded> {
        let dial = |config| connection::connect(&self.dialer, resource, host, config, &self.tasks);
        let speech = match resource.scheme {
            Scheme::Http => return dial(None).await,
            Scheme::Https => self.trust.of(resource)?,
        };
        let sender = match dial(Some(Arc::clone(speech.offered(protocol)))).await {
            Err(NotForwarded::Protocol { .. }) if protocol == Protocol::Http1 => {
                speech.refuses_http1();
                dial(Some(Arc::clone(speech.offered(protocol)))).await?
            }
            outcome => outcome?,
        };
        speech.chose(protocol, sender.protocol());
        Ok(sender)
    }

    fn is_shared(&self, resource: &Resource, protocol: Protocol) -> bool {
        match resource.scheme {
            Scheme::Http => false,
            Scheme::Https => self.trust.of(resource).is_ok_and(|speech| speech.is_shared(protocol)),
        }
    }
}
