//! What the pool keeps, and from whom.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio_util::task::TaskTracker;

use crate::agent::Caller;
use crate::agent::Session;
use crate::limits;
use crate::model::AgentName;
use crate::model::Authority;
use crate::model::Clock;
use crate::model::CredentialHeader;
use crate::model::PathForms;
use crate::model::ResourceId;
use crate::model::Scheme;
use crate::model::SessionId;
use crate::model::Timestamp;
use crate::model::UserName;
use crate::resource::Cookies;
use crate::resource::HostPattern;
use crate::resource::PrivateAddresses;
use crate::resource::Resource;
use crate::resource::ResourceInstance;
use crate::resource::Source;
use crate::upstream::Dialer;
use crate::upstream::Protocol;
use crate::upstream::connection::Sender;
use crate::upstream::connection::connect;
use crate::upstream::key::Key;
use crate::upstream::key::Owner;
use crate::upstream::pool::Pool;

/// A resource that is one of many with the same identifier.
pub(super) fn resource(scheme: Scheme, host: &str, port: u16) -> Resource {
    Resource {
        instance: ResourceInstance::next(),
        identifier: ResourceId::parse("https://api.example.com").unwrap(),
        scheme,
        hosts: vec![HostPattern::parse(host).unwrap()],
        port,
        paths: Vec::new(),
        methods: Vec::new(),
        path_forms: PathForms::default(),
        source: Source::None,
        header: CredentialHeader::bearer(),
        connect: None,
        extra_roots: Vec::new(),
        cookies: Cookies::Strip,
        private_addresses: PrivateAddresses::Permit,
    }
}

pub(super) fn key(host: &str) -> Key {
    let host = Authority::parse_or(host, 443).unwrap();
    Key::new(&session("ses_one"), Owner::Passage(Scheme::Https), &host, Protocol::Http1)
}

fn session(id: &str) -> Arc<Session> {
    Arc::new(Session {
        id: SessionId::parse(id).unwrap(),
        agent: AgentName::parse("claude").unwrap(),
        user: UserName::parse("ada").unwrap(),
        opened_at: Timestamp::from_millis(0),
        caller: Caller::default(),
        ended: Default::default(),
    })
}

#[derive(Default)]
struct HandClock(Mutex<i64>);

impl HandClock {
    fn passes(&self, time: Duration) {
        *self.0.lock().unwrap() += i64::try_from(time.as_millis()).unwrap();
    }
}

impl Clock for HandClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(*self.0.lock().unwrap())
    }

    fn monotonic(&self) -> Duration {
        Duration::ZERO
    }
}

/// A pool, and a server that accepts and says nothing.
struct Shelf {
    clock: Arc<HandClock>,
    pool: Pool,
    listener: TcpListener,
    resource: Resource,
    session: Arc<Session>,
}

impl Shelf {
    async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let resource = resource(Scheme::Http, "127.0.0.1", listener.local_addr().unwrap().port());
        let clock = Arc::new(HandClock::default());
        let pool = Pool::new(Arc::clone(&clock) as Arc<dyn Clock>);
        pool.prepare(HashSet::from([resource.instance]));
        Self { clock, pool, listener, resource, session: session("ses_one") }
    }

    fn key(&self) -> Key {
        self.key_of(&self.session, self.resource.instance)
    }

    fn key_of(&self, session: &Arc<Session>, instance: ResourceInstance) -> Key {
        Key::new(session, Owner::Resource(instance), &self.authority(), Protocol::Http1)
    }

    fn authority(&self) -> Authority {
        Authority::parse(&self.listener.local_addr().unwrap().to_string()).unwrap()
    }

    async fn sender(&self) -> Sender {
        let (dialer, tasks) = (Dialer::default(), TaskTracker::new());
        connect(&dialer, &self.resource, &self.authority(), None, &tasks).await.unwrap()
    }
}

#[tokio::test]
async fn a_connection_is_shared_by_nothing_but_its_session_and_its_resource() {
    let shelf = Shelf::new().await;
    let other = ResourceInstance::next();
    shelf.pool.prepare(HashSet::from([shelf.resource.instance, other]));
    shelf.pool.put(&shelf.key(), shelf.sender().await);
    assert!(shelf.pool.take(&shelf.key_of(&shelf.session, other)).await.is_none(), "another of the same identifier");
    assert!(shelf.pool.take(&shelf.key_of(&session("ses_two"), shelf.resource.instance)).await.is_none());
    assert!(shelf.pool.take(&shelf.key()).await.is_some());
    assert!(shelf.pool.take(&shelf.key()).await.is_none(), "one connection, one request");
}

#[tokio::test]
async fn a_connection_of_a_resource_that_is_gone_neither_stays_nor_comes_back() {
    let shelf = Shelf::new().await;
    let (under_way, kept) = (shelf.sender().await, shelf.sender().await);
    shelf.pool.put(&shelf.key(), shelf.sender().await);
    let other = shelf.key_of(&shelf.session, ResourceInstance::next());
    let reloaded = ResourceInstance::next();
    shelf.pool.prepare(HashSet::from([reloaded]));
    assert!(!shelf.pool.has(&shelf.key()));
    shelf.pool.put(&shelf.key(), under_way);
    assert!(!shelf.pool.has(&shelf.key()) && !shelf.pool.has(&other));
    let reloaded = shelf.key_of(&shelf.session, reloaded);
    shelf.pool.put(&reloaded, kept);
    assert!(shelf.pool.has(&reloaded));
}

#[tokio::test]
async fn a_connection_of_a_session_that_has_ended_neither_stays_nor_comes_back() {
    let shelf = Shelf::new().await;
    let under_way = shelf.sender().await;
    shelf.pool.put(&shelf.key(), shelf.sender().await);
    shelf.session.ended.end();
    shelf.pool.end_session(shelf.session.id());
    assert!(!shelf.pool.has(&shelf.key()));
    shelf.pool.put(&shelf.key(), under_way);
    assert!(!shelf.pool.has(&shelf.key()));
}

#[tokio::test]
async fn a_connection_that_lay_idle_for_long_is_not_used_again() {
    let shelf = Shelf::new().await;
    shelf.pool.put(&shelf.key(), shelf.sender().await);
    shelf.clock.passes(limits::UPSTREAM_IDLE_AGE_MAX / 2);
    shelf.pool.put(&shelf.key(), shelf.sender().await);
    shelf.clock.passes(limits::UPSTREAM_IDLE_AGE_MAX / 2 + Duration::from_secs(1));
    assert!(shelf.pool.take(&shelf.key()).await.is_some(), "the younger one");
    assert!(shelf.pool.take(&shelf.key()).await.is_none(), "the older one");
    shelf.pool.put(&shelf.key(), shelf.sender().await);
    shelf.pool.sweep();
    assert!(shelf.pool.has(&shelf.key()));
    shelf.clock.passes(limits::UPSTREAM_IDLE_AGE_MAX * 2);
    shelf.pool.sweep();
    assert!(!shelf.pool.has(&shelf.key()));
}

#[tokio::test]
async fn the_oldest_gives_way_where_there_are_too_many() {
    let mut shelf = Shelf::new().await;
    shelf.pool = Pool::holding(2, Arc::clone(&shelf.clock) as Arc<dyn Clock>);
    let keys = [1, 2, 3].map(|_| ResourceInstance::next());
    shelf.pool.prepare(HashSet::from(keys));
    let keys = keys.map(|instance| shelf.key_of(&shelf.session, instance));
    for key in &keys {
        shelf.pool.put(key, shelf.sender().await);
        shelf.clock.passes(Duration::from_secs(1));
    }
    assert_eq!(keys.each_ref().map(|key| shelf.pool.has(key)), [false, true, true]);
}

#[tokio::test]
async fn a_connection_that_the_server_closed_is_not_used_again() {
    let shelf = Shelf::new().await;
    shelf.pool.put(&shelf.key(), shelf.sender().await);
    drop(shelf.listener.accept().await.unwrap());
    // the close is on its way
    for _ in 0..1000 {
        match shelf.pool.take(&shelf.key()).await {
            Some(sender) => shelf.pool.put(&shelf.key(), sender),
            None => return,
        }
        tokio::task::yield_now().await;
    }
    panic!("a closed connection was taken again and again");
}
