//! Every refusal: its status, its words, its hint, and exactly one record.

use serde_json::Value;
use tokio::io::AsyncWriteExt as _;

use crate::world::Answer;
use crate::world::Issuer;
use crate::world::Listing;
use crate::world::Mood;
use crate::world::Plan;
use crate::world::TOKEN;
use crate::world::TestCa;
use crate::world::UP;
use crate::world::Upstream;
use crate::world::World;
use crate::world::read_answer;
use crate::world::until;

/// The refusal is well-formed, names its record, and the ledger has that record once.
async fn recorded(world: &World, answer: &Answer, status: u16) -> Value {
    let problem = answer.problem(status);
    let of = |kind: &str| {
        world.ledger().into_iter().filter(|line| line["kind"] == kind && line["id"] == problem["record"]).count()
    };
    until("the refusal's record", || (of("completed") > 0).then_some(())).await;
    assert_eq!((of("decided"), of("completed")), (1, 1), "{problem:#}");
    for field in ["detail", "hint", "title"] {
        let text = problem[field].as_str().unwrap();
        assert!(!text.contains(TOKEN) && text.len() < 400, "{field}: {text}");
    }
    problem
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unidentified_client_is_challenged() {
    let up = Upstream::h1().await;
    let world = World::usual(&up).await;
    let session = world.session("claude").await;
    let wrong = [
        String::new(),
        "Proxy-Authorization: Basic bm9ib2R5OndyaXRlcw==\r\n".to_owned(),
        "Proxy-Authorization: Basic !!!\r\n".to_owned(),
        "Proxy-Authorization: Bearer x\r\n".to_owned(),
        format!("Proxy-Authorization: {}x\r\n", session.basic()),
        format!("Proxy-Authorization: {}\r\nProxy-Authorization: Basic bm9ib2R5Og==\r\n", session.basic()),
    ];
    for line in wrong {
        let head = format!("CONNECT {UP}:443 HTTP/1.1\r\nHost: {UP}:443\r\n{line}\r\n");
        let answer = session.raw(head.as_bytes()).await;
        assert!(answer.status == 407 || (answer.status == 400 && line.len() > 100), "{line}: {answer:?}");
        if answer.status == 407 {
            assert!(answer.header("proxy-authenticate").starts_with("Basic realm="), "{line}: {answer:?}");
            recorded(&world, &answer, 407).await;
        }
    }
    assert!(up.requests().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_ended_is_challenged_and_its_tunnels_close() {
    let up = Upstream::h1().await;
    let world = World::usual(&up).await;
    let session = world.session("claude").await;
    let other = world.session("codex").await;
    let (basic, mut tunnel) = (session.basic(), session.tls(UP, &["http/1.1"]).await);
    session.close().await;
    let head = format!("CONNECT {UP}:443 HTTP/1.1\r\nHost: {UP}:443\r\nProxy-Authorization: {basic}\r\n\r\n");
    assert_eq!(other.raw(head.as_bytes()).await.status, 407);
    let _ = tunnel.write_all(b"GET /echo HTTP/1.1\r\nHost: up.example.test\r\n\r\n").await;
    let status = read_answer(&mut tunnel).await.status;
    assert!([0, 403, 407].contains(&status), "{status}");
    assert_eq!(up.requests().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_denial_names_the_agent_and_what_to_do() {
    let up = Upstream::h1().await;
    let plan = Plan::new().secret("api", TOKEN).resource(&Listing::of(UP, &up));
    let world = plan.policy("none", "@id(\"house-rule\") forbid(principal, action, resource);\n").start().await;
    let session = world.session("claude").await;
    let answer = session.get(UP, "/echo?secret=query-marker").await;
    let problem = recorded(&world, &answer, 403).await;
    assert!(!problem.to_string().contains("query-marker"), "{problem:#}");
    let record = world.record_of("/echo").await;
    assert_eq!(record.decided["policies"], serde_json::json!(["house-rule"]));
    assert_eq!(record.completed["outcome"], "refused");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_malformed_request_is_refused_in_words() {
    let up = Upstream::h1().await;
    let world = World::usual(&up).await;
    let session = world.session("claude").await;
    recorded(&world, &session.get(UP, "/a/../b").await, 400).await;
    let head = "GET / HTTP/1.1\r\nHost: other.example.test\r\n\r\n";
    recorded(&world, &session.raw_inside(UP, head.as_bytes()).await, 421).await;
    assert!(up.requests().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unlisted_host_is_refused_in_deny_mode() {
    let world = Plan::new().permit_all().proxy("unlisted = \"deny\"").start().await;
    let session = world.session("claude").await;
    let answer = session.connect("nowhere.example.test:443").await.unwrap_err();
    recorded(&world, &answer, 403).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_that_is_down_or_lies_about_its_name_is_a_bad_gateway() {
    let gone = Upstream::h1().await;
    let wrong_name = Upstream::tls(&["somebody.else.test"], &[b"http/1.1"]).await;
    let untrusted = Upstream::h1().await;
    let plain = Upstream::plain().await;
    let distrust = Listing::of("untrusted.example.test", &untrusted);
    let roots = Plan::new();
    let other_ca = roots.home().join("other-ca.pem");
    // A certificate that is well-formed, but nobody's issuer.
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::new(Vec::<String>::new()).unwrap();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    std::fs::write(&other_ca, params.self_signed(&key).unwrap().pem()).unwrap();
    assert!(TestCa::shared().pem_file().exists());
    let world = roots
        .secret("api", TOKEN)
        .resource(&Listing::of("gone.example.test", &gone))
        .resource(&Listing::of("wrong.example.test", &wrong_name))
        .resource(&distrust.line(&format!("ca = \"{}\"", other_ca.display())))
        .resource(&Listing::of("plain.example.test", &plain))
        .permit_all()
        .start()
        .await;
    drop(gone);
    let session = world.session("claude").await;
    for host in ["gone.example.test", "wrong.example.test", "untrusted.example.test", "plain.example.test"] {
        recorded(&world, &session.get(host, "/echo").await, 502).await;
    }
    assert!(wrong_name.requests().is_empty() && untrusted.requests().is_empty() && plain.requests().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_endpoint_that_is_down_or_lies_is_a_bad_gateway_and_is_not_hammered() {
    let moods = [
        ("down", Mood::Down),
        ("error", Mood::Says(400, "{\"error\":\"invalid_grant\",\"error_description\":\"marker-of-the-provider\"}")),
        ("server error", Mood::Says(500, "<html>oops</html>")),
        ("no JSON", Mood::Says(200, "access granted")),
        ("no token", Mood::Says(200, "{\"token_type\":\"Bearer\",\"expires_in\":60}")),
        (
            "line break",
            Mood::Says(200, "{\"access_token\":\"a\\r\\nX-Evil: yes\",\"token_type\":\"Bearer\",\"expires_in\":60}"),
        ),
        ("another type", Mood::Says(200, "{\"access_token\":\"a\",\"token_type\":\"mac\",\"expires_in\":60}")),
        ("negative life", Mood::Says(200, "{\"access_token\":\"a\",\"token_type\":\"Bearer\",\"expires_in\":-1}")),
    ];
    for (name, mood) in moods {
        let up = Upstream::h1().await;
        let issuer = Issuer::honest().await;
        issuer.becomes(mood);
        let listing = Listing::of(UP, &up).line("credential = \"client-credentials\"");
        let world = Plan::new().zone_at(&issuer).resource(&listing).permit_all().start().await;
        let session = world.session("claude").await;
        let answer = session.get(UP, "/echo").await;
        assert!([502, 503].contains(&answer.status), "{name}: {answer:?}");
        recorded(&world, &answer, answer.status).await;
        let asked = issuer.asked().len();
        assert!((1..=3).contains(&asked), "{name}: asked {asked} times");
        for _ in 0..10 {
            session.get(UP, "/echo").await;
        }
        assert!(issuer.asked().len() <= asked + 5, "{name}: hammered {} times", issuer.asked().len());
        assert_eq!(up.requests().len(), 0, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_endpoint_that_never_answers_is_a_time_out_within_the_bound() {
    let up = Upstream::h1().await;
    let issuer = Issuer::honest().await;
    issuer.becomes(Mood::Silent);
    let listing = Listing::of(UP, &up).line("credential = \"client-credentials\"");
    let world = Plan::new().zone_at(&issuer).resource(&listing).permit_all().start().await;
    let answer = world.session("claude").await.get(UP, "/echo").await;
    recorded(&world, &answer, 504).await;
    assert_eq!(up.requests().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn heads_over_the_limit_are_refused() {
    let up = Upstream::both().await;
    let world = World::usual(&up).await;
    let session = world.session("claude").await;
    let many = (0..300).map(|number| format!("X-{number}: x\r\n")).collect::<String>();
    let head = format!("GET /echo HTTP/1.1\r\nHost: {UP}\r\n{many}\r\n");
    let status = session.raw_inside(UP, head.as_bytes()).await.status;
    assert!([400, 431].contains(&status), "{status}");
    let head = format!("GET /{} HTTP/1.1\r\nHost: {UP}\r\n\r\n", "a".repeat(200_000));
    let status = session.raw_inside(UP, head.as_bytes()).await.status;
    assert!([0, 400, 414, 431].contains(&status), "{status}");
    assert_eq!(up.requests().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_stalls_in_its_head_is_let_go() {
    let up = Upstream::h1().await;
    let world = World::usual(&up).await;
    let session = world.session("claude").await;
    let mut outside = session.dial().await;
    outside.write_all(b"CONNECT up.example.test:443 HTT").await.unwrap();
    let mut inside = session.tls(UP, &["http/1.1"]).await;
    inside.write_all(b"GET /echo HTT").await.unwrap();
    let (outside, inside) = tokio::join!(read_answer(&mut outside), read_answer(&mut inside));
    for status in [outside.status, inside.status] {
        assert!([0, 408].contains(&status), "{status}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_is_no_uri_is_refused_in_words_and_recorded() {
    let up = Upstream::h1().await;
    let world = World::usual(&up).await;
    let session = world.session("claude").await;
    for target in ["/?q=\"x\"", "/?q=<x>", "/a<b", "/a`b"] {
        let head = format!("GET {target} HTTP/1.1\r\nHost: {UP}\r\n\r\n");
        recorded(&world, &session.raw_inside(UP, head.as_bytes()).await, 400).await;
    }
    for target in ["a:1:2", "a%2eb:443", "up.example.test:443/"] {
        let head = format!("CONNECT {target} HTTP/1.1\r\nProxy-Authorization: {}\r\n\r\n", session.basic());
        recorded(&world, &session.raw(head.as_bytes()).await, 400).await;
    }
    let head = format!("POST / HTTP/1.1\r\nHost: {UP}\r\nContent-Length: {}\r\n\r\n", u64::MAX);
    recorded(&world, &session.raw_inside(UP, head.as_bytes()).await, 400).await;
    assert!(up.requests().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_denied_upload_hears_why() {
    let up = Upstream::h1().await;
    let plan = Plan::new().secret("api", TOKEN).resource(&Listing::of(UP, &up));
    let world = plan.policy("none", "forbid(principal, action, resource);\n").start().await;
    let session = world.session("claude").await;
    let body = vec![b'x'; 8 * 1024 * 1024];
    let mut stream = session.tls(UP, &["http/1.1"]).await;
    let head = format!("POST /upload HTTP/1.1\r\nHost: {UP}\r\nContent-Length: {}\r\n\r\n", body.len());
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&body).await.unwrap();
    recorded(&world, &read_answer(&mut stream).await, 403).await;
    assert!(up.requests().is_empty());
}
