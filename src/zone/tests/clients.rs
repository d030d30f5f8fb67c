//! How clients show who they are, and what they hear of tokens.

use std::sync::Mutex;

use super::people::*;
use super::possession::es256;
use super::*;
use crate::jose::Jwks;
use crate::zone::Registration;

const CLIENT_CREDENTIALS: (&str, &str) = ("grant_type", "client_credentials");
const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

static OWN_KEY: LazyLock<SigningKey> = LazyLock::new(|| SigningKey::generate().unwrap());

pub(super) fn own_jwks() -> Value {
    serde_json::to_value(Jwks::of([OWN_KEY.public()])).unwrap()
}

/// A client that signs its own assertions, and may act for people.
async fn with_a_key(scene: &Scene) -> String {
    let metadata = json!({
        "client_name": "deploy", "token_endpoint_auth_method": "private_key_jwt", "jwks": own_jwks(),
        "grant_types": ["authorization_code"], "redirect_uris": [CALLBACK],
    });
    let reply = scene.register_anonymously(&metadata).await;
    assert_eq!(reply.status, StatusCode::CREATED, "{}", reply.body);
    reply.word("client_id")
}

pub(super) fn assertion(client: &str, change: impl FnOnce(&mut Value)) -> String {
    let mut claims = json!({
        "iss": client, "sub": client, "aud": format!("{ISSUER}/oauth/2/token"),
        "jti": random_word(), "iat": NOW, "exp": NOW + 300,
    });
    change(&mut claims);
    text(&OWN_KEY.sign("JWT", &claims).unwrap()).to_owned()
}

fn random_word() -> String {
    format!("{:032x}", u128::from_be_bytes(crate::os::random::bytes()))
}

/// Asks something that only who the client is can fail at.
async fn ask_by(scene: &Scene, assertion: &str, more: &[(&str, &str)]) -> Reply {
    let mut form = vec![("token", "x"), ("client_assertion_type", JWT_BEARER), ("client_assertion", assertion)];
    form.extend_from_slice(more);
    scene.post("/oauth/2/introspect", &form).await
}

/// A token for whoami in the client's own name.
pub(super) async fn token_by(scene: &Scene, assertion: &str, more: &[(&str, &str)]) -> Reply {
    let mut form = vec![
        CLIENT_CREDENTIALS,
        ("resource", WHOAMI),
        ("client_assertion_type", JWT_BEARER),
        ("client_assertion", assertion),
    ];
    form.extend_from_slice(more);
    scene.post("/oauth/2/token", &form).await
}

const NOT_THE_CLIENT: (u16, &str, &str) = (401, "invalid_client", "Client authentication failed");

impl Reply {
    #[track_caller]
    pub(super) fn is_not_the_client(&self) {
        self.refused(NOT_THE_CLIENT.0, NOT_THE_CLIENT.1, NOT_THE_CLIENT.2);
    }
}

#[tokio::test]
async fn a_client_signs_its_own_assertion_once() {
    let scene = Scene::of_people().await;
    let client = with_a_key(&scene).await;
    let once = assertion(&client, |_| {});
    let reply = ask_by(&scene, &once, &[("client_id", &client)]).await;
    assert_eq!(reply.status, StatusCode::OK, "{}", reply.body);
    ask_by(&scene, &once, &[]).await.is_not_the_client();
    for audience in [ISSUER, &format!("{ISSUER}/")] {
        let other = assertion(&client, |claims| claims["aud"] = json!([audience]));
        assert_eq!(ask_by(&scene, &other, &[]).await.status, StatusCode::OK, "{audience}");
    }
}

#[tokio::test]
async fn an_assertion_that_is_off_in_anything_shows_nothing() {
    let scene = Scene::of_people().await;
    let client = with_a_key(&scene).await;
    for change in [
        |claims: &mut Value| claims["aud"] = json!("https://other.example/token"),
        |claims: &mut Value| claims["exp"] = json!(NOW - 61),
        |claims: &mut Value| claims["exp"] = json!(NOW + 2 * 3600),
        |claims: &mut Value| claims["iat"] = json!(NOW + 120),
        |claims: &mut Value| claims["jti"] = json!(""),
        |claims: &mut Value| claims["jti"] = Value::Null,
        |claims: &mut Value| claims["sub"] = json!("somebody else"),
        |claims: &mut Value| claims["iss"] = json!("somebody else"),
    ] {
        ask_by(&scene, &assertion(&client, change), &[]).await.is_not_the_client();
    }
    let good = assertion(&client, |_| {});
    let (message, _) = good.rsplit_once('.').unwrap();
    let (_, claims) = message.split_once('.').unwrap();
    let with_header =
        |header: Value, signature: &str| format!("{}.{claims}.{signature}", URL_SAFE_NO_PAD.encode(header.to_string()));
    for bad in [
        format!("{message}."),
        format!("{message}.AAAA"),
        with_header(json!({"alg": "none", "typ": "JWT", "kid": OWN_KEY.kid()}), ""),
        with_header(json!({"alg": "HS256", "typ": "JWT", "kid": OWN_KEY.kid()}), "AAAA"),
        with_header(json!({"alg": "RS256", "kid": "../../etc/passwd"}), "AAAA"),
        with_header(json!({"alg": "RS256", "jku": "https://evil.test/jwks", "kid": "x"}), "AAAA"),
        "x".repeat(20_000),
        "rubbish".to_owned(),
    ] {
        ask_by(&scene, &bad, &[]).await.is_not_the_client();
    }
    ask_by(&scene, &good, &[("client_id", "somebody else")]).await.is_not_the_client();
    let twice = ask_by(&scene, &good, &[("client_id", &client), ("client_secret", "x")]).await;
    twice.refused(400, "invalid_request", "The client authenticates in more than one way");
    let form = [CLIENT_CREDENTIALS, ("resource", WHOAMI), ("client_assertion", &good)];
    let reply = scene.post("/oauth/2/token", &form).await;
    reply.refused(400, "invalid_request", "The client_assertion_type parameter is missing");
}

/// A platform on a port of its own, whose documents are counted.
struct Platform {
    issuer: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Platform {
    async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let issuer = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (metadata, log) = (json!({ "issuer": issuer, "jwks_uri": format!("{issuer}/keys") }), Arc::clone(&asked));
        let answer = move |request: axum::extract::Request| {
            let path = request.uri().path().to_owned();
            let body = if path == "/keys" { own_jwks() } else { metadata.clone() };
            log.lock().unwrap().push(path);
            async { axum::Json(body) }
        };
        tokio::spawn(axum::serve(listener, axum::Router::new().fallback(answer)).into_future());
        Self { issuer, asked }
    }

    fn token(&self, subject: &str) -> String {
        let claims = json!({ "iss": self.issuer, "sub": subject, "aud": [ISSUER], "iat": NOW, "exp": NOW + 3600 });
        text(&OWN_KEY.sign("JWT", &claims).unwrap()).to_owned()
    }
}

pub(super) fn outbound() -> crate::http::Client {
    let tls = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    crate::http::Client::new(Arc::new(tls), Duration::from_secs(5), 100_000)
}

#[tokio::test]
async fn a_workload_shows_the_token_of_its_platform() {
    let rules = Rules { registration: Registration::Open, outbound: Some(outbound()), ..Rules::default() };
    let scene = Scene::under(rules).await;
    let platform = Platform::start().await;
    let provider = json!({
        "identifier": platform.issuer, "name": "cluster", "protocols": {"oauth2": {"issuer": platform.issuer}},
    });
    let provider = scene.manage("POST", "/zones/{zone}/providers", Some(provider)).await["id"].clone();
    let client = scene.application("deploy").await;
    let kind = json!({"application_id": client, "type": "token", "provider_id": provider, "subject": "system:deploy"});
    let named = scene.credential(kind).await["id"].as_str().unwrap().to_owned();
    scene.let_depend(&client, WHOAMI).await;
    let token = platform.token("system:deploy");
    for _ in 0..3 {
        // Platforms write it to a file: it may be shown until it dies.
        let reply = token_by(&scene, &token, &[("client_id", &named)]).await;
        assert_eq!(reply.status, StatusCode::OK, "{}", reply.body);
        assert_eq!(reply.claims()["sub"], client);
    }
    assert_eq!(
        *platform.asked.lock().unwrap(),
        ["/.well-known/openid-configuration", "/keys"],
        "fetched more than once"
    );
    ask_by(&scene, &platform.token("system:other"), &[]).await.is_not_the_client();
    ask_by(&scene, &token, &[("client_id", "somebody else")]).await.is_not_the_client();
    let elsewhere = Platform::start().await;
    ask_by(&scene, &elsewhere.token("system:deploy"), &[]).await.is_not_the_client();
    assert!(elsewhere.asked.lock().unwrap().is_empty(), "a platform that nobody configured was asked");
    scene.clock.advance(Duration::from_secs(3600 + 61));
    ask_by(&scene, &token, &[]).await.is_not_the_client();
}

#[tokio::test]
async fn a_public_client_has_nothing_but_its_name_and_gets_nothing_for_it() {
    let scene = Scene::of_people().await;
    let client = scene.public_client().await;
    let form = [CLIENT_CREDENTIALS, ("client_id", &client), ("resource", WHOAMI)];
    let reply = scene.post("/oauth/2/token", &form).await;
    reply.refused(400, "unauthorized_client", "The client may not use this grant type");
    scene.post("/oauth/2/introspect", &[("client_id", &client), ("token", "x")]).await.is_not_the_client();
    let form = [CLIENT_CREDENTIALS, ("client_id", &client), ("client_secret", "x"), ("resource", WHOAMI)];
    scene.post("/oauth/2/token", &form).await.is_not_the_client();
}

#[tokio::test]
async fn an_application_signs_with_the_key_at_its_address() {
    let rules = Rules { outbound: Some(outbound()), ..Rules::default() };
    let (scene, platform) = (Scene::under(rules).await, Platform::start().await);
    let id = scene.application("deploy").await;
    let address = format!("{}/keys", platform.issuer);
    let kind = json!({"application_id": id, "type": "public-key", "identifier": "deploy", "jwks_uri": address});
    scene.credential(kind).await;
    let denied = token_by(&scene, &assertion("deploy", |_| {}), &[]).await;
    denied.refused(400, "access_denied", &format!("Application \"deploy\" is not allowed to access \"{WHOAMI}\"."));
    scene.let_depend(&id, WHOAMI).await;
    let reply = token_by(&scene, &assertion("deploy", |_| {}), &[]).await;
    assert_eq!(reply.status, StatusCode::OK, "{}", reply.body);
    assert_eq!((&reply.claims()["sub"], &reply.claims()["client_id"]), (&json!(id), &json!("deploy")));
    assert_eq!(*platform.asked.lock().unwrap(), ["/keys"]);
}

#[tokio::test]
async fn an_application_gets_only_what_it_depends_on() {
    let scene = Scene::new().await;
    let batch = scene.software("batch").await;
    let form = [CLIENT_CREDENTIALS, ("resource", WHOAMI)];
    let denied = scene.ask(&batch.client, &form).await;
    denied.refused(400, "access_denied", &format!("Application \"batch\" is not allowed to access \"{WHOAMI}\"."));
    scene.let_depend(&batch.id, WHOAMI).await;
    assert_eq!(scene.ask(&batch.client, &form).await.status, StatusCode::OK);
    // One that registered itself depends on nothing, and nothing can be made to let it.
    let scene = Scene::of_people().await;
    let metadata = json!({"client_name": "batch", "grant_types": ["client_credentials"]});
    let reply = scene.register_anonymously(&metadata).await;
    let agent = Agent { id: reply.word("client_id"), secret: reply.word("client_secret") };
    assert_eq!(scene.ask(&agent, &form).await.body["error"], "access_denied");
}

#[tokio::test]
async fn in_a_personal_zone_nobody_registers_without_the_token() {
    let scene = Scene::new().await;
    let metadata = json!({"client_name": "x", "token_endpoint_auth_method": "none", "redirect_uris": [CALLBACK]});
    let reply = scene.register_anonymously(&metadata).await;
    reply.refused(401, "invalid_token", "An initial access token is required");
    let reply = scene.register_with(text(&scene.daemon.registration_token), &metadata).await;
    assert_eq!(reply.status, StatusCode::CREATED, "{}", reply.body);
}

#[tokio::test]
async fn registrations_that_can_not_be_are_refused() {
    let scene = Scene::of_people().await;
    let base = json!({"client_name": "x", "token_endpoint_auth_method": "none", "redirect_uris": [CALLBACK]});
    for (member, value, error) in [
        ("redirect_uris", json!(["javascript:alert(1)"]), "invalid_redirect_uri"),
        ("redirect_uris", json!(["http://example.com/cb"]), "invalid_redirect_uri"),
        ("redirect_uris", json!([]), "invalid_redirect_uri"),
        ("redirect_uris", json!("x"), "invalid_client_metadata"),
        ("client_name", json!("a\u{202e}b"), "invalid_client_metadata"),
        ("client_name", json!("x".repeat(256)), "invalid_client_metadata"),
        ("grant_types", json!(["password"]), "invalid_client_metadata"),
        ("response_types", json!(["token"]), "invalid_client_metadata"),
        ("token_endpoint_auth_method", json!("private_key_jwt"), "invalid_client_metadata"),
    ] {
        let mut metadata = base.clone();
        metadata[member] = value;
        let reply = scene.register_anonymously(&metadata).await;
        assert_eq!((reply.status, &reply.body["error"]), (StatusCode::BAD_REQUEST, &json!(error)), "{member}");
    }
}

#[tokio::test]
async fn a_client_hears_of_its_own_tokens_only_and_calls_them_back() {
    let scene = Scene::of_people().await;
    let (own, other) = (scene.software("batch").await, scene.software("other").await);
    scene.let_depend(&own.id, WHOAMI).await;
    let (own, api) = (own.client, other.id);
    let other = other.client;
    let token = scene.ask(&own, &[CLIENT_CREDENTIALS, ("resource", WHOAMI)]).await.word("access_token");
    let tell = async |path: &str, agent: &Agent, token: &str| {
        let form = [("client_id", agent.id.as_str()), ("client_secret", agent.secret.as_str()), ("token", token)];
        scene.post(path, &form).await
    };
    let told = tell("/oauth/2/introspect", &own, &token).await;
    assert_eq!((&told.body["active"], &told.body["aud"]), (&json!(true), &json!(WHOAMI)), "{}", told.body);
    assert_eq!(told.body["exp"], claims(&token)["exp"]);
    assert_eq!(tell("/oauth/2/introspect", &other, &token).await.body, json!({"active": false}));
    scene.own(&api, WHOAMI).await;
    assert_eq!(tell("/oauth/2/introspect", &other, &token).await.body["active"], true, "the API may ask of its tokens");
    assert_eq!(tell("/oauth/2/introspect", &own, "rubbish").await.body, json!({"active": false}));
    // Another's attempt to call it back is answered alike and does nothing.
    assert_eq!(tell("/oauth/2/revoke", &other, &token).await.status, StatusCode::OK);
    assert_eq!(tell("/oauth/2/introspect", &own, &token).await.body["active"], true);
    assert_eq!(tell("/oauth/2/revoke", &own, &token).await.status, StatusCode::OK);
    assert_eq!(tell("/oauth/2/introspect", &own, &token).await.body, json!({"active": false}));
    assert_eq!(tell("/oauth/2/revoke", &own, "rubbish").await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_refresh_token_that_is_called_back_ends_its_session() {
    let scene = Scene::of_people().await;
    let client = scene.public_client().await;
    let code = scene.code(&client, &[("scope", "openid")]).await;
    let tokens = scene.redeem(&client, &code, &[]).await;
    let refresh = tokens.word("refresh_token");
    let reply = scene.post("/oauth/2/revoke", &[("client_id", &client), ("token", &refresh)]).await;
    assert_eq!(reply.status, StatusCode::OK);
    let form = [("grant_type", "refresh_token"), ("client_id", &client), ("refresh_token", &refresh)];
    scene.post("/oauth/2/token", &form).await.refused(400, "invalid_grant", "The refresh token is not valid");
    let request = Request::get("/openid/connect/userinfo")
        .header("authorization", format!("Bearer {}", tokens.word("access_token")));
    let reply = scene.send(request.body(Body::empty()).unwrap()).await;
    reply.refused(401, "invalid_token", "The session token is not valid");
}

#[test]
fn keys_of_both_kinds_are_known() {
    let (_, jwk) = es256();
    assert_eq!(jwk["kty"], "EC");
}
