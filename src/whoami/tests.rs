//! The API against an issuer of the tests' own, over a real loopback connection.

use std::sync::atomic::AtomicI64;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::time::Duration;

use arc_swap::ArcSwap;
use axum::body::Body;
use axum::http::Method;
use axum::http::Request;
use axum::http::StatusCode;
use http_body_util::BodyExt as _;
use rustls::ClientConfig;
use rustls::RootCertStore;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tower::ServiceExt as _;

use super::*;
use crate::jose::Jwks;
use crate::jose::SigningKey;
use crate::limits::OUTBOUND_ANSWER_BYTES_MAX;
use crate::model::Timestamp;

const RESOURCE: &str = "https://whoami.valetkey.internal";
const NOW: i64 = 1_800_000_000;

struct HandClock(AtomicI64);

impl Clock for HandClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_seconds(self.0.load(Ordering::SeqCst))
    }

    fn monotonic(&self) -> Duration {
        Duration::from_secs(self.0.load(Ordering::SeqCst).unsigned_abs())
    }
}

/// An issuer that counts its visitors, and whoami.
struct Scene {
    issuer: String,
    key: SigningKey,
    published: Arc<ArcSwap<Jwks>>,
    visits: Arc<AtomicUsize>,
    clock: Arc<HandClock>,
    whoami: Router,
    tasks: JoinSet<()>,
}

struct Reply {
    status: StatusCode,
    headers: HeaderMap,
    body: Value,
}

impl Scene {
    async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let issuer = format!("http://{}", listener.local_addr().unwrap());
        Self::with(issuer.clone(), issuer, listener)
    }

    /// `says` is what the issuer's metadata name as issuer.
    fn with(issuer: String, says: String, listener: TcpListener) -> Self {
        let key = SigningKey::generate().unwrap();
        let published = Arc::new(ArcSwap::from_pointee(Jwks::of([key.public()])));
        let visits = Arc::new(AtomicUsize::new(0));
        let metadata = json!({"issuer": says, "jwks_uri": format!("{issuer}/keys")});
        let (shown, counter) = (Arc::clone(&published), Arc::clone(&visits));
        let server =
            Router::new().route("/.well-known/oauth-authorization-server", get(async move || Json(metadata))).route(
                "/keys",
                get(async move || {
                    counter.fetch_add(1, Ordering::SeqCst);
                    Json(Jwks::clone(&shown.load()))
                }),
            );
        let mut tasks = JoinSet::new();
        tasks.spawn(async move { axum::serve(listener, server).await.unwrap() });
        let clock = Arc::new(HandClock(AtomicI64::new(NOW)));
        let whoami = router(Settings {
            identifier: RESOURCE.to_owned(),
            issuer: issuer.clone(),
            scopes: Scopes::parse("read write").unwrap(),
            client: client(),
            clock: Arc::<HandClock>::clone(&clock),
        });
        Self { issuer, key, published, visits, clock, whoami, tasks }
    }

    fn claims(&self) -> Value {
        json!({
            "iss": self.issuer, "aud": RESOURCE, "sub": "u1", "client_id": "app_1", "client_name": "fallback",
            "preferred_username": "ada@example.com", "scope": "read write", "sid": "ses_7", "jti": "j1",
            "act": {"sub": "app_1", "name": "curl"}, "iat": NOW, "exp": NOW + 600,
        })
    }

    fn token(&self, changes: &Value) -> String {
        let mut claims = self.claims();
        for (name, value) in changes.as_object().unwrap() {
            claims[name] = value.clone();
        }
        sign(&self.key, &claims)
    }

    async fn call(&self, token: &str) -> Reply {
        self.send(Request::get("/").header("authorization", format!("Bearer {token}"))).await
    }

    async fn send(&self, request: axum::http::request::Builder) -> Reply {
        let response = self.whoami.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        let (head, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Reply { status: head.status, headers: head.headers, body: serde_json::from_slice(&body).unwrap_or(Value::Null) }
    }

    fn advance(&self, seconds: i64) {
        self.clock.0.fetch_add(seconds, Ordering::SeqCst);
    }

    fn visits(&self) -> usize {
        self.visits.load(Ordering::SeqCst)
    }
}

impl Reply {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    #[track_caller]
    fn challenged_without_error(&self) {
        let expected = format!("Bearer resource_metadata=\"{RESOURCE}/.well-known/oauth-protected-resource\"");
        assert_eq!((self.header("www-authenticate"), self.status), (expected.as_str(), StatusCode::UNAUTHORIZED));
    }

    #[track_caller]
    fn challenged(&self, status: u16, error: &str, description: &str) {
        let expected = format!(
            "Bearer error=\"{error}\", error_description=\"{description}\", \
             resource_metadata=\"{RESOURCE}/.well-known/oauth-protected-resource\""
        );
        assert_eq!(self.header("www-authenticate"), expected);
        assert_eq!(self.status, status);
        assert_eq!(self.header("cache-control"), "no-store");
    }
}

fn client() -> Client {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let tls = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let tls = tls.with_root_certificates(RootCertStore::empty()).with_no_client_auth();
    Client::new(Arc::new(tls), Duration::from_secs(5), OUTBOUND_ANSWER_BYTES_MAX)
}

fn sign(key: &SigningKey, claims: &Value) -> String {
    key.sign("at+jwt", claims).unwrap().expose_str().unwrap().to_owned()
}

#[tokio::test]
async fn the_caller_sees_what_the_token_says() {
    let scene = Scene::new().await;
    scene.advance(100);
    let expected = json!({
        "user": "ada@example.com", "agent": "curl", "session": "ses_7", "scopes": ["read", "write"],
        "client_id": "app_1", "resource": RESOURCE,
        "token": {"issuer": scene.issuer, "expires_in": 500, "jti": "j1"},
        "act": {"sub": "app_1", "name": "curl"},
    });
    for (method, path) in [(Method::GET, "/"), (Method::POST, "/"), (Method::DELETE, "/whoami")] {
        let authorization = format!("bearer {}", scene.token(&json!({})));
        let request = Request::builder().method(method).uri(path).header("authorization", authorization);
        let reply = scene.send(request).await;
        assert_eq!(reply.body, expected);
        assert_eq!(reply.header("cache-control"), "no-store");
    }
    assert_eq!(scene.visits(), 1, "keys are kept");
}

#[tokio::test]
async fn where_the_token_has_no_names_the_ids_stand() {
    let scene = Scene::new().await;
    let app = json!({"preferred_username": null, "act": null, "sid": null, "scope": null, "scp": ["a"]});
    let body = scene.call(&scene.token(&app)).await.body;
    assert_eq!((body["user"].as_str(), body["agent"].as_str()), (Some("u1"), Some("fallback")));
    assert_eq!(body["scopes"], json!(["a"]));
    assert!(body["act"].is_null() && body["session"].is_null());
    let mut nameless = app;
    nameless["client_name"] = Value::Null;
    assert_eq!(scene.call(&scene.token(&nameless)).await.body["agent"], "app_1");
}

#[tokio::test]
async fn the_metadata_name_resource_and_issuer() {
    let scene = Scene::new().await;
    let reply = scene.send(Request::get("/.well-known/oauth-protected-resource")).await;
    let expected = json!({
        "resource": RESOURCE, "authorization_servers": [scene.issuer], "bearer_methods_supported": ["header"],
        "resource_name": "whoami", "scopes_supported": ["read", "write"],
    });
    assert_eq!(reply.body, expected);
    assert_eq!(reply.header("access-control-allow-origin"), "*");
}

#[tokio::test]
async fn without_a_token_the_challenge_says_where_to_look() {
    let scene = Scene::new().await;
    scene.send(Request::get("/")).await.challenged_without_error();
    for authorization in ["Basic eDp5", "Bearer", "Bearer ", "Bearer a b", "Token x"] {
        let reply = scene.send(Request::get("/").header("authorization", authorization)).await;
        reply.challenged(400, "invalid_request", "Malformed Authorization header");
    }
    let twice = Request::get("/").header("authorization", "Bearer a").header("authorization", "Bearer b");
    scene.send(twice).await.challenged(400, "invalid_request", "Malformed Authorization header");
    assert_eq!(scene.visits(), 0, "nobody asked the issuer");
}

#[tokio::test]
async fn a_token_that_is_not_good_here_is_refused_with_its_reason() {
    let scene = Scene::new().await;
    let stranger = SigningKey::generate().unwrap();
    let good = scene.token(&json!({}));
    let (message, _) = good.rsplit_once('.').unwrap();
    let other = scene.token(&json!({"sub": "u2"}));
    let swapped = format!("{message}.{}", other.rsplit_once('.').unwrap().1);
    for (token, reason) in [
        (scene.token(&json!({"exp": NOW - 61})), "the token has expired"),
        (scene.token(&json!({"aud": "https://whoami.valetkey.internal/"})), "the token is for another audience"),
        (scene.token(&json!({"iss": "http://127.0.0.1:1"})), "the token is from another issuer"),
        (swapped, "the token's signature is wrong"),
        (format!("{message}."), "the token's signature is wrong"),
        (sign(&stranger, &scene.claims()), "the token is signed with an unknown key"),
        ("rubbish".to_owned(), "the token is malformed"),
    ] {
        let reply = scene.call(&token).await;
        reply.challenged(401, "invalid_token", "Token verification failed");
        assert_eq!(reply.body, json!({"error": "invalid_token", "error_description": reason}));
    }
}

#[tokio::test]
async fn a_new_key_of_the_issuer_is_found_at_once_and_inventions_are_not_passed_on() {
    let mut scene = Scene::new().await;
    assert_eq!(scene.call(&scene.token(&json!({}))).await.status, StatusCode::OK);
    scene.key = SigningKey::generate().unwrap();
    scene.published.store(Arc::new(Jwks::of([scene.key.public()])));
    assert_eq!(scene.call(&scene.token(&json!({}))).await.status, StatusCode::OK);
    assert_eq!(scene.visits(), 2);
    let stranger = SigningKey::generate().unwrap();
    for _ in 0..5 {
        let reply = scene.call(&sign(&stranger, &scene.claims())).await;
        reply.challenged(401, "invalid_token", "Token verification failed");
    }
    assert_eq!(scene.visits(), 2);
    scene.advance(300);
    assert_eq!(scene.call(&scene.token(&json!({}))).await.status, StatusCode::OK);
    assert_eq!(scene.visits(), 3, "keys are fetched again after five minutes");
}

#[tokio::test]
async fn an_issuer_that_is_down_is_503_and_found_again_when_it_is_up() {
    let mut scene = Scene::new().await;
    let address = scene.issuer.trim_start_matches("http://").to_owned();
    scene.tasks.shutdown().await;
    for _ in 0..2 {
        let reply = scene.call(&scene.token(&json!({}))).await;
        assert_eq!(reply.status, StatusCode::SERVICE_UNAVAILABLE, "{}", reply.body);
        assert_eq!(reply.header("www-authenticate"), "");
        assert_eq!(reply.header("retry-after"), "5");
    }
    let listener = TcpListener::bind(&address).await.unwrap();
    let again = Scene::with(scene.issuer.clone(), scene.issuer.clone(), listener);
    scene.published.store(Arc::new(Jwks::of([again.key.public()])));
    scene.advance(1);
    let token = sign(&again.key, &scene.claims());
    assert_eq!(scene.call(&token).await.status, StatusCode::OK);
}

#[tokio::test]
async fn metadata_of_another_issuer_are_not_used() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let issuer = format!("http://{}", listener.local_addr().unwrap());
    let scene = Scene::with(issuer, "https://evil.example".to_owned(), listener);
    let reply = scene.call(&scene.token(&json!({}))).await;
    assert_eq!(reply.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(scene.visits(), 0, "its keys are not even fetched");
}
