//! The zone's pages in a real browser: Chromium without a window, led by its driver.
//!
//! Each page leaves a picture in `target/screenshots`, to be looked at. A browser's complaint, such as something that
//! the page's own policy keeps out, fails the test.

use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use axum::Router;
use axum::extract::RawQuery;
use axum::routing::get;
use fantoccini::Client as Browser;
use fantoccini::ClientBuilder;
use fantoccini::Locator;
use fantoccini::key::Key;
use fantoccini::wd::Capabilities;
use serde_json::Value;
use serde_json::json;
use tempfile::TempDir;
use tokio::io::AsyncBufReadExt as _;
use tokio::io::BufReader;
use tokio::net::TcpListener;
use tokio::process::Child;
use tokio::process::Command;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use valetkey::model::ResourceId;
use valetkey::model::Scopes;
use valetkey::model::Secret;
use valetkey::model::UserName;
use valetkey::os::SystemClock;
use valetkey::zone;
use valetkey::zone::Zone;

const NOTES: &str = "https://notes.example/api";
const PASSWORD: &str = "correct horse battery";

/// A zone, a client that waits for its answer, and a browser.
struct World {
    issuer: String,
    callback: String,
    /// What the client was answered, as the browser brought it.
    answered: Arc<Mutex<Vec<String>>>,
    browser: Browser,
    http: valetkey::http::Client,
    zone: Arc<Zone>,
    _driver: Child,
    _folder: TempDir,
    _tasks: JoinSet<()>,
}

impl World {
    async fn new() -> Self {
        let (folder, mut tasks) = (tempfile::tempdir().unwrap(), JoinSet::new());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let issuer = format!("http://{}", listener.local_addr().unwrap());
        let settings = zone::Settings {
            database: zone::Database::Sqlite(folder.path().join("zone.db")),
            sealing_key: folder.path().join("zone.seal"),
            issuer: issuer.clone(),
            owner: UserName::parse("ada@example.com").unwrap(),
            resources: vec![zone::DeclaredResource {
                identifier: ResourceId::parse(NOTES).unwrap(),
                name: "Notes".to_owned(),
                scopes: Scopes::parse("notes:read notes:write").unwrap(),
                lifetime: None,
            }],
            clock: Arc::new(SystemClock::new()),
            rules: zone::Rules {
                registration: zone::Registration::Open,
                outbound: Some(crate::zone_oauth::client()),
                ..zone::Rules::default()
            },
        };
        let zone = Zone::open(settings).await.unwrap();
        zone.set_password("ada@example.com", Secret::new(PASSWORD)).await.unwrap();
        let zone = Arc::new(zone);
        let served = Arc::clone(&zone);
        tasks.spawn(async move { served.serve(listener, CancellationToken::new()).await });

        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let callback = format!("http://{}/callback", listener.local_addr().unwrap());
        let answered = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&answered);
        let answer = move |RawQuery(query): RawQuery| async move {
            heard.lock().unwrap().push(query.unwrap_or_default());
            "The client has its answer."
        };
        let router = Router::new().route("/callback", get(answer));
        tasks.spawn(async move { axum::serve(listener, router).await.unwrap() });

        let (driver, browser) = open_browser(folder.path()).await;
        let http = crate::zone_oauth::client();
        Self { issuer, callback, answered, browser, http, zone, _driver: driver, _folder: folder, _tasks: tasks }
    }

    /// A public client whose name wants to be more than a name.
    async fn register(&self) -> String {
        let metadata = json!({
            "client_name": "Claude <b onmouseover=alert(1)>Code</b>", "token_endpoint_auth_method": "none",
            "redirect_uris": [self.callback], "grant_types": [
                "authorization_code", "refresh_token", "urn:ietf:params:oauth:grant-type:device_code"],
        });
        let answer = self.post("/oauth/2/registration", "application/json", metadata.to_string()).await;
        answer["client_id"].as_str().unwrap().to_owned()
    }

    async fn post(&self, path: &str, kind: &str, body: String) -> Value {
        let request = hyper::Request::post(format!("{}{path}", self.issuer)).header("content-type", kind);
        let answer = self.http.send(request.body(body.into()).unwrap()).await.unwrap();
        serde_json::from_slice(answer.body()).unwrap()
    }

    async fn form(&self, path: &str, fields: &[(&str, &str)]) -> Value {
        let fields = fields.iter().fold(valetkey::http::Form::new(), |form, (name, value)| form.field(name, value));
        let body = String::from_utf8(fields.into_bytes().to_vec()).unwrap();
        self.post(path, "application/x-www-form-urlencoded", body).await
    }

    fn request(&self, client: &str) -> String {
        let challenge = valetkey::jose::hash_of(VERIFIER);
        let escape =
            |text: &str| String::from_utf8(valetkey::http::Form::new().field("", text).into_bytes().to_vec()).unwrap();
        format!(
            "{}/oauth/2/authorize?response_type=code&client_id={client}&redirect_uri{}&resource{}&scope=notes%3Aread\
             &state=xyz&code_challenge={challenge}&code_challenge_method=S256",
            self.issuer,
            escape(&self.callback),
            escape(NOTES),
        )
    }

    /// Looks at the page, keeps a picture of it, and hears the browser's complaints.
    async fn look(&self, name: &str) -> String {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/screenshots");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join(format!("{name}.png")), self.browser.screenshot().await.unwrap()).unwrap();
        let unnamed = self.browser.execute(UNNAMED_FIELDS, Vec::new()).await.unwrap();
        assert_eq!(unnamed, json!([]), "fields that a screen reader can't name on {name}");
        let blocked = self.browser.execute("return window.blocked || 'no script ran'", Vec::new()).await.unwrap();
        assert_eq!(blocked, "no script ran");
        self.browser.source().await.unwrap()
    }

    async fn click(&self, css: &str) {
        self.browser.find(Locator::Css(css)).await.unwrap().click().await.unwrap();
    }

    async fn wait(&self, css: &str) {
        let wait = self.browser.wait().at_most(Duration::from_secs(20));
        if let Err(error) = wait.for_element(Locator::Css(css)).await {
            panic!(
                "{error}: no {css} at {:?}:\n{}",
                self.browser.current_url().await,
                self.browser.source().await.unwrap()
            );
        }
    }

    async fn arrive(&self, url: &str) {
        for _ in 0..200 {
            if self.browser.current_url().await.unwrap().as_str().starts_with(url) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!(
            "at {} and not at {url}: {}",
            self.browser.current_url().await.unwrap(),
            self.browser.source().await.unwrap()
        );
    }

    /// By the keyboard alone: the first field has the focus, and Enter sends the form.
    async fn sign_in(&self) {
        self.wait("#password").await;
        self.type_into_focus("ada@example.com").await;
        self.type_into_focus(&char::from(Key::Tab).to_string()).await;
        self.type_into_focus(PASSWORD).await;
        self.type_into_focus(&char::from(Key::Enter).to_string()).await;
    }

    async fn type_into_focus(&self, text: &str) {
        self.browser.active_element().await.unwrap().send_keys(text).await.unwrap();
    }
}

pub(crate) async fn open_browser(folder: &std::path::Path) -> (Child, Browser) {
    let mut driver = Command::new("chromedriver")
        .arg("--port=0")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .expect("chromedriver is there; see tests/run");
    let mut lines = BufReader::new(driver.stdout.take().unwrap()).lines();
    let port = loop {
        let line = lines.next_line().await.unwrap().expect("chromedriver says its port");
        if let Some(port) = line.strip_prefix("ChromeDriver was started successfully on port ") {
            break port.trim_end_matches('.').to_owned();
        }
    };
    let options = json!({ "args": [
        "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--window-size=1000,1100",
        format!("--user-data-dir={}", folder.join("browser").display()),
    ] });
    let capabilities = Capabilities::from_iter([("goog:chromeOptions".to_owned(), options)]);
    let mut builder = ClientBuilder::new(hyper_util::client::legacy::connect::HttpConnector::new());
    let browser = builder.capabilities(capabilities).connect(&format!("http://127.0.0.1:{port}")).await.unwrap();
    (driver, browser)
}

const VERIFIER: &str = "a-verifier-of-more-than-43-characters-as-rfc-7636-asks-for";

/// Visible fields without a label, and buttons without words.
const UNNAMED_FIELDS: &str = "return [...document.querySelectorAll('input:not([type=hidden]), button')]
    .filter(e => !(e.labels && e.labels.length) && !e.getAttribute('aria-label') && !e.textContent.trim())
    .map(e => e.outerHTML)";

#[tokio::test(flavor = "multi_thread")]
async fn a_person_signs_in_consents_and_takes_it_back() {
    let world = World::new().await;
    let client = world.register().await;
    world.browser.goto(&world.request(&client)).await.unwrap();
    world.look("1-sign-in").await;
    world.type_into_focus("ada@example.com").await;
    world.browser.find(Locator::Css("#password")).await.unwrap().send_keys("wrong password").await.unwrap();
    world.click("button[type=submit]").await;
    world.wait("#fault").await;
    assert!(world.look("2-sign-in-refused").await.contains("That name and password do not match."));
    world.browser.goto(&world.request(&client)).await.unwrap();
    world.sign_in().await;
    world.wait("button[value=allow]").await;
    let page = world.look("3-consent").await;
    assert!(page.contains("Claude &lt;b onmouseover=alert(1)&gt;Code&lt;/b&gt;"), "{page}");
    assert!(page.contains(NOTES) && page.contains("notes:read") && !page.contains("notes:write"));
    world.click("button[value=allow]").await;
    world.arrive(&world.callback).await;
    let answer = world.answered.lock().unwrap().pop().unwrap();
    let answer: Vec<(String, String)> = answer
        .split('&')
        .map(|pair| pair.split_once('=').unwrap())
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    assert!(answer.contains(&("state".to_owned(), "xyz".to_owned())));
    let code = &answer.iter().find(|(name, _)| name == "code").unwrap().1;
    let tokens = world
        .form(
            "/oauth/2/token",
            &[
                ("grant_type", "authorization_code"),
                ("client_id", &client),
                ("code", code),
                ("redirect_uri", &world.callback),
                ("code_verifier", VERIFIER),
            ],
        )
        .await;
    assert_eq!(tokens["scope"], "notes:read", "{tokens}");
    // Asked once more, nobody is asked: the page goes straight back.
    world.browser.goto(&world.request(&client)).await.unwrap();
    world.arrive(&world.callback).await;

    world.browser.goto(&format!("{}/account", world.issuer)).await.unwrap();
    assert!(world.look("4-account").await.contains("Take back"));
    world.click("button[aria-label^='Take back']").await;
    world.wait("#grants + p").await;
    assert!(world.look("5-account-empty").await.contains("Nothing yet."));
    let refresh = tokens["refresh_token"].as_str().unwrap();
    let form = [("grant_type", "refresh_token"), ("client_id", client.as_str()), ("refresh_token", refresh)];
    assert_eq!(world.form("/oauth/2/token", &form).await["error"], "invalid_grant");
    world.browser.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_connects_a_device_and_denies_a_client() {
    let world = World::new().await;
    let client = world.register().await;
    let form = [("client_id", client.as_str()), ("resource", NOTES), ("scope", "notes:read notes:write")];
    let asked = world.form("/oauth/2/device_authorization", &form).await;
    world.browser.goto(asked["verification_uri"].as_str().unwrap()).await.unwrap();
    world.sign_in().await;
    world.wait("#user_code").await;
    world.look("6-device").await;
    world.type_into_focus(asked["user_code"].as_str().unwrap()).await;
    world.type_into_focus(&char::from(Key::Enter).to_string()).await;
    world.wait("button[value=allow]").await;
    assert!(world.look("7-device-consent").await.contains(asked["user_code"].as_str().unwrap()));
    world.click("button[value=allow]").await;
    world.wait("h1").await;
    for _ in 0..200 {
        if world.browser.source().await.unwrap().contains("Device connected") {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(world.look("8-device-connected").await.contains("Device connected"));
    let code = asked["device_code"].as_str().unwrap();
    let kind = "urn:ietf:params:oauth:grant-type:device_code";
    let form = [("grant_type", kind), ("client_id", client.as_str()), ("device_code", code)];
    assert_eq!(world.form("/oauth/2/token", &form).await["scope"], "notes:read notes:write");

    // What a device was allowed holds for the client; something else is asked for once more.
    let other = world.register().await;
    world.browser.goto(&world.request(&other)).await.unwrap();
    world.wait("button[value=deny]").await;
    world.click("button[value=deny]").await;
    world.arrive(&world.callback).await;
    assert!(world.answered.lock().unwrap().pop().unwrap().contains("error=access_denied"));
    world.browser.goto(&format!("{}/account", world.issuer)).await.unwrap();
    world.click("form[action='/account/authenticator'] button").await;
    world.wait("#secret").await;
    world.look("9-authenticator").await;
    world.browser.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_stands_in_no_frame_and_runs_no_script() {
    let world = World::new().await;
    world.browser.goto(&world.callback).await.unwrap();
    let frame = format!(
        "const frame = document.createElement('iframe'); frame.src = '{}/sign-in'; document.body.append(frame);
         const done = arguments[0]; frame.onload = () => done(frame.contentDocument === null ? 'refused' : 'shown')",
        world.issuer
    );
    assert_eq!(world.browser.execute_async(&frame, Vec::new()).await.unwrap(), "refused");
    world.browser.goto(&format!("{}/sign-in", world.issuer)).await.unwrap();
    let inject = "const script = document.createElement('script'); script.textContent = 'window.ran = true';
        document.body.append(script); const picture = document.createElement('div'); picture.setAttribute('style', 'color:red');
        document.body.append(picture); return [window.ran === true, getComputedStyle(picture).color === 'rgb(255, 0, 0)']";
    assert_eq!(world.browser.execute(inject, Vec::new()).await.unwrap(), json!([false, false]));
    world.browser.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_signs_in_to_one_zone_through_another() {
    let world = World::new().await;
    let made = world.zone.api_tokens().await.unwrap().create("test", &["admin".to_owned()], None).await.unwrap();
    let token = made.secret.expose_str().unwrap().to_owned();
    let manage = async |method: &str, path: &str, body: Value| -> Value {
        let request = hyper::Request::builder().method(method).uri(format!("{}{path}", world.issuer));
        let request = request.header("authorization", format!("Bearer {token}"));
        let request = request.header("content-type", "application/json").body(body.to_string().into()).unwrap();
        let answer = world.http.send(request).await.unwrap();
        assert_eq!(answer.status(), 200, "{:?}", answer.body());
        serde_json::from_slice(answer.body()).unwrap()
    };
    let team = manage("POST", "/zones", json!({"name": "Team"})).await;
    let (id, issuer) = (team["id"].as_str().unwrap(), team["protocols"]["oauth2"]["issuer"].as_str().unwrap());
    let metadata = json!({
        "client_name": "The team's zone", "redirect_uris": [team["protocols"]["oauth2"]["redirect_uri"]],
        "grant_types": ["authorization_code"],
    });
    let client = world.post("/oauth/2/registration", "application/json", metadata.to_string()).await;
    let provider = json!({
        "identifier": world.issuer, "name": "Home", "client_id": client["client_id"],
        "client_secret": client["client_secret"], "protocols": {"oauth2": {"issuer": world.issuer}},
    });
    let provider = manage("POST", &format!("/zones/{id}/providers"), provider).await;
    manage("PATCH", &format!("/zones/{id}"), json!({"user_identity_provider_id": provider["id"]})).await;

    manage("PATCH", &format!("/zones/{id}"), json!({"login_flow": "identifier_first"})).await;
    world.browser.goto(&format!("{issuer}/account")).await.unwrap();
    world.wait("form[action='/sign-in/identifier']").await;
    assert!(!world.look("14-who-it-is").await.contains("Password"));
    world.type_into_focus("grace@example.com").await;
    world.type_into_focus(&char::from(Key::Enter).to_string()).await;
    world.wait("#password").await;
    let page = world.look("15-how-they-show-it").await;
    assert!(page.contains("grace@example.com") && page.contains("Continue with Home"), "{page}");
    world.click("p a:not(.button)").await;
    world.wait("form[action='/sign-in/identifier']").await;
    manage("PATCH", &format!("/zones/{id}"), json!({"login_flow": "default"})).await;

    world.browser.goto(&format!("{issuer}/sign-in")).await.unwrap();
    world.wait("a.button").await;
    assert!(world.look("10-sign-in-with-provider").await.contains("Continue with Home"));
    world.click("a.button").await;
    world.arrive(&world.issuer).await;
    world.sign_in().await;
    world.wait("button[value=allow]").await;
    assert!(world.look("11-consent-to-another-zone").await.contains("The team's zone"));
    world.click("button[value=allow]").await;
    world.arrive(&format!("{issuer}/account")).await;
    let account = world.look("12-account-of-a-guest").await;
    assert!(account.contains("Browsers where you are signed in"), "{account}");
    // Both zones know the browser, and each under a cookie of its own.
    world.browser.goto(&format!("{}/account", world.issuer)).await.unwrap();
    assert!(world.look("13-account-at-home").await.contains("ada@example.com"));
    let cookie = world.browser.get_named_cookie("valetkey_zone").await.unwrap();
    world.browser.goto(&format!("{issuer}/account")).await.unwrap();
    assert_ne!(world.browser.get_named_cookie("valetkey_zone").await.unwrap().value(), cookie.value());
    world.browser.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_hears_what_they_are_called_and_signs_in_with_their_address() {
    let world = World::new().await;
    let made = world.zone.api_tokens().await.unwrap().create("test", &["admin".to_owned()], None).await.unwrap();
    let request = hyper::Request::post(format!("{}/organizations/own/invitations", world.issuer))
        .header("authorization", format!("Bearer {}", made.secret.expose_str().unwrap()))
        .header("content-type", "application/json");
    let body = json!({"email": "bob@example.com", "role": "org_member"}).to_string();
    let answer = world.http.send(request.body(body.into()).unwrap()).await.unwrap();
    let invitation: Value = serde_json::from_slice(answer.body()).unwrap();
    world.browser.goto(invitation["url"].as_str().unwrap()).await.unwrap();
    world.wait("#new").await;
    let page = world.look("16-invitation").await;
    assert!(page.contains("You were invited as") && page.contains("You sign in here as"), "{page}");
    world.type_into_focus("bob's own long words").await;
    world.type_into_focus(&char::from(Key::Enter).to_string()).await;
    world.arrive(&format!("{}/account", world.issuer)).await;
    assert!(world.look("17-account-of-an-invited-guest").await.contains("<h1>bob-"));
    world.click("form[action='/sign-out'] button").await;
    world.wait("#password").await;
    world.type_into_focus("bob@example.com").await;
    world.type_into_focus(&char::from(Key::Tab).to_string()).await;
    world.type_into_focus("bob's own long words").await;
    world.type_into_focus(&char::from(Key::Enter).to_string()).await;
    world.arrive(&format!("{}/account", world.issuer)).await;
    world.browser.close().await.unwrap();
}
