//! Someone changes the files: what it was and where is found.

use super::*;

#[test]
fn each_kind_of_tampering_is_found_and_named() {
    type Change = fn(&mut Vec<String>);
    // lines: opened started signed | decided completed × 3 | stopped signed
    let cases: [(&str, Change, Tampering, u64); 13] = [
        (
            "a field changed",
            |lines| lines[4] = lines[4].replace("\"status\":200", "\"status\":500"),
            Tampering::Changed,
            5,
        ),
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
        assert_eq!(bench.verify().lines, line - 1, "{what}: the lines before it are whole");
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
    assert_eq!(fault.detail, "lines 8 to 11 were signed and cut off the end");
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
        lines[4] = lines[4].replace("\"status\":200", "\"status\":500");
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
    // with the signatures left out, the last signed head still tells
    bench.tamper(|lines| drop(lines.pop()));
    assert_eq!(bench.verify().fault.unwrap().tampering, Tampering::Truncated);
}

#[test]
fn another_key_does_not_verify() {
    let (bench, other) = (Bench::new(), Bench::new());
    bench.open().0.close();
    other.open().0.close();
    let key = PublicKey::read(&other.folder().join("ledger.pub")).unwrap();
    assert_eq!(
        verify(&bench.folder(), Some(key), &bench.settings().key_folder).unwrap().fault.unwrap().tampering,
        Tampering::Rewritten
    );
    fs::remove_file(bench.folder().join("head.json")).unwrap();
    assert_eq!(bench.verify().fault.unwrap().tampering, Tampering::HeadChanged);
}

#[test]
fn a_file_that_is_removed_under_a_running_daemon_is_missed_and_the_chain_goes_on() {
    let bench = Bench::new();
    let (ledger, _) = bench.open();
    bench.requests(&ledger, 1);
    ledger.kill();
    let (ledger, _) = bench.open();
    fs::remove_file(bench.folder().join("2026-11-20.jsonl")).unwrap();
    ledger.shared().await_pen(ledger.shared().lock()).pen.as_mut().unwrap().heed_strangers();
    bench.requests(&ledger, 1);
    ledger.close();
    assert_eq!(bench.files(), ["2026-11-20.1.jsonl"]);
    let fault = bench.verify().fault.unwrap();
    assert_eq!((fault.tampering, fault.line), (Tampering::Removed, Some(1)));
    assert_eq!(bench.records(Filter::default()).0.len(), 1);
}

#[test]
fn a_quiet_ledger_is_vouched_for_to_its_last_line() {
    let bench = Bench::new();
    let (ledger, _) = bench.open();
    bench.requests(&ledger, 2);
    let vouched = (0..200).any(|_| {
        std::thread::sleep(Duration::from_millis(20));
        signing::SignedHead::read(&bench.folder(), "head.json").unwrap().unwrap().seq == 7
    });
    assert!(vouched);
    ledger.kill();
    bench.tamper(|lines| drop(lines.pop()));
    let fault = bench.verify().fault.unwrap();
    assert_eq!(fault.detail, "line 7 was signed and cut off the end");
}

#[test]
fn a_ledger_cut_back_to_an_earlier_signature_is_found_by_what_stands_beside_the_key() {
    let bench = Bench::new();
    let (ledger, _) = bench.open();
    let earlier = fs::read(bench.folder().join("head.json")).unwrap();
    bench.requests(&ledger, 3);
    ledger.close();
    bench.tamper(|lines| lines.truncate(3));
    fs::write(bench.folder().join("head.json"), earlier).unwrap();
    let fault = bench.verify().fault.unwrap();
    assert_eq!(fault.tampering, Tampering::Truncated);
    assert_eq!(fault.detail, "lines 4 to 11 were signed and cut off the end");
    let (ledger, recovery) = bench.open();
    assert_eq!(recovery.broken, ["the ledger ends with line 3 of 11 that were signed"]);
    bench.requests(&ledger, 1);
    ledger.close();
    lasts(&bench, "the ledger ends with line 3 of 11 that were signed");
    let fault = bench.verify().fault.unwrap();
    assert_eq!((fault.tampering, fault.line), (Tampering::Removed, Some(4)));
    let broken: serde_json::Value = serde_json::from_str(bench.text().lines().nth(3).unwrap()).unwrap();
    assert_eq!((&broken["expected_seq"], &broken["found_seq"]), (&11.into(), &3.into()), "{broken}");
}

#[test]
fn a_ledger_that_is_deleted_whole_is_missed() {
    let bench = Bench::new();
    let (ledger, _) = bench.open();
    bench.requests(&ledger, 3);
    ledger.close();
    fs::remove_file(bench.folder().join("2026-11-20.jsonl")).unwrap();
    fs::remove_file(bench.folder().join("head.json")).unwrap();
    assert_eq!(bench.verify().fault.unwrap().detail, "lines 1 to 11 were signed and cut off the end");
    let (ledger, recovery) = bench.open();
    assert!(!recovery.new, "{recovery:?}");
    let gone = "the ledger is gone: 11 lines were signed";
    assert_eq!(recovery.broken, ["`head.json`, the last signature, is missing", gone]);
    ledger.close();
    bench.open().0.close();
    lasts(&bench, gone);
    assert_eq!(bench.verify().fault.unwrap().detail, "lines 1 to 11 of the ledger were removed");
}

#[test]
fn a_chain_that_grew_anew_behind_a_cut_is_found() {
    let bench = Bench::new();
    let (ledger, _) = bench.open();
    bench.requests(&ledger, 3);
    ledger.close();
    bench.tamper(|lines| {
        let head = |lines: &[String]| lines.iter().fold(Head::START, |head, line| head.followed_by(line.as_bytes()));
        lines.truncate(3);
        while lines.len() < 12 {
            let (mut head, mut out) = (head(lines), Vec::new());
            head.append(&mut out, br#""kind":"gap","time":"2026-11-20T12:00:00.000Z"}"#);
            lines.push(String::from_utf8(out).unwrap().trim_end().to_owned());
        }
    });
    fs::remove_file(bench.folder().join("head.json")).unwrap();
    let fault = bench.verify().fault.unwrap();
    assert_eq!((fault.tampering, fault.line), (Tampering::Changed, Some(11)), "{fault}");
    let (ledger, recovery) = bench.open();
    assert!(recovery.broken[0].ends_with("line 11 of the ledger is not the one that was signed"), "{recovery:?}");
    ledger.close();
}

#[test]
fn a_head_that_can_not_be_read_is_said_for_ever() {
    let bench = Bench::new();
    bench.open().0.close();
    fs::write(bench.folder().join("head.json"), "garbage").unwrap();
    assert_eq!(bench.verify().fault.unwrap().tampering, Tampering::HeadChanged);
    let (ledger, recovery) = bench.open();
    let unreadable = "`head.json`, the last signature, can't be read";
    assert_eq!(recovery.broken, [unreadable]);
    ledger.close();
    bench.open().0.close();
    lasts(&bench, unreadable);
    assert_eq!(bench.verify().fault, None, "no line is missing");
}

#[test]
fn another_ledger_under_the_same_key_is_not_mistaken_for_it() {
    let bench = Bench::new();
    bench.open().0.close();
    let other = Settings { folder: bench.root.path().join("elsewhere"), ..bench.settings() };
    let (ledger, recovery) = bench.open_with(other);
    assert_eq!(recovery, Recovery { new: true, ..Recovery::default() });
    ledger.close();
    assert_eq!(bench.open().1, Recovery::default());
}

/// Later starts don't say it again, and verifying still does.
fn lasts(bench: &Bench, what: &str) {
    let told = bench.verify().told;
    assert_eq!(told.iter().filter(|told| told.ends_with(what)).count(), 1, "{told:#?}");
}
