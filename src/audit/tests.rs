//! The ledger as its users see it: requests go in, files come out, and someone tampers with them.

use std::fs;
use std::path::Path as FilePath;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::sync::atomic::Ordering;
use std::time::Duration;

use hyper::Method;
use tokio_util::sync::CancellationToken;

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
            ended: CancellationToken::new(),
        };
        let resource = Resource {
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
        verify(&self.folder(), None).unwrap()
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

/// Polls a future that must not wait.
fn now<T>(future: impl Future<Output = T>) -> T {
    let mut future = std::pin::pin!(future);
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match future.as_mut().poll(&mut context) {
        std::task::Poll::Ready(value) => value,
        std::task::Poll::Pending => panic!("waited"),
    }
}

const DAY: Duration = Duration::from_secs(86_400);

#[test]
fn a_request_is_two_lines_and_one_record() {
    let bench = Bench::new();
    let (ledger, recovery) = bench.open();
    assert_eq!(recovery, Recovery { new: true, ..Recovery::default() });
    let mut entry = bench.permitted(&ledger);
    let id = entry.id().to_string();
    entry.credential(&Provenance {
        source: SourceKind::TokenExchange,
        issuer: Some("https://zone.example".to_owned()),
        scopes: Scopes::parse("read").unwrap(),
        fingerprint: Secret::new("hunter2").fingerprint(),
        expires_at: Some(bench.clock.now()),
        cached: true,
    });
    bench.clock.wind(Duration::from_millis(3));
    entry.first_byte();
    bench.clock.wind(Duration::from_millis(4));
    entry.complete(done());
    ledger.close();
    let json: serde_json::Value = serde_json::from_str(&bench.records(Filter::default()).0[0].to_json()).unwrap();
    for (key, value) in [
        ("id", serde_json::json!(id)),
        ("time", "2026-11-20T12:00:00.000Z".into()),
        ("completed_at", "2026-11-20T12:00:00.007Z".into()),
        ("user", "ann@example.com".into()),
        ("agent", "curl".into()),
        ("session", bench.session.id().as_str().into()),
        ("pid", 42.into()),
        ("program", "/usr/bin/curl".into()),
        ("method", "GET".into()),
        ("scheme", "https".into()),
        ("host", "api.example.com".into()),
        ("port", 443.into()),
        ("path", "/v1/things".into()),
        ("resource", "https://api.example.com/".into()),
        ("action", "read".into()),
        ("decision", "permit".into()),
        ("policy_set", "sha256:test".into()),
        ("status", 200.into()),
        ("bytes_in", 1.into()),
        ("bytes_out", 2.into()),
        ("first_byte_us", 3000.into()),
        ("total_us", 7000.into()),
        ("outcome", "ok".into()),
    ] {
        assert_eq!(json.get(key), Some(&value), "{key} in {json}");
    }
    assert_eq!(json["credential"]["source"], "token-exchange");
    assert_eq!(json["credential"]["fingerprint"], "f52fbd32b2b3");
    assert_eq!(bench.kinds(), ["opened", "started", "signed", "decided", "completed", "stopped", "signed"]);
    assert_eq!(bench.verify().fault, None);
}

#[test]
fn the_decision_is_in_the_file_before_anything_else_happens() {
    let bench = Bench::new();
    let (ledger, _) = bench.open();
    let entry = bench.permitted(&ledger);
    assert!(bench.text().contains(&format!("\"kind\":\"decided\",\"id\":\"{}\"", entry.id())));
    drop(entry);
}

#[test]
fn there_is_exactly_one_record_however_a_request_ends() {
    let bench = Bench::new();
    let (ledger, _) = bench.open();
    drop(ledger.begin(get("/never-decided")));
    drop(bench.permitted(&ledger));
    let mut denied = ledger.begin(get("/denied"));
    now(denied.refuse(RefusedBy { decision: Rejection::Deny, ..RefusedBy::code("policy_denied") })).unwrap();
    denied.complete(Completion { status: 403, outcome: Outcome::Refused, ..done() });
    let mut failed = bench.permitted(&ledger);
    now(failed.refuse(RefusedBy::code("provider_down"))).unwrap();
    failed.complete(Completion { status: 502, outcome: Outcome::Failed, ..done() });
    ledger.close();
    let (records, open) = bench.records(Filter::default());
    let told: Vec<_> = records
        .iter()
        .map(|record| {
            let json: serde_json::Value = serde_json::from_str(&record.to_json()).unwrap();
            let text = |key: &str| json.get(key).and_then(|value| value.as_str()).unwrap_or("-").to_owned();
            [text("decision"), text("reason"), text("outcome"), text("error")].join(" ")
        })
        .collect();
    assert_eq!(open, 0);
    assert_eq!(
        told,
        [
            "refuse aborted aborted -",
            "permit - aborted -",
            "deny policy_denied refused -",
            "permit - failed provider_down"
        ]
    );
}

#[test]
fn the_chain_goes_on_over_days_runs_and_full_files() {
    let bench = Bench::new();
    let (ledger, _) = bench.open();
    bench.requests(&ledger, 2);
    bench.clock.wind(DAY);
    bench.requests(&ledger, 2);
    ledger.close();
    bench.clock.wind(DAY);
    let (ledger, recovery) = bench.open_with(Settings { rotate_bytes: 2500, ..bench.settings() });
    assert_eq!(recovery, Recovery::default());
    bench.requests(&ledger, 4);
    bench.clock.0.fetch_sub(i64::try_from(DAY.as_millis()).unwrap() * 2, Ordering::SeqCst);
    bench.requests(&ledger, 1);
    ledger.close();
    let files = bench.files();
    assert_eq!(files[..4], ["2026-11-20.jsonl", "2026-11-21.jsonl", "2026-11-22.jsonl", "2026-11-22.1.jsonl"]);
    assert!(files.iter().all(|name| !name.starts_with("2026-11-20.1")), "a clock that jumps back begins no file");
    let report = bench.verify();
    assert_eq!(report.fault, None);
    assert_eq!((report.days, report.files), (3, u64::try_from(files.len()).unwrap()));
    for name in files.split_last().unwrap().1 {
        let text = fs::read_to_string(bench.folder().join(name)).unwrap();
        assert!(text.lines().last().unwrap().contains("\"kind\":\"signed\""), "{name} ends with a signature");
    }
    assert_eq!(bench.records(Filter::default()).0.len(), 9);
}

#[test]
fn files_and_folders_are_closed_to_others() {
    use std::os::unix::fs::PermissionsExt as _;
    let bench = Bench::new();
    let (ledger, _) = bench.open();
    ledger.close();
    let mode = |path: &FilePath| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&bench.folder()), mode(&bench.root.path().join("keys"))), (0o700, 0o700));
    for found in fs::read_dir(bench.folder()).unwrap().chain(fs::read_dir(bench.root.path().join("keys")).unwrap()) {
        let path = found.unwrap().path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
}

#[test]
fn two_daemons_never_write_one_ledger() {
    let bench = Bench::new();
    let (ledger, _) = bench.open();
    let second = Ledger::open(bench.settings(), Arc::clone(&bench.clock) as Arc<dyn Clock>);
    assert!(matches!(second, Err(LedgerError::Folder(FolderNotUsable::Busy { .. }))));
    ledger.close();
    assert!(Ledger::open(bench.settings(), Arc::clone(&bench.clock) as Arc<dyn Clock>).is_ok());
}

#[test]
fn each_kind_of_tampering_is_found_and_named() {
    type Change = fn(&mut Vec<String>);
    // lines: opened started signed | decided completed × 3 | stopped signed
    let cases: [(&str, Change, Tampering, u64); 13] = [
        ("a field changed", |lines| lines[4] = lines[4].replace("200", "500"), Tampering::Changed, 5),
        ("a line made garbage", |lines| lines[4] = "garbage".to_owned(), Tampering::Changed, 5),
        ("a number changed", |lines| lines[4] = lines[4].replace("\"seq\":5", "\"seq\":4"), Tampering::Inserted, 5),
        ("a prev changed", |lines| lines[4] = with_other_prev(&lines[4]), Tampering::Changed, 5),
        ("the first line changed", |lines| lines[0] = lines[0].replace("opened", "opaned"), Tampering::Changed, 1),
        ("one removed", |lines| drop(lines.remove(4)), Tampering::Removed, 5),
        ("two removed", |lines| drop(lines.drain(4..6)), Tampering::Removed, 5),
        ("the first removed", |lines| drop(lines.remove(0)), Tampering::Removed, 1),
        ("one doubled", |lines| lines.insert(5, lines[4].clone()), Tampering::Inserted, 6),
        ("a foreign one inserted", |lines| lines.insert(5, "{}".to_owned()), Tampering::Inserted, 6),
        ("two swapped", |lines| lines.swap(4, 5), Tampering::Moved, 5),
        (
            "one moved down",
            |lines| {
                let line = lines.remove(4);
                lines.insert(7, line)
            },
            Tampering::Moved,
            5,
        ),
        (
            "one moved up",
            |lines| {
                let line = lines.remove(8);
                lines.insert(4, line)
            },
            Tampering::Inserted,
            5,
        ),
    ];
    for (what, change, tampering, line) in cases {
        let bench = Bench::new();
        let (ledger, _) = bench.open();
        bench.requests(&ledger, 3);
        ledger.close();
        assert_eq!(bench.verify().fault, None);
        bench.tamper(change);
        let fault = bench.verify().fault.unwrap_or_else(|| panic!("{what} is not found"));
        assert_eq!((fault.tampering, fault.line), (tampering, Some(line)), "{what}: {fault}");
    }
}

fn with_other_prev(line: &str) -> String {
    let prev = line.split('"').nth(5).unwrap();
    line.replace(prev, &"a".repeat(64))
}

#[test]
fn what_was_signed_can_not_be_cut_off() {
    let bench = Bench::new();
    let (ledger, _) = bench.open();
    bench.requests(&ledger, 3);
    ledger.close();
    bench.tamper(|lines| lines.truncate(7));
    let fault = bench.verify().fault.unwrap();
    assert_eq!(fault.tampering, Tampering::Truncated);
    assert_eq!(fault.detail, "lines 8 to 11 were signed and are gone from the end");
    // the next run leaves the hole to be seen
    let (ledger, recovery) = bench.open();
    assert_eq!(recovery.broken, ["the ledger ends with line 7 of 11 that were signed"]);
    bench.requests(&ledger, 1);
    ledger.close();
    let fault = bench.verify().fault.unwrap();
    assert_eq!((fault.tampering, fault.line), (Tampering::Removed, Some(8)));
    assert_eq!(fault.detail, "lines 8 to 11 of the ledger were removed");
}

#[test]
fn a_day_that_is_gone_is_missed() {
    let bench = Bench::new();
    let (ledger, _) = bench.open();
    for _ in 0..3 {
        bench.requests(&ledger, 1);
        bench.clock.wind(DAY);
    }
    ledger.close();
    fs::remove_file(bench.folder().join("2026-11-21.jsonl")).unwrap();
    let fault = bench.verify().fault.unwrap();
    assert_eq!((fault.tampering, fault.file.as_deref()), (Tampering::Removed, Some("2026-11-22.jsonl")));
    for name in bench.files() {
        fs::remove_file(bench.folder().join(name)).unwrap();
    }
    assert_eq!(bench.verify().fault.unwrap().tampering, Tampering::Truncated);
}

#[test]
fn a_chain_written_anew_lacks_the_signature() {
    let bench = Bench::new();
    let (ledger, _) = bench.open();
    bench.requests(&ledger, 3);
    ledger.close();
    bench.tamper(|lines| {
        lines[4] = lines[4].replace("200", "500");
        let (mut head, mut out) = (Head::START, Vec::new());
        for line in lines.iter() {
            let body = line.split_once("\",").unwrap().1;
            head.append(&mut out, body.as_bytes());
        }
        *lines = String::from_utf8(out).unwrap().lines().map(str::to_owned).collect();
    });
    let fault = bench.verify().fault.unwrap();
    assert_eq!((fault.tampering, fault.line), (Tampering::Rewritten, Some(11)), "{fault}");
    assert!(fault.detail.contains("lines 4 to 11"), "{fault}");
    // with the signatures left out, `head.json` still tells
    bench.tamper(|lines| drop(lines.pop()));
    assert_eq!(bench.verify().fault.unwrap().tampering, Tampering::Truncated);
}

#[test]
fn another_key_does_not_verify() {
    let (bench, other) = (Bench::new(), Bench::new());
    bench.open().0.close();
    other.open().0.close();
    let key = PublicKey::read(&other.folder().join("ledger.pub")).unwrap();
    assert_eq!(verify(&bench.folder(), Some(key)).unwrap().fault.unwrap().tampering, Tampering::Rewritten);
    fs::remove_file(bench.folder().join("head.json")).unwrap();
    assert_eq!(bench.verify().fault.unwrap().tampering, Tampering::HeadChanged);
}

#[test]
fn a_torn_tail_is_set_aside_and_said() {
    use std::io::Write as _;
    let bench = Bench::new();
    let (ledger, _) = bench.open();
    bench.requests(&ledger, 1);
    ledger.close();
    let path = bench.folder().join(&bench.files()[0]);
    fs::OpenOptions::new().append(true).open(&path).unwrap().write_all(b"{\"seq\":8,\"pre").unwrap();
    assert_eq!(bench.verify().fault.unwrap().tampering, Tampering::Torn);
    let (ledger, recovery) = bench.open();
    assert_eq!(recovery.torn_bytes, 13);
    let kept = fs::read(bench.folder().join(recovery.torn_file.unwrap())).unwrap();
    assert_eq!(kept, b"{\"seq\":8,\"pre");
    assert!(bench.text().contains("\"kind\":\"sealed\""));
    assert_eq!(bench.verify().fault, None);
    // a daemon at work may be in the middle of a line
    fs::OpenOptions::new().append(true).open(&path).unwrap().write_all(b"{\"se").unwrap();
    assert_eq!(bench.verify().fault, None);
    drop(ledger);
}

#[test]
fn decisions_of_a_killed_daemon_are_marked_unknown() {
    let bench = Bench::new();
    let (ledger, _) = bench.open();
    bench.requests(&ledger, 2);
    let lost = bench.permitted(&ledger);
    let id = lost.id().to_string();
    ledger.kill();
    drop(lost);
    let (ledger, recovery) = bench.open();
    assert_eq!(recovery, Recovery { unknown: 1, ..Recovery::default() });
    ledger.close();
    let (records, _) = bench.records(Filter::default());
    let unknown: Vec<_> = records.iter().filter(|record| record.outcome() == Some("unknown")).collect();
    assert_eq!((unknown.len(), unknown[0].id.as_str()), (1, id.as_str()));
    assert_eq!(bench.verify().fault, None);
    assert_eq!(bench.open().1, Recovery::default(), "it is said once");
}

#[test]
fn a_broken_chain_is_reported_and_not_mended() {
    let bench = Bench::new();
    let (ledger, _) = bench.open();
    bench.requests(&ledger, 3);
    ledger.close();
    bench.tamper(|lines| lines[4] = lines[4].replace("200", "500"));
    let (ledger, recovery) = bench.open();
    assert_eq!(recovery.broken, ["`2026-11-20.jsonl` line 6 doesn't follow the line before it"]);
    ledger.close();
    assert_eq!(bench.verify().fault.unwrap().line, Some(5));
}

#[test]
fn eight_threads_write_one_whole_chain() {
    let bench = Bench::new();
    let (ledger, _) = bench.open_with(Settings { sign_every: 100, rotate_bytes: 1 << 20, ..bench.settings() });
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| bench.requests(&ledger, 1000));
        }
    });
    ledger.close();
    let report = bench.verify();
    assert_eq!(report.fault, None);
    assert!(report.signatures > 10 && report.files > 3, "{report:?}");
    let (records, open) = bench.records(Filter::default());
    let ids: std::collections::HashSet<_> = records.iter().map(|record| &record.id).collect();
    assert_eq!((records.len(), ids.len(), open), (8000, 8000, 0));
    assert!(records.iter().all(|record| record.outcome() == Some("ok")));
}

#[test]
fn a_completion_goes_out_by_itself() {
    let bench = Bench::new();
    let (ledger, _) = bench.open();
    bench.requests(&ledger, 1);
    let written = (0..500).any(|_| {
        std::thread::sleep(Duration::from_millis(2));
        bench.text().contains("\"kind\":\"completed\"")
    });
    assert!(written);
    ledger.close();
}

#[tokio::test]
async fn with_disk_a_decision_waits_for_the_disk() {
    let bench = Bench::new();
    let (ledger, _) = bench.open_with(Settings { durability: Durability::Disk, ..bench.settings() });
    let mut entry = ledger.begin(get("/"));
    entry.permit(&bench.permit()).await.unwrap();
    let (synced, head) = {
        let state = ledger.shared().lock();
        (state.synced, state.head.seq())
    };
    assert!(synced >= 4 && synced <= head);
    let together = (0..64).map(|_| async {
        let mut entry = ledger.begin(get("/"));
        entry.permit(&bench.permit()).await.unwrap();
        entry.complete(done());
    });
    futures_util::future::join_all(together).await;
    entry.complete(done());
    ledger.close();
    assert_eq!(bench.verify().fault, None);
    assert_eq!(bench.records(Filter::default()).0.len(), 65);
}

#[tokio::test]
async fn a_disk_that_does_not_take_a_line_refuses_it() {
    let bench = Bench::new();
    let (ledger, _) = bench.open_with(Settings { durability: Durability::Disk, ..bench.settings() });
    ledger.shared().lock().sync_failed = true;
    ledger.shared().synced.send_modify(|synced| synced.failed = true);
    let mut entry = ledger.begin(get("/"));
    assert!(matches!(entry.permit(&bench.permit()).await, Err(Unrecorded::NotDurable)));
    assert!(!ledger.healthy());
}

#[test]
fn a_full_disk_refuses_and_heals_and_says_so() {
    let bench = Bench::new();
    let folder = bench.folder();
    fs::create_dir(&folder).unwrap();
    let mounted = std::process::Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=64k,mode=0700", "tmpfs"])
        .arg(&folder)
        .status();
    if !mounted.is_ok_and(|status| status.success()) {
        eprintln!("skipped: a full disk needs root, to mount a small tmpfs");
        return;
    }
    let unmount = Unmount(folder.clone());
    let (ledger, _) = bench.open();
    let mut refused = 0;
    for _ in 0..400 {
        let mut entry = ledger.begin(get("/v1/things"));
        match now(entry.permit(&bench.permit())) {
            Ok(()) => entry.complete(done()),
            Err(error) => {
                assert!(matches!(error, Unrecorded::Write(_)), "{error:?}");
                assert!(matches!(now(entry.permit(&bench.permit())), Err(Unrecorded::Before)));
                refused += 1;
            }
        }
    }
    assert!(refused > 100 && !ledger.healthy());
    assert!(bench.text().ends_with('\n'), "no part of a line is left");
    let grown = std::process::Command::new("mount").args(["-o", "remount,size=1m"]).arg(&folder).status();
    assert!(grown.unwrap().success());
    bench.requests(&ledger, 1);
    assert!(ledger.healthy());
    ledger.close();
    let told: usize = bench
        .text()
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .filter(|line| line["kind"] == "gap")
        .map(|gap| usize::try_from(gap["requests"].as_u64().unwrap()).unwrap())
        .sum();
    assert_eq!(told, refused);
    assert_eq!(bench.verify().fault, None);
    let (records, open) = bench.records(Filter::default());
    assert_eq!((records.len() + refused, open), (401, 0));
    drop(unmount);
}

struct Unmount(PathBuf);

impl Drop for Unmount {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn a_closed_ledger_takes_nothing() {
    let bench = Bench::new();
    let (ledger, _) = bench.open();
    let late = bench.permitted(&ledger);
    ledger.close();
    ledger.close();
    let mut entry = ledger.begin(get("/"));
    assert!(matches!(now(entry.permit(&bench.permit())), Err(Unrecorded::Closed)));
    drop((late, entry));
    assert!(bench.text().contains("\"open\":1"));
    assert_eq!(bench.open().1.unknown, 1);
}

#[test]
fn a_long_path_is_cut_and_hashed() {
    let bench = Bench::new();
    let (ledger, _) = bench.open();
    drop(ledger.begin(get(&format!("/{}", "a".repeat(5000)))));
    ledger.close();
    let json = bench.records(Filter::default()).0[0].to_json();
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["path"].as_str().unwrap().len(), 2048 + '…'.len_utf8());
    assert_eq!(json["path_sha256"].as_str().unwrap().len(), 64);
}

#[test]
fn records_are_filtered() {
    let bench = Bench::new();
    let (ledger, _) = bench.open();
    bench.requests(&ledger, 1);
    drop(ledger.begin(get("/unidentified")));
    bench.permitted(&ledger).complete(Completion { outcome: Outcome::Intercepted, ..done() });
    bench.clock.wind(DAY);
    let noon = bench.clock.now();
    bench.requests(&ledger, 1);
    let open = bench.permitted(&ledger);
    ledger.close();
    drop(open);
    let count = |filter| bench.records(filter);
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(bench.records(Filter::default()).0.len(), 3);
    assert_eq!(bench.records(Filter { intercepted: true, ..Filter::default() }).0.len(), 4);
    assert_eq!(count(Filter { agent: some("curl"), ..Filter::default() }).0.len(), 2);
    assert_eq!(count(Filter { agent: some("wget"), ..Filter::default() }).0.len(), 0);
    assert_eq!(count(Filter { session: some(bench.session.id().as_str()), ..Filter::default() }).0.len(), 2);
    assert_eq!(count(Filter { resource: some("api.example"), ..Filter::default() }).0.len(), 2);
    assert_eq!(count(Filter { decision: Some(Decision::Refuse), ..Filter::default() }).0.len(), 1);
    let since = count(Filter { since: Some(noon), ..Filter::default() });
    assert_eq!((since.0.len(), since.1), (1, 1));
}

#[test]
fn a_reader_goes_on_where_it_left_off() {
    let bench = Bench::new();
    let (ledger, _) = bench.open();
    let mut records = Records::new(&bench.folder(), Filter::default());
    let mut read = || {
        let mut count = 0;
        records.read(|_| count += 1).unwrap();
        count
    };
    assert_eq!(read(), 0);
    bench.requests(&ledger, 2);
    let open = bench.permitted(&ledger);
    assert_eq!((read(), read()), (2, 0));
    bench.clock.wind(DAY);
    bench.requests(&ledger, 1);
    open.complete(done());
    ledger.close();
    assert_eq!((read(), read()), (2, 0));
}

/// `cargo test --lib -- --ignored --nocapture how_long_a_line_takes`, best with the crate optimised.
#[test]
#[ignore = "a measurement"]
#[allow(clippy::disallowed_methods, reason = "it measures")]
fn how_long_a_line_takes() {
    let bench = Bench::new();
    let clock: Arc<dyn Clock> = Arc::new(crate::os::SystemClock::new());
    let (ledger, _) = Ledger::open(Settings { rotate_bytes: 1 << 30, ..bench.settings() }, clock).unwrap();
    let (opening, permit) = (get("/v1/things/with/a/usual/path"), bench.permit());
    const COUNT: u32 = 50_000;
    let report = |what: &str, started: std::time::Instant| {
        eprintln!("{what}: {:?} each", started.elapsed() / COUNT);
    };
    let mut permits = Duration::ZERO;
    let started = std::time::Instant::now();
    for _ in 0..COUNT {
        let mut entry = ledger.begin(opening.clone());
        let before = std::time::Instant::now();
        now(entry.permit(&permit)).unwrap();
        permits += before.elapsed();
        entry.complete(done());
    }
    report("a whole record, decided and completed", started);
    eprintln!("of which permit, with write(2) of its line and the completion before: {:?}", permits / COUNT);
    let started = std::time::Instant::now();
    for _ in 0..COUNT {
        line::with_scratch(|bytes| {
            let mut body = line::Body::begin(bytes, "decided");
            body.time("time", Timestamp::from_millis(1_795_176_000_000)).text("path", "/v1/things");
            body.end();
            std::hint::black_box(bytes.len());
        });
    }
    report("a small body alone", started);
    let (sender, receiver) = std::sync::mpsc::channel::<std::sync::mpsc::SyncSender<()>>();
    let path = bench.root.path().join("hand-off");
    let other = std::thread::spawn(move || {
        let mut file = fs::File::create(path).unwrap();
        for answer in receiver {
            std::io::Write::write_all(&mut file, &[b'x'; 500]).unwrap();
            answer.send(()).unwrap();
        }
    });
    let started = std::time::Instant::now();
    for _ in 0..COUNT {
        let (answer, wait) = std::sync::mpsc::sync_channel(1);
        sender.send(answer).unwrap();
        wait.recv().unwrap();
    }
    report("a hand-off to a writer thread, its write(2) and its answer", started);
    drop(sender);
    other.join().unwrap();
    let mut file = fs::File::create(bench.root.path().join("bare")).unwrap();
    let started = std::time::Instant::now();
    for _ in 0..COUNT {
        std::io::Write::write_all(&mut file, &[b'x'; 900]).unwrap();
    }
    report("a bare write(2) of 900 bytes", started);
}
