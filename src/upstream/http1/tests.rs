use tokio::io::AsyncReadExt as _;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;
use tokio::net::TcpStream;

use super::*;
use crate::http::Body;
use crate::http::Frames;
use crate::http::Trailers;

async fn pair() -> (Http1, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let ours = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    (Http1::new(Wire::Clear(ours)), listener.accept().await.unwrap().0)
}

fn message(method: Method, body: Body) -> Message {
    let (mut head, ()) = hyper::Request::new(()).into_parts();
    (head.method, head.uri) = (method, "/a".parse().unwrap());
    Message { head: Box::new(head), body: Sent::new(body) }
}

/// The status and the body that `answer` gives to a request; whether another may follow.
async fn exchange(method: Method, answer: &str) -> Result<(u16, String, bool), String> {
    let (mut http1, mut server) = pair().await;
    server.write_all(answer.as_bytes()).await.unwrap();
    server.shutdown().await.unwrap();
    let head = http1.exchange(message(method, Body::Empty)).await.map_err(|error| format!("{error:?}"))?;
    let mut text = Vec::new();
    while !http1.is_read() {
        match poll_fn(|cx| http1.poll_frame(cx)).await {
            Some(Ok(frame)) => text.extend_from_slice(&frame.into_data().unwrap_or_default()),
            Some(Err(error)) => return Err(format!("{error:?}")),
            None => break,
        }
    }
    Ok((head.status.as_u16(), String::from_utf8(text).unwrap(), http1.is_ready()))
}

async fn got(answer: &str) -> Result<(u16, String, bool), String> {
    exchange(Method::GET, answer).await
}

fn ok(status: u16, text: &str, stays: bool) -> Result<(u16, String, bool), String> {
    Ok((status, text.to_owned(), stays))
}

#[tokio::test]
async fn a_body_ends_where_its_head_says() {
    assert_eq!(got("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello").await, ok(200, "hello", true));
    let chunks = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n";
    assert_eq!(got(chunks).await, ok(200, "hello", true));
    assert_eq!(got("HTTP/1.1 200 OK\r\n\r\nhello").await, ok(200, "hello", false));
    assert_eq!(got("HTTP/1.1 304 x\r\nContent-Length: 5\r\n\r\n").await, ok(304, "", true));
    let head = exchange(Method::HEAD, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n").await;
    assert_eq!(head, ok(200, "", true));
}

#[tokio::test]
async fn a_connection_is_used_again_only_where_nothing_speaks_against_it() {
    let close = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello";
    assert_eq!(got(close).await, ok(200, "hello", false));
    assert_eq!(got("HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello").await, ok(200, "hello", false));
    let more = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhelloHTTP/1.1 200 OK\r\n\r\n";
    assert_eq!(got(more).await, ok(200, "hello", false), "an answer that nobody asked for");
    let old = "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    assert_eq!(got(old).await, ok(200, "", false));
}

#[tokio::test]
async fn what_breaks_off_is_no_answer() {
    for answer in [
        "",
        "HTTP/1.1 200 OK\r\nContent-Len",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell",
        "HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nhello",
        "nonsense\r\n\r\n",
    ] {
        assert!(got(answer).await.is_err(), "{answer:?}");
    }
}

#[tokio::test]
async fn answers_before_the_answer_are_passed_over_and_counted() {
    let (interim, last) = ("HTTP/1.1 103 x\r\nLink: a\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(got(&(interim.repeat(limits::INTERIM_ANSWERS_MAX) + last)).await, ok(200, "", true));
    assert!(got(&(interim.repeat(limits::INTERIM_ANSWERS_MAX + 1) + last)).await.is_err());
}

/// A body of which one part comes and then nothing.
struct Stalls(bool);

impl Frames for Stalls {
    fn poll_frame(&mut self, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyFailed>>> {
        match std::mem::replace(&mut self.0, true) {
            false => Poll::Ready(Some(Ok(Frame::data("half".into())))),
            true => Poll::Pending,
        }
    }

    fn is_end(&self) -> bool {
        false
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}

#[tokio::test]
async fn an_answer_may_come_before_its_request_has_ended_and_is_the_last_on_its_connection() {
    let (mut http1, mut server) = pair().await;
    let body = Body::stream(Stalls(false), Trailers::Drop, limits::AGENT_BODY_IDLE_TIMEOUT);
    let serves = async {
        let expected = "POST /a HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n";
        let mut read = vec![0; expected.len()];
        server.read_exact(&mut read).await.unwrap();
        assert_eq!(String::from_utf8(read).unwrap(), expected);
        server.write_all(b"HTTP/1.1 413 x\r\nContent-Length: 3\r\n\r\nbig").await.unwrap();
    };
    let (answered, ()) = tokio::join!(http1.exchange(message(Method::POST, body)), serves);
    assert_eq!(answered.unwrap().status.as_u16(), 413);
    let frame = poll_fn(|cx| http1.poll_frame(cx)).await.unwrap().unwrap();
    assert_eq!(frame.into_data().unwrap(), "big");
    assert!(http1.is_read() && !http1.is_ready());
}

#[tokio::test]
async fn the_end_of_an_idle_connection_is_noticed_before_it_is_used() {
    let (mut http1, server) = pair().await;
    assert!(poll_fn(|cx| Poll::Ready(http1.is_idle(cx))).await);
    drop(server);
    let gone = async {
        while poll_fn(|cx| Poll::Ready(http1.is_idle(cx))).await {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(5), gone).await.unwrap();
}

#[tokio::test]
async fn a_whole_body_leaves_with_its_head() {
    let (mut http1, mut server) = pair().await;
    let serves = async {
        let expected = "PUT /a HTTP/1.1\r\ncontent-length: 5\r\n\r\nhello";
        let mut read = vec![0; 1024];
        let count = server.read(&mut read).await.unwrap();
        assert_eq!(std::str::from_utf8(&read[..count]).unwrap(), expected);
        server.write_all(b"HTTP/1.1 204 x\r\n\r\n").await.unwrap();
    };
    let (answered, ()) = tokio::join!(http1.exchange(message(Method::PUT, Body::Whole("hello".into()))), serves);
    assert_eq!(answered.unwrap().status.as_u16(), 204);
    assert!(http1.is_ready());
}
