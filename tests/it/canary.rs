//! Marked secrets through every door; then everything that the daemon wrote or said is searched for them.

use std::fs;
use std::path::Path;
use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::world::Issuer;
use crate::world::Listing;
use crate::world::Mood;
use crate::world::Plan;
use crate::world::UP;
use crate::world::Upstream;
use crate::world::until;

/// Every way in which bytes could be written down: raw, base64 at each of the three offsets, hex, percent-encoded.
fn spellings(secret: &str) -> Vec<Vec<u8>> {
    let mut spellings = vec![
        secret.as_bytes().to_vec(),
        secret.bytes().map(|byte| format!("{byte:02x}")).collect::<String>().into_bytes(),
        secret.bytes().map(|byte| format!("%{byte:02X}")).collect::<String>().into_bytes(),
        secret.bytes().map(|byte| format!("%{byte:02x}")).collect::<String>().into_bytes(),
        secret.chars().rev().collect::<String>().into_bytes(),
    ];
    for padding in 0..3 {
        for engine in [&STANDARD, &STANDARD_NO_PAD, &URL_SAFE_NO_PAD] {
            let text = engine.encode([vec![0; padding], secret.as_bytes().to_vec()].concat());
            // The first and the last group also hold bits of the neighbours.
            spellings.push(text.as_bytes()[4 * usize::from(padding > 0)..text.len() - 5].to_vec());
        }
    }
    spellings
}

fn finds(text: &[u8], secret: &str) -> bool {
    spellings(secret).iter().any(|spelling| text.windows(spelling.len()).any(|window| window == spelling))
}

fn files_below(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            files_below(&entry.path(), found);
        } else if kind.is_file() {
            found.push(entry.path());
        }
    }
}

#[test]
fn the_search_finds_what_it_must() {
    let secret = "marked-0123456789abcdef";
    for text in [
        format!("x{secret}y"),
        STANDARD.encode(format!("user:{secret}")),
        URL_SAFE_NO_PAD.encode(format!("ab{secret}cd")),
        secret.bytes().map(|byte| format!("%{byte:02X}")).collect(),
    ] {
        assert!(finds(text.as_bytes(), secret), "{text}");
    }
    assert!(!finds(b"marked-0123456789abcdee", secret));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_marked_secret_is_nowhere_but_where_it_was_put() {
    let stored = "canary-stored-7d41f0c9e6ab52";
    let in_environment = "canary-environment-93be17ac60";
    let issued = "canary-issued-5f2208d1bb7e";
    let carried = "canary-carried-by-the-agent-e1";
    let up = Upstream::both().await;
    let issuer = Issuer::honest().await;
    issuer.becomes(Mood::Says(
        200,
        "{\"access_token\":\"canary-issued-5f2208d1bb7e\",\"token_type\":\"Bearer\",\"expires_in\":600}",
    ));
    let from_environment =
        Listing::of("env.example.test", &up).line("credential = { source = \"stored\", secret = \"env\" }");
    let from_issuer = Listing::of("issued.example.test", &up).line("credential = \"client-credentials\"");
    let up_env = Upstream::tls(&["env.example.test"], &[b"h2", b"http/1.1"]).await;
    let up_issued = Upstream::tls(&["issued.example.test"], &[b"http/1.1"]).await;
    let broken = Upstream::script(b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n").await;
    let world = Plan::new()
        .zone_at(&issuer)
        .secret("api", stored)
        .resource(&Listing::of(UP, &up))
        .permit_all()
        .resource(&from_environment.line(&format!("connect = \"127.0.0.1:{}\"", up_env.port())))
        .resource(&from_issuer.line(&format!("connect = \"127.0.0.1:{}\"", up_issued.port())))
        .resource(&Listing::of("broken.example.test", &broken))
        .section("[[secret]]\nname = \"env\"\nenv = \"MY_API_KEY\"\n")
        .environment("MY_API_KEY", in_environment)
        .environment("RUST_LOG", "trace")
        .policy("not", "forbid(principal, action, resource) when { context.path == \"/denied\" };\n")
        .start()
        .await;
    let session = world.session("claude").await;
    let mut said = Vec::new();
    for host in [UP, "env.example.test", "issued.example.test", "broken.example.test"] {
        for path in ["/bytes?n=10&key=canary-carried-by-the-agent-e1", "/denied", "/a/../b", "/status/401"] {
            let mut request = crate::world::Session::request(hyper::Method::GET, host, path, crate::world::empty());
            let mine = format!("Bearer {carried}").parse().unwrap();
            request.headers_mut().insert("authorization", mine);
            let answer = session.send(request).await;
            said.extend(format!("{:?}", answer.headers).into_bytes());
            said.extend(answer.body);
        }
    }
    for (upstream, secret) in [(&up, stored), (&up_env, in_environment), (&up_issued, issued)] {
        let seen = upstream.requests();
        assert!(seen.iter().any(|seen| seen.header("authorization") == Some(&format!("Bearer {secret}"))), "{seen:#?}");
    }
    let head = format!("GET https://{UP}/ HTTP/1.1\r\nHost: {UP}\r\nX-Key: {carried}\r\n\r\n");
    said.extend(session.raw(head.as_bytes()).await.body);
    for args in [
        &["status"][..],
        &["status", "--json"],
        &["audit"],
        &["audit", "--json"],
        &["audit", "verify"],
        &["config", "check"],
        &["logs"],
    ] {
        let outcome = world.valetkey(args).await;
        said.extend(outcome.stdout.into_bytes());
        said.extend(outcome.stderr.into_bytes());
    }
    said.extend(format!("{:?}", session.environment).into_bytes());
    let completed = || world.ledger().iter().filter(|line| line["kind"] == "completed").count();
    until("the records", || (completed() >= 16).then_some(())).await;
    let pid = world.pid();
    said.extend(fs::read(format!("/proc/{pid}/cmdline")).unwrap());
    let proxy_secret = session.proxy().0.rsplit(':').next().unwrap().to_owned();

    let mut files = Vec::new();
    files_below(world.home(), &mut files);
    files.retain(|file| file.extension().is_none_or(|extension| extension != "secret"));
    assert!(files.len() > 4, "{files:?}");
    for secret in [stored, in_environment, issued, carried] {
        assert!(!finds(&said, secret), "`{secret}` was said");
    }
    for file in files {
        let text = fs::read(&file).unwrap();
        for secret in [stored, in_environment, issued, carried, &proxy_secret] {
            assert!(!finds(&text, secret), "`{secret}` is in {}", file.display());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_daemons_memory_and_environment_are_closed_to_other_processes_of_its_user() {
    let up = Upstream::h1().await;
    let world = Plan::usual(&up).environment("MY_API_KEY", "canary-environment-93be17ac60").start().await;
    let pid = world.pid();
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let limits = fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert!(core.split_whitespace().nth(4) == Some("0"), "{core}");
    let own = fs::read_to_string("/proc/self/status").unwrap();
    let user = |status: &str| status.lines().find(|line| line.starts_with("Uid:")).unwrap().to_owned();
    assert_eq!(user(&status), user(&own));
    // Root may read everything; the owner of the process's files shows that it is not dumpable: they become root's.
    use std::os::unix::fs::MetadataExt as _;
    let owner = fs::metadata(format!("/proc/{pid}/environ")).unwrap().uid();
    assert_eq!(owner, 0, "a process that is dumpable owns its own /proc files");
    if fs::metadata("/proc/self").unwrap().uid() != 0 {
        let refused = fs::read(format!("/proc/{pid}/environ")).unwrap_err();
        assert_eq!(refused.kind(), std::io::ErrorKind::PermissionDenied);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn files_and_folders_of_the_daemon_are_for_its_user_only() {
    use std::os::unix::fs::PermissionsExt as _;
    let up = Upstream::h1().await;
    let world = crate::world::World::usual(&up).await;
    world.session("claude").await.get(UP, "/echo").await;
    for folder in ["state", "state/ca", "state/audit", "run"] {
        let mode = fs::metadata(world.home().join(folder)).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o700, "{folder}: {mode:o}");
    }
    let mut files = Vec::new();
    files_below(&world.home().join("state"), &mut files);
    for file in files {
        let mode = fs::metadata(&file).unwrap().permissions().mode() & 0o777;
        let public =
            file.extension().is_some_and(|extension| extension == "pem") && !file.to_string_lossy().contains("key");
        assert!(mode & 0o022 == 0 && (public || mode & 0o077 == 0), "{}: {mode:o}", file.display());
    }
    let socket = fs::metadata(world.home().join("run/control.sock")).unwrap().permissions().mode() & 0o777;
    assert_eq!(socket, 0o600, "{socket:o}");
}
