//! Leaders and followers: who writes, who waits, and what each is told.

use std::pin::pin;
use std::task::Context;
use std::task::Waker;

use super::front::Front;
use super::lead::Lead;
use super::*;

/// A ledger whose pen is held by this test, so that every decision waits.
struct Held<'a>(&'a Ledger, Option<Lead<'a>>);

impl<'a> Held<'a> {
    fn new(bench: &Bench, ledger: &'a Ledger) -> Self {
        let shared = ledger.shared();
        let mut front = shared.await_pen(shared.lock());
        let lead = Lead::take(shared, &mut front, bench.clock.now());
        Self(ledger, lead)
    }

    fn front<T>(&self, look: impl FnOnce(&mut Front) -> T) -> T {
        look(&mut self.0.shared().lock())
    }

    /// Makes every write fail, as a disk does that is gone.
    fn break_file(&mut self, bench: &Bench) {
        self.1.as_mut().unwrap().pen().unwrap().file = Arc::new(fs::File::open(bench.root.path()).unwrap());
    }

    fn finish(mut self) {
        self.1.take().unwrap().finish();
    }
}

/// Polls once what must wait.
fn starts_to_wait(future: std::pin::Pin<&mut impl Future<Output = Result<(), Unrecorded>>>) {
    let polled = future.poll(&mut Context::from_waker(Waker::noop()));
    assert!(polled.is_pending(), "it did not wait: {polled:?}");
}

fn outcomes(bench: &Bench) -> Vec<String> {
    let (records, open) = bench.records(Filter::default());
    assert_eq!(open, 0);
    records.iter().map(|record| record.outcome().unwrap().to_owned()).collect()
}

#[test]
fn tasks_of_many_threads_write_one_whole_chain_with_two_lines_each() {
    const TASKS: usize = 24;
    const EACH: usize = 300;
    let bench = Arc::new(Bench::new());
    let (ledger, _) = bench.open_with(Settings { sign_every: 64, rotate_bytes: 1 << 20, ..bench.settings() });
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).build().unwrap();
    let tasks: Vec<_> = (0..TASKS)
        .map(|_| {
            let (bench, ledger) = (Arc::clone(&bench), Arc::clone(&ledger));
            runtime.spawn(async move {
                for round in 0..EACH {
                    let (mut entry, permit) = (ledger.begin(get("/v1/things")), bench.permit());
                    if round % 4 == 0 {
                        // a follower that is dropped while it waits, at any moment of the leader's work
                        let _ = pin!(entry.permit(&permit)).poll(&mut Context::from_waker(Waker::noop()));
                        continue;
                    }
                    entry.permit(&permit).await.unwrap();
                    entry.complete(done());
                }
            })
        })
        .collect();
    runtime.block_on(async {
        for task in tasks {
            task.await.unwrap();
        }
    });
    ledger.close();
    let report = bench.verify();
    assert_eq!(report.fault, None);
    // how many there are depends on when the thread came to run; each file ends with one
    assert!(report.signatures > report.files && report.files > 3, "{report:?}");
    let mut lines = std::collections::HashMap::<String, Vec<String>>::new();
    for line in bench.text().lines() {
        let frame = chain::Frame::parse(line.as_bytes()).unwrap();
        if let Some(id) = frame.id {
            lines.entry(id.to_owned()).or_default().push(frame.kind.to_owned());
        }
    }
    assert_eq!(lines.len(), TASKS * EACH);
    assert!(lines.values().all(|kinds| *kinds == ["decided", "completed"]));
}

#[test]
fn a_signature_may_stand_behind_lines_that_came_while_it_was_made() {
    for (own, fault) in [(true, None), (false, Some(Tampering::Rewritten))] {
        let bench = Bench::new();
        let (ledger, _) = bench.open();
        bench.requests(&ledger, 2);
        let place = ledger.shared().await_pen(ledger.shared().lock()).pen.as_ref().unwrap().place();
        bench.requests(&ledger, 2);
        let other = chain::Head::new(place.head.seq(), &[b'a'; 64]).unwrap();
        let head = if own { place.head } else { other };
        let signer = Arc::clone(&ledger.shared().signer);
        let mut body = Vec::new();
        signing::SignedHead::new(&signer, &place.day, &head, bench.clock.now()).write_body(&mut body);
        assert!(ledger.shared().lock().queue.push(&body, None));
        bench.requests(&ledger, 1);
        ledger.close();
        assert_eq!(bench.verify().fault.map(|fault| fault.tampering), fault);
    }
}

#[test]
fn a_follower_waits_without_blocking_and_is_written_by_the_leader() {
    let bench = Bench::new();
    let (ledger, _) = bench.open();
    let held = Held::new(&bench, &ledger);
    let mut entry = ledger.begin(get("/"));
    let permit = bench.permit();
    {
        let mut waiting = pin!(entry.permit(&permit));
        starts_to_wait(waiting.as_mut());
        held.finish();
        now(waiting).unwrap();
    }
    assert!(bench.text().contains(&format!("\"kind\":\"decided\",\"id\":\"{}\"", entry.id())));
    entry.complete(done());
    ledger.close();
    assert_eq!((outcomes(&bench), bench.verify().fault), (vec!["ok".to_owned()], None));
}

#[test]
fn a_follower_that_goes_away_while_it_waits_has_one_record_all_the_same() {
    let bench = Bench::new();
    let (ledger, _) = bench.open();
    let held = Held::new(&bench, &ledger);
    let mut before = ledger.begin(get("/left-before-the-write"));
    starts_to_wait(pin!(before.permit(&bench.permit())));
    drop(before);
    let mut completed = ledger.begin(get("/completed-by-another-path"));
    starts_to_wait(pin!(completed.permit(&bench.permit())));
    completed.complete(Completion { outcome: Outcome::Failed, ..done() });
    let mut after = ledger.begin(get("/left-after-the-write"));
    starts_to_wait(pin!(after.permit(&bench.permit())));
    held.finish();
    drop(after);
    ledger.close();
    assert_eq!(outcomes(&bench), ["aborted", "failed", "aborted"]);
    assert!(bench.text().contains("\"open\":0"));
    assert_eq!(bench.verify().fault, None);
}

#[test]
fn a_permit_asked_for_again_goes_on_waiting_for_the_same_line() {
    let bench = Bench::new();
    let (ledger, _) = bench.open();
    let held = Held::new(&bench, &ledger);
    let mut entry = ledger.begin(get("/"));
    starts_to_wait(pin!(entry.permit(&bench.permit())));
    starts_to_wait(pin!(entry.permit(&bench.permit())));
    held.finish();
    now(entry.permit(&bench.permit())).unwrap();
    entry.complete(done());
    ledger.close();
    assert_eq!((outcomes(&bench), bench.verify().fault), (vec!["ok".to_owned()], None));
}

#[test]
fn a_write_that_fails_is_told_to_the_leader_and_to_each_follower() {
    let bench = Bench::new();
    let (ledger, _) = bench.open();
    let mut held = Held::new(&bench, &ledger);
    let whole = Arc::clone(&held.1.as_mut().unwrap().pen().unwrap().file);
    held.break_file(&bench);
    let permit = bench.permit();
    let mut entries: Vec<_> = (0..3).map(|_| ledger.begin(get("/"))).collect();
    for entry in &mut entries {
        starts_to_wait(pin!(entry.permit(&permit)));
    }
    drop(entries.pop());
    let mut leader = held.1.take().unwrap();
    let none = held.front(|front| front.gap.is_none());
    leader.write(None).unwrap();
    assert!(none, "an empty group needs no disk");
    leader.finish();
    for entry in &mut entries {
        assert!(matches!(now(entry.permit(&permit)), Err(Unrecorded::Write(_))));
        assert!(matches!(now(entry.permit(&permit)), Err(Unrecorded::Before)));
    }
    let mut own = ledger.begin(get("/"));
    assert!(matches!(now(own.permit(&permit)), Err(Unrecorded::Write(_))));
    assert!(!ledger.healthy() && ledger.writer_lives());
    drop((entries, own));
    let shared = ledger.shared();
    shared.await_pen(shared.lock()).pen.as_mut().unwrap().file = whole;
    bench.requests(&ledger, 1);
    assert!(ledger.healthy());
    ledger.close();
    let gap = bench.text().lines().find(|line| line.contains("\"kind\":\"gap\"")).unwrap().to_owned();
    assert!(gap.contains("\"requests\":4,\"completions\":0"), "{gap}");
    assert_eq!((outcomes(&bench), bench.verify().fault), (vec!["ok".to_owned()], None));
}

#[test]
fn a_leader_that_has_led_long_enough_hands_on_and_nobody_is_forgotten() {
    for goes_away in [false, true] {
        let bench = Bench::new();
        let (ledger, _) = bench.open();
        let mut held = Held::new(&bench, &ledger);
        let permit = bench.permit();
        let (mut first, mut second) = (ledger.begin(get("/1")), ledger.begin(get("/2")));
        starts_to_wait(pin!(first.permit(&permit)));
        starts_to_wait(pin!(second.permit(&permit)));
        assert!(!held.1.as_mut().unwrap().take_next(false), "the first follower is asked to lead");
        drop(held);
        if goes_away {
            drop(first);
            now(second.permit(&permit)).unwrap();
        } else {
            now(first.permit(&permit)).unwrap();
            now(second.permit(&permit)).unwrap();
            first.complete(done());
        }
        second.complete(done());
        ledger.close();
        assert_eq!((outcomes(&bench).len(), bench.verify().fault), (2, None));
    }
}

#[test]
fn a_leader_that_panics_gives_the_pen_back() {
    let bench = Bench::new();
    let (ledger, _) = bench.open();
    let held = Held::new(&bench, &ledger);
    let mut entry = ledger.begin(get("/"));
    starts_to_wait(pin!(entry.permit(&bench.permit())));
    let mut lead = held.1.unwrap();
    lead.regroup(&mut ledger.shared().lock());
    drop(lead);
    assert!(matches!(now(entry.permit(&bench.permit())), Err(Unrecorded::Write(_))));
    bench.requests(&ledger, 1);
    ledger.close();
    assert_eq!((outcomes(&bench), bench.verify().fault), (vec!["ok".to_owned()], None));
}

/// A clock that the writer thread can't read.
struct BrokenInThread(Arc<HandClock>);

impl Clock for BrokenInThread {
    fn now(&self) -> Timestamp {
        assert_ne!(std::thread::current().name(), Some("ledger"), "this is the panic of the test");
        self.0.now()
    }

    fn monotonic(&self) -> Duration {
        self.0.monotonic()
    }
}

#[test]
fn a_writer_thread_that_panics_is_noticed_and_every_request_is_refused() {
    let bench = Bench::new();
    let (ledger, _) = Ledger::open(bench.settings(), Arc::new(BrokenInThread(Arc::clone(&bench.clock)))).unwrap();
    bench.requests(&ledger, 1);
    let noticed = (0..1000).any(|_| {
        std::thread::sleep(Duration::from_millis(2));
        !ledger.writer_lives()
    });
    assert!(noticed && !ledger.healthy());
    let mut entry = ledger.begin(get("/"));
    assert!(matches!(now(entry.permit(&bench.permit())), Err(Unrecorded::NoWriter)));
    drop(entry);
    ledger.close();
    assert_eq!((outcomes(&bench), bench.verify().fault), (vec!["ok".to_owned()], None));
}

#[test]
fn a_resource_found_before_the_permit_stays_in_the_record() {
    let bench = Bench::new();
    let (ledger, _) = bench.open();
    let mut entry = ledger.begin(get("/"));
    entry.resource(Some(ResourceId::parse("https://api.example.com/").unwrap()));
    let policy = crate::policy::PolicySet::parse(&crate::policy::builtin()).unwrap();
    let permit = policy.open(&bench.session, &Authority::parse("api.example.com:443").unwrap());
    now(entry.permit(&permit)).unwrap();
    entry.complete(done());
    ledger.close();
    assert!(bench.text().contains("\"resource\":\"https://api.example.com/\",\"action\":"));
}
