use http_body_util::BodyExt as _;
use hyper_util::rt::TokioIo;
use tokio::io::AsyncReadExt as _;
use tokio::io::AsyncWriteExt as _;

use super::*;

const MOMENT: Duration = Duration::from_millis(20);

/// The body of the answer to a request.
async fn answer(stream: tokio::io::DuplexStream) -> Incoming {
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    sender.send_request(hyper::Request::new(Body::Empty)).await.unwrap().into_body()
}

#[tokio::test]
async fn a_body_that_falls_silent_is_over_and_one_that_moves_is_not() {
    let (client, mut server) = tokio::io::duplex(1024);
    let begin = async {
        assert_eq!(server.read_u8().await.unwrap(), b'G');
        server.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n01").await.unwrap();
    };
    let (incoming, ()) = tokio::join!(answer(client), begin);
    let counter = Arc::new(AtomicU64::new(0));
    let mut body = Body::stream(incoming, Trailers::Drop, MOMENT).counted(&counter);
    let frame = body.frame().await.unwrap().unwrap();
    assert_eq!(frame.into_data().unwrap(), "01");
    // waiting arms the deadline, and a frame that came since moves it on
    assert!(futures_util::FutureExt::now_or_never(body.frame()).is_none());
    server.write_all(b"23").await.unwrap();
    assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "23");
    let silence = body.frame().await.unwrap().unwrap_err();
    assert!(matches!(silence, BodyFailed::Idle(MOMENT)), "{silence:?}");
    assert_eq!(counter.load(Ordering::Relaxed), 4);
}
