//! The house's own instruments, tried without a daemon: what they say must be true before they accuse anybody.

use futures_util::SinkExt as _;
use futures_util::StreamExt as _;
use http_body_util::BodyExt as _;
use hyper::Method;
use hyper::Request;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::tungstenite::Message;

use super::Answer;
use super::Body;
use super::H2Case;
use super::Issuer;
use super::Mood;
use super::Session;
use super::TestCa;
use super::UP;
use super::Upstream;
use super::client_config;
use super::empty;
use super::full;
use super::within;

async fn tls(up: &Upstream, alpn: &[&str]) -> TlsStream<TcpStream> {
    let tcp = TcpStream::connect(("127.0.0.1", up.port())).await.unwrap();
    let connector = TlsConnector::from(client_config(TestCa::shared().pem_file(), alpn));
    connector.connect(ServerName::try_from(UP).unwrap(), tcp).await.unwrap()
}

async fn h1(up: &Upstream) -> http1::SendRequest<Body> {
    let (sender, connection) = http1::handshake(TokioIo::new(tls(up, &["http/1.1"]).await)).await.unwrap();
    tokio::spawn(connection);
    sender
}

async fn send(up: &Upstream, method: Method, path: &str, body: Body) -> Answer {
    let request = Session::request(method, UP, path, body);
    Answer::read(h1(up).await.send_request(request).await.unwrap()).await
}

#[tokio::test]
async fn an_upstream_remembers_and_answers_by_path() {
    let up = Upstream::both().await;
    assert_eq!(send(&up, Method::GET, "/echo?a=b", empty()).await.json()["target"], "/echo?a=b");
    assert_eq!(up.only_request().authority, UP);
    let uploaded = send(&up, Method::POST, "/upload", full("abc")).await.json();
    assert_eq!(uploaded["bytes"], 3);
    assert!(uploaded["sha256"].as_str().unwrap().starts_with("ba7816bf"));
    assert_eq!(send(&up, Method::GET, "/bytes?n=5", empty()).await.text(), "xxxxx");
    assert_eq!(send(&up, Method::GET, "/status/418", empty()).await.status, 418);
    assert_eq!(send(&up, Method::GET, "/once-unauthorized", empty()).await.status, 401);
    assert_eq!(send(&up, Method::GET, "/once-unauthorized", empty()).await.status, 401);
    assert_eq!(send(&up, Method::GET, "/cookies", empty()).await.headers.get_all("set-cookie").iter().count(), 2);
    up.page("/page", "text/html", "hello");
    assert_eq!(send(&up, Method::GET, "/page", empty()).await.text(), "hello");
    let cut = h1(&up).await.send_request(Session::request(Method::GET, UP, "/cut", empty())).await;
    assert!(match cut {
        Ok(response) => response.into_body().collect().await.is_err(),
        Err(_) => true,
    });
}

#[tokio::test]
async fn an_event_is_sent_when_it_is_released_and_not_before() {
    let up = Upstream::h1().await;
    let response = h1(&up).await.send_request(Session::request(Method::GET, UP, "/sse?n=2", empty())).await;
    let mut body = response.unwrap().into_body();
    let early = tokio::time::timeout(std::time::Duration::from_millis(50), body.frame()).await;
    assert!(early.is_err());
    up.release(1);
    assert_eq!(within("an event", body.frame()).await.unwrap().unwrap().into_data().unwrap(), "data: 0\n\n");
}

#[tokio::test]
async fn a_websocket_and_a_grpc_call_are_answered() {
    let up = Upstream::both().await;
    let stream = tls(&up, &["http/1.1"]).await;
    let (mut socket, _) = tokio_tungstenite::client_async(format!("wss://{UP}/ws"), stream).await.unwrap();
    socket.send(Message::text("hello")).await.unwrap();
    assert_eq!(within("the echo", socket.next()).await.unwrap().unwrap().into_text().unwrap().as_str(), "hello");
    let io = TokioIo::new(tls(&up, &["h2"]).await);
    let (mut h2, connection) =
        hyper::client::conn::http2::handshake(hyper_util::rt::TokioExecutor::new(), io).await.unwrap();
    tokio::spawn(connection);
    let request = Request::post(format!("https://{UP}/grpc")).body(full("message")).unwrap();
    let answer = Answer::read(h2.send_request(request).await.unwrap()).await;
    assert_eq!((answer.text().as_str(), answer.trailers["grpc-status"].as_bytes()), ("message", &b"0"[..]));
}

#[tokio::test]
async fn http_2_by_hand_is_understood_and_what_is_wrong_in_it_refused() {
    let up = Upstream::h2().await;
    assert_eq!(H2Case::get(UP, "/echo").send(tls(&up, &["h2"]).await).await, 200);
    assert_eq!(H2Case::get(UP, "/status/403").send(tls(&up, &["h2"]).await).await, 403);
    let long = "x".repeat(5_000);
    assert_eq!(H2Case::get(UP, "/echo").with("x-long", &long).send(tls(&up, &["h2"]).await).await, 200);
    assert!(up.requests().iter().any(|seen| seen.header("x-long") == Some(long.as_str())));
    let before = up.requests().len();
    for case in [H2Case::get(UP, "/").with("X-A", "b"), H2Case::get(UP, "/").with("connection", "close")] {
        let status = case.send(tls(&up, &["h2"]).await).await;
        assert!([0, 400].contains(&status), "{status}");
    }
    assert_eq!(up.requests().len(), before);
}

#[tokio::test]
async fn an_issuer_is_strict_and_follows_its_script() {
    let issuer = Issuer::honest().await;
    let address = issuer.url().trim_start_matches("http://").to_owned();
    let ask = async |body: &'static str, basic: Option<&str>| {
        let tcp = TcpStream::connect(&address).await.unwrap();
        let (mut sender, connection) = http1::handshake(TokioIo::new(tcp)).await.unwrap();
        tokio::spawn(connection);
        let mut request = Request::post("/token").header("host", &address);
        request = request.header("content-type", "application/x-www-form-urlencoded");
        if let Some(basic) = basic {
            request = request.header("authorization", basic);
        }
        match sender.send_request(request.body(full(body)).unwrap()).await {
            Ok(response) => Some(Answer::read(response).await),
            Err(_) => None,
        }
    };
    let basic = Some("Basic YnJva2VyLWNsaWVudDpjbGllbnQtc2VjcmV0LTlkMWU=");
    let good = "grant_type=client_credentials&resource=https%3A%2F%2Fa";
    assert_eq!(ask(good, basic).await.unwrap().json()["token_type"], "Bearer");
    assert_eq!(issuer.asked()[0]["resource"], "https://a");
    assert_eq!(ask(good, None).await.unwrap().json()["error"], "invalid_client");
    assert_eq!(ask("grant_type=password", basic).await.unwrap().json()["error"], "unsupported_grant_type");
    assert_eq!(ask("grant_type=a&grant_type=b", basic).await.unwrap().json()["error"], "invalid_request");
    issuer.becomes(Mood::Says(500, "oops"));
    assert_eq!(ask(good, basic).await.unwrap().status, 500);
    issuer.becomes(Mood::Down);
    assert!(ask(good, basic).await.is_none());
}
