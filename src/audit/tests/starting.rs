//! What a start finds, repairs, refuses and says.

use super::*;

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
    bench.tamper(|lines| lines[4] = lines[4].replace("\"status\":200", "\"status\":500"));
    let (ledger, recovery) = bench.open();
    assert_eq!(recovery.broken, ["`2026-11-20.jsonl`: what follows line 5 of the ledger doesn't fit to it"]);
    ledger.close();
    assert_eq!(bench.verify().fault.unwrap().line, Some(5));
}

#[test]
fn a_symbolic_link_is_not_written_to() {
    let bench = Bench::new();
    bench.open().0.close();
    let (victim, own) = (bench.root.path().join("victim"), bench.folder().join("2026-11-20.jsonl"));
    fs::write(&victim, "").unwrap();
    fs::remove_file(&own).unwrap();
    std::os::unix::fs::symlink(&victim, &own).unwrap();
    let opened = Ledger::open(bench.settings(), Arc::clone(&bench.clock) as Arc<dyn Clock>);
    assert!(matches!(opened, Err(LedgerError::Files { .. })));
    assert_eq!(fs::read(&victim).unwrap(), b"");
}

#[test]
fn a_large_file_is_followed_from_near_its_end_after_an_orderly_stop() {
    let bench = Bench::new();
    let (ledger, _) = bench.open();
    bench.requests(&ledger, 7000);
    ledger.close();
    let length = fs::metadata(bench.folder().join(&bench.files()[0])).unwrap().len();
    assert!(length > crate::limits::LEDGER_LOOK_BACK_BYTES, "{length}");
    let (ledger, recovery) = bench.open();
    assert_eq!(recovery, Recovery::default());
    ledger.close();
    assert_eq!(bench.verify().fault, None);
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
