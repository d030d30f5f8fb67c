//! What the zone issues in a second, and what it costs: `cargo bench --bench zone -- --rounds 5 --seconds 2`.
//!
//! `valetkey zone serve` on SQLite and on PostgreSQL, in a process of its own, is asked over kept connections for tokens by
//! client credentials and by exchange, signed with each algorithm. One run, interleaved: each round measures each way
//! once, in a turning order; the table shows medians. CPU is the zone's own process, not the database's server and not the
//! client; tokens per second and core are what a core gives that does nothing else. Signatures by themselves are in a
//! table of their own, and so are pages of a list of a million.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program that measures ends when something is not as it must be"
)]

use std::collections::BTreeMap;
use std::fs;
use std::io::BufRead as _;
use std::io::BufReader;
use std::path::Path;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::time::Duration;
use std::time::Instant;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use hdrhistogram::Histogram;
use http_body_util::BodyExt as _;
use http_body_util::Full;
use hyper::Request;
use hyper::client::conn::http1::SendRequest;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use serde_json::json;
use tokio::net::TcpStream;

use valetkey::http::Form;
use valetkey::jose::Algorithm;
use valetkey::jose::SigningKey;
use valetkey::jose::hash_of;
use valetkey::model::Clock as _;
use valetkey::os::SystemClock;
use valetkey::zone;

const CONNECTIONS: usize = 8;
const APPLICATIONS: u32 = 1_000_000;
const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
const VERIFIER: &str = "a-verifier-of-more-than-43-characters-as-rfc-7636-asks-for";

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let after = |name: &str| args.iter().position(|arg| arg == name).and_then(|at| args.get(at + 1)).cloned();
    let rounds = after("--rounds").map_or(5, |text| text.parse().unwrap());
    let seconds = after("--seconds").map_or(2.0, |text| text.parse().unwrap());
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    signatures(rounds);
    runtime.block_on(tokens(rounds, Duration::from_secs_f64(seconds)));
    runtime.block_on(pages());
}

// --- signatures -----------------------------------------------------------------------------------------------------

fn signatures(rounds: usize) {
    let claims = json!({"iss": "https://zone.example", "sub": "app_0123456789", "aud": "https://api.example",
        "client_id": "app_0123456789", "scope": "read write", "iat": 1_800_000_000, "exp": 1_800_000_600, "jti": "x"});
    let keys: Vec<_> = Algorithm::ALL.into_iter().map(|kind| SigningKey::generate_for(kind).unwrap()).collect();
    let mut figures = vec![Vec::new(); keys.len()];
    for _ in 0..rounds {
        for (key, figures) in keys.iter().zip(&mut figures) {
            let (begun, mut count) = (Instant::now(), 0.0);
            while begun.elapsed() < Duration::from_millis(300) {
                key.sign("at+jwt", &claims).unwrap();
                count += 1.0;
            }
            figures.push(begun.elapsed().as_secs_f64() * 1e6 / count);
        }
    }
    println!("| a signature by itself | µs | per second and core |\n|---|---:|---:|");
    for (key, figures) in keys.iter().zip(&mut figures) {
        let micros = median(figures);
        println!("| {} | {micros:.0} | {:.0} |", key.algorithm().as_str(), 1e6 / micros);
    }
    println!();
}

// --- a zone ---------------------------------------------------------------------------------------------------------

/// A running `valetkey zone serve`.
struct Served {
    _home: tempfile::TempDir,
    child: Child,
    address: String,
    token: String,
    database: zone::Database,
}

impl Served {
    fn start(database: &str) -> Self {
        let home = tempfile::Builder::new().prefix("vk-bench-").tempdir().unwrap();
        let database = database.replace("{home}", home.path().to_str().unwrap());
        let command = || {
            let mut command = Command::new(env!("CARGO_BIN_EXE_valetkey"));
            command.env_clear().env("HOME", home.path()).env("VALETKEY_HOME", home.path());
            command.env("VALETKEY_ZONE_DATABASE", &database).env("RUST_LOG", "error");
            command
        };
        let mut serve = command();
        serve.args(["zone", "serve", "--listen", "127.0.0.1:0", "--owner", "ada"]).stderr(Stdio::piped());
        let mut child = serve.spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
        let line = lines.find(|line| line.contains(" is served at ")).expect("it starts");
        let address = line.rsplit(' ').next().unwrap().to_owned();
        std::thread::spawn(move || lines.for_each(drop));
        let made = command().args(["token", "create", "--name", "bench", "--scope", "admin"]).output().unwrap();
        let token = String::from_utf8(made.stdout).unwrap().trim().to_owned();
        let database = zone::Database::parse(&database).unwrap();
        Self { _home: home, child, address, token, database }
    }

    /// User and system time of the process, in microseconds.
    fn cpu_micros(&self) -> f64 {
        let text = fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        let fields: Vec<&str> = text.rsplit_once(')').unwrap().1.split_whitespace().collect();
        // utime and stime are the fields 14 and 15, in ticks of 10 ms.
        (fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()) * 10_000.0
    }

    async fn connect(&self) -> SendRequest<Full<Bytes>> {
        let stream = TcpStream::connect(&self.address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        sender
    }

    async fn manage(&self, method: &str, path: &str, body: Value) -> Value {
        let body = if body.is_null() { Bytes::new() } else { Bytes::from(body.to_string()) };
        let authorization = format!("Bearer {}", self.token);
        let kind = "application/json";
        let answer = send(&mut self.connect().await, method, path, &self.address, &authorization, kind, body).await;
        serde_json::from_slice(&answer).unwrap_or_default()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn send(
    sender: &mut SendRequest<Full<Bytes>>,
    method: &str,
    path: &str,
    host: &str,
    authorization: &str,
    kind: &str,
    body: Bytes,
) -> Bytes {
    let request = Request::builder().method(method).uri(path).header("host", host).header("content-type", kind);
    let request = request.header("authorization", authorization).body(Full::new(body)).unwrap();
    sender.ready().await.unwrap();
    let answer = sender.send_request(request).await.unwrap();
    let status = answer.status();
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    assert!(status.is_success(), "{method} {path}: {status} {}", String::from_utf8_lossy(&body));
    body
}

fn form(fields: &[(&str, &str)]) -> Bytes {
    fields.iter().fold(Form::new(), |form, (name, value)| form.field(name, value)).into_bytes()
}

// --- tokens ---------------------------------------------------------------------------------------------------------

/// A request for a token, and who makes it.
struct Way {
    name: String,
    served: usize,
    authorization: String,
    body: Bytes,
}

async fn tokens(rounds: usize, time: Duration) {
    let served = [("SQLite", Served::start("{home}/zone.db")), ("PostgreSQL", Served::start(&postgres()))];
    let mut ways = Vec::new();
    for (at, (database, served)) in served.iter().enumerate() {
        prepare(at, database, served, &mut ways).await;
    }
    let mut figures: BTreeMap<usize, [Vec<f64>; 4]> = BTreeMap::new();
    for round in 0..rounds {
        eprintln!("round {} of {rounds}", round + 1);
        for turn in 0..ways.len() {
            let at = (round + turn) % ways.len();
            let seen = load(&served[ways[at].served].1, &ways[at], time).await;
            for (figure, value) in figures.entry(at).or_default().iter_mut().zip(seen) {
                figure.push(value);
            }
        }
    }
    println!("| {CONNECTIONS} connections | tokens/s | p50 ms | p99 ms | CPU µs a token | tokens/s and core |");
    println!("|---|---:|---:|---:|---:|---:|");
    for (at, mut figures) in figures {
        let [rate, p50, p99, cpu] = figures.each_mut().map(|values| median(values));
        println!("| {} | {rate:.0} | {p50:.2} | {p99:.2} | {cpu:.0} | {:.0} |", ways[at].name, 1e6 / cpu);
    }
    println!();
}

async fn prepare(at: usize, database: &str, served: &Served, ways: &mut Vec<Way>) {
    let zone = served.manage("GET", "/zones", Value::Null).await["items"][0]["id"].as_str().unwrap().to_owned();
    let app = json!({"name": "Bench", "identifier": "https://bench.example", "consent": "implicit"});
    let app = served.manage("POST", &format!("/zones/{zone}/applications"), app).await["id"].clone();
    let secret = json!({"type": "password", "application_id": app});
    let secret = served.manage("POST", &format!("/zones/{zone}/application-credentials"), secret).await;
    let (id, secret) = (secret["identifier"].as_str().unwrap(), secret["password"].as_str().unwrap());
    let authorization = format!("Basic {}", STANDARD.encode(format!("{id}:{secret}")));
    let subject = session(served).await;
    for algorithm in Algorithm::ALL {
        let algorithm = algorithm.as_str();
        let api = format!("https://{algorithm}.example");
        let resource =
            json!({"name": "API", "identifier": api, "scopes": ["read"], "access_token_signing_alg": algorithm});
        let resource = served.manage("POST", &format!("/zones/{zone}/resources"), resource).await;
        let (app, resource) = (app.as_str().unwrap(), resource["id"].as_str().unwrap());
        served.manage("PUT", &format!("/zones/{zone}/applications/{app}/dependencies/{resource}"), Value::Null).await;
        let own = form(&[("grant_type", "client_credentials"), ("resource", &api)]);
        let exchange = form(&[
            ("grant_type", EXCHANGE),
            ("subject_token", &subject),
            ("subject_token_type", ACCESS_TOKEN),
            ("resource", &api),
        ]);
        for (grant, body) in [("client credentials", own), ("exchange", exchange)] {
            let name = format!("{grant}, {algorithm}, {database}");
            ways.push(Way { name, served: at, authorization: authorization.clone(), body });
        }
    }
}

/// A person's session token: what an exchange begins with.
async fn session(served: &Served) -> String {
    let now = SystemClock::new().now();
    let code = zone::code_for_owner(&served.database, "ada", &hash_of(VERIFIER), now).await.unwrap();
    let body = form(&[
        ("grant_type", "authorization_code"),
        ("client_id", zone::OWN_CLIENT),
        ("redirect_uri", zone::OWN_REDIRECT),
        ("code", code.expose_str().unwrap()),
        ("code_verifier", VERIFIER),
    ]);
    let request = Request::post("/oauth/2/token")
        .header("host", &served.address)
        .header("content-type", "application/x-www-form-urlencoded")
        .body(Full::new(body));
    let answer = served.connect().await.send_request(request.unwrap()).await.unwrap();
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    serde_json::from_slice::<Value>(&body).unwrap()["access_token"].as_str().unwrap().to_owned()
}

/// Tokens per second, the median and the 99th of a hundred in milliseconds, CPU per token in microseconds.
async fn load(served: &Served, way: &Way, time: Duration) -> [f64; 4] {
    let mut senders = Vec::new();
    for _ in 0..CONNECTIONS {
        let mut sender = served.connect().await;
        ask(&mut sender, &served.address, &way.authorization, &way.body).await;
        senders.push(sender);
    }
    let (cpu, begun) = (served.cpu_micros(), Instant::now());
    let tasks: Vec<_> = senders
        .into_iter()
        .map(|mut sender| {
            let (host, authorization, body) = (served.address.clone(), way.authorization.clone(), way.body.clone());
            tokio::spawn(async move {
                let mut latencies = histogram();
                while begun.elapsed() < time {
                    let sent = Instant::now();
                    ask(&mut sender, &host, &authorization, &body).await;
                    latencies.saturating_record(nanos(sent.elapsed()));
                }
                latencies
            })
        })
        .collect();
    let mut latencies = histogram();
    for task in tasks {
        latencies.add(task.await.unwrap()).unwrap();
    }
    let (elapsed, count) = (begun.elapsed().as_secs_f64(), latencies.len() as f64);
    let millis = |quantile| latencies.value_at_quantile(quantile) as f64 / 1e6;
    [count / elapsed, millis(0.5), millis(0.99), (served.cpu_micros() - cpu) / count]
}

async fn ask(sender: &mut SendRequest<Full<Bytes>>, host: &str, authorization: &str, body: &Bytes) {
    let kind = "application/x-www-form-urlencoded";
    send(sender, "POST", "/oauth/2/token", host, authorization, kind, body.clone()).await;
}

// --- pages ----------------------------------------------------------------------------------------------------------

/// A hundred of a million applications: the first page, one from the middle, one by another order, one by a filter.
async fn pages() {
    let served = Served::start("{home}/zone.db");
    let zone = served.manage("GET", "/zones", Value::Null).await["items"][0]["id"].as_str().unwrap().to_owned();
    let zone::Database::Sqlite(file) = &served.database else { panic!("a file") };
    fill(file, &zone).await;
    let list = format!("/zones/{zone}/applications?limit=100");
    let deep = served.manage("GET", &format!("{list}&sort=name&filter[slug]=bench-500000"), Value::Null).await;
    let deep = deep["page_info"]["end_cursor"].as_str().unwrap().to_owned();
    println!("| a page of 100 among {APPLICATIONS} applications, SQLite | p50 ms | p99 ms |\n|---|---:|---:|");
    for (name, path) in [
        ("the first", list.clone()),
        ("the first by name, backward", format!("{list}&sort=-name")),
        ("the one after the 500,000th by name", format!("{list}&sort=name&after={deep}")),
        ("by identifier", format!("{list}&identifier=https://bench-700000.example")),
    ] {
        let (mut latencies, mut sender) = (histogram(), served.connect().await);
        let authorization = format!("Bearer {}", served.token);
        for _ in 0..200 {
            let sent = Instant::now();
            let kind = "application/json";
            send(&mut sender, "GET", &path, &served.address, &authorization, kind, Bytes::new()).await;
            latencies.saturating_record(nanos(sent.elapsed()));
        }
        let millis = |quantile| latencies.value_at_quantile(quantile) as f64 / 1e6;
        println!("| {name} | {:.2} | {:.2} |", millis(0.5), millis(0.99));
    }
}

async fn fill(file: &Path, zone: &str) {
    sqlx::any::install_default_drivers();
    let url = format!("sqlite://{}", file.display());
    let mut connection = <sqlx::AnyConnection as sqlx::Connection>::connect(&url).await.unwrap();
    let rows = format!(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {APPLICATIONS})
         INSERT INTO applications (id, zone_id, kind, slug, identifier, name, created_at, updated_at)
         SELECT printf('app_bench%07d', i), '{zone}', 'software', 'bench-' || i,
             'https://bench-' || i || '.example', printf('Bench %07d', i), 1800000000000 + i, 1800000000000 + i FROM n"
    );
    sqlx::query(sqlx::AssertSqlSafe(rows)).execute(&mut connection).await.unwrap();
    sqlx::Connection::close(connection).await.unwrap();
}

// --- figures --------------------------------------------------------------------------------------------------------

/// An empty schema of the tests' PostgreSQL.
fn postgres() -> String {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/postgres");
    let said = Command::new(script).output().unwrap();
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    let url = String::from_utf8(said.stdout).unwrap();
    let schema = format!("bench_{}", std::process::id());
    let made = Command::new("psql").args([url.as_str(), "-qc", &format!("CREATE SCHEMA {schema}")]).status().unwrap();
    assert!(made.success());
    format!("{url}?options[search_path]={schema}")
}

fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 60_000_000_000, 3).unwrap()
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap()
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
