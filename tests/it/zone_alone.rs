//! A zone that runs alone: on a file and on PostgreSQL, with tokens for its management API.

use std::io::BufRead as _;
use std::io::BufReader;
use std::io::Read as _;
use std::io::Write as _;
use std::net::SocketAddr;
use std::net::TcpListener;
use std::net::TcpStream;
use std::path::Path;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use serde_json::Value;
use serde_json::json;
use tempfile::TempDir;

use crate::world::tool;

/// A running `valetkey zone serve`, ended with the test.
pub(crate) struct Alone {
    pub(crate) home: TempDir,
    pub(crate) database: String,
    pub(crate) child: Child,
    pub(crate) address: String,
    /// What it said before it served.
    pub(crate) said: Vec<String>,
}

impl Alone {
    pub(crate) fn start(database: &str) -> Self {
        Self::start_with(database, &[])
    }

    pub(crate) fn start_with(database: &str, flags: &[&str]) -> Self {
        let home = tempfile::tempdir().unwrap();
        let database = database.replace("{home}", home.path().to_str().unwrap());
        let (child, address, said) = spawn(home.path(), &database, flags);
        Self { home, database, child, address, said }
    }

    pub(crate) fn valetkey(&self, arguments: &[&str]) -> String {
        let output = command(self.home.path(), &self.database).args(arguments).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    pub(crate) fn ask(&self, token: &str, method: &str, path: &str, body: Option<Value>) -> (u16, String, Value) {
        ask(&self.address, &self.address, token, method, path, body)
    }

    /// A token request; status and answer.
    pub(crate) fn token(&self, form: &[(&str, &str)]) -> (u16, Value) {
        let fields = form.iter().fold(valetkey::http::Form::new(), |form, (name, value)| form.field(name, value));
        let body = String::from_utf8(fields.into_bytes().to_vec()).unwrap();
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        write!(
            stream,
            "POST /oauth/2/token HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\
             content-type: application/x-www-form-urlencoded\r\ncontent-length: {}\r\n\r\n{body}",
            self.address,
            body.len()
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), serde_json::from_str(body).unwrap_or(Value::Null))
    }

    /// An application that may have tokens for `api` in its own name: the form by which it asks for one.
    pub(crate) fn batch(&self, admin: &str, name: &str, api: &str) -> Vec<(&'static str, String)> {
        let made = |path: &str, body: Value| {
            let (status, _, made) = self.ask(admin, "POST", path, Some(body));
            assert_eq!(status, 200, "{path}: {made}");
            made
        };
        let zone = self.ask(admin, "GET", "/zones", None).2["items"][0]["id"].as_str().unwrap().to_owned();
        let identifier = format!("https://{name}.example");
        let app = made(&format!("/zones/{zone}/applications"), json!({"name": name, "identifier": identifier}));
        let app = app["id"].as_str().unwrap();
        let body = json!({"name": "API", "identifier": api, "scopes": ["read"]});
        let resource = made(&format!("/zones/{zone}/resources"), body);
        let needs = format!("/zones/{zone}/applications/{app}/dependencies/{}", resource["id"].as_str().unwrap());
        assert_eq!(self.ask(admin, "PUT", &needs, None).0, 204);
        let body = json!({"type": "password", "application_id": app});
        let secret = made(&format!("/zones/{zone}/application-credentials"), body);
        vec![
            ("grant_type", "client_credentials".to_owned()),
            ("client_id", secret["identifier"].as_str().unwrap().to_owned()),
            ("client_secret", secret["password"].as_str().unwrap().to_owned()),
            ("resource", api.to_owned()),
        ]
    }
}

impl Drop for Alone {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn command(home: &Path, database: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_valetkey"));
    command.env_clear().env("HOME", home).env("VALETKEY_HOME", home).env("VALETKEY_ZONE_DATABASE", database);
    command
}

pub(crate) fn spawn(home: &Path, database: &str, flags: &[&str]) -> (Child, String, Vec<String>) {
    let mut child = command(home, database)
        .args(["zone", "serve", "--listen", "127.0.0.1:0", "--owner", "ada"])
        .args(flags)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let mut said = Vec::new();
    let address = loop {
        let Some(Ok(line)) = lines.next() else { panic!("it did not start: {}", said.join("\n")) };
        match line.split_once(" is served at ") {
            Some((_, address)) => break address.to_owned(),
            None => said.push(line),
        }
    };
    // What it says later is read, so that it never waits for a reader.
    thread::spawn(move || lines.for_each(drop));
    (child, address, said)
}

/// A request on a connection of its own; status, head and body.
fn ask(address: &str, host: &str, token: &str, method: &str, path: &str, body: Option<Value>) -> (u16, String, Value) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let body = body.map_or_else(String::new, |body| body.to_string());
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {token}\r\nconnection: close\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, head.to_lowercase(), serde_json::from_str(body).unwrap_or(Value::Null))
}

/// An empty schema of the tests' PostgreSQL.
pub(crate) fn postgres() -> String {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/postgres");
    let said = Command::new(script).output().unwrap();
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    let url = String::from_utf8(said.stdout).unwrap();
    let schema = format!("it_{}_{}", std::process::id(), SCHEMAS.fetch_add(1, Ordering::SeqCst));
    let made = Command::new("psql").args([&url, "-qc", &format!("CREATE SCHEMA {schema}")]).status().unwrap();
    assert!(made.success());
    format!("{url}?options[search_path]={schema}")
}

/// How many were made by this process.
static SCHEMAS: AtomicU32 = AtomicU32::new(0);

/// Carries connections to a server, until it is told to cut them.
struct Cable {
    address: SocketAddr,
    cut: Arc<Mutex<(bool, Vec<TcpStream>)>>,
}

impl Cable {
    fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let cut = Arc::new(Mutex::new((false, Vec::new())));
        let state = Arc::clone(&cut);
        thread::spawn(move || {
            for near in listener.incoming().map_while(Result::ok) {
                let mut state = state.lock().unwrap();
                if state.0 {
                    continue;
                }
                let far = TcpStream::connect(server).unwrap();
                for (mut from, mut to) in [
                    (near.try_clone().unwrap(), far.try_clone().unwrap()),
                    (far.try_clone().unwrap(), near.try_clone().unwrap()),
                ] {
                    thread::spawn(move || {
                        let _ = std::io::copy(&mut from, &mut to);
                        let _ = to.shutdown(std::net::Shutdown::Both);
                    });
                }
                state.1.extend([near, far]);
            }
        });
        Self { address, cut }
    }

    fn set(&self, is_cut: bool) {
        let mut state = self.cut.lock().unwrap();
        state.0 = is_cut;
        if is_cut {
            for stream in state.1.drain(..) {
                let _ = stream.shutdown(std::net::Shutdown::Both);
            }
        }
    }
}

fn a_zone_alone_is_managed_with_a_token(database: &str) {
    let alone = Alone::start(database);
    let token = alone.valetkey(&["token", "create", "--name", "ci", "--scope", "zones:read,applications:write"]);
    assert!(token.starts_with("vk_live_"), "{token}");
    let (status, _, zones) = alone.ask(&token, "GET", "/zones", None);
    assert_eq!(status, 200, "{zones}");
    let zone = zones["items"][0]["id"].as_str().unwrap();
    let issuer = &zones["items"][0]["protocols"]["oauth2"]["issuer"];
    assert_eq!(issuer, &format!("http://{}", alone.address));
    let apps = format!("/zones/{zone}/applications");
    let body = json!({"name": "a", "identifier": "https://a.example"});
    assert_eq!(alone.ask(&token, "POST", &apps, Some(body)).0, 200);
    assert_eq!(alone.ask(&token, "GET", &format!("/zones/{zone}/secrets"), None).0, 403);
    assert_eq!(ask(&alone.address, "evil.example", &token, "GET", "/zones", None).0, 421);
    let listed: Value = serde_json::from_str(&alone.valetkey(&["token", "list", "--json"])).unwrap();
    assert_eq!((&listed["name"], &listed["status"]), (&json!("ci"), &json!("active")));
    let api = |arguments: &[&str]| {
        let mut command = command(alone.home.path(), &alone.database);
        command.env("VALETKEY_API_URL", format!("http://{}", alone.address)).env("VALETKEY_API_TOKEN", &token);
        let output = command.args(["agent", "api"]).args(arguments).output().unwrap();
        (output.status.code().unwrap(), serde_json::from_slice::<Value>(&output.stdout).unwrap_or_default())
    };
    let (code, page) = api(&["/zones/{zone}/applications?filter[identifier]=https://a.example"]);
    assert_eq!((code, &page["items"][0]["name"]), (0, &json!("a")));
    let path = format!("{apps}/{}", page["items"][0]["id"].as_str().unwrap());
    let (code, changed) = api(&[&path, "-X", "patch", "-d", r#"{"name": "b"}"#]);
    assert_eq!((code, &changed["name"]), (0, &json!("b")));
    assert_eq!(api(&["/zones/{zone}/applications/x"]).0, 1);
    assert_eq!(api(&[&path, "-X", "DELETE"]), (0, Value::Null));
    let rotated = alone.valetkey(&["token", "rotate", "--id", listed["id"].as_str().unwrap()]);
    assert_eq!(alone.ask(&token, "GET", "/zones", None).0, 401);
    assert_eq!(alone.ask(&rotated, "GET", "/zones", None).0, 200);
}

/// `valetkey token` against a zone elsewhere: it has a database's URL and password nowhere.
fn tokens_are_made_over_http(database: &str) {
    let alone = Alone::start(database);
    let token = |with: &str, arguments: &[&str]| {
        let elsewhere = tempfile::tempdir().unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_valetkey"));
        command.env_clear().env("HOME", elsewhere.path()).env("VALETKEY_HOME", elsewhere.path());
        command.env("VALETKEY_API_URL", format!("http://{}", alone.address)).env("VALETKEY_API_TOKEN", with);
        let output = command.arg("token").args(arguments).output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap().trim().to_owned(), stderr)
    };
    let make = |with: &str, scopes: &str, more: &[&str]| {
        let arguments = [&["create", "--name", "made", "--scope", scopes], more].concat();
        token(with, &arguments)
    };
    let first = ["token", "create", "--name", "ops", "--scope", "api-tokens:write,zones:read", "--expires", "2d"];
    let first = alone.valetkey(&first);
    let (code, made, _) = make(&first, "zones:read", &["--expires", "1d"]);
    assert_eq!(code, 0);
    assert!(made.starts_with("vk_live_"), "{made}");
    assert_eq!(alone.ask(&made, "GET", "/zones", None).0, 200);
    // Neither more than it has itself, nor for longer, nor without the scope to make any.
    for (with, scopes, more) in [
        (&first, "admin", ["--expires", "1d"].as_slice()),
        (&first, "zones:write", &["--expires", "1d"]),
        (&first, "*:read", &["--expires", "1d"]),
        (&first, "zones:read", &["--expires", "3d"]),
        (&first, "zones:read", &[]),
        (&made, "zones:read", &["--expires", "1h"]),
    ] {
        let (code, stdout, stderr) = make(with, scopes, more);
        assert_eq!((code, stdout.as_str()), (1, ""), "{scopes} {more:?}");
        assert!(stderr.contains("403"), "{stderr}");
    }
    let admin = alone.valetkey(&["token", "create", "--name", "root", "--scope", "admin"]);
    let (_, listed, _) = token(&first, &["list", "--json"]);
    let listed: Vec<Value> = listed.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let names: Vec<&str> = listed.iter().map(|token| token["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["ops", "made", "root"]);
    assert!(listed.iter().all(|token| token["status"] == "active" && token.get("token").is_none()), "{listed:?}");
    let id = |at: usize| listed[at]["id"].as_str().unwrap();
    // To rotate a stronger one would be to hold it.
    assert_eq!(token(&first, &["rotate", "--id", id(2)]).0, 1);
    let (code, successor, _) = token(&first, &["rotate", "--id", id(1)]);
    assert_eq!(code, 0);
    assert_eq!(alone.ask(&made, "GET", "/zones", None).0, 401);
    assert_eq!(alone.ask(&successor, "GET", "/zones", None).0, 200);
    assert_eq!(token(&admin, &["revoke", "--token-id", id(0)]).0, 0);
    assert_eq!(token(&admin, &["revoke", "--token-id", id(0)]).0, 1);
    assert_eq!(token(&first, &["list"]).0, 77);
    let (_, table, _) = token(&admin, &["list"]);
    assert!(table.lines().next().unwrap().contains("revoked"), "{table}");
    let problem =
        alone.ask(&admin, "POST", "/organizations/own/api-tokens", Some(json!({"name": "", "scopes": ["x"]})));
    assert_eq!((problem.0, problem.2["code"].as_str()), (400, Some("bad_request")));
}

#[test]
fn tokens_are_made_over_http_on_a_file() {
    tokens_are_made_over_http("{home}/team.db");
}

#[test]
fn tokens_are_made_over_http_on_postgresql() {
    tokens_are_made_over_http(&postgres());
}

/// A listener on this machine that answers with a client's keys, and tells whether anybody asked.
fn keys_of(key: &valetkey::jose::SigningKey) -> (String, Arc<AtomicU32>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}/keys", listener.local_addr().unwrap());
    let (asked, body) = (Arc::new(AtomicU32::new(0)), json!({ "keys": [key.public()] }).to_string());
    let counted = Arc::clone(&asked);
    thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            counted.fetch_add(1, Ordering::SeqCst);
            let _ = stream.read(&mut [0; 4096]);
            let length = body.len();
            let _ = write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{body}");
        }
    });
    (address, asked)
}

#[test]
fn a_client_sends_the_zone_to_no_address_of_this_machine_unless_it_was_allowed() {
    let key = valetkey::jose::SigningKey::generate().unwrap();
    for (flags, expected, asked_for) in [([].as_slice(), 401, 0), (&["--allow-private-fetch"], 400, 1)] {
        let alone = Alone::start_with("{home}/team.db", flags);
        let (keys, asked) = keys_of(&key);
        let token = alone.valetkey(&["token", "create", "--name", "ci", "--scope", "admin"]);
        let zone = alone.ask(&token, "GET", "/zones", None).2["items"][0]["id"].as_str().unwrap().to_owned();
        let app = json!({"name": "a", "identifier": "https://a.example"});
        let app = alone.ask(&token, "POST", &format!("/zones/{zone}/applications"), Some(app)).2;
        let credential =
            json!({"type": "public-key", "application_id": app["id"], "identifier": "own-key", "jwks_uri": keys});
        let path = format!("/zones/{zone}/application-credentials");
        assert_eq!(alone.ask(&token, "POST", &path, Some(credential)).0, 200);
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
        let claims = json!({"iss": "own-key", "sub": "own-key", "aud": format!("http://{}", alone.address),
            "jti": "1", "iat": now, "exp": now + 60});
        let assertion = key.sign("JWT", &claims).unwrap();
        let form = format!(
            "grant_type=client_credentials&resource=https%3A%2F%2Fnowhere.example&client_assertion={}\
             &client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer",
            assertion.expose_str().unwrap()
        );
        let mut stream = TcpStream::connect(&alone.address).unwrap();
        write!(
            stream,
            "POST /oauth/2/token HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\
             content-type: application/x-www-form-urlencoded\r\ncontent-length: {}\r\n\r\n{form}",
            alone.address,
            form.len()
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.1 {expected} ")), "{flags:?}: {answer}");
        assert_eq!(asked.load(Ordering::SeqCst), asked_for, "{flags:?}");
    }
}

#[test]
fn a_zone_alone_on_a_file_is_managed_with_a_token() {
    a_zone_alone_is_managed_with_a_token("{home}/team.db");
}

#[test]
fn a_zone_alone_on_postgresql_is_managed_with_a_token() {
    a_zone_alone_is_managed_with_a_token(&postgres());
}

/// A browser's worth of requests: it keeps its cookie and sends forms back.
struct Visitor<'a> {
    address: &'a str,
    cookie: String,
}

impl<'a> Visitor<'a> {
    fn new(address: &'a str) -> Self {
        Self { address, cookie: String::new() }
    }

    /// Status, head and page.
    fn visit(&mut self, method: &str, path: &str, form: &[(&str, &str)]) -> (u16, String, String) {
        let fields = form.iter().fold(valetkey::http::Form::new(), |form, (name, value)| form.field(name, value));
        let body = String::from_utf8(fields.into_bytes().to_vec()).unwrap();
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nhost: {}\r\ncookie: {}\r\nconnection: close\r\n\
             content-type: application/x-www-form-urlencoded\r\ncontent-length: {}\r\n\r\n{body}",
            self.address,
            self.cookie,
            body.len()
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, page) = answer.split_once("\r\n\r\n").unwrap();
        if let Some(set) = head.lines().find_map(|line| line.strip_prefix("set-cookie: ")) {
            set.split(';').next().unwrap().clone_into(&mut self.cookie);
        }
        (head.split(' ').nth(1).unwrap().parse().unwrap(), head.to_owned(), page.to_owned())
    }

    /// Opens a link and chooses a password on its page.
    fn choose(&mut self, link: &str, password: &str) {
        let path = link.split_once(self.address).unwrap().1;
        let (status, _, page) = self.visit("GET", path, &[]);
        assert_eq!(status, 200, "{page}");
        let (action, name) = (path.split('?').next().unwrap(), path.split(['?', '=']).nth(1).unwrap());
        let form = [("mark", field(&page, "mark")), (name, field(&page, name)), ("new", password.to_owned())];
        let form: Vec<(&str, &str)> = form.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let (status, head, page) = self.visit("POST", action, &form);
        assert!(status == 303 && head.contains("location: /account"), "{head}\n{page}");
        assert!(self.visit("GET", "/account", &[]).2.contains("Browsers where you are signed in"));
    }
}

fn field(page: &str, name: &str) -> String {
    page.split(&format!("name=\"{name}\" value=\"")).nth(1).unwrap().split('"').next().unwrap().to_owned()
}

fn a_team_comes_in(database: &str) {
    let alone = Alone::start(database);
    let link = alone.said.iter().find_map(|line| line.split_once("to choose one: ")).unwrap().1;
    Visitor::new(&alone.address).choose(link, "correct horse battery");
    assert_eq!(Visitor::new(&alone.address).visit("GET", link.split_once(&alone.address).unwrap().1, &[]).0, 400);
    let token = alone.valetkey(&["token", "create", "--name", "ci", "--scope", "admin"]);
    let organization =
        alone.ask(&token, "GET", "/organizations", None).2["items"][0]["id"].as_str().unwrap().to_owned();
    let body = json!({"email": "bob@example.com", "role": "org_admin"});
    let path = format!("/organizations/{organization}/invitations");
    let (status, _, invited) = alone.ask(&token, "POST", &path, Some(body));
    assert_eq!(status, 200, "{invited}");
    Visitor::new(&alone.address).choose(invited["url"].as_str().unwrap(), "battery staple horse");
    // Bob signs in with the password, in another browser.
    let mut bob = Visitor::new(&alone.address);
    let page = bob.visit("GET", "/sign-in", &[]).2;
    let mark = field(&page, "mark");
    let form = [("mark", mark.as_str()), ("name", "bob@example.com"), ("password", "battery staple horse")];
    assert_eq!(bob.visit("POST", "/sign-in", &form).0, 303);
    // By the address, which is no name: nobody showed that it is theirs.
    assert!(bob.visit("GET", "/account", &[]).2.contains("<h1>bob-"));
    // A zone that is made here is served at its own name, with a key that is rotated by itself.
    let (status, _, zone) = alone.ask(&token, "POST", "/zones", Some(json!({"name": "second"})));
    assert_eq!(status, 200, "{zone}");
    let id = zone["id"].as_str().unwrap();
    let host = format!("{id}.localhost:{}", alone.address.rsplit(':').next().unwrap());
    let at = |path: &str| ask(&alone.address, &host, "", "GET", path, None);
    let issuer = at("/.well-known/openid-configuration").2["issuer"].clone();
    assert_eq!((&issuer, issuer.as_str()), (&zone["protocols"]["oauth2"]["issuer"], Some(&*format!("http://{host}"))));
    let before = at("/openidconnect/jwks").2["keys"].clone();
    alone.valetkey(&["zone", "rotate-key", "--zone", id]);
    let after = at("/openidconnect/jwks").2["keys"].clone();
    let (before, after) = (before.as_array().unwrap(), after.as_array().unwrap());
    assert_eq!(after.len(), 2 * before.len());
    assert!(before.iter().all(|key| after.contains(key)), "{after:?}");
    assert_eq!(at("/zones").0, 404);
    assert_eq!(ask(&alone.address, &host.replace(id, "z"), "", "GET", "/openidconnect/jwks", None).0, 421);
    // Whoever has a password is not welcomed again.
    let home = alone.home.path().to_owned();
    let (mut again, _, said) = spawn(&home, &alone.database, &[]);
    again.kill().unwrap();
    again.wait().unwrap();
    assert!(said.iter().all(|line| !line.contains("welcome")), "{said:?}");
}

#[test]
fn a_team_comes_in_to_a_zone_alone_on_a_file() {
    a_team_comes_in("{home}/team.db");
}

#[test]
fn a_team_comes_in_to_a_zone_alone_on_postgresql() {
    a_team_comes_in(&postgres());
}

/// What SQLite itself finds wrong with a file, and rows that speak of others that are not there: nothing.
fn is_sound(file: &str) {
    let look = async {
        sqlx::any::install_default_drivers();
        let mut connection =
            <sqlx::AnyConnection as sqlx::Connection>::connect(&format!("sqlite://{file}")).await.unwrap();
        let said: Vec<String> = sqlx::query_scalar("PRAGMA integrity_check").fetch_all(&mut connection).await.unwrap();
        assert_eq!(said, ["ok"]);
        let lost = sqlx::query("PRAGMA foreign_key_check").fetch_all(&mut connection).await.unwrap();
        assert_eq!(lost.len(), 0);
        sqlx::Connection::close(connection).await.unwrap();
    };
    tokio::runtime::Runtime::new().unwrap().block_on(look);
}

#[test]
fn what_was_written_survives_a_kill() {
    let mut alone = Alone::start("sqlite:{home}/team.db");
    let token = alone.valetkey(&["token", "create", "--name", "ci", "--scope", "admin"]);
    let zone = alone.ask(&token, "GET", "/zones", None).2["items"][0]["id"].as_str().unwrap().to_owned();
    let apps = format!("/zones/{zone}/applications");
    for round in 0..5 {
        let address = alone.address.clone();
        let writer = {
            let (token, apps) = (token.clone(), apps.clone());
            thread::spawn(move || {
                let mut made = 0;
                for number in 0..200 {
                    let identifier = format!("https://a{round}-{number}.example");
                    let body = json!({"name": "a", "identifier": identifier}).to_string();
                    let Ok(mut stream) = TcpStream::connect(&address) else { break };
                    let sent = write!(
                        stream,
                        "POST {apps} HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {token}\r\nconnection: close\r\n\
                         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
                        body.len()
                    );
                    let mut answer = String::new();
                    if sent.is_err() || stream.read_to_string(&mut answer).is_err() || !answer.contains(" 200 ") {
                        break;
                    }
                    made += 1;
                }
                made
            })
        };
        // At no moment in particular.
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        thread::sleep(Duration::from_millis(60 + u64::from(now.subsec_micros() % 120)));
        alone.child.kill().unwrap();
        alone.child.wait().unwrap();
        is_sound(alone.database.trim_start_matches("sqlite:"));
        let made = writer.join().unwrap();
        (alone.child, alone.address, alone.said) = spawn(alone.home.path(), &alone.database, &[]);
        let path = format!("{apps}?query[identifier]=a{round}-&expand[]=total_count&limit=1");
        let (status, _, found) = alone.ask(&token, "GET", &path, None);
        assert_eq!(status, 200, "{found}");
        let found = found["pagination"]["total_count"].as_i64().unwrap();
        // The last one may have been written without an answer.
        assert!((made..=made + 1).contains(&found), "{made} answered, {found} found");
    }
}

#[test]
fn a_database_that_goes_away_gives_503_and_comes_back_without_a_restart() {
    let url = postgres();
    let server = url.split('@').nth(1).unwrap().split('/').next().unwrap();
    let cable = Cable::to(server.parse().unwrap());
    let alone = Alone::start(&url.replace(server, &cable.address.to_string()));
    let token = alone.valetkey(&["token", "create", "--name", "ci", "--scope", "admin"]);
    assert_eq!(alone.ask(&token, "GET", "/zones", None).0, 200);
    cable.set(true);
    let (status, head, body) = alone.ask(&token, "GET", "/zones", None);
    assert_eq!((status, &body["code"]), (503, &json!("unavailable")));
    assert!(head.contains("retry-after: 5"), "{head}");
    cable.set(false);
    // A connection that broke may be met once more.
    let back = (0..20).any(|_| alone.ask(&token, "GET", "/zones", None).0 == 200);
    assert!(back, "it did not come back");
    assert_eq!(alone.ask(&token, "GET", "/zones", None).0, 200);
}

/// Requests by the thousand that its description allows, and as many that it forbids.
#[test]
fn no_request_makes_the_api_fail_or_answer_what_its_description_does_not_have() {
    let alone = Alone::start("{home}/team.db");
    let token = alone.valetkey(&["token", "create", "--name", "st", "--scope", "admin"]);
    let zone = alone.ask(&token, "GET", "/zones", None).2["items"][0].clone();
    // Most of the paths lead somewhere only in a zone that there is.
    let (zone, organization) = (zone["id"].as_str().unwrap(), zone["organization_id"].as_str().unwrap());
    let known = format!("[parameters]\n\"path.zone_id\" = \"{zone}\"\n\"path.organization_id\" = \"{organization}\"\n");
    std::fs::write(alone.home.path().join("schemathesis.toml"), known).unwrap();
    let checks = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance";
    let output = Command::new(tool("venv/bin/st"))
        .current_dir(alone.home.path())
        .args(["run", &format!("http://{}/openapi.json", alone.address), "--workers", "1", "--seed", "1"])
        .args(["-H", &format!("Authorization: Bearer {token}"), "--checks", checks])
        .args(["--max-examples", "10", "--phases", "coverage,fuzzing", "--continue-on-failure"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let last: Vec<&str> = said.lines().rev().take(60).collect();
    assert!(output.status.success(), "{}", last.into_iter().rev().collect::<Vec<_>>().join("\n"));
    assert!(said.contains("Tested: "), "{said}");
}
