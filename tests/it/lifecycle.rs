//! The daemon's days: stopping, reloading, and the way to the network.

use std::fs;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;
use std::time::Instant;

use tokio::io::AsyncReadExt as _;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;
use tokio::net::TcpStream;

use crate::world::Listing;
use crate::world::Plan;
use crate::world::TOKEN;
use crate::world::UP;
use crate::world::Upstream;
use crate::world::World;
use crate::world::until;

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_lets_finish_what_is_under_way_and_waits_for_no_idle_session() {
    let up = Upstream::h1().await;
    let world = World::usual(&up).await;
    let session = world.session("claude").await;
    let idle = world.session("idle").await;
    let under_way = session.get(UP, "/slow");
    let stop = async {
        until("the request to arrive", || (!up.requests().is_empty()).then_some(())).await;
        let begun = Instant::now();
        let stopped = world.valetkey(&["stop"]).await.expect(0);
        assert!(stopped.stderr.starts_with("waiting: requests under way have 5 s to finish\n"), "{stopped:?}");
        begun.elapsed()
    };
    let answer_later = async {
        until("the daemon to drain", || world.said().contains("draining").then_some(())).await;
        tokio::time::sleep(Duration::from_millis(600)).await;
        up.release(1);
    };
    let (answer, took, ()) = tokio::join!(under_way, stop, answer_later);
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(took < Duration::from_secs(5), "a stop waited {took:?}");
    assert_eq!(world.record_of("/slow").await.completed["outcome"], "ok");
    let last = world.ledger().pop().unwrap();
    assert_eq!(last["kind"], "signed", "{last}");
    drop(idle);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_closes_a_tunnel_that_never_ends_and_records_it() {
    let up = Upstream::h1().await;
    let world = Plan::new().loopback_tunnels(&[up.port()]).permit_all().start().await;
    let session = world.session("claude").await;
    let mut tunnel = session.connect(&format!("127.0.0.1:{}", up.port())).await.unwrap();
    let begun = Instant::now();
    world.valetkey(&["stop"]).await.expect(0);
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    assert_eq!(tunnel.read(&mut [0; 16]).await.unwrap_or(0), 0);
    let ended = world.ledger().into_iter().find(|line| line["kind"] == "completed" && line["outcome"] == "aborted");
    assert!(ended.is_some(), "{:#?}", world.ledger());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_changes_secret_and_resource_together() {
    let up = Upstream::h1().await;
    let other = Upstream::h1().await;
    let world = World::usual(&up).await;
    let session = world.session("claude").await;
    assert_eq!(session.get(UP, "/echo").await.status, 200);
    // the same name, another secret and another place: neither may meet the other's
    fs::write(world.home().join("api.secret"), "the-other-secret").unwrap();
    let file = world.home().join("proxy.toml");
    let text =
        fs::read_to_string(&file).unwrap().replace(&format!(":{}\"", up.port()), &format!(":{}\"", other.port()));
    fs::write(&file, text).unwrap();
    until("the reload", || world.said().contains("reloaded").then_some(())).await;
    for _ in 0..20 {
        assert_eq!(session.get(UP, "/echo").await.status, 200);
    }
    let old = format!("Bearer {TOKEN}");
    assert!(up.requests().iter().all(|seen| seen.header("authorization") == Some(old.as_str())));
    assert!(other.requests().iter().all(|seen| seen.header("authorization") == Some("Bearer the-other-secret")));
    assert!(!other.requests().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_policy_leaves_everything_as_it_was() {
    let up = Upstream::h1().await;
    let world = World::usual(&up).await;
    let session = world.session("claude").await;
    fs::write(world.home().join("policies/broken.cedar"), "permit (principal,,").unwrap();
    until("the complaint", || world.said().contains("broken.cedar").then_some(())).await;
    assert_eq!(session.get(UP, "/echo").await.status, 200);
    let status = world.valetkey(&["status", "--json"]).await.expect(1).stdout;
    assert!(status.contains("broken.cedar"), "{status}");
    assert_eq!(session.get("whoami.valetkey.internal", "/").await.status, 200, "the zone still knows its resources");
    fs::remove_file(world.home().join("policies/broken.cedar")).unwrap();
    until("the all-clear", || {
        let status = std::process::Command::new(env!("CARGO_BIN_EXE_valetkey"))
            .args(["status", "--json"])
            .env("VALETKEY_HOME", world.home())
            .output()
            .unwrap();
        (!String::from_utf8_lossy(&status.stdout).contains("broken.cedar")).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_websocket_needs_a_permit_to_write() {
    let up = Upstream::h1().await;
    let plan = Plan::new().secret("api", TOKEN).resource(&Listing::of(UP, &up));
    let world =
        plan.policy("read", r#"@id("read") permit (principal, action == Action::"read", resource);"#).start().await;
    let session = world.session("claude").await;
    assert_eq!(session.get(UP, "/echo").await.status, 200);
    let head = "GET /ws HTTP/1.1\r\nHost: up.example.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
    session.raw_inside(UP, head.as_bytes()).await.problem(403);
    assert!(up.requests().iter().all(|seen| seen.target != "/ws"));
}

/// A proxy as a company has one: CONNECT with credentials, which it takes to one place whatever the name.
async fn corporate_proxy(port: u16) -> (u16, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (own, heads) = (listener.local_addr().unwrap().port(), Arc::new(Mutex::new(Vec::new())));
    let seen = Arc::clone(&heads);
    tokio::spawn(async move {
        while let Ok((mut agent, _)) = listener.accept().await {
            let seen = Arc::clone(&seen);
            tokio::spawn(async move {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    head.push(agent.read_u8().await.unwrap());
                }
                let head = String::from_utf8(head).unwrap();
                let known = head.contains("Proxy-Authorization: Basic bWU6b3BlbiBzZXNhbWU=");
                seen.lock().unwrap().push(head);
                if !known {
                    agent.write_all(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n").await.unwrap();
                    return;
                }
                let mut upstream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
                agent.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await.unwrap();
                let _ = tokio::io::copy_bidirectional(&mut agent, &mut upstream).await;
            });
        }
    });
    (own, heads)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_corporate_proxy_is_used_where_one_is_configured() {
    let up = Upstream::h1().await;
    let (port, heads) = corporate_proxy(up.port()).await;
    let listing = Listing::bare(&format!("https://{UP}"), UP)
        .line("credential = { source = \"stored\", secret = \"api\" }")
        .line(&format!("ca = \"{}\"", crate::world::TestCa::shared().pem_file().display()));
    let plan = |password| {
        Plan::new()
            .proxy(&format!(
                "upstream = {{ url = \"http://127.0.0.1:{port}\", user = \"me\", password = \"corp\" }}\n\
                 no_proxy = [\"direct.example.test\"]"
            ))
            .secret("api", TOKEN)
            .secret("corp", password)
            .resource(&listing)
            .permit_all()
    };
    let world = plan("open sesame").start().await;
    let session = world.session("claude").await;
    assert_eq!(session.get(UP, "/echo").await.status, 200);
    let tunnel = session.connect("elsewhere.example.test:443").await;
    assert!(tunnel.is_ok(), "{tunnel:?}");
    let direct = session.connect("direct.example.test:443").await.unwrap_err();
    assert_eq!(direct.problem(502)["code"], "upstream-unresolved");
    let told: Vec<_> = heads.lock().unwrap().iter().map(|head| head.lines().next().unwrap().to_owned()).collect();
    assert!(told.contains(&format!("CONNECT {UP}:443 HTTP/1.1")), "{told:?}");
    assert!(told.contains(&"CONNECT elsewhere.example.test:443 HTTP/1.1".to_owned()), "{told:?}");
    assert_eq!(session.get("whoami.valetkey.internal", "/").await.status, 200, "what is pinned goes past it");

    let world = plan("wrong").start().await;
    let session = world.session("claude").await;
    assert_eq!(session.get(UP, "/echo").await.problem(502)["code"], "upstream-proxy");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_service_manager_is_told_that_it_serves_lives_and_stops() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify");
    let socket = std::os::unix::net::UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(crate::world::PATIENCE)).unwrap();
    let world = Plan::new()
        .environment("NOTIFY_SOCKET", path.to_str().unwrap())
        .environment("WATCHDOG_USEC", "400000")
        .start()
        .await;
    let heard = |word: &str| {
        let mut bytes = [0; 4096];
        // a beat comes five times a second, so that a word that never comes is noticed
        (0..200).any(|_| {
            socket.recv(&mut bytes).is_ok_and(|length| String::from_utf8_lossy(&bytes[..length]).contains(word))
        })
    };
    assert!(heard("READY=1"));
    assert!(heard("WATCHDOG=1"));
    assert!(heard("WATCHDOG=1"));
    world.valetkey(&["stop"]).await.expect(0);
    assert!(heard("STOPPING=1"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sessions_own_port_serves_its_user_and_nobody_else() {
    let up = Upstream::h1().await;
    let world = World::usual(&up).await;
    let session = world.session("claude").await;
    let java = session.variable("JAVA_TOOL_OPTIONS");
    let port: u16 =
        java.split("-Dhttps.proxyPort=").nth(1).unwrap().split_whitespace().next().unwrap().parse().unwrap();
    let curl = |wrapper: &[&str]| {
        let mut words = wrapper.to_vec();
        let proxy = format!("http://127.0.0.1:{port}");
        let ca = world.home().join("ca-for-all.pem");
        fs::copy(world.ca_file(), &ca).unwrap();
        let url = format!("https://{UP}/echo");
        words.extend(["curl", "-sS", "--max-time", "10", "-k", "-x", &proxy, &url]);
        std::process::Command::new(words[0])
            .args(&words[1..])
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .output()
            .unwrap()
    };
    let own = curl(&[]);
    assert!(own.status.success(), "{}", String::from_utf8_lossy(&own.stderr));
    let seen: serde_json::Value = serde_json::from_slice(&own.stdout).unwrap();
    assert!(seen.to_string().contains(TOKEN), "the port is the identity: {seen}");
    if std::process::Command::new("id").arg("-u").output().unwrap().stdout != b"0\n" {
        eprintln!("not root: no other user can be tried");
        return;
    }
    let other = curl(&["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]);
    assert!(!other.status.success(), "{}", String::from_utf8_lossy(&other.stdout));
    assert_eq!(up.requests().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_daemon_leaves_no_core_and_keeps_nothing_that_steers_it() {
    let world =
        Plan::new().environment("LD_PRELOAD", "/nonexistent.so").environment("SSL_CERT_FILE", "/x").start().await;
    let limits = fs::read_to_string(format!("/proc/{}/limits", world.pid())).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().nth(4), Some("0"), "{core}");
    let environment = fs::read(format!("/proc/{}/environ", world.pid())).unwrap_or_default();
    let environment = String::from_utf8_lossy(&environment);
    assert!(!environment.contains("LD_PRELOAD") && !environment.contains("SSL_CERT_FILE"), "{environment}");
}
