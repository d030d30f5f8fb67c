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
        signing::SignedHead::read(&bench.folder()).unwrap().unwrap().seq == 7
    });
    assert!(vouched);
    ledger.kill();
    bench.tamper(|lines| drop(lines.pop()));
    let fault = bench.verify().fault.unwrap();
    assert_eq!(fault.detail, "line 7 was signed and cut off the end");
}
