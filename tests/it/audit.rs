//! The ledger as an auditor meets it: listed, verified, edited, cut and killed.

use std::fs;
use std::path::PathBuf;

use serde_json::Value;
use tokio::io::AsyncBufReadExt as _;

use crate::world::Outcome;
use crate::world::UP;
use crate::world::Upstream;
use crate::world::World;
use crate::world::until;

/// A world whose ledger holds `count` requests, and whose daemon has ended in order.
async fn with_requests(count: usize) -> (World, PathBuf) {
    let up = Upstream::h1().await;
    let mut world = World::usual(&up).await;
    let session = world.session("claude").await;
    for number in 0..count {
        assert_eq!(session.get(UP, &format!("/echo/{number}")).await.status, 200);
        world.record_of(&format!("/echo/{number}")).await;
    }
    session.close().await;
    let daemon = world.daemon.take().unwrap();
    daemon.signal("TERM");
    assert_eq!(daemon.ended().await, Some(0));
    let file = fs::read_dir(world.home().join("state/audit"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.extension().is_some_and(|extension| extension == "jsonl"))
        .unwrap();
    (world, file)
}

async fn verify(world: &World) -> Outcome {
    world.valetkey(&["audit", "verify"]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn records_are_listed_filtered_and_told_as_json() {
    let up = Upstream::h1().await;
    let world = World::usual(&up).await;
    world.session("claude").await.get(UP, "/echo/one").await;
    world.session("codex").await.get(UP, "/echo/two").await;
    for path in ["/echo/one", "/echo/two"] {
        world.record_of(path).await;
    }
    let listed = world.valetkey(&["audit"]).await.expect(0).stdout;
    assert!(listed.contains("/echo/one") && listed.contains("/echo/two"), "{listed}");
    let filtered = world.valetkey(&["audit", "--agent", "codex"]).await.expect(0).stdout;
    assert!(!filtered.contains("/echo/one") && filtered.contains("/echo/two"), "{filtered}");
    let none = world.valetkey(&["audit", "--decision", "deny"]).await.expect(0).stdout;
    assert!(!none.contains("/echo/"), "{none}");
    let json = world.valetkey(&["audit", "--json", "--resource", "https://up.example.test"]).await.expect(0).stdout;
    for line in json.lines() {
        serde_json::from_str::<Value>(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    }
    assert!(json.contains("/echo/one"), "{json}");
    world.valetkey(&["audit", "--since", "1h"]).await.expect(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn sequence_and_hashes_form_one_chain() {
    let (world, file) = with_requests(5).await;
    verify(&world).await.expect(0);
    let text = fs::read_to_string(&file).unwrap();
    let mut previous: Option<&str> = None;
    for line in text.lines() {
        let value: Value = serde_json::from_str(line).unwrap();
        if let Some(previous) = previous {
            let before: Value = serde_json::from_str(previous).unwrap();
            assert_eq!(value["seq"].as_u64().unwrap(), before["seq"].as_u64().unwrap() + 1);
            let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, previous.as_bytes());
            let hex = hash.as_ref().iter().map(|byte| format!("{byte:02x}")).collect::<String>();
            assert!(value["prev"].as_str().unwrap().contains(&hex), "{line}");
        }
        previous = Some(line);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_that_is_changed_removed_inserted_or_swapped_is_named() {
    let (world, file) = with_requests(4).await;
    let good = fs::read_to_string(&file).unwrap();
    let lines: Vec<&str> = good.lines().collect();
    let edits: [(&str, Vec<String>); 5] = [
        ("changed", lines.iter().map(|line| line.replacen("/echo/1", "/echo/7", 1)).collect()),
        ("removed", lines.iter().enumerate().filter(|(at, _)| *at != 3).map(|(_, line)| (*line).to_owned()).collect()),
        (
            "inserted",
            lines
                .iter()
                .enumerate()
                .flat_map(|(at, line)| vec![(*line).to_owned(); 1 + usize::from(at == 3)])
                .collect(),
        ),
        ("swapped", {
            let mut lines: Vec<String> = lines.iter().map(|&line| line.to_owned()).collect();
            lines.swap(2, 3);
            lines
        }),
        (
            "spaced",
            lines
                .iter()
                .enumerate()
                .map(|(at, line)| if at == 3 { line.replacen(':', ": ", 1) } else { (*line).to_owned() })
                .collect(),
        ),
    ];
    for (name, lines) in edits {
        fs::write(&file, lines.join("\n") + "\n").unwrap();
        let outcome = verify(&world).await.expect(1);
        let said = outcome.stdout + &outcome.stderr;
        assert!(said.contains("line ") || said.contains(".jsonl:"), "{name}: {said}");
    }
    fs::write(&file, good).unwrap();
    verify(&world).await.expect(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ledger_that_lost_its_end_is_found_out_by_its_signed_head() {
    let (world, file) = with_requests(4).await;
    let good = fs::read_to_string(&file).unwrap();
    let kept: Vec<&str> = good.lines().collect();
    fs::write(&file, kept[..kept.len() / 2].join("\n") + "\n").unwrap();
    let outcome = verify(&world).await;
    assert_ne!(outcome.code, Some(0), "{outcome:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ledger_that_was_deleted_whole_is_missed_for_ever() {
    let (mut world, file) = with_requests(2).await;
    fs::remove_file(&file).unwrap();
    fs::remove_file(world.home().join("state/audit/head.json")).unwrap();
    assert!(verify(&world).await.expect(1).stderr.contains("(truncated)"));
    world.start_daemon().await;
    assert!(world.said().contains("the ledger is gone"), "{}", world.said());
    let outcome = verify(&world).await.expect(1);
    assert!(outcome.stdout.contains("found at a start: "), "{outcome:?}");
    assert!(outcome.stderr.contains("were removed"), "{outcome:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_torn_tail_is_sealed_at_the_next_start() {
    let (mut world, file) = with_requests(2).await;
    let mut text = fs::read_to_string(&file).unwrap();
    text.push_str("{\"seq\":99,\"prev\":\"abc");
    fs::write(&file, &text).unwrap();
    world.start_daemon().await;
    let session = world.session("claude").await;
    assert_eq!(session.connect("[::1]:1").await.err().map(|answer| answer.status / 100), Some(4));
    verify(&world).await.expect(0);
    assert!(!fs::read_to_string(&file).unwrap().contains("\"prev\":\"abc\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_daemon_left_open_is_marked_unknown() {
    let up = Upstream::h1().await;
    let mut world = World::usual(&up).await;
    let session = world.session("claude").await;
    assert_eq!(session.get(UP, "/echo/before").await.status, 200);
    world.record_of("/echo/before").await;
    {
        let request = session.get(UP, "/slow");
        let kill = async {
            until("the request to arrive", || (up.requests().len() == 2).then_some(())).await;
        };
        tokio::select! { biased; () = kill => {}, answer = request => panic!("{answer:?}") }
    }
    // The agent is gone as well: only the daemon's own record could tell.
    world.daemon.take().unwrap().kill();
    let decided = world.ledger().into_iter().find(|line| line["kind"] == "decided" && line["path"] == "/slow");
    let id = decided.expect("decided before it was forwarded")["id"].clone();
    world.start_daemon().await;
    let end = until("the end of the open record", || {
        world.ledger().into_iter().find(|line| line["kind"] != "decided" && line["id"] == id)
    })
    .await;
    assert!(["unknown", "aborted"].contains(&end["outcome"].as_str().or(end["kind"].as_str()).unwrap()), "{end:#}");
    verify(&world).await.expect(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_nobody_waits_for_is_recorded_as_aborted() {
    let up = Upstream::h1().await;
    let world = World::usual(&up).await;
    let session = world.session("claude").await;
    let mut sender = session.h1(UP).await;
    let request = crate::world::Session::request(hyper::Method::GET, UP, "/sse?n=9", crate::world::empty());
    up.release(1);
    let mut response = crate::world::within("the head", sender.send_request(request)).await.unwrap();
    crate::world::within("an event", http_body_util::BodyExt::frame(response.body_mut())).await.unwrap().unwrap();
    drop((response, sender));
    assert_eq!(world.record_of("/sse").await.completed["outcome"], "aborted");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_is_never_in_a_record() {
    let up = Upstream::h1().await;
    let world = World::usual(&up).await;
    world.session("claude").await.get(UP, "/echo?api_key=marker-of-the-query").await;
    world.record_of("/echo").await;
    assert!(!format!("{:?}", world.ledger()).contains("marker-of-the-query"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_path_cannot_colour_or_turn_the_terminal() {
    let up = Upstream::h1().await;
    let world = World::usual(&up).await;
    let session = world.session("claude").await;
    session.get(UP, "/echo/%1b%5b31m").await;
    session.get(UP, "/echo/%e2%80%ae").await;
    let listed = world.valetkey(&["audit"]).await.expect(0).stdout;
    let fine = |c: char| c == '\n' || (!c.is_control() && !('\u{202a}'..='\u{202e}').contains(&c));
    assert!(listed.chars().all(fine), "{listed:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn records_are_followed_as_they_come() {
    let up = Upstream::h1().await;
    let world = World::usual(&up).await;
    let session = world.session("claude").await;
    let mut following = tokio::process::Command::new(env!("CARGO_BIN_EXE_valetkey"))
        .args(["audit", "-f", "--json"])
        .env("VALETKEY_HOME", world.home())
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = tokio::io::BufReader::new(following.stdout.take().unwrap()).lines();
    for number in 0..3 {
        let path = format!("/echo/{number}");
        assert_eq!(session.get(UP, &path).await.status, 200);
        let line = crate::world::within("a followed record", lines.next_line()).await.unwrap().unwrap();
        assert!(line.contains(&path), "{line}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn following_begins_with_the_last_records_and_ends_with_its_reader() {
    let (world, _) = with_requests(25).await;
    let mut following = tokio::process::Command::new(env!("CARGO_BIN_EXE_valetkey"))
        .args(["audit", "-f", "--json"])
        .env("VALETKEY_HOME", world.home())
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = tokio::io::BufReader::new(following.stdout.take().unwrap()).lines();
    for number in 5..25 {
        let line = crate::world::within("one of the last records", lines.next_line()).await.unwrap().unwrap();
        assert!(line.contains(&format!("/echo/{number}\"")), "{number}: {line}");
    }
    drop(lines);
    // nothing more comes: it has to notice by itself
    assert!(crate::world::within("its end", following.wait()).await.unwrap().success());
}
