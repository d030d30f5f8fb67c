//! The commands: exit codes, streams, signals, and what happens to a run that is killed.

use std::process::Stdio;
use std::time::Duration;

use tokio::io::AsyncBufReadExt as _;
use tokio::io::BufReader;

use crate::world::Plan;
use crate::world::UP;
use crate::world::Upstream;
use crate::world::World;
use crate::world::until;
use crate::world::valetkey;
use crate::world::within;

#[tokio::test(flavor = "multi_thread")]
async fn a_run_ends_as_its_command_ends() {
    let world = Plan::new().permit_all().start().await;
    world.run("sh", &["sh", "-c", "exit 0"]).await.expect(0);
    world.run("sh", &["sh", "-c", "exit 37"]).await.expect(37);
    world.run("sh", &["sh", "-c", "kill -TERM $$"]).await.expect(128 + 15);
    let outcome = world.run("sh", &["sh", "-c", "echo data; echo talk >&2"]).await.expect(0);
    assert_eq!(outcome.stdout, "data\n");
    assert!(outcome.stderr.ends_with("talk\n"), "{outcome:?}");
    let missing = world.run("sh", &["no-such-program-here"]).await.expect(127);
    assert!(missing.stderr.contains("no-such-program-here") && missing.stderr.starts_with("error: "), "{missing:?}");
    world.run("sh", &["/dev/null"]).await.expect(126);
}

#[tokio::test(flavor = "multi_thread")]
async fn arguments_and_the_working_folder_reach_the_command_as_they_are() {
    let world = Plan::new().permit_all().start().await;
    let outcome =
        world.run("sh", &["sh", "-c", "printf '%s|' \"$@\"; pwd", "sh", "a b", "--agent", "*", ""]).await.expect(0);
    let here = world.home().canonicalize().unwrap();
    assert_eq!(outcome.stdout.trim_end(), format!("a b|--agent|*||{}", here.display()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_gives_its_command_the_environment_that_clients_look_for() {
    let world = Plan::new().permit_all().start().await;
    let session = world.session("claude").await;
    let proxy = session.variable("HTTPS_PROXY").to_owned();
    for name in ["https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"] {
        assert_eq!(session.variable(name), proxy, "{name}");
    }
    for name in ["NO_PROXY", "no_proxy"] {
        assert_eq!(session.variable(name), "localhost,127.0.0.1,::1", "{name}");
    }
    let bundles = [
        "SSL_CERT_FILE",
        "REQUESTS_CA_BUNDLE",
        "CURL_CA_BUNDLE",
        "GIT_SSL_CAINFO",
        "PIP_CERT",
        "AWS_CA_BUNDLE",
        "CARGO_HTTP_CAINFO",
        "npm_config_cafile",
        "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH",
    ];
    for name in bundles {
        assert_eq!(session.variable(name), world.home().join("state/ca/bundle.pem").to_str().unwrap(), "{name}");
    }
    for name in ["NODE_EXTRA_CA_CERTS", "DENO_CERT"] {
        assert_eq!(session.variable(name), world.ca_file().to_str().unwrap(), "{name}");
    }
    assert_eq!(session.variable("NODE_USE_ENV_PROXY"), "1");
    assert_eq!(session.variable("KEYCARD_RUN"), "1");
    assert_eq!(session.variable("KEYCARD_RUN_SESSION_ID"), session.id());
    assert!(!session.environment.contains_key("SSL_CERT_DIR"));
    assert!(!session.environment.contains_key("REQUEST_METHOD"));
    let port: u16 = session.proxy().1.rsplit(':').next().unwrap().parse().unwrap();
    assert_eq!(port, world.proxy_port);
    let other = world.session("claude").await;
    assert_ne!(other.id(), session.id());
    assert_ne!(other.proxy().0, session.proxy().0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_to_the_run_reaches_the_command() {
    let world = Plan::new().permit_all().start().await;
    let mut child = tokio::process::Command::new(env!("CARGO_BIN_EXE_valetkey"))
        .args([
            "run",
            "--agent",
            "sh",
            "--",
            "sh",
            "-c",
            "trap 'exit 9' TERM; echo ready; while :; do sleep 0.05; done",
        ])
        .env("VALETKEY_HOME", world.home())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert_eq!(within("the command", lines.next_line()).await.unwrap().as_deref(), Some("ready"));
    let pid = child.id().unwrap().to_string();
    assert!(std::process::Command::new("kill").args(["-s", "TERM", &pid]).status().unwrap().success());
    assert_eq!(within("the run's end", child.wait()).await.unwrap().code(), Some(9));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_run_ends_its_session() {
    let up = Upstream::h1().await;
    let world = World::usual(&up).await;
    let (doomed, other) = (world.session("claude").await, world.session("codex").await);
    let basic = doomed.basic();
    doomed.kill().await;
    let head = format!("CONNECT {UP}:443 HTTP/1.1\r\nHost: {UP}:443\r\nProxy-Authorization: {basic}\r\n\r\n");
    let deadline = tokio::time::Instant::now() + crate::world::PATIENCE;
    while other.raw(head.as_bytes()).await.status != 407 {
        assert!(tokio::time::Instant::now() < deadline, "the session outlived its run");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_starts_the_daemon_when_none_runs() {
    let world = Plan::new().permit_all().write();
    let outcome = world.run("curl", &["curl", "-sS", "https://whoami.valetkey.internal/"]).await.expect(0);
    assert_eq!(outcome.json()["agent"], "curl");
    assert!(world.home().join("state/daemon.log").exists());
    world.valetkey(&["status"]).await.expect(0);
    world.valetkey(&["stop"]).await.expect(0);
    until("the daemon to end", || std::net::TcpStream::connect(("127.0.0.1", world.proxy_port)).is_err().then_some(()))
        .await;
    world.valetkey(&["status"]).await.expect(69);
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_without_a_daemon_say_so() {
    let world = Plan::new().permit_all().write();
    for args in [&["status"][..], &["stop"]] {
        let outcome = world.valetkey(args).await.expect(69);
        assert!(outcome.stderr.starts_with("error: ") && outcome.stdout.is_empty(), "{args:?}: {outcome:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_words_are_a_usage_error() {
    let folder = tempfile::tempdir().unwrap();
    for args in [&["no-such-command"][..], &["run"], &["audit", "--decision", "perhaps"], &["status", "--nope"]] {
        let outcome = valetkey(folder.path(), &[], args).await.expect(64);
        assert!(outcome.stderr.starts_with("error: "), "{args:?}: {outcome:?}");
    }
    valetkey(folder.path(), &[], &["--help"]).await.expect(0);
    let version = valetkey(folder.path(), &[], &["--version"]).await.expect(0);
    assert_eq!(version.stdout.trim(), concat!("valetkey ", env!("CARGO_PKG_VERSION")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_daemon_says_that_one_runs() {
    let world = Plan::new().permit_all().start().await;
    let second = world.valetkey(&["daemon"]).await;
    assert_ne!(second.code, Some(0));
    assert!(second.stderr.contains("error: ") || second.stderr.contains("running"), "{second:?}");
    world.valetkey(&["status"]).await.expect(0);
    let elsewhere = Plan::new().permit_all().write();
    let text = std::fs::read_to_string(elsewhere.home().join("proxy.toml")).unwrap();
    let text = text.replace(&elsewhere.proxy_port.to_string(), &world.proxy_port.to_string());
    std::fs::write(elsewhere.home().join("proxy.toml"), text).unwrap();
    let squatted = elsewhere.valetkey(&["daemon"]).await;
    assert_ne!(squatted.code, Some(0));
    assert!(squatted.stderr.contains(&world.proxy_port.to_string()), "{squatted:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn status_tells_a_program_what_it_tells_a_person() {
    let world = Plan::new().permit_all().start().await;
    let _session = world.session("claude").await;
    let person = world.valetkey(&["status"]).await.expect(0);
    assert!(person.stdout.contains(&world.proxy_port.to_string()), "{person:?}");
    let program = world.valetkey(&["status", "--json"]).await.expect(0);
    assert!(program.json().is_object(), "{program:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_that_is_told_to_stop_lets_the_last_answer_out() {
    let up = Upstream::h1().await;
    let mut world = World::usual(&up).await;
    let session = world.session("claude").await;
    let daemon = world.daemon.take().unwrap();
    let request = session.get(UP, "/slow");
    let stop = async {
        until("the request to arrive", || (up.requests().len() == 1).then_some(())).await;
        daemon.signal("TERM");
        until("the listener to close", || {
            std::net::TcpStream::connect(("127.0.0.1", world.proxy_port)).is_err().then_some(())
        })
        .await;
        up.release(1);
    };
    let (answer, ()) = tokio::join!(request, stop);
    assert_eq!(answer.text(), "at last");
    assert_eq!(daemon.ended().await, Some(0));
    world.valetkey(&["audit", "verify"]).await.expect(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_certificates_are_shown_exported_and_replaced() {
    let up = Upstream::h1().await;
    let world = World::usual(&up).await;
    let folder = world.home().join("state/ca");
    let path = world.valetkey(&["ca", "path"]).await.expect(0).stdout;
    assert_eq!(path.trim(), folder.join("bundle.pem").to_str().unwrap());
    let own = world.valetkey(&["ca", "path", "--own"]).await.expect(0).stdout;
    assert_eq!(own.trim(), world.ca_file().to_str().unwrap());
    let before = world.valetkey(&["ca", "export"]).await.expect(0).stdout;
    assert!(before.starts_with("-----BEGIN CERTIFICATE-----") && !before.contains("PRIVATE"), "{before}");
    world.valetkey(&["ca", "rotate"]).await.expect(0);
    assert_ne!(world.valetkey(&["ca", "export"]).await.expect(0).stdout, before);
    world.daemon.as_ref().unwrap().signal("HUP");
    let deadline = tokio::time::Instant::now() + crate::world::PATIENCE;
    loop {
        let session = world.session("claude").await;
        if session.tls_as("up.example.test:443", UP, &["http/1.1"]).await.is_ok() {
            break;
        }
        assert!(tokio::time::Instant::now() < deadline, "the daemon never took up its new certificates");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_private_key_of_the_root_is_left_and_no_other_is_open() {
    use std::os::unix::fs::PermissionsExt as _;

    let world = Plan::new().permit_all().start().await;
    let mut keys = 0;
    for entry in std::fs::read_dir(world.home().join("state/ca")).unwrap() {
        let entry = entry.unwrap();
        let Ok(text) = std::fs::read_to_string(entry.path()) else { continue };
        if text.contains("PRIVATE KEY") {
            keys += 1;
            let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
            assert_eq!(mode, 0o600, "{}: {mode:o}", entry.path().display());
        }
    }
    assert!(keys <= 3, "{keys} private keys: the root's must be gone");
}
