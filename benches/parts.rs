//! The parts of the request path, each alone: `cargo bench --bench parts`.

#![allow(clippy::unwrap_used, reason = "a program that measures ends when something is not as it must be")]

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;

use divan::Bencher;
use divan::black_box;
use divan::counter::ItemsCount;
use hyper::Method;
use valetkey::agent;
use valetkey::agent::Caller;
use valetkey::agent::Session;
use valetkey::audit;
use valetkey::audit::Completion;
use valetkey::audit::Ledger;
use valetkey::audit::Outcome;
use valetkey::model::AgentName;
use valetkey::model::Authority;
use valetkey::model::Clock;
use valetkey::model::CredentialHeader;
use valetkey::model::Destination;
use valetkey::model::Host;
use valetkey::model::Path;
use valetkey::model::PathForms;
use valetkey::model::ResourceId;
use valetkey::model::Scheme;
use valetkey::model::Timestamp;
use valetkey::model::UserName;
use valetkey::os::SystemClock;
use valetkey::policy::Facts;
use valetkey::policy::Permit;
use valetkey::policy::PolicySet;
use valetkey::policy::PolicyText;
use valetkey::resource::Cookies;
use valetkey::resource::HostPattern;
use valetkey::resource::PrivateAddresses;
use valetkey::resource::Resource;
use valetkey::resource::ResourceInstance;
use valetkey::resource::Resources;
use valetkey::resource::Source;
use valetkey::tls::Alpn;
use valetkey::tls::CertificateAuthority;

fn main() {
    divan::main();
}

/// One thread that nobody disturbs: begin, permit, complete, on a real file.
#[divan::bench]
fn ledger_record(bencher: Bencher<'_, '_>) {
    let ledger = OpenLedger::new();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let permit = permit();
    bencher
        .counter(ItemsCount::new(RECORDS))
        .bench_local(|| runtime.block_on(async { ledger.records(&permit, RECORDS).await }));
}

/// Two threads of a runtime, with tasks that all decide at once; the time is that of all records.
#[divan::bench]
fn ledger_record_contended(bencher: Bencher<'_, '_>) {
    let ledger = Arc::new(OpenLedger::new());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    let permit = Arc::new(permit());
    bencher.counter(ItemsCount::new(RECORDS)).bench_local(|| {
        let tasks: Vec<_> = (0..TASKS)
            .map(|_| {
                let (ledger, permit) = (Arc::clone(&ledger), Arc::clone(&permit));
                runtime.spawn(async move { ledger.records(&permit, RECORDS / TASKS).await })
            })
            .collect();
        runtime.block_on(async {
            for task in tasks {
                task.await.unwrap();
            }
        });
    });
}

/// The question was asked before.
#[divan::bench]
fn decide_known(bencher: Bencher<'_, '_>) {
    let (set, session, resource) = (five_policies(), session(), resource("api.example.com"));
    bencher.bench_local(|| black_box(decide(&set, &session, &resource, "/v1/things")));
}

/// Another path each time, and policies that read it: evaluated anew.
#[divan::bench]
fn decide_anew(bencher: Bencher<'_, '_>) {
    let (set, session, resource) = (five_policies(), session(), resource("api.example.com"));
    let next = AtomicUsize::new(0);
    bencher
        .with_inputs(|| format!("/v1/things/{}", next.fetch_add(1, Ordering::Relaxed)))
        .bench_local_refs(|path| black_box(decide(&set, &session, &resource, path)));
}

#[divan::bench(args = ["/v1/things", "/repos/owner/name/contents/src/a%20file.rs", "/a/b/c/d/e/f/g/h/i/j/k/l/m/n/o"])]
fn path_canonical(raw: &str) -> Path {
    Path::parse(black_box(raw), PathForms::default()).unwrap()
}

/// A host that has no leaf yet.
#[divan::bench(sample_count = 20, sample_size = 5)]
fn leaf_mint(bencher: Bencher<'_, '_>) {
    let (folder, hosts) = (tempfile::tempdir().unwrap(), hosts(200));
    let authority = CertificateAuthority::open(&folder.path().join("ca"), &hosts, clock()).unwrap();
    let mut fresh = hosts.iter();
    bencher
        .with_inputs(|| fresh.next().unwrap())
        .bench_local_values(|host| authority.server_config(host, Alpn::Http2AndHttp1).unwrap());
}

/// A host whose leaf is in memory.
#[divan::bench]
fn leaf_hit(bencher: Bencher<'_, '_>) {
    let (folder, hosts) = (tempfile::tempdir().unwrap(), hosts(1));
    let authority = CertificateAuthority::open(&folder.path().join("ca"), &hosts, clock()).unwrap();
    let host = hosts.first().unwrap();
    bencher.bench_local(|| authority.server_config(black_box(host), Alpn::Http2AndHttp1).unwrap());
}

#[divan::bench(args = [10, 10_000])]
fn resource_find(bencher: Bencher<'_, '_>, count: usize) {
    let all = hosts(count).iter().map(|host| resource(host.as_str())).collect();
    let resources = Resources::new(all);
    let destination = Destination {
        scheme: Scheme::Https,
        authority: Authority::parse(&format!("host-{}.example.com:443", count / 2)).unwrap(),
        path: Path::parse("/v1/things", PathForms::default()).unwrap(),
    };
    bencher.bench_local(|| resources.find(black_box(&destination), &Method::GET));
}

struct OpenLedger {
    ledger: Arc<Ledger>,
    opening: audit::Opening,
    _folder: tempfile::TempDir,
}

impl OpenLedger {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let settings = audit::Settings::new(folder.path().join("audit"), folder.path().join("keys"));
        let opening = audit::Opening {
            method: Method::GET,
            scheme: Some(Scheme::Https),
            authority: Some(authority()),
            path: Some(Path::parse("/v1/things/with/a/usual/path", PathForms::default()).unwrap()),
            pid: None,
            program: None,
        };
        Self { ledger: Ledger::open(settings, clock()).unwrap().0, opening, _folder: folder }
    }

    async fn records(&self, permit: &Permit, count: usize) {
        for _ in 0..count {
            let mut entry = self.ledger.begin(self.opening.clone());
            entry.permit(permit).await.unwrap();
            entry.complete(Completion { status: 200, bytes_in: 0, bytes_out: 512, outcome: Outcome::Ok, error: None });
        }
    }
}

fn permit() -> Permit {
    decide(&five_policies(), &session(), &resource("api.example.com"), "/v1/things")
}

fn decide(set: &PolicySet, session: &Arc<Session>, resource: &Arc<Resource>, path: &str) -> Permit {
    let (scheme, time) = (Scheme::Https, Timestamp::from_seconds(1_795_176_000));
    let authority = authority();
    let facts = Facts { method: &Method::GET, scheme, authority: &authority, path, time, websocket: false };
    set.decide(session, resource, &facts).unwrap()
}

fn five_policies() -> PolicySet {
    let text = r#"
        @id("read") permit (principal, action == Action::"read", resource) when { context.path like "/v1/*" };
        @id("issues") permit (principal, action == Action::"write", resource) when { context.path like "/issues/*" };
        @id("own") permit (principal == Agent::"claude", action in Action::"access", resource)
            when { context.user == "ann@example.com" };
        @id("no-admin") forbid (principal, action in Action::"access", resource) when { context.path like "/admin*" };
        @id("no-delete") forbid (principal, action in Action::"access", resource) when { context.method == "DELETE" };
    "#;
    PolicySet::parse(&[PolicyText { name: "five.cedar".to_owned(), text: text.to_owned() }]).unwrap()
}

fn session() -> Arc<Session> {
    let (agent, user) = (AgentName::parse("claude").unwrap(), UserName::parse("ann@example.com").unwrap());
    let caller = Caller { pid: Some(42), program: Some(std::path::Path::new("/usr/bin/claude").into()) };
    agent::Registry::new(clock()).open(agent::Opening { agent, user, caller }).unwrap().session
}

fn resource(host: &str) -> Arc<Resource> {
    Arc::new(Resource {
        instance: ResourceInstance::next(),
        identifier: ResourceId::parse(&format!("https://{host}/")).unwrap(),
        scheme: Scheme::Https,
        hosts: vec![HostPattern::parse(host).unwrap()],
        port: 443,
        paths: Vec::new(),
        methods: Vec::new(),
        path_forms: PathForms::default(),
        source: Source::None,
        header: CredentialHeader::bearer(),
        connect: None,
        extra_roots: Vec::new(),
        cookies: Cookies::Strip,
        private_addresses: PrivateAddresses::Refuse,
    })
}

fn authority() -> Authority {
    Authority::parse("api.example.com:443").unwrap()
}

fn hosts(count: usize) -> Vec<Host> {
    (0..count).map(|number| Host::parse(&format!("host-{number}.example.com")).unwrap()).collect()
}

fn clock() -> Arc<dyn Clock> {
    Arc::new(SystemClock::new())
}

/// Enough that the start of tasks does not count.
const RECORDS: usize = 960;
const TASKS: usize = 32;
