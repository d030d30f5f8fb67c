//! A disk that is slow, full or broken.

use super::*;

#[test]
fn a_failed_signature_is_tried_again_and_leaves_no_gap_behind() {
    let bench = Bench::new();
    let (ledger, _) = bench.open_with(Settings { sign_every: 4, ..bench.settings() });
    let none =
        front::Gap { since: bench.clock.now(), requests: 0, completions: 0, cause: std::io::ErrorKind::StorageFull };
    ledger.shared().lock().gap = Some(none);
    assert!(!ledger.healthy());
    bench.requests(&ledger, 10);
    assert!(ledger.healthy());
    ledger.close();
    assert!(!bench.text().contains("\"gap\""));
    assert_eq!(bench.verify().fault, None);
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
        let front = ledger.shared().lock();
        (front.synced, front.seq)
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
