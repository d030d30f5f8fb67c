use std::io::ErrorKind;

use futures_util::FutureExt as _;
use tokio::io::AsyncReadExt as _;
use tokio::io::AsyncWriteExt as _;
use tokio::io::DuplexStream;

use super::*;

const GET: &str = "GET /a HTTP/1.1\r\nHost: a\r\n\r\n";
const CONNECT: &str = "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n";

/// A guarded stream from which all of `bytes` can be read at once.
async fn after(bytes: &str) -> (Strict<DuplexStream>, DuplexStream) {
    let (mut agent, ours) = tokio::io::duplex(64 * 1024);
    agent.write_all(bytes.as_bytes()).await.unwrap();
    (Strict::new(ours), agent)
}

/// What passes before the stream waits.
async fn passes(strict: &mut Strict<DuplexStream>) -> String {
    let mut passed = Vec::new();
    while let Some(read) = strict.read_buf(&mut passed).now_or_never() {
        assert_ne!(read.unwrap(), 0);
    }
    String::from_utf8(passed).unwrap()
}

#[tokio::test]
async fn only_the_answer_to_the_request_that_may_switch_lets_the_stream_go_on() {
    let (mut strict, _agent) = after(&format!("{GET}{CONNECT}{GET}")).await;
    let gate = strict.gate();
    assert_eq!(passes(&mut strict).await, format!("{GET}{CONNECT}"));
    gate.proceed(1);
    assert_eq!(passes(&mut strict).await, "");
    gate.proceed(2);
    assert_eq!(passes(&mut strict).await, GET);
}

#[tokio::test]
async fn what_came_early_is_kept_for_the_protocol_that_follows() {
    let (mut strict, _agent) = after(&format!("{GET}{CONNECT}\x16\x03\x01\n")).await;
    assert_eq!(passes(&mut strict).await, format!("{GET}{CONNECT}"));
    strict.gate().proceed(1);
    assert_eq!(passes(&mut strict).await, "");
    assert_eq!(strict.violation(), None);
    assert_eq!(strict.into_inner().1, "\x16\x03\x01\n");
}

#[tokio::test]
async fn nonsense_is_an_error_at_first_and_a_silence_behind_a_request() {
    let (mut strict, _agent) = after("nonsense\n").await;
    assert_eq!(strict.read(&mut [0; 64]).await.unwrap_err().kind(), ErrorKind::InvalidData);
    assert!(!strict.gate().is_broken());

    let (mut strict, _agent) = after(&format!("{GET}nonsense\n")).await;
    let mut head = vec![0; GET.len()];
    strict.read_exact(&mut head).await.unwrap();
    assert!(!strict.gate().is_broken(), "nobody has asked for more");
    assert_eq!(passes(&mut strict).await, "");
    assert!(strict.gate().is_broken());
    assert_eq!(strict.violation(), Some(Violation::LineEnding));
}

#[tokio::test]
async fn a_broken_body_is_an_error_for_its_request() {
    let head = "POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
    let (mut strict, _agent) = after(&format!("{head}5\r\nhelloXX")).await;
    let mut passed = Vec::new();
    assert_eq!(strict.read_to_end(&mut passed).await.unwrap_err().kind(), ErrorKind::InvalidData);
    assert_eq!(String::from_utf8(passed).unwrap(), head);
    assert_eq!((strict.violation(), strict.gate().is_broken()), (Some(Violation::Chunk), false));
}

#[tokio::test]
async fn what_is_heard_is_told() {
    let (mut strict, _agent) = after(GET).await;
    let gate = strict.gate();
    assert!(!gate.heard().load(std::sync::atomic::Ordering::Relaxed));
    passes(&mut strict).await;
    assert!(gate.heard().load(std::sync::atomic::Ordering::Relaxed));
}
