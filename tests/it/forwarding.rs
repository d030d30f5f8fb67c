//! What leaves for an API and what comes back: which connection it takes, how it is framed, what a switch may be.

use bytes::Bytes;
use futures_util::future::join_all;
use http_body_util::BodyExt as _;
use hyper::Method;
use hyper::Request;
use hyper::body::Frame;
use tokio::io::AsyncReadExt as _;
use tokio::io::AsyncWriteExt as _;

use crate::world::Answer;
use crate::world::H2Case;
use crate::world::Issuer;
use crate::world::Listing;
use crate::world::Plan;
use crate::world::Session;
use crate::world::TOKEN;
use crate::world::UP;
use crate::world::Upstream;
use crate::world::World;
use crate::world::body_of;
use crate::world::empty;
use crate::world::full;
use crate::world::read_answer;
use crate::world::until;
use crate::world::within;

const WEBSOCKET: &str = "GET /ws HTTP/1.1\r\nHost: up.example.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

fn over_h2(path: &str) -> Request<crate::world::Body> {
    Request::get(format!("https://{UP}{path}")).body(empty()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_moves_requests_to_the_new_place_and_no_old_connection_comes_back() {
    let (old, new) = (Upstream::h1().await, Upstream::h1().await);
    let world = World::usual(&old).await;
    let session = world.session("claude").await;
    let (mut kept, mut slow) = (session.h1(UP).await, session.h1(UP).await);
    let get = |path: &str| Session::request(Method::GET, UP, path, empty());
    let answer = Answer::read(within("an answer", kept.send_request(get("/echo"))).await.unwrap()).await;
    assert_eq!(answer.status, 200);
    let slow = tokio::spawn(async move { slow.send_request(get("/slow")).await.unwrap() });
    until("the slow request", || old.requests().iter().find(|seen| seen.target == "/slow").map(|_| ())).await;

    let file = world.home().join("proxy.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    let place = |up: &Upstream| format!("127.0.0.1:{}", up.port());
    std::fs::write(&file, text.replace(&place(&old), &place(&new))).unwrap();
    let deadline = tokio::time::Instant::now() + crate::world::PATIENCE;
    while new.requests().is_empty() {
        assert!(tokio::time::Instant::now() < deadline, "the new place never held");
        assert_eq!(session.get(UP, "/moved").await.status, 200);
    }
    let before = old.requests().len();
    old.release(1);
    assert_eq!(Answer::read(within("the slow answer", slow).await.unwrap()).await.text(), "at last");
    for _ in 0..3 {
        kept.ready().await.unwrap();
        let get = Session::request(Method::GET, UP, "/after", empty());
        assert_eq!(Answer::read(within("an answer", kept.send_request(get)).await.unwrap()).await.status, 200);
    }
    assert_eq!(old.requests().len(), before, "{:#?}", old.requests());
    assert_eq!(new.requests().iter().filter(|seen| seen.target == "/after").count(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_resources_of_one_identifier_share_no_connection() {
    for (one, two) in [(Upstream::h1().await, Upstream::h1().await), (Upstream::h2().await, Upstream::h2().await)] {
        let plan = Plan::new().secret("api", TOKEN);
        let plan = plan.resource(&Listing::of(UP, &one).line("paths = [\"/one/**\"]"));
        let plan = plan.resource(&Listing::of(UP, &two).line("paths = [\"/two/**\"]"));
        let world = plan.permit_all().start().await;
        let session = world.session("claude").await;
        let mut sender = session.h1(UP).await;
        for path in ["/one/a", "/two/a", "/one/b", "/two/b"] {
            sender.ready().await.unwrap();
            let request = Session::request(Method::GET, UP, path, empty());
            let answer = Answer::read(within("an answer", sender.send_request(request)).await.unwrap()).await;
            assert_eq!(answer.status, 200, "{path}: {answer:?}");
        }
        let seen = |up: &Upstream| up.requests().into_iter().map(|seen| seen.target).collect::<Vec<_>>();
        assert_eq!(
            (seen(&one), seen(&two)),
            (vec!["/one/a".into(), "/one/b".into()], vec!["/two/a".into(), "/two/b".into()])
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_waits_for_the_connection_that_its_tunnel_started() {
    for up in [Upstream::h1().await, Upstream::both().await] {
        let world = World::usual(&up).await;
        let session = world.session("claude").await;
        up.close_the_door();
        let mut sender = session.h1(UP).await;
        until("the early connection", || (up.connections() > 0).then_some(())).await;
        let request = Session::request(Method::GET, UP, "/echo", empty());
        let answer = tokio::spawn(async move { sender.send_request(request).await });
        until("the decision", || world.ledger().into_iter().find(|line| line["path"] == "/echo")).await;
        up.open_the_door();
        assert_eq!(within("an answer", answer).await.unwrap().unwrap().status(), 200);
        assert_eq!(up.connections(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_burst_and_a_long_answer_share_one_http_2_connection() {
    let up = Upstream::h2().await;
    let world = World::usual(&up).await;
    let session = world.session("claude").await;
    let h2 = session.h2(UP).await;
    let burst = join_all((0..20).map(|number| h2.clone().send_request(over_h2(&format!("/echo/{number}")))));
    assert!(within("the burst", burst).await.into_iter().all(|response| response.unwrap().status() == 200));
    let events = within("the events' head", h2.clone().send_request(over_h2("/sse?n=1"))).await.unwrap();
    let beside = within("an answer beside", h2.clone().send_request(over_h2("/echo/beside"))).await.unwrap();
    assert_eq!(Answer::read(beside).await.status, 200);
    up.release(1);
    assert_eq!(events.into_body().collect().await.unwrap().to_bytes(), "data: 0\n\n");
    assert_eq!(up.connections(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_http_2_connection_without_a_free_stream_is_left_to_those_that_have_one() {
    let up = Upstream::h2().await;
    let world = World::usual(&up).await;
    let session = world.session("claude").await;
    let agents = [session.h2(UP).await, session.h2(UP).await];
    let mut streams = Vec::new();
    for number in 0..120 {
        let response = agents[number % 2].clone().send_request(over_h2("/sse?n=1"));
        streams.push(within("a head", response).await.unwrap());
    }
    assert!(streams.iter().all(|response| response.status() == 200));
    assert_eq!(up.connections(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_token_is_dropped_although_its_request_cannot_be_sent_again() {
    let up = Upstream::h1().await;
    let issuer = Issuer::honest().await;
    let listing = Listing::of(UP, &up).line("credential = \"client-credentials\"");
    let world = Plan::new().zone_at(&issuer).resource(&listing).permit_all().start().await;
    let session = world.session("claude").await;
    let streamed = || body_of(futures_util::stream::iter([Ok(Frame::data(Bytes::from_static(b"once")))]));
    let post = || Session::request(Method::POST, UP, "/once-unauthorized", streamed());
    assert_eq!(session.send(post()).await.status, 401, "a body of unknown length is not kept");
    let answer = session.send(post()).await;
    assert_eq!((answer.status, answer.text()), (200, "once".to_owned()));
    assert_eq!((issuer.asked().len(), up.requests().len()), (2, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_get_keeps_its_body_of_unknown_length() {
    let up = Upstream::h1().await;
    let world = World::usual(&up).await;
    let session = world.session("claude").await;
    let parts = || body_of(futures_util::stream::iter([Ok(Frame::data(Bytes::from_static(b"{\"query\":{}}")))]));
    let request = Request::get(format!("https://{UP}/upload")).body(parts()).unwrap();
    let response = within("an answer", session.h2(UP).await.send_request(request)).await.unwrap();
    assert_eq!(Answer::read(response).await.json()["bytes"], 12);
    let head =
        "GET /upload HTTP/1.1\r\nHost: up.example.test\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
    let known = "GET /upload HTTP/1.1\r\nHost: up.example.test\r\nContent-Length: 3\r\n\r\nabc";
    assert_eq!(session.raw_inside(UP, known.as_bytes()).await.json()["bytes"], 3);
    // A refusal is no loss; silence about the body would be.
    let answer = session.raw_inside(UP, head.as_bytes()).await;
    assert!(answer.status == 400 || answer.json()["bytes"] == 3, "{answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_length_is_written_anew_whatever_the_agent_wrote() {
    let up = Upstream::h1().await;
    let world = World::usual(&up).await;
    let session = world.session("claude").await;
    for length in ["005", "5"] {
        let case = H2Case::get(UP, "/upload").with(":method", "POST").with("content-length", length).data(b"hello");
        let status = case.send(session.tls(UP, &["h2"]).await).await;
        assert!(status == 200 || (status == 400 && length != "5"), "{length}: {status}");
    }
    assert_eq!(session.post(UP, "/upload", "").await.json()["bytes"], 0);
    let seen = up.requests();
    assert!(seen.len() >= 2);
    for seen in &seen {
        let expected = if seen.body_bytes == 0 { "0" } else { "5" };
        assert_eq!(seen.header("content-length"), Some(expected), "{seen:#?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_the_agent_broke_is_the_agents_fault_on_every_version() {
    for up in [Upstream::h1().await, Upstream::h2().await] {
        let world = World::usual(&up).await;
        let session = world.session("claude").await;
        let mut stream = session.tls(UP, &["http/1.1"]).await;
        let head = "POST /upload HTTP/1.1\r\nHost: up.example.test\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n";
        stream.write_all(head.as_bytes()).await.unwrap();
        until("the first bytes", || up.requests().iter().find(|seen| seen.body_bytes == 5).map(|_| ())).await;
        stream.write_all(b"XYZ\r\n").await.unwrap();
        let _ = within("the end", stream.read_to_end(&mut Vec::new())).await;
        let record = world.record_of("/upload").await;
        assert_eq!(record.completed["error"], "request-body-broken", "{record:#?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_below_localhost_is_reached_here_and_not_through_the_upstream_proxy() {
    let (up, proxy) = (Upstream::plain().await, Upstream::plain().await);
    let port = up.port();
    let listing = Listing::bare(&format!("http://api.localhost:{port}"), "api.localhost")
        .line("scheme = \"http\"")
        .line(&format!("port = {port}"))
        .line("credential = { source = \"stored\", secret = \"api\" }");
    let plan = Plan::new().secret("api", TOKEN).resource(&listing).permit_all();
    let world = plan.proxy(&format!("upstream = \"http://127.0.0.1:{}\"", proxy.port())).start().await;
    let session = world.session("claude").await;
    let head = format!(
        "GET http://api.localhost:{port}/echo HTTP/1.1\r\nHost: api.localhost:{port}\r\nProxy-Authorization: {}\r\n\r\n",
        session.basic()
    );
    assert_eq!(session.raw(head.as_bytes()).await.status, 200);
    assert_eq!(up.only_request().header("authorization"), Some(format!("Bearer {TOKEN}").as_str()));
    assert_eq!(up.only_request().authority, format!("api.localhost:{port}"));
    assert_eq!(proxy.connections(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_switch_is_cleaned_like_any_answer() {
    let up = Upstream::script(
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade, X-Nominated\r\nUpgrade: WebSocket\r\n\
          X-Nominated: 1\r\nSet-Cookie: session=abc\r\nAlt-Svc: h3=\":443\"\r\nSec-WebSocket-Accept: yes\r\n\r\n",
    )
    .await;
    let world = World::usual(&up).await;
    let session = world.session("claude").await;
    let mut stream = session.tls(UP, &["http/1.1"]).await;
    stream.write_all(WEBSOCKET.as_bytes()).await.unwrap();
    let answer = read_answer(&mut stream).await;
    assert_eq!(answer.status, 101, "{answer:?}");
    assert_eq!((answer.header("upgrade"), answer.header("sec-websocket-accept")), ("websocket", "yes"));
    assert_eq!(answer.header("connection"), "upgrade");
    for gone in ["set-cookie", "alt-svc", "x-nominated"] {
        assert!(!answer.headers.contains_key(gone), "{gone} in {answer:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_switch_to_anything_but_a_websocket_is_refused() {
    let answers: [&'static [u8]; 3] = [
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: evil\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\nUpgrade: evil\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\n\r\n",
    ];
    for answer in answers {
        let up = Upstream::script(answer).await;
        let world = World::usual(&up).await;
        let session = world.session("claude").await;
        let problem = session.raw_inside(UP, WEBSOCKET.as_bytes()).await.problem(502);
        assert_eq!(problem["code"], "upstream-unasked-switch", "{}", String::from_utf8_lossy(answer));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_body_of_a_post_is_told_to_be_empty_on_every_version() {
    for up in [Upstream::h1().await, Upstream::h2().await] {
        let world = World::usual(&up).await;
        let session = world.session("claude").await;
        let request = Request::post(format!("https://{UP}/upload")).body(full("")).unwrap();
        let response = within("an answer", session.h2(UP).await.send_request(request)).await.unwrap();
        assert_eq!(Answer::read(response).await.json()["bytes"], 0);
        assert_eq!(up.only_request().header("content-length"), Some("0"));
    }
}
