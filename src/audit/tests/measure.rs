//! How long a line takes.

use super::*;

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
    let bytes = [b'x'; 450];
    let started = std::time::Instant::now();
    for _ in 0..COUNT {
        std::hint::black_box(chain::sha256_hex(std::hint::black_box(&bytes)));
    }
    report("SHA-256 of 450 bytes, in hex", started);
    let id = ledger.begin(opening).id();
    let started = std::time::Instant::now();
    for _ in 0..COUNT {
        line::with_scratch(|bytes| {
            let mut body = line::Body::begin(bytes, "decided");
            body.shown("id", id);
            std::hint::black_box(bytes.len());
        });
    }
    report("an id", started);
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
