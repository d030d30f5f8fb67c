//! A zone of our own on loopback: as strict as the RFCs, remembering what it was asked, with a script of answers.

use std::collections::HashSet;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::Mutex;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::Method;
use axum::http::StatusCode;
use axum::http::Uri;
use axum::response::IntoResponse as _;
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::sync::Semaphore;

/// One request as it arrived.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    pub(super) path: String,
    pub(super) client: String,
    pub(super) form: Vec<(String, String)>,
    pub(super) json: serde_json::Value,
}

/// What to answer instead of the usual.
pub(super) struct Scripted {
    pub(super) status: u16,
    pub(super) content_type: &'static str,
    pub(super) body: String,
}

pub(super) struct Issuer {
    pub(super) url: String,
    rules: Arc<Rules>,
}

struct Rules {
    url: String,
    seen: Mutex<Vec<Seen>>,
    script: Mutex<VecDeque<Scripted>>,
    discovery: Mutex<Option<serde_json::Value>>,
    clients: Mutex<HashSet<(String, String)>>,
    gate: Semaphore,
    lifetime: Mutex<serde_json::Value>,
}

impl Seen {
    pub(super) fn field(&self, name: &str) -> &str {
        self.form.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value)
    }

    pub(super) fn grant(&self) -> &str {
        self.field("grant_type").rsplit(':').next().unwrap()
    }
}

impl Issuer {
    pub(super) async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let clients = [("daemon", "daemon-canary"), ("other:client", "other canary%")];
        let rules = Arc::new(Rules {
            url: url.clone(),
            seen: Mutex::default(),
            script: Mutex::default(),
            discovery: Mutex::default(),
            clients: Mutex::new(clients.iter().map(|(id, secret)| ((*id).into(), (*secret).into())).collect()),
            gate: Semaphore::new(Semaphore::MAX_PERMITS),
            lifetime: Mutex::new(300.into()),
        });
        let app = Router::new().fallback(answer).with_state(Arc::clone(&rules));
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { url, rules }
    }

    /// The next token answers, in order, before the usual ones.
    pub(super) fn script(&self, status: u16, content_type: &'static str, body: impl Into<String>) {
        self.rules.script.lock().unwrap().push_back(Scripted { status, content_type, body: body.into() });
    }

    pub(super) fn script_json(&self, status: u16, body: &serde_json::Value) {
        self.script(status, "application/json", body.to_string());
    }

    pub(super) fn discovery(&self, document: serde_json::Value) {
        *self.rules.discovery.lock().unwrap() = Some(document);
    }

    pub(super) fn lifetime(&self, seconds: impl Into<serde_json::Value>) {
        *self.rules.lifetime.lock().unwrap() = seconds.into();
    }

    pub(super) fn forget_registrations(&self) {
        self.rules.clients.lock().unwrap().retain(|(id, _)| !id.starts_with("app_"));
    }

    /// Token requests wait from here on.
    pub(super) fn shut(&self) {
        self.rules.gate.forget_permits(Semaphore::MAX_PERMITS);
    }

    pub(super) fn open(&self) {
        self.rules.gate.add_permits(1000);
    }

    pub(super) fn seen(&self) -> Vec<Seen> {
        self.rules.seen.lock().unwrap().clone()
    }

    /// The token requests with this grant, by the last part of its name.
    pub(super) fn grants(&self, grant: &str) -> Vec<Seen> {
        self.seen().into_iter().filter(|seen| seen.path == "/token" && seen.grant() == grant).collect()
    }

    pub(super) fn count(&self, path: &str) -> usize {
        self.seen().iter().filter(|seen| seen.path == path).count()
    }

    /// Until `count` token requests have arrived.
    pub(super) async fn arrived(&self, count: usize) {
        for _ in 0..100_000 {
            if self.count("/token") >= count {
                return;
            }
            tokio::task::yield_now().await;
            tokio::time::sleep(std::time::Duration::from_micros(100)).await;
        }
        panic!("{count} token requests never arrived");
    }
}

async fn answer(
    State(rules): State<Arc<Rules>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    assert!(!headers.contains_key("cookie"));
    match (method.as_str(), uri.path()) {
        ("GET", "/.well-known/oauth-authorization-server" | "/.well-known/openid-configuration") => {
            rules.saw(Seen { path: uri.path().to_owned(), ..Seen::default() });
            let scripted = rules.discovery.lock().unwrap().clone();
            let usual = || serde_json::json!({"issuer": rules.url, "token_endpoint": format!("{}/token", rules.url), "registration_endpoint": format!("{}/register", rules.url)});
            axum::Json(scripted.unwrap_or_else(usual)).into_response()
        }
        ("POST", "/register") => register(&rules, &headers, &body),
        ("POST", "/token") => token(&rules, &headers, &body).await,
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}

fn register(rules: &Rules, headers: &HeaderMap, body: &[u8]) -> Response {
    let json: serde_json::Value = serde_json::from_slice(body).unwrap();
    rules.saw(Seen { path: "/register".into(), json: json.clone(), ..Seen::default() });
    if headers["authorization"] != "Bearer registration-canary" || headers["content-type"] != "application/json" {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let count = rules.seen.lock().unwrap().len();
    let (id, secret) =
        (format!("app_{}_{count}", json["client_name"].as_str().unwrap()), format!("app-canary-{count}"));
    rules.clients.lock().unwrap().insert((id.clone(), secret.clone()));
    (StatusCode::CREATED, axum::Json(serde_json::json!({"client_id": id, "client_secret": secret}))).into_response()
}

async fn token(rules: &Rules, headers: &HeaderMap, body: &[u8]) -> Response {
    let form: Vec<(String, String)> = body.split(|byte| *byte == b'&').map(pair).collect();
    let client = basic(headers);
    let id = client.as_ref().map_or("", |(id, _)| id).to_owned();
    let seen = Seen { path: "/token".into(), client: id, form, ..Seen::default() };
    let number = rules.saw(seen.clone());
    rules.gate.acquire().await.unwrap().forget();
    if let Some(scripted) = rules.script.lock().unwrap().pop_front() {
        let status = StatusCode::from_u16(scripted.status).unwrap();
        return (status, [("content-type", scripted.content_type), ("location", "/elsewhere")], scripted.body)
            .into_response();
    }
    if headers["content-type"] != "application/x-www-form-urlencoded" || headers["accept"] != "application/json" {
        return refusal("invalid_request");
    }
    if !client.is_some_and(|client| rules.clients.lock().unwrap().contains(&client)) {
        return refusal("invalid_client");
    }
    let name = match seen.grant() {
        "refresh_token" if seen.field("refresh_token").starts_with("refresh-canary") => "user-canary",
        "token-exchange" if seen.field("subject_token").starts_with("user-canary") => "exchanged-canary",
        "client_credentials" => "application-canary",
        _ => return refusal("invalid_grant"),
    };
    let body = serde_json::json!({"access_token": format!("{name}-{number}"), "token_type": "bearer",
        "expires_in": rules.lifetime.lock().unwrap().clone(), "scope": seen.field("scope")});
    axum::Json(body).into_response()
}

impl Rules {
    fn saw(&self, seen: Seen) -> usize {
        let mut all = self.seen.lock().unwrap();
        all.push(seen);
        all.len()
    }
}

fn refusal(error: &str) -> Response {
    let status = if error == "invalid_client" { StatusCode::UNAUTHORIZED } else { StatusCode::BAD_REQUEST };
    (status, axum::Json(serde_json::json!({"error": error}))).into_response()
}

fn basic(headers: &HeaderMap) -> Option<(String, String)> {
    let encoded = headers.get("authorization")?.to_str().ok()?.strip_prefix("Basic ")?;
    let text = String::from_utf8(STANDARD.decode(encoded).ok()?).ok()?;
    let (id, secret) = text.split_once(':')?;
    Some((decode(id.as_bytes()), decode(secret.as_bytes())))
}

fn pair(field: &[u8]) -> (String, String) {
    let equals = field.iter().position(|byte| *byte == b'=').unwrap();
    (decode(&field[..equals]), decode(&field[equals + 1..]))
}

fn decode(text: &[u8]) -> String {
    let spaced: Vec<u8> = text.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect();
    percent_encoding::percent_decode(&spaced).decode_utf8().unwrap().into_owned()
}
