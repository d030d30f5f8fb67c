//! Signing in through the zone's provider: a second zone of ours, and one that says whatever a test wants.

use std::sync::Mutex;

use super::people::*;
use super::*;
use crate::jose::Jwks;
use crate::zone::Registration;

static OWN_KEY: LazyLock<SigningKey> = LazyLock::new(|| SigningKey::generate().unwrap());

pub(super) const CLIENT: &str = "https://this.zone";
pub(super) const SECRET: &str = "s p%c:t";

fn outbound() -> crate::http::Client {
    let tls = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    crate::http::Client::new(Arc::new(tls), Duration::from_secs(5), 100_000)
}

/// A zone whose people may sign in elsewhere.
pub(super) async fn of_guests() -> Scene {
    let rules = Rules { registration: Registration::Open, outbound: Some(outbound()), ..Rules::default() };
    Scene::of_people_under(rules).await
}

async fn manage(scene: &Scene, method: &str, path: &str, body: Value) -> Value {
    let token = scene.token(&["admin"]).await;
    let path = path.replace("{zone}", scene.zone.store().zone().as_str());
    let request = Request::builder().method(method).uri(path).header("authorization", format!("Bearer {token}"));
    let request = request.header("content-type", "application/json").body(Body::from(body.to_string())).unwrap();
    let reply = scene.send(request).await;
    assert_eq!(reply.status, StatusCode::OK, "{}", reply.body);
    reply.body
}

/// Makes `issuer` the provider of the zone's people.
async fn let_vouch(scene: &Scene, issuer: &str, client: &str, secret: &str) {
    let provider = json!({
        "identifier": issuer, "name": "Elsewhere", "client_id": client, "client_secret": secret,
        "protocols": {"oauth2": {"issuer": issuer}},
    });
    let made = manage(scene, "POST", "/zones/{zone}/providers", provider).await;
    manage(scene, "PATCH", "/zones/{zone}", json!({"user_identity_provider_id": made["id"]})).await;
}

/// A provider that publishes what it must, and whose next ID token a test writes.
pub(super) struct Scripted {
    pub(super) issuer: String,
    id_token: Arc<Mutex<String>>,
    asked: Arc<Mutex<Vec<(String, String)>>>,
}

impl Scripted {
    pub(super) async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let issuer = format!("http://{}", listener.local_addr().unwrap());
        let (id_token, asked) = (Arc::new(Mutex::new(String::new())), Arc::new(Mutex::new(Vec::new())));
        let (token, log, own) = (Arc::clone(&id_token), Arc::clone(&asked), issuer.clone());
        let answer = move |request: axum::extract::Request| {
            let (token, log, own) = (Arc::clone(&token), Arc::clone(&log), own.clone());
            async move {
                let (head, body) = request.into_parts();
                let body = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
                axum::Json(match head.uri.path() {
                    "/.well-known/openid-configuration" => json!({
                        "issuer": own, "authorization_endpoint": format!("{own}/in"),
                        "token_endpoint": format!("{own}/token"), "jwks_uri": format!("{own}/keys"),
                        "authorization_response_iss_parameter_supported": true,
                    }),
                    "/keys" => serde_json::to_value(Jwks::of([OWN_KEY.public()])).unwrap(),
                    "/token" => {
                        let by = head.headers.get("authorization").map_or("", |value| value.to_str().unwrap());
                        log.lock().unwrap().push((by.to_owned(), body));
                        json!({ "token_type": "Bearer", "access_token": "x", "id_token": *token.lock().unwrap() })
                    }
                    _ => Value::Null,
                })
            }
        };
        tokio::spawn(axum::serve(listener, axum::Router::new().fallback(answer)).into_future());
        Self { issuer, id_token, asked }
    }

    async fn scene() -> (Self, Scene) {
        let (provider, scene) = (Self::start().await, of_guests().await);
        let_vouch(&scene, &provider.issuer, CLIENT, SECRET).await;
        (provider, scene)
    }

    /// What an honest provider says, with `more` in the place of what is usual; null takes a claim away.
    fn claims(&self, nonce: &str, more: Value) -> Value {
        let mut claims = json!({
            "iss": self.issuer, "aud": CLIENT, "sub": "grace", "nonce": nonce, "iat": NOW, "exp": NOW + 300,
            "email": "grace@example.com", "email_verified": true,
        });
        for (name, value) in more.as_object().unwrap() {
            match value {
                Value::Null => drop(claims.as_object_mut().unwrap().remove(name)),
                value => claims[name] = value.clone(),
            }
        }
        claims
    }

    fn say(&self, token: &str) {
        token.clone_into(&mut self.id_token.lock().unwrap());
    }

    fn sign(&self, nonce: &str, more: Value) {
        self.say(text(&OWN_KEY.sign("JWT", &self.claims(nonce, more)).unwrap()));
    }

    fn answer(&self, state: &str) -> String {
        format!("/oauth/2/redirect?{}", encode(&[("code", "c0de"), ("state", state), ("iss", &self.issuer)]))
    }

    /// Goes there and comes back with these claims.
    pub(super) async fn visit(&self, browser: &Browser<'_>, more: Value) -> Page {
        let left = browser.get("/account").await;
        self.sign(&left.answer("nonce").unwrap(), more);
        browser.get(&self.answer(&left.answer("state").unwrap())).await
    }
}

#[track_caller]
fn is_refused(page: &Page) {
    assert_eq!(page.status, StatusCode::FORBIDDEN, "{}", page.text);
    assert!(page.text.contains("Signing in there did not work. Please try again."));
    assert!(page.text.contains("Continue with Elsewhere"), "{}", page.text);
}

pub(super) async fn is_signed_in(browser: &Browser<'_>, name: &str) -> bool {
    let page = browser.get("/account").await;
    page.status == StatusCode::OK && page.text.contains(&format!("<h1>{name}</h1>"))
}

#[tokio::test]
async fn a_person_signs_in_at_another_zone_and_goes_on_to_the_client() {
    // The provider is a whole zone, at an address of its own.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let host = listener.local_addr().unwrap().to_string();
    let rules = Rules { registration: Registration::Open, ..Rules::default() };
    let provider = Scene::at(&format!("http://{host}"), rules).await;
    provider.zone.set_password(ADA, Secret::new(PASSWORD)).await.unwrap();
    let front = provider.zone.front(&[]);
    let answer = move |request: axum::extract::Request| {
        let front = front.clone();
        async move { front.answer(request).await }
    };
    tokio::spawn(axum::serve(listener, axum::Router::new().fallback(answer)).into_future());
    let metadata = json!({
        "client_name": "The other zone", "redirect_uris": [format!("{ISSUER}/oauth/2/redirect")],
        "token_endpoint_auth_method": "client_secret_basic", "grant_types": ["authorization_code"],
    });
    let registered = provider.register_anonymously(&metadata).await;
    let scene = of_guests().await;
    let issuer = format!("http://{host}");
    let_vouch(&scene, &issuer, &registered.word("client_id"), &registered.word("client_secret")).await;

    let client = scene.public_client().await;
    let request = scene.request(&client, &[("resource", WHOAMI), ("scope", "read openid")]);
    let browser = Browser::new(&scene);
    let left = browser.get(&request).await;
    assert_eq!(left.status, StatusCode::SEE_OTHER, "{}", left.text);
    assert!(left.location().starts_with(&format!("{issuer}/oauth/2/authorize?")));
    assert_eq!(left.answer("code_challenge_method").unwrap(), "S256");
    assert_eq!(left.answer("scope").unwrap(), "openid profile email");
    let there = Browser::at(&provider, &host);
    let page = there.open(left.location().strip_prefix(&issuer).unwrap()).await;
    let back = there.consent(&page, "allow").await;
    assert!(back.location().starts_with(&format!("{ISSUER}/oauth/2/redirect?code=")), "{}", back.location());
    let arrived = browser.get(back.location().strip_prefix(ISSUER).unwrap()).await;
    assert_eq!(arrived.status, StatusCode::OK, "{}", arrived.text);
    let on = arrived.text.split("<a href=\"").nth(1).unwrap().split('"').next().unwrap().replace("&#38;", "&");
    let page = browser.get(&on).await;
    assert!(page.text.contains("Allow “Claude Code” to act for you?"), "{}", page.text);
    let code = browser.consent(&page, "allow").await.answer("code").unwrap();
    let tokens = scene.redeem(&client, &code, &[("resource", WHOAMI)]).await;
    assert_eq!(tokens.status, StatusCode::OK, "{}", tokens.body);
    // Ada of there is not Ada of here, though they have one name: that one is a guest, and administers nothing.
    let guest = tokens.claims()["preferred_username"].as_str().unwrap().to_owned();
    assert!(guest.starts_with(&format!("{host}/")), "{guest}");
    assert_eq!(tokens.claims()["iss"], ISSUER);
    // The answer was good once.
    let again = browser.get(back.location().strip_prefix(ISSUER).unwrap()).await;
    is_refused(&again);
}

#[tokio::test]
async fn the_zone_shows_who_it_is_and_proves_that_the_code_is_its_own() {
    let (provider, scene) = Scripted::scene().await;
    let browser = Browser::new(&scene);
    let left = browser.get("/account").await;
    let (challenge, state) = (left.answer("code_challenge").unwrap(), left.answer("state").unwrap());
    provider.sign(&left.answer("nonce").unwrap(), json!({}));
    let arrived = browser.get(&provider.answer(&state)).await;
    assert!(arrived.text.contains("url=/account"), "{}", arrived.text);
    assert!(is_signed_in(&browser, "grace@example.com").await);
    let asked = provider.asked.lock().unwrap().clone();
    let [(by, form)] = asked.as_slice() else { panic!("{asked:?}") };
    assert_eq!(*by, format!("Basic {}", STANDARD.encode("https%3A%2F%2Fthis.zone:s+p%25c%3At")));
    let form: std::collections::HashMap<String, String> =
        url::form_urlencoded::parse(form.as_bytes()).into_owned().collect();
    assert_eq!(crate::jose::hash_of(&form["code_verifier"]), challenge);
    assert_eq!((form["code"].as_str(), &form["redirect_uri"]), ("c0de", &format!("{ISSUER}/oauth/2/redirect")));
}

#[tokio::test]
async fn a_state_is_good_once_in_its_own_browser_and_not_for_long() {
    let (provider, scene) = Scripted::scene().await;
    let (browser, other) = (Browser::new(&scene), Browser::new(&scene));
    let left = browser.get("/account").await;
    let (state, nonce) = (left.answer("state").unwrap(), left.answer("nonce").unwrap());
    provider.sign(&nonce, json!({}));
    // Somebody else's browser: with a cookie of its own, and without any.
    other.get("/account").await;
    is_refused(&other.get(&provider.answer(&state)).await);
    is_refused(&Browser::new(&scene).get(&provider.answer(&state)).await);
    assert!(provider.asked.lock().unwrap().is_empty(), "the code went nowhere");
    // Made-up states take nothing from whoever is on the way, whichever cookie they would be in.
    for number in 0..40 {
        is_refused(&browser.get(&provider.answer(&format!("vks_unknown{number}"))).await);
    }
    is_refused(&browser.get("/oauth/2/redirect").await);
    assert_eq!(browser.get(&provider.answer(&state)).await.status, StatusCode::OK);
    assert!(is_signed_in(&browser, "grace@example.com").await);
    is_refused(&browser.get(&provider.answer(&state)).await);
    let left = other.get("/account").await;
    provider.sign(&left.answer("nonce").unwrap(), json!({}));
    scene.clock.advance(Duration::from_secs(600));
    is_refused(&other.get(&provider.answer(&left.answer("state").unwrap())).await);
}

#[tokio::test]
async fn an_answer_of_another_issuer_is_not_listened_to() {
    let (provider, scene) = Scripted::scene().await;
    for iss in [None, Some("http://127.0.0.1:1"), Some("")] {
        let browser = Browser::new(&scene);
        let left = browser.get("/account").await;
        provider.sign(&left.answer("nonce").unwrap(), json!({}));
        let mut answer =
            vec![("code".to_owned(), "c0de".to_owned()), ("state".to_owned(), left.answer("state").unwrap())];
        answer.extend(iss.map(|iss| ("iss".to_owned(), iss.to_owned())));
        let answer: Vec<(&str, &str)> = answer.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        is_refused(&browser.get(&format!("/oauth/2/redirect?{}", encode(&answer))).await);
    }
    let browser = Browser::new(&scene);
    let left = browser.get("/account").await;
    let state = left.answer("state").unwrap();
    let denied = [("error", "access_denied"), ("state", &state), ("iss", &provider.issuer)];
    is_refused(&browser.get(&format!("/oauth/2/redirect?{}", encode(&denied))).await);
    assert!(provider.asked.lock().unwrap().is_empty());
}

#[tokio::test]
async fn an_id_token_that_is_not_for_this_sign_in_signs_nobody_in() {
    let (provider, scene) = Scripted::scene().await;
    for wrong in [
        json!({"iss": "http://127.0.0.1:1"}),
        json!({"aud": "another"}),
        json!({"aud": [CLIENT, "another"]}),
        json!({"aud": [CLIENT], "azp": "another"}),
        json!({"exp": NOW - 120}),
        json!({"iat": NOW + 3600, "exp": NOW + 7200}),
        json!({"nonce": "another"}),
        json!({"nonce": null}),
        json!({"sub": ""}),
        json!({"sub": null}),
        json!({"sub": "x".repeat(256)}),
        json!({"sub": "a\u{0}b"}),
    ] {
        let browser = Browser::new(&scene);
        is_refused(&provider.visit(&browser, wrong.clone()).await);
        assert_eq!(browser.get("/account").await.status, StatusCode::SEE_OTHER, "{wrong}");
    }
    let browser = Browser::new(&scene);
    let left = browser.get("/account").await;
    let nonce = left.answer("nonce").unwrap();
    let stranger = SigningKey::generate().unwrap();
    let claims = provider.claims(&nonce, json!({}));
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let none = json!({"alg": "none", "typ": "JWT", "kid": OWN_KEY.kid()});
    let mut tokens = vec![
        text(&stranger.sign("JWT", &claims).unwrap()).to_owned(),
        text(&OWN_KEY.sign("at+jwt", &claims).unwrap()).to_owned(),
        format!("{}.{}.", part(&none), part(&claims)),
        "nonsense".to_owned(),
    ];
    let (mut state, mut left_with) = (left.answer("state").unwrap(), browser);
    for token in tokens.drain(..) {
        provider.say(&token);
        is_refused(&left_with.get(&provider.answer(&state)).await);
        left_with = Browser::new(&scene);
        state = left_with.get("/account").await.answer("state").unwrap();
    }
    // Nobody was made on the way.
    assert_eq!(scene.zone.store().dump("SELECT subject FROM users WHERE subject IS NOT NULL").await, "");
}

#[tokio::test]
async fn a_person_is_known_by_issuer_and_subject_and_never_by_an_address() {
    let (provider, scene) = Scripted::scene().await;
    // Whoever says that they are Ada is not: neither with an address that is verified there nor with one that is not.
    for verified in [true, false] {
        let browser = Browser::new(&scene);
        let claims = json!({"sub": format!("eve-{verified}"), "email": ADA, "email_verified": verified});
        assert_eq!(provider.visit(&browser, claims).await.status, StatusCode::OK);
        let page = browser.get("/account").await;
        assert!(page.text.contains(&format!("/eve%2D{verified}</h1>")), "{}", page.text);
    }
    // An address that nobody vouches for is no name, even when it is free.
    let browser = Browser::new(&scene);
    provider.visit(&browser, json!({"sub": "a@b", "email": "free@example.com", "email_verified": "false"})).await;
    assert!(browser.get("/account").await.text.contains("/a%40b</h1>"));
    // The same person, with another address later: one user.
    for email in ["grace@example.com", "hopper@example.com"] {
        let browser = Browser::new(&scene);
        assert_eq!(provider.visit(&browser, json!({"email": email})).await.status, StatusCode::OK);
        assert!(is_signed_in(&browser, "grace@example.com").await);
    }
    let known = scene.zone.store().dump("SELECT subject FROM users WHERE subject IS NOT NULL ORDER BY subject").await;
    assert_eq!(known, "a@b eve-false eve-true grace");
    scene.zone.store().execute("UPDATE users SET status = 'disabled' WHERE subject = $1", "grace").await;
    is_refused(&provider.visit(&Browser::new(&scene), json!({})).await);
    // Where one must be invited, nobody new comes in.
    manage(&scene, "PATCH", "/zones/{zone}", json!({"requires_invitation": true})).await;
    is_refused(&provider.visit(&Browser::new(&scene), json!({"sub": "new"})).await);
    assert_eq!(provider.visit(&Browser::new(&scene), json!({"sub": "eve-true"})).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_provider_that_is_away_leaves_the_way_by_password() {
    let scene = of_guests().await;
    let_vouch(&scene, "http://127.0.0.1:1", CLIENT, SECRET).await;
    let browser = Browser::new(&scene);
    let page = browser.get("/account").await;
    assert_eq!(page.status, StatusCode::BAD_GATEWAY);
    assert!(page.text.contains("Elsewhere can&#39;t be reached at the moment."), "{}", page.text);
    let signed_in = browser.sign_in(&page, PASSWORD).await;
    assert_eq!(signed_in.location(), "/account");
    assert!(is_signed_in(&browser, ADA).await);
}

#[tokio::test]
async fn strangers_with_dead_addresses_hold_up_nobody_who_signs_in() {
    let (provider, scene) = Scripted::scene().await;
    // Takes whoever comes, and never answers.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let dead = format!("http://{}", listener.local_addr().unwrap());
    let (came, mut coming) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            held.push(stream);
            came.send(()).unwrap();
        }
    });
    let mut strangers = Vec::new();
    for number in 0..12 {
        let metadata = json!({
            "client_name": "x", "token_endpoint_auth_method": "private_key_jwt",
            "jwks_uri": format!("{dead}/{number}"), "grant_types": ["client_credentials"],
        });
        let made = scene.register_anonymously(&metadata).await;
        assert_eq!(made.status, StatusCode::CREATED, "{}", made.body);
        let client = made.word("client_id");
        let claims = json!({"iss": client, "sub": client, "aud": ISSUER, "jti": "1", "iat": NOW, "exp": NOW + 60});
        let assertion = text(&OWN_KEY.sign("JWT", &claims).unwrap()).to_owned();
        let form = encode(&[
            ("grant_type", "client_credentials"),
            ("resource", WHOAMI),
            ("client_assertion", &assertion),
            ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
        ]);
        let request = Request::post("/oauth/2/token").header("content-type", "application/x-www-form-urlencoded");
        strangers.push(scene.send(request.body(Body::from(form)).unwrap()));
    }
    let browser = Browser::new(&scene);
    let visit = async {
        for _ in 0..8 {
            coming.recv().await.unwrap();
        }
        tokio::time::timeout(Duration::from_secs(3), provider.visit(&browser, json!({}))).await
    };
    let strangers = futures_util::future::join_all(strangers);
    let arrived = tokio::select! {
        _ = strangers => panic!("a dead address answered"),
        arrived = visit => arrived.expect("the person waited for strangers"),
    };
    assert_eq!(arrived.status, StatusCode::OK, "{}", arrived.text);
}

/// How many rows there are of all that a sign-in could write.
async fn rows(scene: &Scene) -> String {
    let mut counts = Vec::new();
    for count in [
        "SELECT CAST(COUNT(*) AS TEXT) FROM sessions",
        "SELECT CAST(COUNT(*) AS TEXT) FROM oauth_replays",
        "SELECT CAST(COUNT(*) AS TEXT) FROM people_attempts",
        "SELECT CAST(COUNT(*) AS TEXT) FROM user_agents",
    ] {
        counts.push(scene.zone.store().dump(count).await);
    }
    counts.join(" ")
}

#[tokio::test]
async fn whoever_sets_out_leaves_nothing_behind_and_shows_nobody_where_they_go() {
    let (provider, scene) = Scripted::scene().await;
    let client = scene.public_client().await;
    let before = rows(&scene).await;
    let request = scene.request(&client, &[("scope", "openid"), ("login_hint", "grace")]);
    for path in [request.as_str(), "/account", "/device?user_code=SECRET", "/sign-in/provider?continue=/account"] {
        let left = Browser::new(&scene).get(path).await;
        assert!(left.location().starts_with(&provider.issuer), "{path}");
        let set: Vec<&str> = left.headers.get_all("set-cookie").iter().map(|value| value.to_str().unwrap()).collect();
        let carried = set.iter().find(|set| set.starts_with("valetkey_way_")).unwrap();
        assert!(carried.contains("; Path=/oauth/2/redirect; Max-Age=600; HttpOnly; SameSite=Lax"), "{carried}");
        let sealed = carried.split(['=', ';']).nth(1).unwrap();
        let bytes = URL_SAFE_NO_PAD.decode(sealed).unwrap();
        assert!(!String::from_utf8_lossy(&bytes).contains("device") && !sealed.contains("SECRET"));
    }
    assert_eq!(rows(&scene).await, before, "somebody who only set out was written down");
    // What no browser would keep is refused, and not lost on the way.
    let long = "x".repeat(3500);
    let page = Browser::new(&scene).get(&scene.request(&client, &[("state", &long)])).await;
    assert_eq!(page.status, StatusCode::BAD_REQUEST);
    assert!(page.text.contains("too long to be kept while you sign in elsewhere"), "{}", page.text);
    // However often somebody sets out, their browser carries a few.
    let browser = Browser::new(&scene);
    for _ in 0..40 {
        browser.get(&request).await;
    }
    let left = browser.get("/account").await;
    provider.sign(&left.answer("nonce").unwrap(), json!({}));
    assert_eq!(browser.get(&provider.answer(&left.answer("state").unwrap())).await.status, StatusCode::OK);
}

#[tokio::test]
async fn answers_that_prove_nothing_are_counted_by_the_address_that_they_come_from() {
    let (provider, scene) = Scripted::scene().await;
    let peer = crate::zone::TrustedProxies::default().peer("192.0.2.1".parse().unwrap(), &HeaderMap::new());
    let place = crate::zone::people::place(peer);
    let window = crate::limits::ZONE_SIGN_IN_WINDOW;
    let browser = Browser::new(&scene);
    let come_back = async |claims: Value| {
        let left = browser.get("/account").await;
        provider.sign(&left.answer("nonce").unwrap(), claims);
        let path = provider.answer(&left.answer("state").unwrap());
        browser.send(Request::get(path).extension(peer), String::new()).await.status
    };
    for _ in 0..crate::limits::ZONE_ADDRESS_ATTEMPTS_MAX - 1 {
        scene.zone.store().attempt(&place, window, scene.clock.now()).await.unwrap();
    }
    assert_eq!(come_back(json!({"nonce": "another"})).await, StatusCode::FORBIDDEN);
    let asked = provider.asked.lock().unwrap().len();
    assert_eq!(come_back(json!({})).await, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(provider.asked.lock().unwrap().len(), asked, "the provider was asked all the same");
    scene.clock.advance(window);
    let now = json!({"iat": scene.clock.now().as_seconds(), "exp": scene.clock.now().as_seconds() + 300});
    assert_eq!(come_back(now).await, StatusCode::OK);
}

#[tokio::test]
async fn an_id_token_tells_what_the_provider_said_of_the_sign_in() {
    let (provider, scene) = Scripted::scene().await;
    let client = scene.public_client().await;
    let told = async |more: Value| {
        let browser = Browser::new(&scene);
        assert_eq!(provider.visit(&browser, more).await.status, StatusCode::OK);
        let page = browser.get(&scene.request(&client, &[("scope", "openid")])).await;
        let code = match page.status {
            StatusCode::SEE_OTHER => page.answer("code").unwrap(),
            _ => browser.consent(&page, "allow").await.answer("code").unwrap(),
        };
        claims(&scene.redeem(&client, &code, &[]).await.word("id_token"))
    };
    let said = told(json!({"auth_time": NOW - 1000, "amr": ["pwd", "hwk", 7, ""], "acr": "urn:example:silver"})).await;
    assert_eq!((&said["auth_time"], &said["amr"]), (&json!(NOW - 1000), &json!(["pwd", "hwk"])));
    assert_eq!(said["acr"], "urn:example:silver");
    assert_eq!((&said["email"], &said["email_verified"]), (&json!("grace@example.com"), &json!(true)));
    // What it did not say, or can't be, is not made up.
    for nothing in [json!({}), json!({"auth_time": NOW + 1000, "amr": "pwd", "acr": 1}), json!({"auth_time": "x"})] {
        let said = told(nothing).await;
        let long_ago = NOW - 901;
        assert_eq!((&said["auth_time"], said.get("amr"), said.get("acr")), (&json!(long_ago), None, None));
    }
    assert_eq!(told(json!({"email": "g@b.example", "email_verified": false})).await["email"], "grace@example.com");
}

#[tokio::test]
async fn a_provider_is_told_how_to_ask_and_must_have_asked() {
    let (provider, scene) = Scripted::scene().await;
    let client = scene.public_client().await;
    let leave = async |browser: &Browser<'_>, more: &[(&str, &str)]| {
        let mut all = vec![("scope", "openid")];
        all.extend_from_slice(more);
        browser.get(&scene.request(&client, &all)).await
    };
    let asked = async |more: &[(&str, &str)]| {
        let left = leave(&Browser::new(&scene), more).await;
        ["prompt", "max_age", "login_hint"].map(|name| left.answer(name))
    };
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(asked(&[]).await, [None, None, None]);
    assert_eq!(
        asked(&[("prompt", "login consent"), ("login_hint", "grace")]).await,
        [some("login"), some("0"), some("grace")]
    );
    assert_eq!(asked(&[("prompt", "select_account")]).await, [some("select_account"), None, None]);
    assert_eq!(asked(&[("max_age", "500")]).await, [None, some("500"), None]);
    let silent = leave(&Browser::new(&scene), &[("prompt", "none")]).await;
    assert_eq!(silent.answer("error").as_deref(), Some("login_required"));
    for (more, auth_time, good) in [
        (("prompt", "login"), json!(NOW - 61), false),
        (("prompt", "login"), json!(NOW - 1), true),
        (("max_age", "500"), json!(NOW - 561), false),
        (("max_age", "500"), json!(NOW - 400), true),
        (("prompt", "select_account"), json!(NOW - 5000), true),
        // whoever does not say when may have found a session open
        (("prompt", "login"), json!(null), false),
        (("max_age", "500"), json!("now"), false),
        (("prompt", "select_account"), json!(null), true),
    ] {
        let browser = Browser::new(&scene);
        let left = leave(&browser, &[more]).await;
        provider.sign(&left.answer("nonce").unwrap(), json!({ "auth_time": auth_time }));
        let back = browser.get(&provider.answer(&left.answer("state").unwrap())).await;
        match good {
            true => assert_eq!(back.status, StatusCode::OK, "{more:?} {auth_time}"),
            false => is_refused(&back),
        }
    }
}

#[tokio::test]
async fn whoever_signs_in_elsewhere_gets_no_password_that_would_outlive_it() {
    let (provider, scene) = Scripted::scene().await;
    let browser = Browser::new(&scene);
    provider.visit(&browser, json!({"auth_time": NOW})).await;
    let page = browser.get("/account").await;
    assert!(!page.text.contains("action=\"/account/password\""), "{}", page.text);
    let form = [("mark", page.field("mark")), ("new", PASSWORD.to_owned())];
    let form: Vec<(&str, &str)> = form.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let refused = browser.post("/account/password", &form).await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
    assert!(refused.text.contains("You sign in elsewhere"), "{}", refused.text);
}

#[tokio::test]
async fn a_zone_that_asks_who_it_is_first_tells_the_provider() {
    let (provider, scene) = Scripted::scene().await;
    manage(&scene, "PATCH", "/zones/{zone}", json!({"login_flow": "identifier_first"})).await;
    let browser = Browser::new(&scene);
    let client = scene.public_client().await;
    let page = browser.get(&scene.request(&client, &[("max_age", "500"), ("prompt", "login")])).await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(!page.text.contains("Elsewhere") && !page.text.contains("type=\"password\""), "{}", page.text);
    let fields = ["mark", "continue", "prompt", "max_age"].map(|name| (name, page.field(name)));
    let mut form: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
    form.push(("name", "grace@example.com"));
    let page = browser.post("/sign-in/identifier", &form).await;
    let way =
        page.text.split("class=\"button\" href=\"").nth(1).unwrap().split('"').next().unwrap().replace("&#38;", "&");
    let left = browser.get(&way).await;
    assert!(left.location().starts_with(&provider.issuer), "{}", left.location());
    let told = ["login_hint", "prompt", "max_age"].map(|name| left.answer(name).unwrap());
    assert_eq!(told, ["grace@example.com", "login", "0"]);
}

#[tokio::test]
async fn whoever_invited_themselves_under_an_address_is_not_its_owner() {
    let (provider, scene) = Scripted::scene().await;
    let office = super::management::Office::of(scene).await;
    let invitation = super::guests::invite(&office, "grace@example.com", "org_member").await;
    let path = super::guests::path_of(invitation["url"].as_str().unwrap()).to_owned();
    let scene = &office.scene;
    let client = scene.public_client().await;
    let only =
        r#"forbid(principal is Keycard::User, action, resource) unless { principal.email == "grace@example.com" };"#;
    let (squatter, grace) = (Browser::new(scene), Browser::new(scene));
    assert_eq!(super::guests::choose(&squatter, &path, PASSWORD).await.location(), "/account");
    assert_eq!(provider.visit(&grace, json!({})).await.status, StatusCode::OK);
    assert!(is_signed_in(&grace, "grace@example.com").await, "the one who was there first has the name");
    scene.enforce("only-grace", &[("only-grace", only)]).await;
    for (browser, is_hers) in [(&squatter, false), (&grace, true)] {
        let page = browser.get(&scene.request(&client, &[("scope", "openid email")])).await;
        let code = browser.consent(&page, "allow").await.answer("code").unwrap();
        let tokens = scene.redeem(&client, &code, &[]).await;
        let told = claims(&tokens.word("id_token"));
        assert_eq!((&told["email"], &told["email_verified"]), (&json!("grace@example.com"), &json!(is_hers)));
        assert_eq!(told["preferred_username"] == "grace@example.com", is_hers);
        let request = Request::get("/openid/connect/userinfo")
            .header("authorization", format!("Bearer {}", tokens.word("access_token")));
        assert_eq!(scene.send(request.body(Body::empty()).unwrap()).await.body["email_verified"], is_hers);
        let page = browser.get(&scene.request(&client, &[("resource", WHOAMI), ("scope", "read")])).await;
        let code = browser.consent(&page, "allow").await.answer("code").unwrap();
        let reply = scene.redeem(&client, &code, &[]).await;
        match is_hers {
            true => assert_eq!(reply.claims()["preferred_username"], "grace@example.com"),
            false => assert!(reply.word("error_description").contains("only-grace"), "{}", reply.body),
        }
    }
}
