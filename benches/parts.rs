//! What the parts of a request cost: `cargo bench --bench parts`.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a program that measures ends when something is not as it must be"
)]

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

use divan::Bencher;
use divan::black_box;
use hyper::Method;
use valetkey::agent::Caller;
use valetkey::agent::Opening;
use valetkey::agent::Registry;
use valetkey::agent::Session;
use valetkey::audit;
use valetkey::audit::Completion;
use valetkey::audit::Ledger;
use valetkey::audit::Outcome;
use valetkey::config;
use valetkey::config::Origin;
use valetkey::model::AgentName;
use valetkey::model::Authority;
use valetkey::model::Clock;
use valetkey::model::Destination;
use valetkey::model::Host;
use valetkey::model::Path;
use valetkey::model::PathForms;
use valetkey::model::Scheme;
use valetkey::model::Timestamp;
use valetkey::model::UserName;
use valetkey::os::SystemClock;
use valetkey::policy::Facts;
use valetkey::policy::PolicySet;
use valetkey::policy::PolicyText;
use valetkey::resource::Resource;
use valetkey::resource::Resources;
use valetkey::tls::Alpn;
use valetkey::tls::CertificateAuthority;

fn main() {
    divan::main();
}

fn clock() -> Arc<dyn Clock> {
    Arc::new(SystemClock::new())
}

fn session() -> Arc<Session> {
    let (agent, user) = (AgentName::parse("claude").unwrap(), UserName::parse("ada").unwrap());
    Registry::new(clock()).open(Opening { agent, user, caller: Caller::default() }).unwrap().session
}

/// Five policies, one of which reads the path.
fn policies() -> PolicySet {
    let text = r#"
        @id("read") permit (principal == Agent::"claude", action == Action::"read", resource == Resource::"https://h0.example.com");
        @id("write") permit (principal in User::"ada", action == Action::"write", resource == Resource::"https://h0.example.com");
        @id("admin") forbid (principal, action, resource) when { context.path like "/admin/*" };
        @id("other") permit (principal == Agent::"other", action, resource);
        @id("tunnels") permit (principal, action == Action::"connect", resource);"#;
    PolicySet::parse(&[PolicyText { name: "bench.cedar".to_owned(), text: text.to_owned() }]).unwrap()
}

fn resources(count: usize) -> Vec<Arc<Resource>> {
    let listed =
        |number| format!("[[resource]]\nidentifier = \"https://h{number}.example.com\"\ncredential = \"none\"\n");
    let text: String = (0..count).map(listed).collect();
    let origin = Origin { name: "bench.toml", folder: std::path::Path::new("/"), environment: &|_| None };
    config::parse(&text, &origin).unwrap().resources
}

fn authority() -> Authority {
    Authority::parse("h0.example.com:443").unwrap()
}

fn facts<'a>(authority: &'a Authority, path: &'a str) -> Facts<'a> {
    let time = Timestamp::from_millis(0);
    Facts { method: &Method::GET, scheme: Scheme::Https, authority, path, time, websocket: false }
}

#[divan::bench]
fn decide_from_memory(bencher: Bencher) {
    let (set, session, resource, authority) = (policies(), session(), resources(1).remove(0), authority());
    bencher.bench_local(|| set.decide(black_box(&session), &resource, &facts(&authority, "/v1/items")).unwrap());
}

#[divan::bench]
fn decide_anew(bencher: Bencher) {
    let (set, session, resource, authority) = (policies(), session(), resources(1).remove(0), authority());
    let number = AtomicU64::new(0);
    bencher
        .with_inputs(|| format!("/v1/items/{}", number.fetch_add(1, Ordering::Relaxed)))
        .bench_local_values(|path| set.decide(&session, &resource, &facts(&authority, &path)).unwrap());
}

#[divan::bench(args = [10, 10_000])]
fn find_a_resource(bencher: Bencher, count: usize) {
    let resources = Resources::new(resources(count));
    let path = Path::parse("/v1/items", PathForms::default()).unwrap();
    let destination = Destination { scheme: Scheme::Https, authority: authority(), path };
    bencher.bench_local(|| resources.find(black_box(&destination), &Method::GET));
}

#[divan::bench(args = ["/repos/acme/site/issues", "/repos/acme/%7esite/caf%c3%a9"])]
fn spell_a_path(path: &str) -> Path {
    Path::parse(black_box(path), PathForms::default()).unwrap()
}

#[divan::bench]
fn mint_a_leaf(bencher: Bencher) {
    let folder = tempfile::tempdir().unwrap();
    let parent = Host::parse("example.com").unwrap();
    let authority = CertificateAuthority::open(&folder.path().join("ca"), &[parent], clock()).unwrap();
    let number = AtomicU64::new(0);
    bencher
        .with_inputs(|| Host::parse(&format!("h{}.example.com", number.fetch_add(1, Ordering::Relaxed))).unwrap())
        .bench_local_values(|host| authority.server_config(&host, Alpn::Http1).unwrap());
}

#[divan::bench]
fn find_a_leaf(bencher: Bencher) {
    let folder = tempfile::tempdir().unwrap();
    let host = Host::parse("example.com").unwrap();
    let authority =
        CertificateAuthority::open(&folder.path().join("ca"), std::slice::from_ref(&host), clock()).unwrap();
    bencher.bench_local(|| authority.server_config(black_box(&host), Alpn::Http1).unwrap());
}

/// Both lines of a record, on a real file.
#[divan::bench(threads = [1, 2])]
fn record_a_request(bencher: Bencher) {
    let folder = tempfile::tempdir().unwrap();
    let settings = audit::Settings::new(folder.path().join("audit"), folder.path().join("ca"));
    let (ledger, _) = Ledger::open(settings, clock()).unwrap();
    let (set, session, resource, authority) = (policies(), session(), resources(1).remove(0), authority());
    let path = Path::parse("/v1/items", PathForms::default()).unwrap();
    bencher.bench(|| {
        let mut entry = ledger.begin(audit::Opening {
            method: Method::GET,
            scheme: Some(Scheme::Https),
            authority: Some(authority.clone()),
            path: Some(path.clone()),
            pid: None,
            program: None,
        });
        let permit = set.decide(&session, &resource, &facts(&authority, "/v1/items")).unwrap();
        block_on(entry.permit(&permit));
        entry.complete(Completion { status: 200, bytes_in: 0, bytes_out: 100, outcome: Outcome::Ok, error: None });
    });
}

/// A permit is on record at once, or as soon as the thread that writes has written it.
fn block_on(work: impl Future<Output = Result<(), audit::Unrecorded>>) {
    let mut work = std::pin::pin!(work);
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    loop {
        if let std::task::Poll::Ready(recorded) = work.as_mut().poll(&mut context) {
            recorded.unwrap();
            return;
        }
        std::hint::spin_loop();
    }
}
