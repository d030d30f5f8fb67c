use std::task::Context;

use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::body::Frame;
use hyper::body::SizeHint;
use tokio::io::AsyncReadExt as _;
use tokio::io::AsyncWriteExt as _;
use tokio::io::DuplexStream;

use super::*;
use crate::http::BodyFailed;
use crate::http::Frames;

/// What an agent that sends `bytes` and then waits is told, and how it ended. Each answer repeats the method, the
/// target and, but for `/unread`, the body of its request.
async fn served(bytes: &str, hangs_up: bool) -> (String, &'static str) {
    let (ours, theirs) = tokio::io::duplex(64 * 1024);
    let (mut reads, mut writes) = tokio::io::split(theirs);
    let draining = CancellationToken::new();
    let agent = async {
        writes.write_all(bytes.as_bytes()).await.unwrap();
        if hangs_up {
            writes.shutdown().await.unwrap();
        } else {
            tokio::time::sleep(Duration::from_millis(50)).await;
            draining.cancel();
        }
        let mut text = String::new();
        reads.read_to_string(&mut text).await.unwrap();
        text
    };
    let serves = async {
        match serve(ours, answer, Duration::from_secs(5), &draining).await {
            Served::Switched((), mut rest) => {
                let mut early = [0; 5];
                rest.read_exact(&mut early).await.unwrap();
                rest.write_all(&early).await.unwrap();
                "switched"
            }
            Served::Unread(_, Parting::Spoken(_)) => "unread",
            Served::Done(Parting::Silent(_) | Parting::Over(_)) => "done",
            Served::Done(Parting::Abrupt) => "gone",
            Served::Unread(..) | Served::Done(Parting::Spoken(_)) => "never",
        }
    };
    tokio::join!(agent, serves)
}

async fn answer(request: Request<Body>) -> (Response<Recorded>, Option<()>) {
    let (head, body) = request.into_parts();
    let mut text = format!("{} {}", head.method, head.uri.path());
    if head.uri.path() != "/unread"
        && let Ok(body) = body.collect().await
    {
        text.push_str(&format!(" {}", String::from_utf8_lossy(&body.to_bytes())));
    }
    let switches = head.method == Method::CONNECT;
    let mut response = Response::new(if switches { Recorded::empty() } else { Recorded::of(Body::Whole(text.into())) });
    if head.uri.path() == "/nothing" {
        *response.status_mut() = StatusCode::NO_CONTENT;
    }
    (response, switches.then_some(()))
}

fn told(text: &str) -> String {
    format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{text}", text.len())
}

fn told_last(text: &str) -> String {
    format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{text}", text.len())
}

#[tokio::test]
async fn requests_in_one_piece_are_answered_one_after_the_other() {
    let three = "GET /a HTTP/1.1\r\n\r\nPOST /b HTTP/1.1\r\nContent-Length: 3\r\n\r\nxyz\
                 POST /c HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n";
    let expected = [told("GET /a "), told("POST /b xyz"), told("POST /c hello")].concat();
    assert_eq!(served(three, false).await, (expected, "done"));
}

#[tokio::test]
async fn the_last_request_of_a_connection_says_so() {
    let text = "GET /a HTTP/1.1\r\nConnection: close\r\n\r\nGET /b HTTP/1.1\r\n\r\n";
    assert_eq!(served(text, false).await, (told_last("GET /a "), "done"));
    let (old, kept) = ("GET /a HTTP/1.0\r\n\r\n", "GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    assert_eq!(served(old, false).await.0, "HTTP/1.0 200 OK\r\ncontent-length: 7\r\n\r\nGET /a ");
    let twice = served(&kept.repeat(2), false).await.0;
    assert_eq!(twice, "HTTP/1.0 200 OK\r\ncontent-length: 7\r\nconnection: keep-alive\r\n\r\nGET /a ".repeat(2));
}

#[tokio::test]
async fn what_has_no_body_gets_none() {
    let text = "HEAD /a HTTP/1.1\r\n\r\nGET /nothing HTTP/1.1\r\n\r\nGET /b HTTP/1.1\r\n\r\n";
    let expected = format!("HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n{}", told("GET /b "));
    assert_eq!(served(text, false).await, (expected, "done"));
}

#[tokio::test]
async fn an_agent_that_asks_is_told_to_go_on_and_only_where_its_body_is_wanted() {
    let head = |path: &str| format!("POST {path} HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
    let wanted = served(&head("/a"), true).await;
    assert_eq!(wanted, (format!("HTTP/1.1 100 Continue\r\n\r\n{}", told_last("POST /a")), "done"), "none came");
    let refused = served(&head("/unread"), false).await;
    assert_eq!(refused, (told_last("POST /unread"), "done"), "it may send the body or the next request");
}

#[tokio::test]
async fn a_body_that_nobody_read_is_never_taken_for_a_request() {
    let smuggled = "GET /b HTTP/1.1\r\n\r\n";
    let whole =
        format!("POST /unread HTTP/1.1\r\nContent-Length: {}\r\n\r\n{smuggled}GET /c HTTP/1.1\r\n\r\n", smuggled.len());
    assert_eq!(served(&whole, false).await.0, told("POST /unread") + &told("GET /c "));
    let half = format!("POST /unread HTTP/1.1\r\nContent-Length: {}\r\n\r\n{smuggled}", smuggled.len() + 1);
    assert_eq!(served(&half, false).await, (told_last("POST /unread"), "done"));
}

#[tokio::test]
async fn what_came_with_a_connect_is_for_the_protocol_that_follows() {
    let (text, end) = served("CONNECT a:443 HTTP/1.1\r\n\r\nearly", false).await;
    assert_eq!((&*text, end), ("HTTP/1.1 200 OK\r\n\r\nearly", "switched"));
}

#[tokio::test]
async fn nonsense_ends_the_connection_behind_the_answers_before_it() {
    assert_eq!(served("GET /a HTTP/1.1\r\n\r\nnonsense\n", false).await, (told("GET /a "), "unread"));
    assert_eq!(served("nonsense\n", false).await, (String::new(), "unread"));
    assert_eq!(served("GET /a HTT", true).await, (String::new(), "done"));
}

#[tokio::test]
async fn a_broken_body_is_not_read_on() {
    let text = "POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nheXX";
    assert_eq!(served(text, false).await, (told_last("POST /a"), "done"));
}

/// A body that breaks off behind its first part.
struct Breaks(bool);

impl Frames for Breaks {
    fn poll_frame(&mut self, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyFailed>>> {
        Poll::Ready(Some(match std::mem::replace(&mut self.0, true) {
            false => Ok(Frame::data("half".into())),
            true => Err(BodyFailed::Broken("broken".into())),
        }))
    }

    fn is_end(&self) -> bool {
        false
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(8)
    }
}

/// A pipe has but one end.
impl Breaking for DuplexStream {
    fn breaks_when_dropped(&self, _: bool) {}
}

#[tokio::test]
async fn of_an_answer_that_breaks_off_its_beginning_arrives() {
    let (ours, mut theirs) = tokio::io::duplex(1024);
    theirs.write_all(b"GET /a HTTP/1.1\r\n\r\n").await.unwrap();
    let breaks = |_| async {
        let body = Body::stream(Breaks(false), Trailers::Pass, limits::UPSTREAM_BODY_IDLE_TIMEOUT);
        (Response::new(Recorded::of(body)), None::<()>)
    };
    let served = serve(ours, breaks, Duration::from_secs(5), &CancellationToken::new()).await;
    assert!(matches!(served, Served::Done(Parting::Abrupt)));
    let mut text = String::new();
    theirs.read_to_string(&mut text).await.unwrap();
    assert_eq!(text, "HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\nhalf");
}

#[tokio::test]
async fn any_division_into_reads_gives_the_same_answers() {
    let text =
        "POST /b HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\nGET /a HTTP/1.1\r\n\r\n";
    let draining = CancellationToken::new();
    for at in 1..text.len() {
        let (ours, mut theirs): (DuplexStream, DuplexStream) = tokio::io::duplex(1024);
        let (first, second) = text.split_at(at);
        let agent = async {
            theirs.write_all(first.as_bytes()).await.unwrap();
            tokio::task::yield_now().await;
            theirs.write_all(second.as_bytes()).await.unwrap();
            let expected = told("POST /b hello") + &told("GET /a ");
            let mut read = vec![0; expected.len()];
            theirs.read_exact(&mut read).await.unwrap();
            assert_eq!(String::from_utf8(read).unwrap(), expected, "divided at {at}");
            drop(theirs);
        };
        tokio::join!(agent, serve(ours, answer, Duration::from_secs(5), &draining));
    }
}
