//! The ledger of a zone's events as an auditor meets it: listed, filtered, followed, verified, and edited.

use std::fs;
use std::io::BufRead as _;
use std::io::BufReader;
use std::path::PathBuf;
use std::process::Command;
use std::process::Output;
use std::process::Stdio;

use serde_json::Value;
use serde_json::json;

use crate::zone_alone::Alone;
use crate::zone_alone::command;
use crate::zone_alone::spawn;

const API: &str = "https://api.example";

/// A zone at which `batch` got a token for the API, and was denied one for another.
fn with_events() -> (Alone, Vec<(&'static str, String)>) {
    let alone = Alone::start("{home}/team.db");
    let admin = alone.valetkey(&["token", "create", "--name", "ci", "--scope", "admin"]);
    let form = alone.batch(&admin, "batch", API);
    assert_eq!(ask(&alone, &form, API).0, 200);
    let zone = alone.ask(&admin, "GET", "/zones", None).2["items"][0]["id"].as_str().unwrap().to_owned();
    let other = json!({"name": "Other", "identifier": "https://other.example"});
    assert_eq!(alone.ask(&admin, "POST", &format!("/zones/{zone}/resources"), Some(other)).0, 200);
    let (status, refused) = ask(&alone, &form, "https://other.example");
    assert_eq!((status, &refused["error"]), (400, &json!("access_denied")));
    (alone, form)
}

fn ask(alone: &Alone, form: &[(&'static str, String)], resource: &str) -> (u16, Value) {
    let mut form: Vec<(&str, &str)> = form.iter().map(|(name, value)| (*name, value.as_str())).collect();
    form.retain(|(name, _)| *name != "resource");
    form.push(("resource", resource));
    alone.token(&form)
}

fn events(alone: &Alone, arguments: &[&str]) -> Output {
    let mut command: Command = command(alone.home.path(), &alone.database);
    command.args(["zone", "events"]).args(arguments).output().unwrap()
}

/// What the filters leave, as (event, resource).
fn listed(alone: &Alone, filters: &[&str]) -> Vec<(String, String)> {
    let output = events(alone, &[filters, &["--json"]].concat());
    assert!(output.status.success(), "{filters:?}: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let line = |line: &str| {
        let line: Value = serde_json::from_str(line).unwrap();
        (line["event"].as_str().unwrap().to_owned(), line["resource"].as_str().unwrap().to_owned())
    };
    text.lines().map(line).collect()
}

fn ended(alone: &mut Alone) -> PathBuf {
    // In order, so that all is written.
    let stopped = Command::new("kill").args(["-TERM", &alone.child.id().to_string()]).status().unwrap();
    assert!(stopped.success() && alone.child.wait().unwrap().success());
    let folder = alone.home.path().join("state/zone-audit");
    let folder = fs::read_dir(folder).unwrap().next().unwrap().unwrap().path();
    let mut files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    files.find(|path| path.extension().is_some_and(|extension| extension == "jsonl")).unwrap()
}

#[test]
fn what_a_zone_did_is_listed_and_filtered() {
    let (mut alone, form) = with_events();
    ended(&mut alone);
    let issued = ("credentials:issue".to_owned(), API.to_owned());
    let denied = ("credentials:deny".to_owned(), "https://other.example".to_owned());
    let client = &form.iter().find(|(name, _)| *name == "client_id").unwrap().1;
    let everything = [issued.clone(), denied.clone()];
    for (filters, expected) in [
        ([].as_slice(), everything.as_slice()),
        (&["--type", "credentials:issue"], &everything[..1]),
        (&["--type", "credentials"], &[]),
        (&["--decision", "deny"], &everything[1..]),
        (&["--decision", "permit", "--application", "batch"], &everything[..1]),
        (&["--application", client, "--type", "credentials:issue"], &everything[..1]),
        (&["--application", "another"], &[]),
        (&["--resource", "other"], &everything[1..]),
        (&["--user", "ada"], &[]),
        (&["--since", "1h"], &everything),
        (&["--until", "1h"], &[]),
        (&["--since", "2h", "--until", "now", "--resource", "api"], &everything[..1]),
    ] {
        assert_eq!(listed(&alone, filters), expected, "{filters:?}");
    }
    let table = String::from_utf8(events(&alone, &[]).stdout).unwrap();
    let lines: Vec<&str> = table.lines().collect();
    assert!(lines[0].starts_with("TIME  ") && lines.len() == 3, "{table}");
    for word in ["credentials:issue", "permit", "batch", API, "read"] {
        assert!(lines[1].contains(word), "{word}: {table}");
    }
    assert!(events(&alone, &["--since", "soon"]).status.code() == Some(64));
    assert!(events(&alone, &["--decision", "perhaps"]).status.code() == Some(64));
}

#[test]
fn what_a_zone_does_is_followed() {
    let (alone, form) = with_events();
    let mut following = command(alone.home.path(), &alone.database)
        .args(["zone", "events", "-f", "--json", "--type", "credentials:issue"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(following.stdout.take().unwrap()).lines();
    let mut token = || serde_json::from_str::<Value>(&lines.next().unwrap().unwrap()).unwrap()["token_id"].clone();
    let first = token();
    assert_eq!(ask(&alone, &form, API).0, 200);
    assert_ne!(token(), first);
    following.kill().unwrap();
    following.wait().unwrap();
}

#[test]
fn an_edited_ledger_is_named_when_verified_and_told_at_the_next_start() {
    let (mut alone, _) = with_events();
    let file = ended(&mut alone);
    let whole = events(&alone, &["verify"]);
    let said = String::from_utf8_lossy(&whole.stdout);
    assert!(whole.status.success() && said.starts_with("whole: ") && said.contains("\nhead: "), "{said}");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replace("https://other.example", "https://0ther.example")).unwrap();
    let broken = events(&alone, &["verify", "--json"]);
    let report: Value = serde_json::from_slice(&broken.stdout).unwrap();
    assert_eq!((broken.status.code(), &report["whole"]), (Some(1), &json!(false)), "{report}");
    // Not the broker's: that ledger has a command of its own.
    let folder = file.parent().unwrap().display().to_string();
    let (child, address, said) = spawn(alone.home.path(), &alone.database, &["--audit", &folder]);
    (alone.child, alone.address) = (child, address);
    let said = said.join("\n");
    assert!(said.contains("the ledger of the zone's events is broken"), "{said}");
    assert!(said.contains(&format!("`valetkey zone events verify --audit {folder}`")), "{said}");
    assert_eq!(events(&alone, &["verify", "--audit", &folder]).status.code(), Some(1));
}
