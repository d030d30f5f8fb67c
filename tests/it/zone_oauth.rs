//! The zone and the API that trusts it, as strangers over loopback: only bytes pass between them.

use std::io::Write;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use axum::Router;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use hyper::Request;
use hyper::StatusCode;
use rustls::ClientConfig;
use rustls::RootCertStore;
use serde_json::Value;
use serde_json::json;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tracing_subscriber::fmt::MakeWriter;

use valetkey::http::Client;
use valetkey::limits::OUTBOUND_ANSWER_BYTES_MAX;
use valetkey::model::ResourceId;
use valetkey::model::Scopes;
use valetkey::model::Secret;
use valetkey::model::UserName;
use valetkey::os::SystemClock;
use valetkey::whoami;
use valetkey::zone;
use valetkey::zone::SignIn;
use valetkey::zone::Zone;

const WHOAMI: &str = "https://whoami.valetkey.internal";
const OTHER: &str = "https://other.example";

/// A zone and whoami, each on a port of its own.
struct World {
    zone: Zone,
    issuer: String,
    whoami: String,
    client: Client,
    _folder: TempDir,
    _tasks: JoinSet<()>,
}

impl World {
    async fn new() -> Self {
        let (clock, client, mut tasks) = (Arc::new(SystemClock::new()), client(), JoinSet::new());
        let folder = tempfile::tempdir().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let issuer = format!("http://{}", listener.local_addr().unwrap());
        let settings = zone::Settings {
            database: valetkey::zone::Database::Sqlite(folder.path().join("state/zone.db")),
            sealing_key: folder.path().join("state/zone.seal"),
            issuer: issuer.clone(),
            owner: UserName::parse("ada").unwrap(),
            resources: vec![resource(WHOAMI), resource(OTHER)],
            clock: Arc::<SystemClock>::clone(&clock),
            rules: zone::Rules::default(),
        };
        let zone = Zone::open(settings).await.unwrap();
        serve(&mut tasks, listener, zone.router());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let whoami = format!("http://{}", listener.local_addr().unwrap());
        let settings = whoami::Settings {
            identifier: WHOAMI.to_owned(),
            issuer: issuer.clone(),
            scopes: Scopes::parse("read write").unwrap(),
            client: client.clone(),
            clock,
        };
        serve(&mut tasks, listener, whoami::router(settings));
        Self { zone, issuer, whoami, client, _folder: folder, _tasks: tasks }
    }

    async fn token(&self, id: &str, secret: &str, form: &str) -> (StatusCode, Value) {
        let request = Request::post(format!("{}/oauth/2/token", self.issuer))
            .header("content-type", "application/x-www-form-urlencoded")
            .header("authorization", format!("Basic {}", STANDARD.encode(format!("{id}:{secret}"))))
            .body(Bytes::from(form.to_owned()));
        self.send(request.unwrap()).await
    }

    /// Registers an agent and gets it a token for `resource`, in the signed-in user's name.
    async fn token_for(&self, daemon: &SignIn, agent: &str, resource: &str) -> String {
        let refresh = format!("grant_type=refresh_token&refresh_token={}", text(&daemon.refresh_token));
        let (_, signed_in) = self.token(&daemon.client_id, text(&daemon.client_secret), &refresh).await;
        let request = Request::post(format!("{}/oauth/2/registration", self.issuer))
            .header("content-type", "application/json")
            .header("authorization", format!("Bearer {}", text(&daemon.registration_token)))
            .body(Bytes::from(json!({ "client_name": agent }).to_string()));
        let (status, registered) = self.send(request.unwrap()).await;
        assert_eq!(status, StatusCode::CREATED, "{registered}");
        let exchange = format!(
            "grant_type=urn:ietf:params:oauth:grant-type:token-exchange&subject_token={}\
             &subject_token_type=urn:ietf:params:oauth:token-type:access_token\
             &resource={resource}&session_id=ses_1",
            signed_in["access_token"].as_str().unwrap()
        );
        let (id, secret) = (registered["client_id"].as_str().unwrap(), registered["client_secret"].as_str().unwrap());
        let (status, issued) = self.token(id, secret, &exchange).await;
        assert_eq!(status, StatusCode::OK, "{issued}");
        issued["access_token"].as_str().unwrap().to_owned()
    }

    async fn call(&self, token: &str) -> (StatusCode, Value) {
        let request = Request::get(&self.whoami).header("authorization", format!("Bearer {token}"));
        self.send(request.body(Bytes::new()).unwrap()).await
    }

    async fn send(&self, request: Request<Bytes>) -> (StatusCode, Value) {
        let response = self.client.send(request).await.unwrap();
        (response.status(), serde_json::from_slice(response.body()).unwrap_or(Value::Null))
    }
}

fn serve(tasks: &mut JoinSet<()>, listener: TcpListener, router: Router) {
    tasks.spawn(async move { axum::serve(listener, router).await.unwrap() });
}

pub(crate) fn client() -> Client {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let tls = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let tls = tls.with_root_certificates(RootCertStore::empty()).with_no_client_auth();
    Client::new(Arc::new(tls), Duration::from_secs(5), OUTBOUND_ANSWER_BYTES_MAX)
}

fn resource(identifier: &str) -> zone::DeclaredResource {
    zone::DeclaredResource {
        identifier: ResourceId::parse(identifier).unwrap(),
        name: "An API".to_owned(),
        scopes: Scopes::parse("read write").unwrap(),
        lifetime: None,
    }
}

fn text(secret: &Secret) -> &str {
    secret.expose_str().unwrap()
}

#[tokio::test]
async fn an_agent_sees_itself_through_a_token_of_the_zone() {
    let world = World::new().await;
    let daemon = world.zone.sign_in().await.unwrap();
    let token = world.token_for(&daemon, "curl", WHOAMI).await;
    let (status, seen) = world.call(&token).await;
    assert_eq!(status, StatusCode::OK, "{seen}");
    assert_eq!((&seen["user"], &seen["agent"], &seen["session"]), (&json!("ada"), &json!("curl"), &json!("ses_1")));
    assert_eq!(seen["scopes"], json!(["read", "write"]));
    assert_eq!(seen["resource"], WHOAMI);
    assert_eq!(seen["token"]["issuer"], world.issuer);
    assert_eq!(seen["act"]["sub"], seen["client_id"]);
    assert!((590..=600).contains(&seen["token"]["expires_in"].as_i64().unwrap()), "{seen}");
}

#[tokio::test]
async fn a_token_for_another_api_or_of_another_zone_is_refused() {
    let (world, other) = (World::new().await, World::new().await);
    let daemon = world.zone.sign_in().await.unwrap();
    let (status, refusal) = world.call(&world.token_for(&daemon, "curl", OTHER).await).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    assert_eq!(refusal["error_description"], "the token is for another audience");
    let stranger = other.token_for(&other.zone.sign_in().await.unwrap(), "curl", WHOAMI).await;
    let (status, refusal) = world.call(&stranger).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    assert_eq!(refusal["error_description"], "the token is signed with an unknown key");
}

#[tokio::test]
async fn a_token_of_a_rotated_key_is_accepted_at_once() {
    let world = World::new().await;
    let before = world.token_for(&world.zone.sign_in().await.unwrap(), "curl", WHOAMI).await;
    assert_eq!(world.call(&before).await.0, StatusCode::OK);
    world.zone.rotate_key().await.unwrap();
    let after = world.token_for(&world.zone.sign_in().await.unwrap(), "curl", WHOAMI).await;
    assert_eq!(world.call(&after).await.0, StatusCode::OK);
    assert_eq!(world.call(&before).await.0, StatusCode::OK);
}

#[tokio::test]
async fn an_issued_token_is_logged_by_its_id_and_no_secret_is() {
    let world = World::new().await;
    // Once before anybody listens: a log statement that a neighbouring test's thread reaches first is switched off for
    // all; once it is known, it can be switched on again.
    world.token_for(&world.zone.sign_in().await.unwrap(), "curl", WHOAMI).await;
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt().with_writer(log.clone()).with_max_level(tracing::Level::TRACE).finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    tracing::callsite::rebuild_interest_cache();
    let daemon = world.zone.sign_in().await.unwrap();
    let token = world.token_for(&daemon, "curl", WHOAMI).await;
    let (_, seen) = world.call(&token).await;
    let log = log.text();
    assert!(log.contains("token issued"), "{log}");
    assert!(log.contains(seen["token"]["jti"].as_str().unwrap()), "{log}");
    let signature = token.rsplit_once('.').unwrap().1;
    let secrets = [&daemon.client_secret, &daemon.refresh_token, &daemon.registration_token].map(text);
    for secret in secrets.into_iter().chain([token.as_str(), signature]) {
        assert!(!log.contains(secret), "a secret is in the log");
    }
}

/// A place to look for what must not be there.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}
