//! What passes through an opened connection, and how: versions, streams, upgrades, tunnels.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::SinkExt as _;
use futures_util::StreamExt as _;
use http_body_util::BodyExt as _;
use hyper::HeaderMap;
use hyper::Method;
use hyper::Version;
use hyper::body::Frame;
use tokio::io::AsyncReadExt as _;
use tokio::io::AsyncWriteExt as _;
use tokio_tungstenite::tungstenite::Message;

use crate::world::Answer;
use crate::world::Listing;
use crate::world::Plan;
use crate::world::Session;
use crate::world::TOKEN;
use crate::world::TestCa;
use crate::world::UP;
use crate::world::Upstream;
use crate::world::World;
use crate::world::body_of;
use crate::world::empty;
use crate::world::full;
use crate::world::read_answer;
use crate::world::within;

#[tokio::test(flavor = "multi_thread")]
async fn every_version_on_one_side_meets_every_version_on_the_other() {
    for up in [Upstream::h1().await, Upstream::h2().await, Upstream::both().await] {
        let world = World::usual(&up).await;
        let session = world.session("claude").await;
        let answer = session.get(UP, "/echo").await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let mut h2 = session.h2(UP).await;
        let request = hyper::Request::get(format!("https://{UP}/echo?over=h2")).body(empty()).unwrap();
        let answer = Answer::read(within("an answer", h2.send_request(request)).await.unwrap()).await;
        assert_eq!(answer.json()["target"], "/echo?over=h2");
        for seen in up.requests() {
            assert_eq!(seen.header("authorization"), Some(format!("Bearer {TOKEN}").as_str()));
            assert_eq!(seen.authority, UP);
        }
        assert_eq!(up.requests().len(), 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_without_alpn_gets_http_1() {
    let up = Upstream::both().await;
    let world = World::usual(&up).await;
    let session = world.session("claude").await;
    let mut stream = session.tls(UP, &[]).await;
    assert_eq!(stream.get_ref().1.alpn_protocol(), None);
    stream.write_all(b"GET /bytes?n=2 HTTP/1.1\r\nHost: up.example.test\r\n\r\n").await.unwrap();
    assert_eq!(read_answer(&mut stream).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_prefers_http_2_gets_it() {
    let up = Upstream::h1().await;
    let world = World::usual(&up).await;
    let session = world.session("claude").await;
    let stream = session.tls(UP, &["h2", "http/1.1"]).await;
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
}

#[tokio::test(flavor = "multi_thread")]
async fn many_requests_pass_on_one_connection_and_the_upstreams_is_reused() {
    let up = Upstream::h1().await;
    let world = World::usual(&up).await;
    let session = world.session("claude").await;
    let mut sender = session.h1(UP).await;
    for number in 0..20 {
        sender.ready().await.unwrap();
        let request = Session::request(Method::GET, UP, &format!("/echo/{number}"), empty());
        let answer = Answer::read(within("an answer", sender.send_request(request)).await.unwrap()).await;
        assert_eq!(answer.json()["target"], format!("/echo/{number}"));
    }
    let connections: Vec<usize> = up.requests().iter().map(|seen| seen.connection).collect();
    assert_eq!(connections, [0; 20]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_upload_passes_in_constant_memory() {
    let mebibytes: u64 = std::env::var("VALETKEY_TEST_UPLOAD_MIB").ok().map_or(1024, |text| text.parse().unwrap());
    let up = Upstream::h1().await;
    let world = World::usual(&up).await;
    let session = world.session("claude").await;
    assert_eq!(session.get(UP, "/echo").await.status, 200);
    let before = world.daemon.as_ref().unwrap().peak_kib();
    let part = Bytes::from(vec![7; 65_536]);
    let parts = (0..mebibytes * 16).map(move |_| Ok(Frame::data(part.clone())));
    let request = Session::request(Method::POST, UP, "/upload", body_of(futures_util::stream::iter(parts)));
    let mut sender = session.h1(UP).await;
    let answer = tokio::time::timeout(std::time::Duration::from_secs(240), sender.send_request(request)).await;
    let answer = Answer::read(answer.expect("the upload ends").unwrap()).await.json();
    assert_eq!(answer["bytes"], mebibytes << 20);
    let grown = world.daemon.as_ref().unwrap().peak_kib() - before;
    assert!(grown < 100 << 10, "the daemon grew by {grown} KiB");
    assert_eq!(world.record_of("/upload").await.completed["bytes_in"], mebibytes << 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_download_passes_in_constant_memory() {
    let up = Upstream::both().await;
    let world = World::usual(&up).await;
    let session = world.session("claude").await;
    assert_eq!(session.get(UP, "/echo").await.status, 200);
    let before = world.daemon.as_ref().unwrap().peak_kib();
    let length = 128 << 20;
    let request = Session::request(Method::GET, UP, &format!("/bytes?n={length}"), empty());
    let mut body = session.h1(UP).await.send_request(request).await.unwrap().into_body();
    let mut received = 0;
    while let Some(frame) = within("more of the download", body.frame()).await {
        received += frame.unwrap().into_data().map_or(0, |bytes| bytes.len());
    }
    assert_eq!(received, length);
    let grown = world.daemon.as_ref().unwrap().peak_kib() - before;
    assert!(grown < 100 << 10, "the daemon grew by {grown} KiB");
}

#[tokio::test(flavor = "multi_thread")]
async fn events_arrive_one_by_one() {
    for up in [Upstream::h1().await, Upstream::h2().await] {
        let world = World::usual(&up).await;
        let session = world.session("claude").await;
        let mut sender = session.h1(UP).await;
        let request = Session::request(Method::GET, UP, "/sse?n=3", empty());
        let response = within("the head before the first event", sender.send_request(request)).await.unwrap();
        assert_eq!(
            (response.status().as_u16(), &response.headers()["content-type"]),
            (200, &"text/event-stream".parse().unwrap())
        );
        let mut body = response.into_body();
        for number in 0..3 {
            // The upstream sends this event only now, so nothing may have held back the one before.
            up.release(1);
            let frame = within("an event", body.frame()).await.unwrap().unwrap();
            assert_eq!(frame.into_data().unwrap(), format!("data: {number}\n\n"));
        }
        assert!(within("the end", body.frame()).await.is_none());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_websocket_echoes_and_is_recorded() {
    let up = Upstream::both().await;
    let world = World::usual(&up).await;
    let session = world.session("claude").await;
    let stream = session.tls(UP, &["http/1.1"]).await;
    let connected = within("the upgrade", tokio_tungstenite::client_async(format!("wss://{UP}/ws"), stream)).await;
    let (mut socket, response) = connected.unwrap();
    assert_eq!(response.status(), 101);
    let long = "x".repeat(100_000);
    for text in ["one", "two", long.as_str()] {
        socket.send(Message::text(text)).await.unwrap();
        let back = within("the echo", socket.next()).await.unwrap().unwrap();
        assert_eq!(back.into_text().unwrap().as_str(), text);
    }
    socket.close(None).await.unwrap();
    while let Some(Ok(_)) = within("the end of the websocket", socket.next()).await {}
    drop(socket);
    assert_eq!(up.only_request().header("authorization"), Some(format!("Bearer {TOKEN}").as_str()));
    let record = world.record_of("/ws").await;
    assert_eq!(record.completed["status"], 101);
    assert!(record.completed["bytes_in"].as_u64().unwrap() > 100_000, "{record:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_denied_websocket_is_never_upgraded() {
    let up = Upstream::h1().await;
    let plan = Plan::new().secret("api", TOKEN).resource(&Listing::of(UP, &up));
    let world = plan.policy("none", "forbid(principal, action, resource);\n").start().await;
    let session = world.session("claude").await;
    let head = "GET /ws HTTP/1.1\r\nHost: up.example.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    session.raw_inside(UP, head.as_bytes()).await.problem(403);
    assert_eq!(up.requests().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn trailers_survive_as_grpc_needs_them() {
    let up = Upstream::h2().await;
    let world = World::usual(&up).await;
    let session = world.session("claude").await;
    let mut h2 = session.h2(UP).await;
    let request = hyper::Request::post(format!("https://{UP}/grpc"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(full(&b"\0\0\0\0\x02hi"[..]))
        .unwrap();
    let answer = Answer::read(within("an answer", h2.send_request(request)).await.unwrap()).await;
    assert_eq!(answer.body, &b"\0\0\0\0\x02hi"[..]);
    assert_eq!(answer.trailers["grpc-status"], "0");
    assert_eq!(answer.trailers["grpc-message"], "done");
    let seen = up.only_request();
    assert_eq!(seen.header("te"), Some("trailers"));
    assert_eq!(seen.version, Version::HTTP_2);
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_flow_both_ways_at_once_over_http_2() {
    let up = Upstream::h2().await;
    let world = World::usual(&up).await;
    let session = world.session("claude").await;
    let mut h2 = session.h2(UP).await;
    let (send, receive) = tokio::sync::mpsc::channel::<Bytes>(1);
    let parts = futures_util::stream::unfold(receive, |mut receive| async {
        let bytes = receive.recv().await?;
        Some((Ok(Frame::data(bytes)), receive))
    });
    let request = hyper::Request::post(format!("https://{UP}/upload")).body(body_of(parts)).unwrap();
    let sending = async {
        for _ in 0..64 {
            send.send(Bytes::from(vec![1; 16_384])).await.unwrap();
        }
        drop(send);
    };
    let (answer, ()) = tokio::join!(within("an answer", h2.send_request(request)), sending);
    assert_eq!(Answer::read(answer.unwrap()).await.json()["bytes"], 64 * 16_384);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_waits_for_100_continue_and_a_denied_one_is_never_asked_for() {
    let up = Upstream::h1().await;
    let plan =
        Plan::usual(&up).policy("not", "forbid(principal, action, resource) when { context.path == \"/no\" };\n");
    let world = plan.start().await;
    let session = world.session("claude").await;
    let head = |path: &str| {
        format!("POST {path} HTTP/1.1\r\nHost: {UP}\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n").into_bytes()
    };
    let mut stream = session.tls(UP, &["http/1.1"]).await;
    stream.write_all(&head("/upload")).await.unwrap();
    assert_eq!(read_answer(&mut stream).await.status, 100);
    stream.write_all(b"12345").await.unwrap();
    assert_eq!(read_answer(&mut stream).await.json()["bytes"], 5);
    session.raw_inside(UP, &head("/no")).await.problem(403);
    assert_eq!(up.requests().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plain_resource_on_loopback_is_reached_by_the_absolute_form() {
    let up = Upstream::plain().await;
    let port = up.port();
    let world = in_the_clear(&up).await;
    let session = world.session("claude").await;
    let head = format!(
        "GET http://127.0.0.1:{port}/echo?x=1 HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nProxy-Authorization: {}\r\n\
         Proxy-Connection: keep-alive\r\n\r\n",
        session.basic()
    );
    let answer = session.raw(head.as_bytes()).await;
    assert_eq!(answer.json()["target"], "/echo?x=1");
    let seen = up.only_request();
    assert_eq!(seen.header("authorization"), Some(format!("Bearer {TOKEN}").as_str()));
    assert_eq!(seen.header("proxy-authorization"), None);
    assert_eq!(seen.header("proxy-connection"), None);
}

/// A plain resource on loopback.
async fn in_the_clear(up: &Upstream) -> World {
    let port = up.port();
    let listing = Listing::bare(&format!("http://127.0.0.1:{port}"), "127.0.0.1")
        .line("scheme = \"http\"")
        .line(&format!("port = {port}"))
        .line("credential = { source = \"stored\", secret = \"api\" }")
        .line("private = true");
    Plan::new().secret("api", TOKEN).resource(&listing).permit_all().start().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_websocket_in_the_clear_is_bridged() {
    let up = Upstream::plain().await;
    let world = in_the_clear(&up).await;
    let session = world.session("claude").await;
    let mut stream = session.dial().await;
    let place = format!("127.0.0.1:{}", up.port());
    let head = format!(
        "GET http://{place}/ws HTTP/1.1\r\nHost: {place}\r\nProxy-Authorization: {}\r\nConnection: Upgrade\r\n\
         Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        session.basic()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    assert_eq!(read_answer(&mut stream).await.status, 101);
    let role = tokio_tungstenite::tungstenite::protocol::Role::Client;
    let mut socket = tokio_tungstenite::WebSocketStream::from_raw_socket(stream, role, None).await;
    socket.send(Message::text("hello")).await.unwrap();
    let back = within("the echo", socket.next()).await.unwrap().unwrap();
    assert_eq!(back.into_text().unwrap().as_str(), "hello");
    session.close().await;
    let ended = async { while let Some(Ok(_)) = socket.next().await {} };
    within("the websocket to end with its session", ended).await;
    assert_eq!(world.record_of("/ws").await.completed["error"], "session-ended");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_carried_in_the_clear_ends_with_its_session() {
    let up = Upstream::plain().await;
    let world = in_the_clear(&up).await;
    let session = world.session("claude").await;
    let mut stream = session.dial().await;
    let place = format!("127.0.0.1:{}", up.port());
    let head = |path: &str| {
        let basic = session.basic();
        format!("GET http://{place}{path} HTTP/1.1\r\nHost: {place}\r\nProxy-Authorization: {basic}\r\n\r\n")
    };
    stream.write_all(head("/echo").as_bytes()).await.unwrap();
    assert_eq!(read_answer(&mut stream).await.status, 200);
    stream.write_all(head("/sse?n=2").as_bytes()).await.unwrap();
    up.release(1);
    let mut seen = Vec::new();
    while !String::from_utf8_lossy(&seen).contains("data: 0") {
        assert_ne!(within("an event", stream.read_buf(&mut seen)).await.unwrap(), 0);
    }
    session.close().await;
    let _ = within("the end of the answer", stream.read_to_end(&mut seen)).await;
    assert!(!seen.ends_with(b"0\r\n\r\n"), "half an answer was made whole");
    assert_eq!(world.record_of("/sse").await.completed["outcome"], "aborted");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_ends_with_its_connection_is_told_from_a_cut_one() {
    let up = Upstream::h1().await;
    let world = World::usual(&up).await;
    let session = world.session("claude").await;
    up.release(1);
    for (path, whole) in [("/sse?n=1", true), ("/cut", false)] {
        let mut stream = session.tls(UP, &["http/1.1"]).await;
        stream.write_all(format!("GET {path} HTTP/1.0\r\nHost: {UP}\r\n\r\n").as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        // without `close_notify` the end is an error
        let read = within("the end", stream.read_to_end(&mut answer)).await;
        assert_eq!(read.is_ok(), whole, "{path}: {read:?}, {}", String::from_utf8_lossy(&answer));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn in_the_clear_too_a_cut_answer_is_told_from_one_that_ends_with_its_connection() {
    let up = Upstream::plain().await;
    let world = in_the_clear(&up).await;
    let session = world.session("claude").await;
    up.release(1);
    for (path, whole) in [("/sse?n=1", true), ("/cut-stream", false)] {
        let mut stream = session.dial().await;
        let place = format!("127.0.0.1:{}", up.port());
        let head = format!(
            "GET http://{place}{path} HTTP/1.0\r\nHost: {place}\r\nProxy-Authorization: {}\r\n\r\n",
            session.basic()
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        let read = within("the end", stream.read_to_end(&mut answer)).await;
        let error = read.err().map(|error| error.kind());
        let expected = (!whole).then_some(std::io::ErrorKind::ConnectionReset);
        assert_eq!(error, expected, "{path}: {}", String::from_utf8_lossy(&answer));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn connect_comes_in_http_1_0_and_without_host() {
    let up = Upstream::h1().await;
    let world = World::usual(&up).await;
    let session = world.session("claude").await;
    for version in ["1.0", "1.1"] {
        let mut stream = session.dial().await;
        let head = format!("CONNECT {UP}:443 HTTP/{version}\r\nProxy-Authorization: {}\r\n\r\n", session.basic());
        stream.write_all(head.as_bytes()).await.unwrap();
        assert_eq!(read_answer(&mut stream).await.status, 200, "HTTP/{version}");
        let mut inside = session.tls_over(stream, UP, &["http/1.1"]).await.unwrap();
        inside.write_all(b"GET /echo HTTP/1.1\r\nHost: up.example.test\r\n\r\n").await.unwrap();
        assert_eq!(read_answer(&mut inside).await.status, 200, "HTTP/{version}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_challenged_client_retries_on_the_same_connection() {
    let up = Upstream::h1().await;
    let world = World::usual(&up).await;
    let session = world.session("git").await;
    let mut stream = session.dial().await;
    stream.write_all(format!("CONNECT {UP}:443 HTTP/1.1\r\nHost: {UP}:443\r\n\r\n").as_bytes()).await.unwrap();
    let challenge = read_answer(&mut stream).await;
    assert_eq!(challenge.status, 407);
    assert!(challenge.header("proxy-authenticate").starts_with("Basic realm="), "{challenge:?}");
    let head =
        format!("CONNECT {UP}:443 HTTP/1.1\r\nHost: {UP}:443\r\nProxy-Authorization: {}\r\n\r\n", session.basic());
    stream.write_all(head.as_bytes()).await.unwrap();
    assert_eq!(read_answer(&mut stream).await.status, 200);
    let mut inside = session.tls_over(stream, UP, &["http/1.1"]).await.unwrap();
    inside.write_all(b"GET /echo HTTP/1.1\r\nHost: up.example.test\r\n\r\n").await.unwrap();
    assert_eq!(read_answer(&mut inside).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn tunnels_open_in_parallel() {
    let up = Upstream::both().await;
    let world = World::usual(&up).await;
    let session = Arc::new(world.session("claude").await);
    let answers = futures_util::future::join_all((0..16).map(|number| {
        let session = Arc::clone(&session);
        async move { session.get(UP, &format!("/echo/{number}")).await.status }
    }))
    .await;
    assert_eq!(answers, [200; 16]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unlisted_host_is_tunnelled_untouched_and_recorded() {
    let up = Upstream::tls(&["127.0.0.1"], &[b"http/1.1"]).await;
    let world = Plan::new().loopback_tunnels(&[up.port()]).permit_all().start().await;
    let session = world.session("claude").await;
    let authority = format!("127.0.0.1:{}", up.port());
    // Only the upstream's own certificate is trusted here.
    let trusted = TestCa::shared().pem_file();
    let mut stream = session.tls_trusting(trusted, &authority, "127.0.0.1", &["http/1.1"]).await.unwrap();
    let head =
        format!("GET /echo HTTP/1.1\r\nHost: {authority}\r\nAuthorization: Bearer mine\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    assert_eq!(read_answer(&mut stream).await.status, 200);
    let _ = stream.read_to_end(&mut Vec::new()).await;
    drop(stream);
    assert_eq!(up.only_request().header("authorization"), Some("Bearer mine"));
    let opened = crate::world::until("the tunnel's record", || {
        world
            .ledger()
            .into_iter()
            .find(|line| line["kind"] == "decided" && line["action"] == "connect" && line["host"] == "127.0.0.1")
    })
    .await;
    assert_eq!(opened["agent"], "claude");
    world.valetkey(&["audit", "verify"]).await.expect(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unlisted_host_is_refused_where_the_configuration_or_a_policy_says_so() {
    let up = Upstream::h1().await;
    let denying = Plan::usual(&up).proxy("unlisted = \"deny\"").start().await;
    let session = denying.session("claude").await;
    session.connect("other.example.test:443").await.unwrap_err().problem(403);
    assert_eq!(session.get(UP, "/echo").await.status, 200);
    let policy = "forbid(principal, action == Action::\"connect\", resource == Host::\"other.example.test:443\");\n";
    let forbidding = Plan::usual(&up).policy("other", policy).start().await;
    let session = forbidding.session("claude").await;
    session.connect("other.example.test:443").await.unwrap_err().problem(403);
}

#[tokio::test(flavor = "multi_thread")]
async fn cookies_and_alternative_services_are_taken_out_unless_the_resource_passes_cookies() {
    let up = Upstream::h1().await;
    let listing = Listing::of("open.example.test", &up).line("cookies = \"pass\"");
    let open = Upstream::tls(&["open.example.test"], &[b"http/1.1"]).await;
    let listing = listing.line(&format!("connect = \"127.0.0.1:{}\"", open.port()));
    let world = Plan::usual(&up).resource(&listing).start().await;
    let session = world.session("claude").await;
    let answer = session.get(UP, "/cookies").await;
    assert_eq!(answer.header("vary"), "authorization");
    assert!(!answer.headers.contains_key("set-cookie") && !answer.headers.contains_key("alt-svc"), "{answer:?}");
    let answer = session.get("open.example.test", "/cookies").await;
    assert_eq!(answer.headers.get_all("set-cookie").iter().count(), 2);
    assert!(!answer.headers.contains_key("alt-svc"));
    let mut request = Session::request(Method::GET, "open.example.test", "/echo", empty());
    request.headers_mut().insert("cookie", "session=abc".parse().unwrap());
    session.send(request).await;
    assert_eq!(open.requests()[1].header("cookie"), Some("session=abc"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_credential_goes_where_its_template_says() {
    let up = Upstream::h1().await;
    let listing = Listing::of(UP, &up).line("header = { name = \"X-Api-Key\", value = \"key {token}\" }");
    let world = Plan::new().secret("api", TOKEN).resource(&listing).permit_all().start().await;
    let session = world.session("claude").await;
    let mut request = Session::request(Method::GET, UP, "/echo", empty());
    let mine: HeaderMap = [("x-api-key", "mine"), ("authorization", "Bearer mine")]
        .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
        .into_iter()
        .collect();
    request.headers_mut().extend(mine);
    assert_eq!(session.send(request).await.status, 200);
    let seen = up.only_request();
    assert_eq!(seen.header("x-api-key"), Some(format!("key {TOKEN}").as_str()));
    assert_eq!(seen.header("authorization"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_is_handed_on_and_never_followed() {
    let up = Upstream::h1().await;
    let world = World::usual(&up).await;
    let answer = world.session("claude").await.get(UP, "/redirect").await;
    assert_eq!((answer.status, answer.header("location")), (302, "https://elsewhere.example.test/taken"));
    assert_eq!(up.requests().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_cannot_authenticate_has_a_port_that_is_its_identity() {
    let up = Upstream::h1().await;
    let world = World::usual(&up).await;
    let session = world.session("java").await;
    let options = session.variable("JAVA_TOOL_OPTIONS");
    let port = options.split_whitespace().find_map(|option| option.strip_prefix("-Dhttps.proxyPort="));
    let port: u16 = port.expect("Java is told a port").parse().unwrap();
    assert_ne!(port, world.proxy_port);
    let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    stream.write_all(format!("CONNECT {UP}:443 HTTP/1.1\r\nHost: {UP}:443\r\n\r\n").as_bytes()).await.unwrap();
    assert_eq!(read_answer(&mut stream).await.status, 200);
    let mut inside = session.tls_over(stream, UP, &["http/1.1"]).await.unwrap();
    inside.write_all(b"GET /echo/by-port HTTP/1.1\r\nHost: up.example.test\r\n\r\n").await.unwrap();
    assert_eq!(read_answer(&mut inside).await.status, 200);
    let record = world.record_of("/echo/by-port").await;
    assert_eq!((&record.decided["agent"], &record.decided["session"]), (&"java".into(), &session.id().into()));
    session.close().await;
    let closed = async {
        while tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_ok() {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    };
    within("the session's port to close", closed).await;
}
