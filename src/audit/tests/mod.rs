//! The ledger as its users see it, told against a [`Bench`].

#![allow(clippy::print_stderr, reason = "a skipped test and a measurement say so")]

mod durability;
mod leading;
mod measure;
mod reading;
mod starting;
mod tampering;
mod writing;

use std::fs;
use std::path::Path as FilePath;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::sync::atomic::Ordering;
use std::time::Duration;

use hyper::Method;

use super::*;
use crate::agent::Caller;
use crate::agent::Session;
use crate::credential::Provenance;
use crate::credential::SourceKind;
use crate::model::AgentName;
use crate::model::Authority;
use crate::model::Clock;
use crate::model::CredentialHeader;
use crate::model::Path;
use crate::model::PathForms;
use crate::model::ResourceId;
use crate::model::Scheme;
use crate::model::Scopes;
use crate::model::Secret;
use crate::model::SessionId;
use crate::model::Timestamp;
use crate::model::UserName;
use crate::policy::Action;
use crate::policy::Permit;
use crate::resource::Cookies;
use crate::resource::HostPattern;
use crate::resource::PrivateAddresses;
use crate::resource::Resource;
use crate::resource::Source;

/// A clock that stands still until it is wound.
struct HandClock(AtomicI64);

impl HandClock {
    fn wind(&self, by: Duration) {
        self.0.fetch_add(i64::try_from(by.as_millis()).unwrap(), Ordering::SeqCst);
    }
}

impl Clock for HandClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::SeqCst))
    }

    fn monotonic(&self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.load(Ordering::SeqCst)).unwrap())
    }
}

/// A ledger in a folder of its own.
struct Bench {
    root: tempfile::TempDir,
    clock: Arc<HandClock>,
    session: Arc<Session>,
    resource: Arc<Resource>,
}

impl Bench {
    fn new() -> Self {
        let session = Session {
            id: SessionId::from_random([7; 16]),
            agent: AgentName::parse("curl").unwrap(),
            user: UserName::parse("ann@example.com").unwrap(),
            opened_at: Timestamp::from_millis(0),
            caller: Caller { pid: Some(42), program: Some("/usr/bin/curl".into()) },
            ended: Default::default(),
        };
        let resource = Resource {
            instance: crate::resource::ResourceInstance::next(),
            identifier: ResourceId::parse("https://api.example.com/").unwrap(),
            scheme: Scheme::Https,
            hosts: vec![HostPattern::parse("api.example.com").unwrap()],
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
        };
        // 2026-11-20T12:00:00Z
        let clock = Arc::new(HandClock(AtomicI64::new(1_795_176_000_000)));
        let root = tempfile::tempdir().unwrap();
        Self { root, clock, session: Arc::new(session), resource: Arc::new(resource) }
    }

    fn folder(&self) -> PathBuf {
        self.root.path().join("audit")
    }

    fn settings(&self) -> Settings {
        Settings::new(self.folder(), self.root.path().join("keys"))
    }

    fn open(&self) -> (Arc<Ledger>, Recovery) {
        self.open_with(self.settings())
    }

    fn open_with(&self, settings: Settings) -> (Arc<Ledger>, Recovery) {
        Ledger::open(settings, Arc::clone(&self.clock) as Arc<dyn Clock>).unwrap()
    }

    fn permit(&self) -> Permit {
        Permit::for_test(Arc::clone(&self.session), Arc::clone(&self.resource), Action::Read)
    }

    fn permitted(&self, ledger: &Arc<Ledger>) -> Entry {
        let mut entry = ledger.begin(get("/v1/things"));
        now(entry.permit(&self.permit())).unwrap();
        entry
    }

    fn requests(&self, ledger: &Arc<Ledger>, count: usize) {
        for _ in 0..count {
            self.permitted(ledger).complete(done());
        }
    }

    fn files(&self) -> Vec<String> {
        folder::files(&self.folder()).unwrap().iter().map(ToString::to_string).collect()
    }

    fn text(&self) -> String {
        self.files().iter().map(|name| fs::read_to_string(self.folder().join(name)).unwrap()).collect()
    }

    fn kinds(&self) -> Vec<String> {
        self.text().lines().map(|line| chain::Frame::parse(line.as_bytes()).unwrap().kind.to_owned()).collect()
    }

    fn verify(&self) -> Report {
        verify(&self.folder(), None, &self.settings().key_folder).unwrap()
    }

    fn records(&self, filter: Filter) -> (Vec<Record>, usize) {
        let mut records = Records::new(&self.folder(), filter);
        let mut found = Vec::new();
        records.read(|record| found.push(record)).unwrap();
        assert_eq!(records.damaged(), 0);
        let open = records.open().count();
        (found, open)
    }

    /// The only file, changed line by line.
    fn tamper(&self, change: impl FnOnce(&mut Vec<String>)) {
        let path = self.folder().join(&self.files()[0]);
        let mut lines: Vec<String> = fs::read_to_string(&path).unwrap().lines().map(str::to_owned).collect();
        change(&mut lines);
        fs::write(&path, lines.join("\n") + "\n").unwrap();
    }
}

fn get(path: &str) -> Opening {
    Opening {
        method: Method::GET,
        scheme: Some(Scheme::Https),
        authority: Some(Authority::parse("api.example.com:443").unwrap()),
        path: Some(Path::parse(path, PathForms::default()).unwrap()),
        pid: None,
        program: None,
    }
}

fn done() -> Completion {
    Completion { status: 200, bytes_in: 1, bytes_out: 2, outcome: Outcome::Ok, error: None }
}

/// Waits for a future in a thread without a runtime.
fn now<T>(future: impl Future<Output = T>) -> T {
    struct Unpark(std::thread::Thread);
    impl std::task::Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = std::task::Waker::from(Arc::new(Unpark(std::thread::current())));
    let (mut future, mut context) = (std::pin::pin!(future), std::task::Context::from_waker(&waker));
    loop {
        match future.as_mut().poll(&mut context) {
            std::task::Poll::Ready(value) => return value,
            std::task::Poll::Pending => std::thread::park(),
        }
    }
}

const DAY: Duration = Duration::from_secs(86_400);
