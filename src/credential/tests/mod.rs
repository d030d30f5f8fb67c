//! The vault against a zone on loopback, with a clock wound by hand.

mod failing;
mod holding;
mod issuer;
mod sources;

use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rustls::ClientConfig;
use rustls::RootCertStore;

use crate::agent::Caller;
use crate::agent::Session;
use crate::credential::Credential;
use crate::credential::NotObtained;
use crate::credential::Persist;
use crate::credential::Secrets;
use crate::credential::Settings;
use crate::credential::Vault;
use crate::credential::ZoneAccess;
use crate::credential::ZoneClient;
use crate::http::Client;
use crate::model::AgentName;
use crate::model::Clock;
use crate::model::CredentialHeader;
use crate::model::PathForms;
use crate::model::ResourceId;
use crate::model::Scheme;
use crate::model::Scopes;
use crate::model::Secret;
use crate::model::SessionId;
use crate::model::Timestamp;
use crate::model::UserName;
use crate::policy::Action;
use crate::policy::Permit;
use crate::resource::Cookies;
use crate::resource::PrivateAddresses;
use crate::resource::Resource;
use crate::resource::Source;
use crate::resource::TargetParameter;
use issuer::Issuer;

struct World {
    issuer: Issuer,
    clock: Arc<HandClock>,
    vault: Vault,
    secrets: Arc<Secrets>,
}

/// Starts at some day; goes where it is wound.
struct HandClock {
    wall: AtomicI64,
    monotonic: AtomicU64,
}

impl Clock for HandClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.wall.load(Ordering::SeqCst))
    }

    fn monotonic(&self) -> Duration {
        Duration::from_millis(self.monotonic.load(Ordering::SeqCst))
    }
}

impl HandClock {
    fn pass(&self, time: Duration) {
        self.jump(i64::try_from(time.as_millis()).unwrap());
        self.tick(time);
    }

    /// The wall clock alone, as after a sleep or when it is set.
    fn jump(&self, millis: i64) {
        self.wall.fetch_add(millis, Ordering::SeqCst);
    }

    /// The monotonic clock alone.
    fn tick(&self, time: Duration) {
        self.monotonic.fetch_add(u64::try_from(time.as_millis()).unwrap(), Ordering::SeqCst);
    }
}

impl World {
    /// Signed in at the zone, as with an embedded one.
    async fn new() -> Self {
        let issuer = Issuer::start().await;
        let access = signed_in(&issuer.url);
        Self::with(issuer, access)
    }

    fn with(issuer: Issuer, zone: ZoneAccess) -> Self {
        let clock = Arc::new(HandClock { wall: AtomicI64::new(1_795_000_000_000), monotonic: AtomicU64::new(1000) });
        let secrets = [("key", "stored canary"), ("client", "other canary%"), ("broken", "a\nb")];
        let secrets: Secrets =
            secrets.iter().map(|(name, secret)| ((*name).to_owned(), Secret::new(*secret))).collect();
        let (client, clock_for_vault) = (client(), Arc::clone(&clock));
        let vault = Vault::new(Settings { zone, client, clock: clock_for_vault });
        Self { issuer, clock, vault, secrets: Arc::new(secrets) }
    }

    async fn obtain(&self, session: &Arc<Session>, resource: &Arc<Resource>) -> Result<Credential, NotObtained> {
        let permit = Permit::for_test(Arc::clone(session), Arc::clone(resource), Action::Read);
        Ok(self.vault.obtain(&permit, &self.secrets).await?.expect("this source has a credential"))
    }

    /// The error of one attempt, checked to be given from memory to the next, without another request.
    async fn refused(&self, resource: &Arc<Resource>) -> NotObtained {
        let error = self.obtain(&session("ses_1"), resource).await.unwrap_err();
        let requests = self.issuer.seen().len();
        let again = self.obtain(&session("ses_1"), resource).await.unwrap_err();
        assert_eq!(again.code(), error.code());
        assert_eq!(self.issuer.seen().len(), requests, "hammered after {error}");
        assert!(!error.hint().is_empty());
        assert_no_secret(&format!("{error} {error:?} {}", error.hint()));
        error
    }
}

fn signed_in(url: &str) -> ZoneAccess {
    let client = ZoneClient::SignedIn {
        client_id: "daemon".into(),
        client_secret: Secret::new("daemon-canary"),
        refresh_token: Secret::new("refresh-canary"),
        registration_token: Secret::new("registration-canary"),
    };
    ZoneAccess { issuer: url.to_owned(), user: UserName::parse("alice").unwrap(), client }
}

fn one_client(url: &str, refresh_token: Option<&str>, persist: Persist) -> ZoneAccess {
    let client = ZoneClient::Client {
        client_id: "other:client".into(),
        client_secret: Secret::new("other canary%"),
        refresh_token: refresh_token.map(Secret::new),
        persist,
    };
    ZoneAccess { issuer: url.to_owned(), user: UserName::parse("alice").unwrap(), client }
}

fn client() -> Client {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let tls = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth();
    Client::new(Arc::new(tls), Duration::from_secs(2), 64 * 1024)
}

fn session(id: &str) -> Arc<Session> {
    session_of(id, "curl", "alice")
}

fn session_of(id: &str, agent: &str, user: &str) -> Arc<Session> {
    Arc::new(Session {
        id: SessionId::parse(id).unwrap(),
        agent: AgentName::parse(agent).unwrap(),
        user: UserName::parse(user).unwrap(),
        opened_at: Timestamp::from_millis(0),
        caller: Caller::default(),
        ended: Default::default(),
    })
}

fn resource(identifier: &str, source: Source, header: CredentialHeader) -> Arc<Resource> {
    Arc::new(Resource {
        instance: crate::resource::ResourceInstance::next(),
        identifier: ResourceId::parse(identifier).unwrap(),
        scheme: Scheme::Https,
        hosts: vec![],
        port: 443,
        paths: vec![],
        methods: vec![],
        path_forms: PathForms::default(),
        source,
        header,
        connect: None,
        extra_roots: vec![],
        cookies: Cookies::Strip,
        private_addresses: PrivateAddresses::Refuse,
    })
}

fn exchange(scopes: &str) -> Source {
    Source::TokenExchange { scopes: Scopes::parse(scopes).unwrap(), target: TargetParameter::Resource }
}

/// The usual: an exchange for an API, with a bearer header.
fn api() -> Arc<Resource> {
    resource("https://api.example.com", exchange("read write"), CredentialHeader::bearer())
}

fn assert_no_secret(text: &str) {
    assert!(!text.contains("canary"), "a secret is told: {text}");
}
