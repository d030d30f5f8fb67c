//! Records are found and followed.

use super::*;

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
