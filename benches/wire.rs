//! The whole daemon on the wire: against a direct connection and against a tunnel that only copies bytes.
//!
//! `cargo bench --bench wire -- --rounds 5 --seconds 2`. One run, interleaved: each round measures each way once,
//! in a turning order; the table shows medians and ratios. Policies, ledger and injection are on.

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
use std::convert::Infallible;
use std::fs;
use std::io::BufRead as _;
use std::io::BufReader;
use std::io::Read as _;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;
use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use hdrhistogram::Histogram;
use http_body_util::BodyExt as _;
use http_body_util::Empty;
use http_body_util::StreamBody;
use http_body_util::combinators::UnsyncBoxBody;
use hyper::Request;
use hyper::Response;
use hyper::body::Frame;
use hyper::body::Incoming;
use hyper::client::conn::http1::SendRequest;
use hyper_util::rt::TokioIo;
use rcgen::BasicConstraints;
use rcgen::CertificateParams;
use rcgen::IsCa;
use rcgen::Issuer;
use rcgen::KeyPair;
use rustls::ClientConfig;
use rustls::RootCertStore;
use rustls::ServerConfig;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::ServerName;
use rustls::pki_types::pem::PemObject as _;
use tokio::io::AsyncReadExt as _;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::TlsConnector;

const HOST: &str = "bench.example.test";
const WHOAMI: &str = "whoami.valetkey.internal";
const CONNECTIONS: [usize; 3] = [16, 64, 256];
const TUNNEL_WORKERS: usize = 8;
const SSE_EVENTS: usize = 200;

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let after = |name: &str| args.iter().position(|arg| arg == name).and_then(|at| args.get(at + 1)).cloned();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    if let Some(folder) = after("--serve-upstream") {
        return runtime.block_on(serve_upstream(Path::new(&folder)));
    }
    if let Some(upstream) = after("--serve-tunnel") {
        return runtime.block_on(serve_tunnel(upstream.parse().unwrap()));
    }
    let rounds = after("--rounds").map_or(5, |text| text.parse().unwrap());
    let seconds = after("--seconds").map_or(2.0, |text| text.parse().unwrap());
    runtime.block_on(measure(rounds, Duration::from_secs_f64(seconds)));
}

// --- the three ways -------------------------------------------------------------------------------------------------

/// A way from the client to the upstream.
#[derive(Clone)]
struct Way {
    name: &'static str,
    host: &'static str,
    address: String,
    /// What is written before TLS begins; nothing on the direct way.
    connect: Option<String>,
    tls: TlsConnector,
    /// The process in the middle.
    pid: Option<u32>,
}

impl Way {
    async fn open(&self) -> SendRequest<Empty<Bytes>> {
        let mut tcp = TcpStream::connect(&self.address).await.unwrap();
        tcp.set_nodelay(true).unwrap();
        if let Some(connect) = &self.connect {
            tcp.write_all(connect.as_bytes()).await.unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                assert_ne!(tcp.read_buf(&mut head).await.unwrap(), 0, "{}: the tunnel was closed", self.name);
            }
            assert!(head[8..].starts_with(b" 200"), "{}: {}", self.name, String::from_utf8_lossy(&head));
        }
        let tls = self.tls.connect(ServerName::try_from(self.host).unwrap(), tcp).await.unwrap();
        let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(tls)).await.unwrap();
        tokio::spawn(connection);
        sender
    }

    /// One request on a connection of its own.
    async fn get(&self, path: &str) {
        get(&mut self.open().await, self.host, path).await;
    }

    /// User and system time of the process in the middle, in microseconds.
    fn cpu_micros(&self) -> f64 {
        let Some(pid) = self.pid else { return 0.0 };
        let text = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        let fields: Vec<&str> = text.rsplit_once(')').unwrap().1.split_whitespace().collect();
        // utime and stime are the fields 14 and 15, in ticks of 10 ms.
        (fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()) * 10_000.0
    }
}

async fn get(sender: &mut SendRequest<Empty<Bytes>>, host: &str, path: &str) {
    let request = Request::get(path).header("host", host).body(Empty::new()).unwrap();
    let response = sender.send_request(request).await.unwrap();
    assert_eq!(response.status(), 200);
    response.into_body().collect().await.unwrap();
}

// --- what is measured -----------------------------------------------------------------------------------------------

/// Figures by name, one value a round.
type Figures = BTreeMap<(usize, String), BTreeMap<&'static str, Vec<f64>>>;

async fn measure(rounds: usize, time: Duration) {
    let home = tempfile::Builder::new().prefix("vk-bench-").tempdir().unwrap();
    let certificates = tempfile::tempdir().unwrap();
    write_certificates(certificates.path());
    let upstream = OtherEnd::start(&["--serve-upstream", certificates.path().to_str().unwrap()]);
    let tunnel = OtherEnd::start(&["--serve-tunnel", &upstream.port.to_string()]);
    let daemon = Daemon::start(home.path(), upstream.port, certificates.path());
    let session = daemon.session();
    let upstream_roots = connector(&certificates.path().join("ca.pem"));
    let connect = format!("CONNECT {HOST}:443 HTTP/1.1\r\nHost: {HOST}:443\r\n");
    let ways = [
        Way {
            name: "direct",
            host: HOST,
            address: format!("127.0.0.1:{}", upstream.port),
            connect: None,
            tls: upstream_roots.clone(),
            pid: None,
        },
        Way {
            name: "tunnel",
            host: HOST,
            address: format!("127.0.0.1:{}", tunnel.port),
            connect: Some(format!("{connect}\r\n")),
            tls: upstream_roots,
            pid: Some(tunnel.child.id()),
        },
        session.way(HOST, home.path(), &daemon),
    ];
    for way in &ways {
        way.get("/").await;
    }
    let mut figures = Figures::new();
    for round in 0..rounds {
        eprintln!("round {} of {rounds}", round + 1);
        for turn in 0..ways.len() {
            one_round(&ways[(round + turn) % ways.len()], time, &mut figures).await;
        }
    }
    drop(session);
    drop(daemon);
    for _ in 0..rounds {
        let challenge = challenge_millis(home.path());
        note(&mut figures, (90, "start to first challenge (ms)".to_owned()), "valetkey", challenge);
        let answer = answer_millis(home.path()).await;
        note(&mut figures, (91, "start to first answer of a protected API (ms)".to_owned()), "valetkey", answer);
    }
    print_table(&figures, rounds, time);
}

fn note(figures: &mut Figures, figure: (usize, String), way: &'static str, value: f64) {
    figures.entry(figure).or_default().entry(way).or_default().push(value);
}

async fn one_round(way: &Way, time: Duration, figures: &mut Figures) {
    let latency = load(way, 1, time).await;
    note(figures, (10, "latency p50, 1 connection (µs)".into()), way.name, latency.p50);
    note(figures, (11, "latency p99, 1 connection (µs)".into()), way.name, latency.p99);
    for (order, connections) in CONNECTIONS.into_iter().enumerate() {
        let load = load(way, connections, time).await;
        note(figures, (20 + order, format!("req/s, {connections} connections")), way.name, load.per_second);
        if way.pid.is_some() {
            note(figures, (30 + order, format!("CPU per request, {connections} connections (µs)")), way.name, load.cpu);
        }
    }
    let opened = tunnels(way, time).await;
    note(figures, (40, "new tunnels + TLS + GET per second".into()), way.name, opened.per_second);
    if way.pid.is_some() {
        note(figures, (41, "CPU per new tunnel (µs)".into()), way.name, opened.cpu);
    }
    let delays = event_delays(way).await;
    note(figures, (50, "SSE delay p50 (µs)".into()), way.name, delays.value_at_quantile(0.5) as f64 / 1000.0);
    note(figures, (51, "SSE delay p99 (µs)".into()), way.name, delays.value_at_quantile(0.99) as f64 / 1000.0);
}

struct Load {
    per_second: f64,
    cpu: f64,
    p50: f64,
    p99: f64,
}

async fn load(way: &Way, connections: usize, time: Duration) -> Load {
    let mut senders = Vec::new();
    for _ in 0..connections {
        senders.push(way.open().await);
    }
    for sender in &mut senders {
        get(sender, way.host, "/").await;
    }
    let cpu = way.cpu_micros();
    let begun = Instant::now();
    let host = way.host;
    let tasks: Vec<_> = senders
        .into_iter()
        .map(|mut sender| {
            tokio::spawn(async move {
                let mut latencies = histogram();
                while begun.elapsed() < time {
                    let sent = Instant::now();
                    get(&mut sender, host, "/").await;
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
    let elapsed = begun.elapsed().as_secs_f64();
    let count = latencies.len() as f64;
    Load {
        per_second: count / elapsed,
        cpu: (way.cpu_micros() - cpu) / count,
        p50: latencies.value_at_quantile(0.5) as f64 / 1000.0,
        p99: latencies.value_at_quantile(0.99) as f64 / 1000.0,
    }
}

async fn tunnels(way: &Way, time: Duration) -> Load {
    let cpu = way.cpu_micros();
    let begun = Instant::now();
    let tasks: Vec<_> = (0..TUNNEL_WORKERS)
        .map(|_| {
            let way = way.clone();
            tokio::spawn(async move {
                let mut count = 0_u32;
                while begun.elapsed() < time {
                    way.get("/").await;
                    count += 1;
                }
                count
            })
        })
        .collect();
    let mut count = 0;
    for task in tasks {
        count += task.await.unwrap();
    }
    let count = f64::from(count);
    let per_second = count / begun.elapsed().as_secs_f64();
    Load { per_second, cpu: (way.cpu_micros() - cpu) / count, p50: 0.0, p99: 0.0 }
}

/// Each event carries the moment of its sending.
async fn event_delays(way: &Way) -> Histogram<u64> {
    let mut delays = histogram();
    let mut sender = way.open().await;
    let request = Request::get("/sse").header("host", HOST).body(Empty::<Bytes>::new()).unwrap();
    let mut body = sender.send_request(request).await.unwrap().into_body();
    while let Some(frame) = body.frame().await {
        let Ok(event) = frame.unwrap().into_data() else { continue };
        let now = wall_nanos();
        let text = String::from_utf8_lossy(&event).into_owned();
        for sent in text.lines().filter_map(|line| line.strip_prefix("data: ")) {
            delays.saturating_record(now.saturating_sub(sent.parse().unwrap()));
        }
    }
    assert_eq!(delays.len(), SSE_EVENTS as u64, "{}: events are missing", way.name);
    delays
}

/// From the start of the process to its first challenge (407), with the certificates and the ledger of before.
fn challenge_millis(home: &Path) -> f64 {
    let proxy = fs::read_to_string(home.join("port")).unwrap();
    let begun = Instant::now();
    let mut child = daemon_command(home).arg("daemon").spawn().unwrap();
    let challenge = loop {
        assert!(begun.elapsed() < Duration::from_secs(30), "the daemon does not answer");
        if let Ok(mut tcp) = std::net::TcpStream::connect(format!("127.0.0.1:{proxy}")) {
            write!(tcp, "CONNECT {HOST}:443 HTTP/1.1\r\nHost: {HOST}:443\r\n\r\n").unwrap();
            let mut head = [0; 12];
            if tcp.read_exact(&mut head).is_ok() {
                break head;
            }
        }
        std::thread::sleep(Duration::from_micros(200));
    };
    let millis = begun.elapsed().as_secs_f64() * 1000.0;
    assert!(challenge.ends_with(b"407"), "{}", String::from_utf8_lossy(&challenge));
    child.kill().unwrap();
    child.wait().unwrap();
    millis
}

/// From the start of the process to the answer of the first permitted request of a session: `run` opens the session,
/// the zone issues the token, whoami verifies it.
async fn answer_millis(home: &Path) -> f64 {
    let begun = Instant::now();
    let daemon = Daemon::again(home);
    let session = daemon.session();
    session.way(WHOAMI, home, &daemon).get("/").await;
    begun.elapsed().as_secs_f64() * 1000.0
}

fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 60_000_000_000, 3).unwrap()
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap()
}

fn wall_nanos() -> u64 {
    nanos(SystemTime::UNIX_EPOCH.elapsed().unwrap())
}

// --- the table ------------------------------------------------------------------------------------------------------

fn print_table(figures: &Figures, rounds: usize, time: Duration) {
    let cores = std::thread::available_parallelism().unwrap();
    println!("Medians of {rounds} rounds of {time:?} each, {cores} cores, 6 policies, ledger and injection on.\n");
    println!("| figure | direct | tunnel | valetkey | × tunnel | × direct |");
    println!("|---|---:|---:|---:|---:|---:|");
    for ((_, name), ways) in figures {
        let median = |way: &str| {
            let mut values = ways.get(way)?.clone();
            values.sort_by(f64::total_cmp);
            Some(values[values.len() / 2])
        };
        let shown = |value: Option<f64>| value.map_or_else(String::new, |value| format!("{value:.0}"));
        let ours = median("valetkey");
        let ratio = |other: Option<f64>| match (ours, other) {
            (Some(ours), Some(other)) if other > 0.0 => format!("{:.2}", ours / other),
            _ => String::new(),
        };
        let (direct, tunnel) = (median("direct"), median("tunnel"));
        let cells = [shown(direct), shown(tunnel), shown(ours), ratio(tunnel), ratio(direct)];
        println!("| {name} | {} |", cells.join(" | "));
    }
}

// --- the daemon -----------------------------------------------------------------------------------------------------

struct Daemon {
    child: Child,
    home: std::path::PathBuf,
}

struct Session {
    child: Child,
    address: String,
    basic: String,
}

impl Daemon {
    fn start(home: &Path, upstream: u16, certificates: &Path) -> Self {
        let [proxy, zone, whoami] =
            [(); 3].map(|()| std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port());
        fs::write(home.join("port"), proxy.to_string()).unwrap();
        let secret = home.join("secret.txt");
        fs::write(&secret, "bench-secret").unwrap();
        fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).unwrap();
        let config = format!(
            "[proxy]\nlisten = \"127.0.0.1:{proxy}\"\n[zone]\nlisten = \"127.0.0.1:{zone}\"\n\
             [whoami]\nlisten = \"127.0.0.1:{whoami}\"\n[policy]\nfolder = \"policies\"\n\
             [[secret]]\nname = \"api\"\nfile = \"{}\"\n[[resource]]\nidentifier = \"https://{HOST}\"\n\
             hosts = [\"{HOST}\"]\ncredential = {{ source = \"stored\", secret = \"api\" }}\n\
             connect = \"127.0.0.1:{upstream}\"\nca = \"{}\"\nprivate = true\n",
            secret.display(),
            certificates.join("ca.pem").display()
        );
        fs::write(home.join("proxy.toml"), config).unwrap();
        fs::create_dir(home.join("policies")).unwrap();
        fs::write(home.join("policies/six.cedar"), POLICIES).unwrap();
        Self::again(home)
    }

    /// On a home that is prepared.
    fn again(home: &Path) -> Self {
        // what a killed daemon left would only look like a new one
        let _ = fs::remove_file(home.join("run/control.sock"));
        let child = daemon_command(home).arg("daemon").spawn().unwrap();
        let daemon = Self { child, home: home.to_owned() };
        let begun = Instant::now();
        while std::os::unix::net::UnixStream::connect(home.join("run/control.sock")).is_err() {
            assert!(begun.elapsed() < Duration::from_secs(30), "the daemon does not answer");
            std::thread::sleep(Duration::from_micros(200));
        }
        daemon
    }

    fn session(&self) -> Session {
        let mut child = daemon_command(&self.home)
            .args(["run", "--agent", "bench", "--", "sh", "-c", "echo $HTTPS_PROXY; cat"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let url = line.trim().trim_start_matches("http://").trim_end_matches('/');
        let (login, address) = url.rsplit_once('@').expect("`run` names a proxy with a login");
        Session { child, address: address.to_owned(), basic: STANDARD.encode(login) }
    }
}

impl Session {
    fn way(&self, host: &'static str, home: &Path, daemon: &Daemon) -> Way {
        let connect = format!("CONNECT {host}:443 HTTP/1.1\r\nHost: {host}:443\r\n");
        Way {
            name: "valetkey",
            host,
            address: self.address.clone(),
            connect: Some(format!("{connect}Proxy-Authorization: Basic {}\r\n\r\n", self.basic)),
            tls: connector(&home.join("state/ca/ca.pem")),
            pid: Some(daemon.child.id()),
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn daemon_command(home: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_valetkey"));
    command.env_clear().env("VALETKEY_HOME", home).env("HOME", home).env("PATH", std::env::var_os("PATH").unwrap());
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

const POLICIES: &str = r#"
@id("reads") permit(principal, action == Action::"read", resource == Resource::"https://bench.example.test");
@id("writes") permit(principal == Agent::"writer", action == Action::"write", resource);
@id("admin") forbid(principal, action, resource) when { context.path like "/admin/*" };
@id("deletes") forbid(principal, action, resource) when { context.method == "DELETE" };
@id("whoami") permit(principal, action == Action::"read", resource == Resource::"https://whoami.valetkey.internal");
@id("tunnels") permit(principal, action == Action::"connect", resource);
"#;

// --- the other ends -------------------------------------------------------------------------------------------------

/// This program once more, as a server in a process of its own.
struct OtherEnd {
    child: Child,
    port: u16,
}

impl OtherEnd {
    fn start(args: &[&str]) -> Self {
        let program = std::env::current_exe().unwrap();
        let mut child = Command::new(program).args(args).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Self { child, port: line.trim().parse().unwrap() }
    }
}

impl Drop for OtherEnd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn write_certificates(folder: &Path) {
    let ca_key = KeyPair::generate().unwrap();
    let mut ca = CertificateParams::new(Vec::<String>::new()).unwrap();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    fs::write(folder.join("ca.pem"), ca.self_signed(&ca_key).unwrap().pem()).unwrap();
    let key = KeyPair::generate().unwrap();
    let issuer = Issuer::new(ca, ca_key);
    let leaf = CertificateParams::new(vec![HOST.to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
    fs::write(folder.join("leaf.pem"), leaf.pem()).unwrap();
    fs::write(folder.join("leaf.key"), key.serialize_pem()).unwrap();
}

fn connector(pem_file: &Path) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(pem_file).unwrap() {
        roots.add(certificate.unwrap()).unwrap();
    }
    let mut config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    TlsConnector::from(Arc::new(config))
}

async fn listen() -> TcpListener {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("{}", listener.local_addr().unwrap().port());
    listener
}

async fn serve_upstream(folder: &Path) {
    let chain = CertificateDer::pem_file_iter(folder.join("leaf.pem")).unwrap().map(Result::unwrap).collect();
    let key = PrivateKeyDer::from_pem_file(folder.join("leaf.key")).unwrap();
    let mut config = ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key).unwrap();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let tls = TlsAcceptor::from(Arc::new(config));
    let listener = listen().await;
    loop {
        let (tcp, _) = listener.accept().await.unwrap();
        tcp.set_nodelay(true).unwrap();
        let tls = tls.clone();
        tokio::spawn(async move {
            let Ok(stream) = tls.accept(tcp).await else { return };
            let service = hyper::service::service_fn(answer);
            let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn answer(request: Request<Incoming>) -> Result<Response<UnsyncBoxBody<Bytes, Infallible>>, Infallible> {
    if request.uri().path() != "/sse" {
        let body = http_body_util::Full::new(Bytes::from_static(&[b'x'; 100]));
        return Ok(Response::new(body.boxed_unsync()));
    }
    let events = futures_util::stream::unfold(0, |sent| async move {
        if sent == SSE_EVENTS {
            return None;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
        Some((Ok(Frame::data(Bytes::from(format!("data: {}\n\n", wall_nanos())))), sent + 1))
    });
    Ok(Response::builder()
        .header("content-type", "text/event-stream")
        .body(StreamBody::new(events).boxed_unsync())
        .unwrap())
}

/// Opens nothing: reads a CONNECT, dials the upstream, copies bytes. The practical ceiling of any proxy.
async fn serve_tunnel(upstream: u16) {
    let listener = listen().await;
    loop {
        let (mut agent, _) = listener.accept().await.unwrap();
        agent.set_nodelay(true).unwrap();
        tokio::spawn(async move {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                if agent.read_buf(&mut head).await.unwrap_or(0) == 0 {
                    return;
                }
            }
            let mut there = TcpStream::connect(("127.0.0.1", upstream)).await.unwrap();
            there.set_nodelay(true).unwrap();
            if agent.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.is_ok() {
                let _ = tokio::io::copy_bidirectional(&mut agent, &mut there).await;
            }
        });
    }
}
