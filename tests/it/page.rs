//! The request path, sentence by sentence.

use std::os::unix::fs::PermissionsExt as _;

use serde_json::json;

use crate::world::Answer;
use crate::world::Issuer;
use crate::world::Listing;
use crate::world::PATIENCE;
use crate::world::Plan;
use crate::world::Session;
use crate::world::TOKEN;
use crate::world::UP;
use crate::world::Upstream;
use crate::world::World;
use crate::world::empty;
use crate::world::until;
use crate::world::within;

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_sees_itself_as_an_api_sees_it() {
    let world = Plan::new().permit_all().start().await;
    let outcome = world.run("curl", &["curl", "-sS", "https://whoami.valetkey.internal/"]).await.expect(0);
    let seen = outcome.json();
    assert_eq!(seen["agent"], "curl", "{seen:#}");
    assert!(seen["user"].as_str().is_some_and(|user| !user.is_empty()), "{seen:#}");
    assert!(seen["session"].as_str().is_some_and(|session| session.len() >= 16), "{seen:#}");
    assert!(seen["token"]["expires_in"].as_i64().is_some_and(|left| left > 0), "{seen:#}");
    assert!(seen["token"]["issuer"].as_str().unwrap().contains(&world.zone_port.to_string()), "{seen:#}");
    let record = world.record_of("/").await;
    assert_eq!(record.decided["agent"], "curl");
    assert_eq!(record.decided["session"], seen["session"]);
    assert_eq!(record.completed["status"], 200);
    world.valetkey(&["audit", "verify"]).await.expect(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoami_answers_nobody_without_a_token() {
    let world = Plan::new().permit_all().start().await;
    let url = format!("https://127.0.0.1:{}/", world.whoami_port);
    let direct = std::process::Command::new("curl").args(["-sS", "-i", "-k", "--noproxy", "*", &url]).output().unwrap();
    let direct = String::from_utf8(direct.stdout).unwrap();
    assert!(direct.contains(" 401"), "{direct}");
    assert!(direct.to_lowercase().contains("www-authenticate: bearer"), "{direct}");
    assert!(direct.contains("resource_metadata="), "{direct}");
    let forged = ["-H", "Authorization: Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJyb290In0."];
    let forged =
        std::process::Command::new("curl").args(["-sS", "-i", "-k", "--noproxy", "*"]).args(forged).arg(&url).output();
    let forged = String::from_utf8(forged.unwrap().stdout).unwrap();
    assert!(forged.contains(" 401") && forged.contains("invalid_token"), "{forged}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_leaves_with_the_token_and_without_the_agents_own() {
    let up = Upstream::h1().await;
    let world = World::usual(&up).await;
    let command =
        ["curl", "-sS", "--http1.1", "-H", "Authorization: Bearer the-agents-own", "https://up.example.test/echo?q=1"];
    let outcome = world.run("claude", &command).await.expect(0);
    assert_eq!(outcome.json()["target"], "/echo?q=1");
    let seen = up.only_request();
    assert_eq!(seen.header("authorization"), Some(format!("Bearer {TOKEN}").as_str()));
    assert_eq!(seen.authority, UP);
    assert!(!format!("{seen:?}").contains("the-agents-own"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_denied_request_reaches_neither_the_upstream_nor_the_token_endpoint() {
    let up = Upstream::h1().await;
    let issuer = Issuer::honest().await;
    let listing = Listing::of(UP, &up).line("credential = \"client-credentials\"");
    let world = Plan::new()
        .zone_at(&issuer)
        .resource(&listing)
        .policy("reads", "@id(\"reads\") permit(principal, action == Action::\"read\", resource);\n")
        .start()
        .await;
    let session = world.session("claude").await;
    let problem = session.post(UP, "/echo", "a body").await.problem(403);
    assert_eq!(up.requests().len(), 0);
    assert_eq!(issuer.asked().len(), 0);
    let record = world.record_of("/echo").await;
    assert_eq!(record.decided["id"], problem["record"]);
    assert_eq!(record.decided["action"], "write");
    assert_eq!(record.decided["decision"], "deny");
    assert_eq!(record.completed["status"], 403);
    let answer = session.get(UP, "/bytes?n=3").await;
    assert_eq!((answer.status, answer.text()), (200, "xxx".to_owned()));
    assert_eq!(issuer.asked().len(), 1);
    let asked = &issuer.asked()[0];
    assert_eq!(asked["grant_type"], "client_credentials");
    assert_eq!(asked["resource"], format!("https://{UP}"));
    assert!(up.only_request().header("authorization").unwrap().starts_with("Bearer issued-"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_decision_is_written_before_the_upstream_sees_a_byte() {
    let up = Upstream::h1().await;
    let world = World::usual(&up).await;
    let session = world.session("claude").await;
    let request = session.get(UP, "/slow");
    let watch = async {
        until("the request to arrive", || (up.requests().len() == 1).then_some(())).await;
        let ledger = world.ledger();
        let decided = ledger.iter().find(|line| line["kind"] == "decided" && line["path"] == "/slow");
        let is_complete =
            decided.map(|decided| ledger.iter().any(|line| line["kind"] == "completed" && line["id"] == decided["id"]));
        up.release(1);
        assert_eq!(is_complete, Some(false), "decided, and not yet completed");
    };
    let (answer, ()) = tokio::join!(request, watch);
    assert_eq!(answer.text(), "at last");
    let record = world.record_of("/slow").await;
    assert_eq!(record.decided["policies"], json!(["all"]));
    assert!(record.decided["policy_set"].as_str().is_some_and(|hash| hash.len() >= 16), "{record:#?}");
    assert_eq!(record.decided["resource"], format!("https://{UP}"));
    assert_eq!(record.completed["credential"]["source"], "stored");
    assert_eq!(record.completed["bytes_out"], 7);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_stops_the_forwarding() {
    let up = Upstream::h1().await;
    let mut world = Plan::usual(&up).write();
    let audit = world.home().join("state/audit");
    for folder in [audit.parent().unwrap(), &audit] {
        std::fs::create_dir(folder).unwrap();
        std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o700)).unwrap();
    }
    let mounted = std::process::Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=64k,mode=0700", "none"])
        .arg(&audit)
        .status()
        .unwrap();
    if !mounted.success() {
        eprintln!("not shown here: only root may mount a small disk");
        return;
    }
    let _unmount = Unmount(audit.clone());
    world.start_daemon().await;
    let session = world.session("claude").await;
    let mut sender = session.h1(UP).await;
    let filler = audit.join("filler");
    let mut refused = None;
    for number in 0..200 {
        if number == 1 {
            // The disk is full from here on, up to the last byte.
            let _ = std::fs::write(&filler, vec![0; 65_536]);
        }
        let before = up.requests().len();
        sender.ready().await.unwrap();
        let request = Session::request(hyper::Method::GET, UP, &format!("/full/{number}"), empty());
        let answer = Answer::read(within("an answer", sender.send_request(request)).await.unwrap()).await;
        if answer.status != 200 {
            assert_eq!(up.requests().len(), before, "forwarded without a record");
            refused = Some(answer);
            break;
        }
    }
    let problem = refused.expect("a full disk is noticed").problem(503);
    assert!(problem["detail"].as_str().unwrap().contains("ledger"), "{problem:#}");
    let tunnel = session.connect(&format!("{UP}:443")).await;
    assert_eq!(tunnel.expect_err("a tunnel without a record").status, 503);
    std::fs::remove_file(&filler).unwrap();
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while session.connect(&format!("{UP}:443")).await.is_err() {
        assert!(tokio::time::Instant::now() < deadline, "the ledger never recovers");
    }
    assert_eq!(session.get(UP, "/after").await.status, 200);
    world.valetkey(&["audit", "verify"]).await.expect(0);
}

struct Unmount(std::path::PathBuf);

impl Drop for Unmount {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edited_policy_holds_from_the_next_request_on_and_a_broken_one_never() {
    let up = Upstream::h1().await;
    let world = World::usual(&up).await;
    let session = world.session("claude").await;
    assert_eq!(session.get(UP, "/echo").await.status, 200);
    let file = world.home().join("policies/all.cedar");
    std::fs::write(&file, "permit(principal, action, resource) when { context.nope == 1 };").unwrap();
    assert_eq!(session.get(UP, "/echo").await.status, 200, "a broken set keeps the old one");
    std::fs::write(&file, "@id(\"none\") forbid(principal, action, resource);").unwrap();
    let deadline = tokio::time::Instant::now() + crate::world::PATIENCE;
    while session.get(UP, "/echo").await.status != 403 {
        assert!(tokio::time::Instant::now() < deadline, "the edited policy never held");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_decides_by_agent_method_path_and_host() {
    let up = Upstream::h1().await;
    let policy = "@id(\"one\") permit(principal == Agent::\"claude\", action in Action::\"access\", \
                  resource == Resource::\"https://up.example.test\") \
                  when { context.method == \"GET\" && context.path like \"/open/*\" && context.scheme == \"https\" \
                  && context.port == 443 && context.host == \"up.example.test\" };\n";
    let plan = Plan::new().secret("api", TOKEN).resource(&Listing::of(UP, &up)).policy("one", policy);
    let world = plan.start().await;
    let claude = world.session("claude").await;
    let codex = world.session("codex").await;
    assert_eq!(claude.get(UP, "/open/door").await.status, 200);
    assert_eq!(claude.get(UP, "/closed/door").await.status, 403);
    assert_eq!(claude.post(UP, "/open/door", "x").await.status, 403);
    assert_eq!(codex.get(UP, "/open/door").await.status, 403);
    assert_eq!(up.requests().len(), 1);
    assert_eq!(world.record_of("/closed/door").await.decided["policies"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_token_is_dropped_and_a_short_body_is_sent_once_more() {
    let up = Upstream::h1().await;
    let issuer = Issuer::honest().await;
    let listing = Listing::of(UP, &up).line("credential = \"client-credentials\"");
    let world = Plan::new().zone_at(&issuer).resource(&listing).permit_all().start().await;
    let session = world.session("claude").await;
    let answer = session.post(UP, "/once-unauthorized", "twice").await;
    assert_eq!((answer.status, answer.text()), (200, "twice".to_owned()));
    assert_eq!(issuer.asked().len(), 2, "one fresh token, not more");
    let tokens: Vec<_> = up.requests().iter().map(|seen| seen.header("authorization").unwrap().to_owned()).collect();
    assert_eq!(tokens.len(), 2);
    assert_ne!(tokens[0], tokens[1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_fetched_once_for_many_requests_and_per_agent() {
    let up = Upstream::both().await;
    let issuer = Issuer::honest().await;
    let listing = Listing::of(UP, &up).line("credential = \"client-credentials\"");
    let world = Plan::new().zone_at(&issuer).resource(&listing).permit_all().start().await;
    let session = world.session("claude").await;
    let all = futures_util::future::join_all((0..8).map(|_| session.get(UP, "/echo"))).await;
    assert!(all.iter().all(|answer| answer.status == 200), "{all:?}");
    assert_eq!(issuer.asked().len(), 1);
    let other = world.session("codex").await;
    assert_eq!(other.get(UP, "/echo").await.status, 200);
    assert_eq!(issuer.asked().len(), 2, "another agent gets a token of its own");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_has_run_out_is_never_sent() {
    let up = Upstream::h1().await;
    let issuer = Issuer::honest().await;
    issuer.expires_in(1);
    let listing = Listing::of(UP, &up).line("credential = \"client-credentials\"");
    let world = Plan::new().zone_at(&issuer).resource(&listing).permit_all().start().await;
    let session = world.session("claude").await;
    assert_eq!(session.get(UP, "/echo").await.status, 200);
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    assert_eq!(session.get(UP, "/echo").await.status, 200);
    let seen = up.requests();
    assert_ne!(seen[0].header("authorization"), seen[1].header("authorization"));
}
