//! Requests go in, lines come out.

use super::*;

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
    assert!(!bench.text().contains("hunter2"), "a credential is known by its fingerprint only");
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
fn an_entry_can_wait_for_its_permit_on_any_thread() {
    fn can_move<T: Send>(value: T) -> T {
        value
    }
    let bench = Bench::new();
    let (ledger, _) = bench.open();
    let (mut entry, permit) = (ledger.begin(get("/")), bench.permit());
    now(can_move(entry.permit(&permit))).unwrap();
    can_move(entry).complete(done());
}
