//! The zone before clients that people already use, from PyPI and as they come: their SDK for OAuth, their SDK for the
//! management API, their guard of an API, and libraries that verify tokens.
//!
//! The programs are in `sdk/`, and assert for themselves; this file gives them a zone, on each of the databases, and
//! what no client can do: a person with a browser, a rotation of the keys, time that passes.

use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::Router;
use axum::routing::post;
use fantoccini::Locator;
use serde_json::json;
use tempfile::TempDir;
use tokio::io::AsyncBufReadExt as _;
use tokio::io::AsyncReadExt as _;
use tokio::io::BufReader;
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use valetkey::model::Clock;
use valetkey::model::Secret;
use valetkey::model::Timestamp;
use valetkey::model::UserName;
use valetkey::os::SystemClock;
use valetkey::zone;
use valetkey::zone::Zone;

use crate::pages::open_browser;
use crate::world::tool;
use crate::zone_alone::postgres;

const ADA: &str = "ada@example.com";
const PASSWORD: &str = "correct horse battery";
/// A code of the owner's is exchanged with this (RFC 7636).
const VERIFIER: &str = "a-verifier-of-more-than-43-characters-as-rfc-7636-asks-for";
/// No program takes longer, however busy the machine is.
const PATIENCE: Duration = Duration::from_secs(150);

/// A served zone, and a way for a program to have its keys rotated and its time moved.
struct Stage {
    issuer: String,
    /// What the programs are told.
    facts: serde_json::Value,
    folder: TempDir,
    tasks: JoinSet<()>,
}

/// The system's time, and so many seconds.
struct Wound {
    system: SystemClock,
    ahead_s: AtomicI64,
}

impl Clock for Wound {
    fn now(&self) -> Timestamp {
        let millis = self.system.now().as_millis() + self.ahead_s.load(Ordering::SeqCst) * 1000;
        Timestamp::from_millis(millis)
    }

    fn monotonic(&self) -> Duration {
        self.system.monotonic()
    }
}

impl Stage {
    async fn new(database: &str) -> Self {
        let (folder, mut tasks) = (tempfile::tempdir().unwrap(), JoinSet::new());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let issuer = format!("http://{}", listener.local_addr().unwrap());
        let database = database.replace("{home}", folder.path().to_str().unwrap());
        let database = zone::Database::parse(&database).unwrap();
        let clock = Arc::new(Wound { system: SystemClock::new(), ahead_s: AtomicI64::new(0) });
        let settings = zone::Settings {
            database: database.clone(),
            sealing_key: folder.path().join("zone.seal"),
            issuer: issuer.clone(),
            owner: UserName::parse(ADA).unwrap(),
            resources: Vec::new(),
            clock: Arc::<Wound>::clone(&clock),
            rules: zone::Rules {
                registration: zone::Registration::Open,
                outbound: Some(crate::zone_oauth::client()),
                ..zone::Rules::default()
            },
        };
        let zone = Arc::new(Zone::open(settings).await.unwrap());
        zone.set_password(ADA, Secret::new(PASSWORD)).await.unwrap();
        let token = zone.api_tokens().await.unwrap().create("sdk", &["admin".to_owned()], None).await.unwrap().secret;
        let challenge = valetkey::jose::hash_of(VERIFIER);
        let code = zone::code_for_owner(&database, ADA, &challenge, clock.now()).await.unwrap();
        let served = Arc::clone(&zone);
        tasks.spawn(async move { served.serve(listener, CancellationToken::new()).await });

        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let backstage = format!("http://{}", listener.local_addr().unwrap());
        let rotate = move || async move { zone.rotate_key().await.unwrap() };
        let wind =
            move |seconds: String| async move { clock.ahead_s.store(seconds.parse().unwrap(), Ordering::SeqCst) };
        let router = Router::new().route("/rotate", post(rotate)).route("/ahead", post(wind));
        tasks.spawn(async move { axum::serve(listener, router).await.unwrap() });
        let facts = json!({
            "issuer": issuer, "backstage": backstage, "token": text(&token), "user": ADA, "code": text(&code),
            "verifier": VERIFIER, "challenge": challenge, "password": PASSWORD, "client": zone::OWN_CLIENT, "redirect": zone::OWN_REDIRECT,
            "folder": folder.path(),
        });
        Self { issuer, facts, folder, tasks }
    }

    fn command(&self, program: &str) -> Command {
        let programs = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/sdk");
        let mut command = Command::new(tool("venv/bin/python"));
        command
            .env_clear()
            .envs([("PYTHONDONTWRITEBYTECODE", "1"), ("PYTHONWARNINGS", "ignore"), ("PYTHONUNBUFFERED", "1")])
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("HOME", self.folder.path())
            .env("STAGE", self.facts.to_string())
            .arg(programs.join(program))
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }

    /// The program ends by itself, with nothing to complain of, and says `passed` last.
    async fn play(&self, program: &str) {
        let output = tokio::time::timeout(PATIENCE, self.command(program).output()).await;
        let output = output.expect("it ends in time").unwrap();
        let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success() && stdout.trim_end().ends_with("passed"), "{stdout}\n{stderr}");
    }
}

fn text(secret: &Secret) -> &str {
    secret.expose_str().unwrap()
}

/// A test on each of the databases.
macro_rules! on_both {
    ($($(#[$doc:meta])* $name:ident: $program:literal;)*) => {
        mod on_sqlite {
            $($(#[$doc])* #[tokio::test(flavor = "multi_thread")]
            async fn $name() { super::Stage::new("{home}/zone.db").await.play($program).await })*
        }
        mod on_postgres {
            $($(#[$doc])* #[tokio::test(flavor = "multi_thread")]
            async fn $name() { super::Stage::new(&super::postgres()).await.play($program).await })*
        }
    };
}

on_both! {
    /// keycardai-oauth: discovery, client credentials in both styles, refresh, exchange, impersonation.
    the_oauth_sdk_gets_its_tokens: "oauth.py";
    /// keycardai-oauth: tokens of a platform, keys of its own, and registration with and without explicit nulls.
    the_oauth_sdk_shows_who_it_is_without_a_secret: "identity.py";
    /// keycardai-starlette as a protected API.
    a_guarded_api_takes_the_zones_tokens_and_no_others: "protected.py";
    /// keycardai-api: every collection.
    the_management_sdk_reads_and_writes_every_collection: "management.py";
    /// keycardai-api: every model that its operations return, every field of the right type.
    the_management_sdk_gets_every_model_whole: "models.py";
    /// joserfc, authlib and keycardai's verifier, before and after the keys changed.
    libraries_verify_tokens_across_a_key_rotation: "rotation.py";
}

/// A person follows the SDK's own link in Chromium: the API's challenge, discovery, consent, the code to a local port.
async fn a_person_signs_in_by_the_pkce_flow(database: &str) {
    let stage = Stage::new(database).await;
    let mut child = stage.command("pkce.py").spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let address = tokio::time::timeout(PATIENCE, async {
        while let Some(line) = lines.next_line().await.unwrap() {
            if let Some(address) = line.strip_prefix("open ") {
                return address.to_owned();
            }
        }
        let mut said = String::new();
        child.stderr.take().unwrap().read_to_string(&mut said).await.unwrap();
        panic!("it opened no browser: {said}")
    });
    let address = address.await.expect("it opens the browser in time");
    assert!(address.starts_with(&format!("{}/oauth/2/authorize?", stage.issuer)), "{address}");
    let (_driver, browser) = open_browser(stage.folder.path()).await;
    browser.goto(&address).await.unwrap();
    let wait =
        async |css| browser.wait().at_most(Duration::from_secs(30)).for_element(Locator::Css(css)).await.unwrap();
    wait("#password").await.send_keys(PASSWORD).await.unwrap();
    browser.find(Locator::Css("input[name=name], #name")).await.unwrap().send_keys(ADA).await.unwrap();
    browser.find(Locator::Css("button[type=submit]")).await.unwrap().click().await.unwrap();
    wait("button[value=allow]").await;
    let page = browser.source().await.unwrap();
    assert!(page.contains("Calendar agent") && page.contains("calendar:read"), "{page}");
    browser.find(Locator::Css("button[value=allow]")).await.unwrap().click().await.unwrap();
    let output = tokio::time::timeout(PATIENCE, child.wait_with_output()).await.expect("it ends in time").unwrap();
    let mut said = Vec::new();
    while let Ok(Some(line)) = lines.next_line().await {
        said.push(line);
    }
    browser.close().await.unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.last().is_some_and(|line| line == "passed"), "{said:?}\n{stderr}");
    drop(stage.tasks);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_signs_in_by_the_pkce_flow_on_sqlite() {
    a_person_signs_in_by_the_pkce_flow("{home}/zone.db").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_signs_in_by_the_pkce_flow_on_postgresql() {
    a_person_signs_in_by_the_pkce_flow(&postgres()).await;
}
