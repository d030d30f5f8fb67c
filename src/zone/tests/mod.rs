//! The zone told from outside: requests to its router, answers read as a client reads them.
//!
//! Each test runs twice: as part of `on_sqlite` and of `on_postgres`. Without a PostgreSQL the latter fail.

mod addresses;
mod authorize;
mod clients;
mod collections;
mod device;
mod documents;
mod exchange;
mod external;
mod grants;
mod guests;
mod impersonation;
mod introspection;
mod keys;
mod managed_policies;
mod management;
mod organizations;
mod packages;
mod people;
mod policies;
mod policy_bundle;
mod policy_decisions;
mod possession;
mod protocols;
mod providers;
mod refresh;
mod registration;
mod replicas;
mod second_factor;
mod sessions;
mod software;
mod sso_connection;
mod terraform;
mod token;
mod zones;

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::LazyLock;
use std::sync::atomic::AtomicI64;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::body::Body;
use axum::http::HeaderMap;
use axum::http::Request;
use axum::http::StatusCode;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http_body_util::BodyExt as _;
use serde_json::Value;
use serde_json::json;
use tempfile::TempDir;
use tower::ServiceExt as _;

use crate::jose::SigningKey;
use crate::model::Clock;
use crate::model::ResourceId;
use crate::model::Scopes;
use crate::model::Secret;
use crate::model::Timestamp;
use crate::model::UserName;
use crate::zone::Database;
use crate::zone::DeclaredResource;
use crate::zone::Rules;
use crate::zone::Settings;
use crate::zone::SignIn;
use crate::zone::Zone;
use crate::zone::private_file;

const ISSUER: &str = "http://127.0.0.1:7980";
const WHOAMI: &str = "https://whoami.valetkey.internal";
const NOTES: &str = "https://notes.example/api";
const NOW: i64 = 1_800_000_000;
const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";

static KEY: LazyLock<Vec<u8>> = LazyLock::new(|| SigningKey::generate().unwrap().to_pkcs8().unwrap().expose().to_vec());

/// Wound by hand.
struct HandClock(AtomicI64);

impl HandClock {
    fn advance(&self, by: Duration) {
        self.0.fetch_add(i64::try_from(by.as_millis()).unwrap(), Ordering::SeqCst);
    }
}

impl Clock for HandClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::SeqCst))
    }

    fn monotonic(&self) -> Duration {
        Duration::from_millis(self.0.load(Ordering::SeqCst).unsigned_abs())
    }
}

/// A zone in a folder and a database of its own, and its daemon.
struct Scene {
    folder: TempDir,
    database: Database,
    clock: Arc<HandClock>,
    zone: Zone,
    daemon: SignIn,
}

/// A registered agent's credentials.
struct Agent {
    id: String,
    secret: String,
}

struct Reply {
    status: StatusCode,
    headers: HeaderMap,
    body: Value,
}

impl Scene {
    async fn new() -> Self {
        Self::under(Rules::default()).await
    }

    /// A zone with other rules than a personal one's.
    async fn under(rules: Rules) -> Self {
        Self::at(ISSUER, rules).await
    }

    /// The same at another address.
    async fn at(issuer: &str, rules: Rules) -> Self {
        let folder = tempfile::tempdir().unwrap();
        // A key that all scenes share: making one for each would take most of the tests' time.
        private_file::replace(&folder.path().join("zone.key"), &KEY).unwrap();
        let clock = Arc::new(HandClock(AtomicI64::new(NOW * 1000)));
        let database = new_database(folder.path()).await;
        let zone =
            Zone::open(Settings { rules, issuer: issuer.to_owned(), ..settings(&database, folder.path(), &clock) })
                .await
                .unwrap();
        let daemon = zone.sign_in().await.unwrap();
        Self { folder, database, clock, zone, daemon }
    }

    /// The same database opened once more: after a restart, or by another replica.
    async fn open_again(&self) -> Zone {
        open(&self.database, self.folder.path(), &self.clock).await
    }

    async fn send(&self, request: Request<Body>) -> Reply {
        Reply::read(self.zone.router().oneshot(request).await.unwrap()).await
    }

    /// The same at one of the database's zones, by the host and port that it is asked by.
    async fn send_to(&self, host: &str, mut request: Request<Body>) -> Reply {
        request.headers_mut().insert("host", host.parse().unwrap());
        Reply::read(self.zone.front(&[]).answer(request).await).await
    }

    async fn get(&self, path: &str) -> Reply {
        self.send(Request::get(path).body(Body::empty()).unwrap()).await
    }

    /// A token request with Basic.
    async fn ask(&self, agent: &Agent, form: &[(&str, &str)]) -> Reply {
        let basic = format!("Basic {}", STANDARD.encode(format!("{}:{}", agent.id, agent.secret)));
        self.ask_with(Some(&basic), form).await
    }

    async fn ask_with(&self, authorization: Option<&str>, form: &[(&str, &str)]) -> Reply {
        let mut request = Request::post("/oauth/2/token").header("content-type", "application/x-www-form-urlencoded");
        if let Some(authorization) = authorization {
            request = request.header("authorization", authorization);
        }
        self.send(request.body(Body::from(encode(form))).unwrap()).await
    }

    /// A form of a client that authenticates as the form itself says.
    async fn post(&self, path: &str, form: &[(&str, &str)]) -> Reply {
        let request = Request::post(path).header("content-type", "application/x-www-form-urlencoded");
        self.send(request.body(Body::from(encode(form))).unwrap()).await
    }

    async fn register_with(&self, token: &str, metadata: &Value) -> Reply {
        let request = Request::post("/oauth/2/registration")
            .header("content-type", "application/json")
            .header("authorization", format!("Bearer {token}"))
            .body(Body::from(metadata.to_string()));
        self.send(request.unwrap()).await
    }

    async fn register(&self, name: &str) -> Agent {
        let reply = self.register_with(text(&self.daemon.registration_token), &json!({ "client_name": name })).await;
        assert_eq!(reply.status, StatusCode::CREATED, "{}", reply.body);
        Agent { id: reply.word("client_id"), secret: reply.word("client_secret") }
    }

    fn daemon(&self) -> Agent {
        Agent { id: self.daemon.client_id.clone(), secret: text(&self.daemon.client_secret).to_owned() }
    }

    async fn refresh(&self, token: &str) -> Reply {
        self.ask(&self.daemon(), &[("grant_type", "refresh_token"), ("refresh_token", token)]).await
    }

    /// The owner's session token.
    async fn session_token(&self) -> String {
        let reply = self.refresh(text(&self.daemon.refresh_token)).await;
        assert_eq!(reply.status, StatusCode::OK, "{}", reply.body);
        reply.word("access_token")
    }

    async fn exchange(&self, agent: &Agent, subject: &str, more: &[(&str, &str)]) -> Reply {
        let mut form = vec![("grant_type", EXCHANGE), ("subject_token", subject), ("subject_token_type", ACCESS_TOKEN)];
        form.extend_from_slice(more);
        self.ask(agent, &form).await
    }
}

impl Reply {
    async fn read(response: axum::response::Response) -> Self {
        let (head, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
        Self { status: head.status, headers: head.headers, body }
    }

    fn word(&self, name: &str) -> String {
        self.body[name].as_str().unwrap_or_else(|| panic!("no {name} in {}", self.body)).to_owned()
    }

    fn claims(&self) -> Value {
        claims(&self.word("access_token"))
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// Fails unless this is the refusal, in JSON, not to be stored.
    #[track_caller]
    fn refused(&self, status: u16, error: &str, description: &str) {
        assert_eq!(self.body, json!({"error": error, "error_description": description}));
        assert_eq!(self.status, status);
        assert_eq!(self.header("cache-control"), "no-store");
    }
}

/// Whether these are the tests on PostgreSQL.
fn is_on_postgres() -> bool {
    module_path!().contains("on_postgres")
}

/// An empty database: a file, or a schema of its own at the tests' server.
async fn new_database(folder: &Path) -> Database {
    if !is_on_postgres() {
        return Database::Sqlite(folder.join("zone.db"));
    }
    let url = POSTGRES.as_str();
    let schema = format!("t_{}", crate::zone::id::RowId::random());
    sqlx::any::install_default_drivers();
    let mut connection = <sqlx::AnyConnection as sqlx::Connection>::connect(url).await.unwrap();
    let create = sqlx::AssertSqlSafe(format!("CREATE SCHEMA {schema}"));
    sqlx::Executor::execute(&mut connection, create).await.unwrap();
    Database::parse(&format!("{url}?options[search_path]={schema}&application_name={schema}")).unwrap()
}

/// The tests' server, started if it does not run.
static POSTGRES: LazyLock<String> = LazyLock::new(|| {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/postgres");
    let said = Command::new(script).output().unwrap();
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    String::from_utf8(said.stdout).unwrap()
});

async fn open(database: &Database, folder: &Path, clock: &Arc<HandClock>) -> Zone {
    Zone::open(settings(database, folder, clock)).await.unwrap()
}

fn settings(database: &Database, folder: &Path, clock: &Arc<HandClock>) -> Settings {
    Settings {
        database: database.clone(),
        sealing_key: folder.join("zone.seal"),
        issuer: ISSUER.to_owned(),
        owner: UserName::parse("ada@example.com").unwrap(),
        resources: vec![
            resource(WHOAMI, "read write", None),
            resource(NOTES, "notes:read", Some(Duration::from_secs(120))),
        ],
        clock: Arc::<HandClock>::clone(clock),
        rules: Rules::default(),
    }
}

fn resource(identifier: &str, scopes: &str, lifetime: Option<Duration>) -> DeclaredResource {
    DeclaredResource {
        identifier: ResourceId::parse(identifier).unwrap(),
        name: identifier.to_owned(),
        scopes: Scopes::parse(scopes).unwrap(),
        lifetime,
    }
}

fn text(secret: &Secret) -> &str {
    secret.expose_str().unwrap()
}

fn claims(token: &str) -> Value {
    let part = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

fn header(token: &str) -> Value {
    let part = token.split('.').next().unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

fn encode(form: &[(&str, &str)]) -> String {
    let escape =
        |text: &str| percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string();
    form.iter().map(|(name, value)| format!("{}={}", escape(name), escape(value))).collect::<Vec<_>>().join("&")
}
