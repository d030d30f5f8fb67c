//! People and their browsers: signing in, second factors, the account page; and how other chapters play a person.

use super::*;
use crate::jose::hash_of;
use crate::zone::Registration;
use crate::zone::people::one_time_password;

pub(super) const DEVICE_CODE: &str = "urn:ietf:params:oauth:grant-type:device_code";
pub(super) const CALLBACK: &str = "http://127.0.0.1:51004/callback";
pub(super) const VERIFIER: &str = "a-verifier-of-more-than-43-characters-as-rfc-7636-asks-for";
pub(super) const ADA: &str = "ada@example.com";
pub(super) const PASSWORD: &str = "correct horse battery";

/// A browser that keeps its cookie and fills in forms.
pub(super) struct Browser<'a> {
    scene: &'a Scene,
    /// The host and port of the zone that it looks at.
    host: String,
    cookies: std::cell::RefCell<std::collections::BTreeMap<String, Cookie>>,
}

#[derive(Clone)]
struct Cookie {
    value: String,
    path: String,
}

pub(super) struct Page {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) text: String,
}

impl Page {
    pub(super) fn location(&self) -> &str {
        self.headers.get("location").unwrap_or_else(|| panic!("{}: {}", self.status, self.text)).to_str().unwrap()
    }

    /// A parameter of the address that the page sends its reader to.
    pub(super) fn answer(&self, name: &str) -> Option<String> {
        let url = url::Url::parse(self.location()).unwrap();
        url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
    }

    /// The value of a hidden field.
    pub(super) fn field(&self, name: &str) -> String {
        let from = self.text.split(&format!("name=\"{name}\" value=\"")).nth(1);
        let value = from.unwrap_or_else(|| panic!("no {name} in {}", self.text)).split('"').next().unwrap();
        value
            .replace("&#38;", "&")
            .replace("&#34;", "\"")
            .replace("&#60;", "<")
            .replace("&#62;", ">")
            .replace("&#39;", "'")
    }
}

impl<'a> Browser<'a> {
    pub(super) fn new(scene: &'a Scene) -> Self {
        Self::at(scene, "127.0.0.1:7980")
    }

    pub(super) fn at(scene: &'a Scene, host: &str) -> Self {
        Self { scene, host: host.to_owned(), cookies: std::cell::RefCell::default() }
    }

    /// With the cookie of this browser, at the zone of `other`.
    pub(super) fn with_cookie_at(&self, host: &str) -> Self {
        Self { scene: self.scene, host: host.to_owned(), cookies: self.cookies.clone() }
    }

    pub(super) async fn get(&self, path: &str) -> Page {
        self.send(Request::get(path), String::new()).await
    }

    pub(super) async fn post(&self, path: &str, form: &[(&str, &str)]) -> Page {
        let request = Request::post(path)
            .header("content-type", "application/x-www-form-urlencoded")
            .header("origin", format!("http://{}", self.host))
            .header("sec-fetch-site", "same-origin");
        self.send(request, encode(form)).await
    }

    pub(super) async fn send(&self, request: axum::http::request::Builder, body: String) -> Page {
        let at = request.uri_ref().unwrap().path().to_owned();
        let cookies = self.cookies.borrow().clone();
        let sent = cookies.iter().filter(|(_, cookie)| at.starts_with(&cookie.path));
        let sent = sent.map(|(name, cookie)| format!("{name}={}", cookie.value)).collect::<Vec<_>>().join("; ");
        let request = if sent.is_empty() { request } else { request.header("cookie", sent) };
        let request = request.header("host", &self.host).body(Body::from(body)).unwrap();
        let response = self.scene.zone.front(&[]).answer(request).await;
        for set in response.headers().get_all("set-cookie") {
            let set = set.to_str().unwrap();
            assert!(set.contains("; HttpOnly; SameSite=Lax"), "{set}");
            let (pair, attributes) = set.split_once("; ").unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            let path = attributes.split("; ").find_map(|attribute| attribute.strip_prefix("Path=")).unwrap();
            let mut cookies = self.cookies.borrow_mut();
            match attributes.contains("Max-Age=0;") {
                true => drop(cookies.remove(name)),
                false => {
                    cookies.insert(name.to_owned(), Cookie { value: value.to_owned(), path: path.to_owned() });
                }
            }
        }
        let (head, body) = response.into_parts();
        let text = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
        Page { status: head.status, headers: head.headers, text }
    }

    /// Signs in on the page, and gives where it leads.
    pub(super) async fn sign_in(&self, page: &Page, password: &str) -> Page {
        self.sign_in_as(page, ADA, password).await
    }

    /// The same as somebody else.
    pub(super) async fn sign_in_as(&self, page: &Page, name: &str, password: &str) -> Page {
        let (mark, going_on) = (page.field("mark"), page.field("continue"));
        self.post("/sign-in", &[("mark", &mark), ("continue", &going_on), ("name", name), ("password", password)]).await
    }

    /// Opens an address, signs in, goes on.
    pub(super) async fn open(&self, path: &str) -> Page {
        let page = self.get(path).await;
        let signed_in = self.sign_in(&page, PASSWORD).await;
        assert_eq!(signed_in.status, StatusCode::SEE_OTHER, "{}", signed_in.text);
        self.get(signed_in.location()).await
    }

    pub(super) async fn consent(&self, page: &Page, decision: &str) -> Page {
        let form =
            [("mark", page.field("mark")), ("request", page.field("request")), ("decision", decision.to_owned())];
        let form: Vec<(&str, &str)> = form.iter().map(|(name, value)| (*name, value.as_str())).collect();
        self.post("/oauth/2/consent", &form).await
    }
}

impl Scene {
    /// A zone where anybody may register a client, and Ada has a password.
    pub(super) async fn of_people() -> Self {
        Self::of_people_under(Rules { registration: Registration::Open, ..Rules::default() }).await
    }

    pub(super) async fn of_people_under(rules: Rules) -> Self {
        let scene = Self::under(rules).await;
        scene.zone.set_password(ADA, Secret::new(PASSWORD)).await.unwrap();
        scene
    }

    /// A public client of a person.
    pub(super) async fn public_client(&self) -> String {
        let reply = self
            .register_anonymously(&json!({
                "client_name": "Claude Code", "token_endpoint_auth_method": "none",
                "redirect_uris": ["http://127.0.0.1/callback"], "response_types": ["code"], "jwks_uri": null,
                "grant_types": ["authorization_code", "refresh_token", EXCHANGE, DEVICE_CODE],
            }))
            .await;
        assert_eq!(reply.status, StatusCode::CREATED, "{}", reply.body);
        assert!(reply.body.get("client_secret").is_none());
        reply.word("client_id")
    }

    pub(super) async fn register_anonymously(&self, metadata: &Value) -> Reply {
        let request = Request::post("/oauth/2/registration").header("content-type", "application/json");
        self.send(request.body(Body::from(metadata.to_string())).unwrap()).await
    }

    /// The address of an authorization request, with `more` in the place of what is usual.
    pub(super) fn request(&self, client: &str, more: &[(&str, &str)]) -> String {
        let challenge = hash_of(VERIFIER);
        let usual = [
            ("response_type", "code"),
            ("client_id", client),
            ("redirect_uri", CALLBACK),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
            ("state", "xyz"),
        ];
        let usual = usual.into_iter().filter(|(name, _)| more.iter().all(|(other, _)| other != name));
        let all: Vec<(&str, &str)> = usual.chain(more.iter().copied()).filter(|(_, value)| !value.is_empty()).collect();
        format!("/oauth/2/authorize?{}", encode(&all))
    }

    /// A code that Ada allowed.
    pub(super) async fn code(&self, client: &str, more: &[(&str, &str)]) -> String {
        let browser = Browser::new(self);
        let page = browser.open(&self.request(client, more)).await;
        if page.status == StatusCode::SEE_OTHER {
            return page.answer("code").unwrap();
        }
        browser.consent(&page, "allow").await.answer("code").unwrap()
    }

    pub(super) async fn redeem(&self, client: &str, code: &str, more: &[(&str, &str)]) -> Reply {
        let usual = [
            ("grant_type", "authorization_code"),
            ("client_id", client),
            ("code", code),
            ("redirect_uri", CALLBACK),
            ("code_verifier", VERIFIER),
        ];
        let usual = usual.into_iter().filter(|(name, _)| more.iter().all(|(other, _)| other != name));
        let form: Vec<(&str, &str)> = usual.chain(more.iter().copied()).collect();
        self.post("/oauth/2/token", &form).await
    }
}

#[tokio::test]
async fn a_wrong_name_and_a_wrong_password_look_alike() {
    let scene = Scene::of_people().await;
    let browser = Browser::new(&scene);
    let page = browser.get("/account").await;
    assert!(page.text.contains("<h1>Sign in</h1>"));
    let mark = page.field("mark");
    let mut pages = Vec::new();
    for (name, password) in [(ADA, "wrong password"), ("nobody@example.com", PASSWORD), (ADA, "")] {
        let form = [("mark", mark.as_str()), ("continue", "/account"), ("name", name), ("password", password)];
        let page = browser.post("/sign-in", &form).await;
        assert_eq!(page.status, StatusCode::UNAUTHORIZED);
        pages.push(page.text.replace(name, "NAME"));
    }
    assert!(pages[0].contains("That name and password do not match."));
    assert!(pages.iter().all(|page| *page == pages[0]));
    let page = browser.sign_in(&page, PASSWORD).await;
    assert_eq!((page.status, page.location()), (StatusCode::SEE_OTHER, "/account"));
    assert!(browser.get("/account").await.text.contains("Browsers where you are signed in"));
}

#[tokio::test]
async fn attempts_are_counted_and_the_right_password_does_not_help_any_more() {
    let scene = Scene::of_people().await;
    let browser = Browser::new(&scene);
    let page = browser.get("/sign-in").await;
    for _ in 0..10 {
        assert_eq!(browser.sign_in(&page, "wrong password").await.status, StatusCode::UNAUTHORIZED);
    }
    assert_eq!(browser.sign_in(&page, PASSWORD).await.status, StatusCode::TOO_MANY_REQUESTS);
    scene.clock.advance(Duration::from_secs(15 * 60));
    assert_eq!(browser.sign_in(&page, PASSWORD).await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn a_form_counts_only_from_our_own_page_in_this_browser() {
    let scene = Scene::of_people().await;
    let (browser, other) = (Browser::new(&scene), Browser::new(&scene));
    let (page, theirs) = (browser.get("/sign-in").await, other.get("/sign-in").await);
    let form = |mark: &str| encode(&[("mark", mark), ("continue", "/account"), ("name", ADA), ("password", PASSWORD)]);
    let post = || Request::post("/sign-in").header("content-type", "application/x-www-form-urlencoded");
    for (request, mark) in [
        (post(), theirs.field("mark")),
        (post(), String::new()),
        (post().header("origin", "https://evil.test"), page.field("mark")),
        (post().header("origin", "null"), page.field("mark")),
        (post().header("sec-fetch-site", "cross-site"), page.field("mark")),
        (post().header("sec-fetch-site", "same-site"), page.field("mark")),
    ] {
        let refused = browser.send(request, form(&mark)).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST);
        assert!(refused.text.contains("This form has expired"));
    }
    assert_eq!(browser.send(post(), form(&page.field("mark"))).await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn a_page_lets_nothing_in_and_no_frame_around_it() {
    let scene = Scene::of_people().await;
    let client = scene.public_client().await;
    let browser = Browser::new(&scene);
    let request = scene.request(&client, &[("resource", WHOAMI), ("scope", "read")]);
    for page in [browser.get("/account").await, browser.open(&request).await, browser.get("/device").await] {
        let policy = page.headers["content-security-policy"].to_str().unwrap();
        assert!(policy.starts_with("default-src 'none'; style-src 'self'; form-action 'self'"), "{policy}");
        assert!(policy.ends_with("; frame-ancestors 'none'; base-uri 'none'"), "{policy}");
        assert_eq!(page.headers["x-frame-options"], "DENY");
        assert_eq!(page.headers["x-content-type-options"], "nosniff");
        assert_eq!(page.headers["cache-control"], "no-store");
        assert!(!page.text.contains("<script") && !page.text.contains(" style=") && !page.text.contains("onclick"));
    }
    assert_eq!(browser.get("/assets/zone.css").await.headers["content-type"], "text/css; charset=utf-8");
}

#[tokio::test]
async fn with_an_authenticator_the_password_alone_lets_nobody_in() {
    let scene = Scene::of_people().await;
    let browser = Browser::new(&scene);
    let page = browser.open("/account").await;
    let mark = page.field("mark");
    let page = browser.post("/account/authenticator", &[("mark", &mark)]).await;
    let base32 = page.text.split("id=\"secret\">").nth(1).unwrap().split('<').next().unwrap();
    let secret = Secret::new(totp_rs::Secret::try_from_base32(base32).unwrap().as_ref().to_vec());
    let now = |scene: &Scene| one_time_password(&secret, scene.clock.now());
    let confirmed = browser.post("/account/authenticator/confirm", &[("mark", &mark), ("code", &now(&scene))]).await;
    let codes = confirmed.text.split("<ul class=\"codes\"><li>").nth(1).unwrap();
    let codes: Vec<&str> = codes.split("</ul>").next().unwrap().trim_end_matches("</li>").split("</li><li>").collect();
    assert_eq!(codes.len(), 10, "{}", confirmed.text);

    let elsewhere = Browser::new(&scene);
    let page = elsewhere.get("/account").await;
    let second = elsewhere.sign_in(&page, PASSWORD).await;
    assert_eq!(second.status, StatusCode::OK);
    assert!(second.text.contains("<h1>Second step</h1>"));
    assert!(elsewhere.get("/account").await.text.contains("<h1>Sign in</h1>"), "the password alone let them in");
    let (mark, ticket) = (second.field("mark"), second.field("ticket"));
    let show = async |code: &str| {
        let form = [("mark", mark.as_str()), ("continue", "/account"), ("ticket", ticket.as_str()), ("code", code)];
        elsewhere.post("/sign-in/second-factor", &form).await.status
    };
    // The one that confirmed the authenticator was used.
    assert_eq!(show(&now(&scene)).await, StatusCode::UNAUTHORIZED);
    assert_eq!(show("000000").await, StatusCode::UNAUTHORIZED);
    scene.clock.advance(Duration::from_secs(60));
    assert_eq!(show(&now(&scene)).await, StatusCode::SEE_OTHER);
    assert_eq!(show(&now(&scene)).await, StatusCode::BAD_REQUEST, "the form is of the browser before the sign-in");

    let lost = Browser::new(&scene);
    for expected in [StatusCode::SEE_OTHER, StatusCode::UNAUTHORIZED] {
        lost.cookies.borrow_mut().clear();
        let page = lost.get("/account").await;
        let second = lost.sign_in(&page, PASSWORD).await;
        let (mark, ticket) = (second.field("mark"), second.field("ticket"));
        let form = [("mark", mark.as_str()), ("continue", "/account"), ("ticket", &ticket), ("code", codes[0])];
        assert_eq!(lost.post("/sign-in/second-factor", &form).await.status, expected, "a recovery code is good once");
    }
}

#[tokio::test]
async fn a_person_sees_what_they_allowed_and_takes_it_back() {
    let scene = Scene::of_people().await;
    let client = scene.public_client().await;
    let code = scene.code(&client, &[("resource", WHOAMI), ("scope", "read")]).await;
    let tokens = scene.redeem(&client, &code, &[]).await;
    assert_eq!(tokens.status, StatusCode::OK, "{}", tokens.body);
    let browser = Browser::new(&scene);
    let page = browser.open("/account").await;
    assert!(page.text.contains("Claude Code") && page.text.contains(WHOAMI), "{}", page.text);
    let (form, mark) = (page.text.split("/account/revoke-grant").nth(1).unwrap().to_owned(), page.field("mark"));
    let id = form.split("name=\"id\" value=\"").nth(1).unwrap().split('"').next().unwrap();
    let form = [("mark", mark.as_str()), ("id", id)];
    assert_eq!(browser.post("/account/revoke-grant", &form).await.status, StatusCode::SEE_OTHER);
    // Whoever clicks twice has what they want.
    assert_eq!(browser.post("/account/revoke-grant", &form).await.status, StatusCode::SEE_OTHER);
    let page = browser.get("/account").await;
    assert!(!page.text.contains("Claude Code"), "{}", page.text);
    let refresh =
        [("grant_type", "refresh_token"), ("client_id", &client), ("refresh_token", &tokens.word("refresh_token"))];
    scene.post("/oauth/2/token", &refresh).await.refused(400, "invalid_grant", "The refresh token is not valid");
    // Asked again, for the consent is gone.
    let page = browser.get(&scene.request(&client, &[("resource", WHOAMI), ("scope", "read")])).await;
    assert!(page.text.contains("to act for you?"), "{}", page.text);
}

#[tokio::test]
async fn signing_a_browser_out_ends_what_was_begun_in_it() {
    let scene = Scene::of_people().await;
    let client = scene.public_client().await;
    let browser = Browser::new(&scene);
    let page = browser.open(&scene.request(&client, &[("scope", "openid")])).await;
    let code = browser.consent(&page, "allow").await.answer("code").unwrap();
    let tokens = scene.redeem(&client, &code, &[]).await;
    let userinfo = async || {
        let request = Request::get("/openid/connect/userinfo")
            .header("authorization", format!("Bearer {}", tokens.word("access_token")));
        scene.send(request.body(Body::empty()).unwrap()).await
    };
    let told = userinfo().await;
    assert_eq!(told.status, StatusCode::OK, "{}", told.body);
    assert_eq!(told.body["email"], ADA);
    // Whoever shows the ID token of the person who is signed in here has their wish.
    let logout = format!("/oauth/2/logout?id_token_hint={}", tokens.word("id_token"));
    let stranger = Browser::new(&scene);
    assert!(stranger.open("/account").await.text.contains("(this one)"));
    assert!(browser.get(&logout).await.text.contains("You are signed out here."));
    assert_eq!(userinfo().await.status, StatusCode::UNAUTHORIZED);
    assert!(browser.get("/account").await.text.contains("<h1>Sign in</h1>"));
    assert!(stranger.get("/account").await.text.contains("(this one)"), "another browser was signed out too");
    assert!(stranger.get("/oauth/2/logout").await.text.contains("<h1>Sign out?</h1>"), "a mere link signed them out");
    let to = "/oauth/2/logout?client_id=x&post_logout_redirect_uri=https%3A%2F%2Fevil.test";
    assert_eq!(stranger.get(to).await.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_changed_password_signs_other_browsers_out() {
    let scene = Scene::of_people().await;
    let (browser, other) = (Browser::new(&scene), Browser::new(&scene));
    let (page, _) = (browser.open("/account").await, other.open("/account").await);
    let mark = page.field("mark");
    let change = async |old: &str, new: &str| {
        browser.post("/account/password", &[("mark", mark.as_str()), ("old", old), ("new", new)]).await
    };
    assert!(change("wrong password", "another long word").await.text.contains("That is not your password."));
    assert!(change(PASSWORD, "short").await.text.contains("between 10 and 256"));
    assert!(change(PASSWORD, "another long word").await.text.contains("Your password was changed."));
    assert!(other.get("/account").await.text.contains("<h1>Sign in</h1>"));
    assert!(browser.get("/account").await.text.contains("(this one)"));
    let page = other.get("/sign-in").await;
    assert_eq!(other.sign_in(&page, PASSWORD).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(other.sign_in(&page, "another long word").await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn a_browser_is_signed_out_after_a_working_day() {
    let scene = Scene::of_people().await;
    let browser = Browser::new(&scene);
    browser.open("/account").await;
    scene.clock.advance(Duration::from_secs(12 * 3600));
    assert!(browser.get("/account").await.text.contains("<h1>Sign in</h1>"));
}

#[tokio::test]
async fn the_owner_of_this_machine_signs_in_by_a_link_that_works_once() {
    let scene = Scene::new().await;
    let key = scene.folder.path().join("zone.seal");
    let link = crate::zone::sign_in_link(&scene.database, &key, ISSUER, ADA, scene.clock.now()).await.unwrap();
    let path = link.expose_str().unwrap().strip_prefix(ISSUER).unwrap().to_owned();
    let browser = Browser::new(&scene);
    let page = browser.get(&path).await;
    assert!(page.text.contains("Sign in as ada@example.com?"), "{}", page.text);
    let form = [("mark", page.field("mark")), ("ticket", page.field("ticket")), ("continue", "/account".to_owned())];
    let form: Vec<(&str, &str)> = form.iter().map(|(name, value)| (*name, value.as_str())).collect();
    assert_eq!(browser.post("/sign-in/link", &form).await.status, StatusCode::SEE_OTHER);
    assert!(browser.get("/account").await.text.contains("Set a password"));
    let again = Browser::new(&scene);
    let page = again.get(&path).await;
    let form = [("mark", page.field("mark")), ("ticket", page.field("ticket"))];
    let form: Vec<(&str, &str)> = form.iter().map(|(name, value)| (*name, value.as_str())).collect();
    assert!(again.post("/sign-in/link", &form).await.text.contains("This link has expired or was used."));
    assert!(again.get("/sign-in/link?ticket=rubbish").await.text.contains("This link has expired or was used."));
}

#[tokio::test]
async fn a_client_sends_a_person_on_to_exactly_what_it_registered_when_they_sign_out() {
    let scene = Scene::of_people().await;
    let after = "http://127.0.0.1/bye";
    let made = scene
        .register_anonymously(&json!({
            "client_name": "Web", "token_endpoint_auth_method": "none", "redirect_uris": [CALLBACK],
            "post_logout_redirect_uris": [after],
        }))
        .await;
    let (client, other) = (made.word("client_id"), scene.public_client().await);
    let browser = Browser::new(&scene);
    let page = browser.open(&scene.request(&client, &[("scope", "openid")])).await;
    let code = browser.consent(&page, "allow").await.answer("code").unwrap();
    let hint = scene.redeem(&client, &code, &[]).await.word("id_token");
    let logout = |more: &[(&str, &str)]| format!("/oauth/2/logout?{}", encode(more));
    for wrong in [
        vec![("id_token_hint", hint.as_str()), ("post_logout_redirect_uri", "http://127.0.0.1:4000/bye")],
        vec![("id_token_hint", hint.as_str()), ("post_logout_redirect_uri", "http://127.0.0.1/bye/")],
        vec![("id_token_hint", hint.as_str()), ("post_logout_redirect_uri", after), ("client_id", &other)],
        vec![("id_token_hint", "rubbish"), ("post_logout_redirect_uri", after)],
        vec![("client_id", &other), ("post_logout_redirect_uri", after)],
        vec![("post_logout_redirect_uri", after)],
    ] {
        assert_eq!(browser.get(&logout(&wrong)).await.status, StatusCode::BAD_REQUEST, "{wrong:?}");
    }
    assert!(browser.get("/account").await.text.contains("(this one)"), "somebody was signed out");
    // An old hint will do.
    scene.clock.advance(Duration::from_secs(7200));
    let good = [
        ("id_token_hint", hint.as_str()),
        ("post_logout_redirect_uri", after),
        ("client_id", &client),
        ("state", "s 1"),
    ];
    let gone = browser.get(&logout(&good)).await;
    assert_eq!((gone.status, gone.location()), (StatusCode::SEE_OTHER, "http://127.0.0.1/bye?state=s+1"));
    assert!(browser.get("/account").await.text.contains("<h1>Sign in</h1>"));
}

#[tokio::test]
async fn a_zone_may_ask_who_it_is_before_it_asks_for_a_password() {
    let scene = Scene::of_people().await;
    let client = scene.public_client().await;
    scene.manage("PATCH", "/zones/{zone}", Some(json!({"login_flow": "identifier_first"}))).await;
    let browser = Browser::new(&scene);
    let request = scene.request(&client, &[("scope", "openid")]);
    let page = browser.get(&request).await;
    assert!(page.text.contains("id=\"name\"") && !page.text.contains("type=\"password\""), "{}", page.text);
    let identify = async |name: &str| {
        let (mark, going_on) = (page.field("mark"), page.field("continue"));
        let form = [("mark", mark.as_str()), ("continue", &going_on), ("name", name)];
        browser.post("/sign-in/identifier", &form).await
    };
    assert!(!identify("  ").await.text.contains("type=\"password\""), "nobody is asked for nobody's password");
    // Whoever it is, the page is the same.
    let known = identify(ADA).await;
    let unknown = identify("nobody@example.com").await;
    assert_eq!(known.text.replace(ADA, "NAME"), unknown.text.replace("nobody@example.com", "NAME"));
    assert_eq!(known.field("name"), ADA);
    let wrong = browser.sign_in(&known, "wrong password").await;
    assert!(wrong.text.contains("do not match") && wrong.field("name") == ADA, "{}", wrong.text);
    let signed_in = browser.sign_in(&wrong, PASSWORD).await;
    assert!(browser.get(signed_in.location()).await.text.contains("to act for you?"));
    // A client that knows who it is saves its person the first page.
    let other = Browser::new(&scene);
    let page = other.get(&scene.request(&client, &[("login_hint", ADA)])).await;
    assert!(page.field("name") == ADA && page.text.contains("type=\"password\""), "{}", page.text);
}
