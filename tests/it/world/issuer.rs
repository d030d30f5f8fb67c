//! A token endpoint with a script: strict about RFC 6749 and RFC 8693, and able to be down, slow or a liar.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::Mutex;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http_body_util::BodyExt as _;
use http_body_util::Full;
use hyper::Request;
use hyper::Response;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use percent_encoding::percent_decode_str;
use serde_json::Value;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// The client that the issuer knows.
pub const CLIENT: (&str, &str) = ("broker-client", "client-secret-9d1e");

/// How the token endpoint behaves.
#[derive(Clone, Debug)]
pub enum Mood {
    /// Every right request gets a token that names its resource.
    Honest,
    /// Closes the connection without an answer.
    Down,
    /// Never answers.
    Silent,
    /// Answers with this status and body, whatever was asked.
    Says(u16, &'static str),
}

/// The issuer; ends when dropped.
pub struct Issuer {
    address: SocketAddr,
    state: Arc<State>,
    task: JoinHandle<()>,
}

struct State {
    mood: Mutex<Mood>,
    asked: Mutex<Vec<HashMap<String, String>>>,
    expires_in: Mutex<u64>,
}

impl Issuer {
    /// An honest one, on loopback without TLS.
    pub async fn honest() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state =
            Arc::new(State { mood: Mutex::new(Mood::Honest), asked: Mutex::default(), expires_in: Mutex::new(600) });
        let task = tokio::spawn(accept(listener, address, Arc::clone(&state)));
        Self { address, state, task }
    }

    /// Its issuer URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// From now on.
    pub fn becomes(&self, mood: Mood) {
        *self.state.mood.lock().unwrap() = mood;
    }

    /// How long the next tokens live.
    pub fn expires_in(&self, seconds: u64) {
        *self.state.expires_in.lock().unwrap() = seconds;
    }

    /// The forms that reached the token endpoint.
    pub fn asked(&self) -> Vec<HashMap<String, String>> {
        self.state.asked.lock().unwrap().clone()
    }
}

impl Drop for Issuer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, address: SocketAddr, state: Arc<State>) {
    let mut connections = tokio::task::JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else { return };
        let state = Arc::clone(&state);
        connections.spawn(async move {
            let service = service_fn(|request| answer(address, Arc::clone(&state), request));
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn answer(
    address: SocketAddr,
    state: Arc<State>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, std::io::Error> {
    let url = format!("http://{address}");
    match request.uri().path() {
        "/.well-known/oauth-authorization-server" | "/.well-known/openid-configuration" => Ok(say(
            200,
            &json!({
                "issuer": url, "token_endpoint": format!("{url}/token"), "jwks_uri": format!("{url}/jwks"),
                "response_types_supported": ["code"], "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": ["ES256"],
                "grant_types_supported":
                    ["client_credentials", "urn:ietf:params:oauth:grant-type:token-exchange"],
                "token_endpoint_auth_methods_supported": ["client_secret_basic"],
            }),
        )),
        "/jwks" => Ok(say(200, &json!({ "keys": [] }))),
        "/token" => token(&state, request).await,
        _ => Ok(say(404, &json!({ "error": "not_found" }))),
    }
}

async fn token(state: &State, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, std::io::Error> {
    let (head, body) = request.into_parts();
    let field = |name: &str| head.headers.get(name).map_or("", |value| value.to_str().unwrap_or("")).to_owned();
    let body = body.collect().await.map_err(std::io::Error::other)?.to_bytes();
    let form = parse_form(&body);
    state.asked.lock().unwrap().push(form.clone().unwrap_or_default());
    let mood = state.mood.lock().unwrap().clone();
    match mood {
        Mood::Honest => {}
        Mood::Down => return Err(std::io::Error::other("down")),
        Mood::Silent => std::future::pending().await,
        Mood::Says(status, text) => return Ok(raw(status, text)),
    }
    let Some(form) = form else { return Ok(refuse(400, "invalid_request")) };
    let (id, secret) = CLIENT;
    let is_post = head.method == "POST" && field("content-type").starts_with("application/x-www-form-urlencoded");
    let basic = format!("Basic {}", STANDARD.encode(format!("{id}:{secret}")));
    let in_body = form.get("client_id").map(String::as_str) == Some(id)
        && form.get("client_secret").map(String::as_str) == Some(secret);
    let grant = form.get("grant_type").map(String::as_str).unwrap_or_default();
    if !is_post || (field("authorization") == basic && form.contains_key("client_secret")) {
        return Ok(refuse(400, "invalid_request"));
    }
    if field("authorization") != basic && !in_body {
        return Ok(refuse(401, "invalid_client"));
    }
    let exchange = grant == "urn:ietf:params:oauth:grant-type:token-exchange";
    if exchange && !(form.contains_key("subject_token") && form.contains_key("subject_token_type")) {
        return Ok(refuse(400, "invalid_request"));
    }
    if !exchange && grant != "client_credentials" {
        return Ok(refuse(400, "unsupported_grant_type"));
    }
    let number = state.asked.lock().unwrap().len();
    let expires_in = *state.expires_in.lock().unwrap();
    let mut answer = json!({
        "access_token": format!("issued-{number}-5b0c7"), "token_type": "Bearer", "expires_in": expires_in,
    });
    if exchange {
        answer["issued_token_type"] = json!("urn:ietf:params:oauth:token-type:access_token");
    }
    Ok(say(200, &answer))
}

/// `application/x-www-form-urlencoded`; None when a name comes twice (RFC 6749 section 3.2; RFC 8707 may repeat
/// `resource`, which no client here has a reason to).
fn parse_form(body: &[u8]) -> Option<HashMap<String, String>> {
    let text = std::str::from_utf8(body).ok()?;
    let decode = |text: &str| percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned();
    let mut form = HashMap::new();
    for pair in text.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=')?;
        if form.insert(decode(name), decode(value)).is_some() {
            return None;
        }
    }
    Some(form)
}

fn refuse(status: u16, error: &str) -> Response<Full<Bytes>> {
    say(status, &json!({ "error": error, "error_description": "the script of this issuer says no" }))
}

fn say(status: u16, value: &Value) -> Response<Full<Bytes>> {
    raw(status, &value.to_string())
}

fn raw(status: u16, text: &str) -> Response<Full<Bytes>> {
    Response::builder()
        .status(status)
        .header("content-type", "application/json")
        .header("cache-control", "no-store")
        .body(Full::new(Bytes::from(text.to_owned())))
        .unwrap()
}
