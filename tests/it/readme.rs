//! The README keeps its word: every command in it runs, and what it shows is what comes.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use std::process::Output;

use crate::world::free_port;

const README: &str = include_str!("../../README.md");

/// The fenced blocks of one language, in their order.
fn blocks(language: &str) -> Vec<&'static str> {
    let fence = format!("```{language}\n");
    README.split(&fence).skip(1).map(|rest| rest.split("```").next().unwrap()).collect()
}

/// A command as a reader would type it, with `valetkey` on the path.
fn type_in(home: &Path, command: &str) -> Output {
    let binary = Path::new(env!("CARGO_BIN_EXE_valetkey"));
    let path = format!("{}:{}", binary.parent().unwrap().display(), std::env::var("PATH").unwrap());
    Command::new("sh")
        .args(["-c", command])
        .env_clear()
        .env("PATH", path)
        .env("HOME", home)
        .env("VALETKEY_HOME", home)
        .env("VALETKEY_CONFIG", home.join("ports.toml"))
        .output()
        .unwrap()
}

#[test]
fn every_command_of_the_tour_runs_and_shows_what_the_tour_shows() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path();
    // the usual ports may be somebody's
    let [proxy, zone, whoami] = std::array::from_fn(|_| free_port());
    let ports = format!(
        "[proxy]\nlisten = \"127.0.0.1:{proxy}\"\n[zone]\nlisten = \"127.0.0.1:{zone}\"\n[whoami]\nlisten = \"127.0.0.1:{whoami}\"\n"
    );
    fs::write(home.join("ports.toml"), ports).unwrap();
    fs::set_permissions(home.join("ports.toml"), fs::Permissions::from_mode(0o600)).unwrap();

    let mut commands = 0;
    for block in blocks("console") {
        let mut lines = block.lines().peekable();
        while let Some(line) = lines.next() {
            let command = line.strip_prefix("$ ").expect("a block begins with a command");
            let mut shown = Vec::new();
            while let Some(line) = lines.next_if(|line| !line.starts_with("$ ")) {
                shown.push(line);
            }
            let output = type_in(home, command);
            let said = String::from_utf8(output.stdout).unwrap();
            assert!(output.status.success(), "`{command}`: {}{said}", String::from_utf8_lossy(&output.stderr));
            if !shown.is_empty() {
                // the README's reader is called ada
                let shown = shown.join("\n").replace(" ada ", &format!(" {} ", login()));
                assert_eq!(shape(&said), shape(&shown), "`{command}` shows something else:\n{said}");
            }
            commands += 1;
        }
    }
    assert!(commands >= 8, "the tour has lost its commands");
    assert!(!home.join("run/control.sock").exists(), "the tour ends with the daemon stopped");
}

/// Who runs the tests.
fn login() -> String {
    let said = Command::new("id").arg("-un").output().unwrap();
    String::from_utf8(said.stdout).unwrap().trim().to_owned()
}

/// What stays the same from run to run: the names of JSON members, the words of tables.
fn shape(text: &str) -> Vec<String> {
    let line = |line: &str| match serde_json::from_str::<serde_json::Value>(line) {
        Ok(value) => members(&value),
        Err(_) => {
            // `1 signature`, `2 signatures`
            let words = line.split_whitespace().map(|word| word.trim_end_matches([',', 's']));
            words.filter(|word| word.chars().all(char::is_alphabetic)).collect::<Vec<_>>().join(" ")
        }
    };
    text.lines().map(line).collect()
}

fn members(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::Object(fields) => {
            fields.iter().map(|(name, value)| format!("{name}{{{}}}", members(value))).collect()
        }
        _ => String::new(),
    }
}

#[test]
fn the_configuration_and_the_policy_of_the_tour_are_good() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path();
    fs::create_dir(home.join("policies")).unwrap();
    for (name, text) in [
        // there is no keychain where tests run
        (
            "proxy.toml",
            blocks("toml")
                .concat()
                .replace("keychain = { service = \"valetkey\", account = \"github\" }", "file = \"github\""),
        ),
        ("github", "secret".to_owned()),
        ("policies/tour.cedar", blocks("cedar").concat()),
    ] {
        fs::write(home.join(name), text).unwrap();
        fs::set_permissions(home.join(name), fs::Permissions::from_mode(0o600)).unwrap();
    }
    fs::set_permissions(home.join("policies"), fs::Permissions::from_mode(0o700)).unwrap();
    let config = home.join("proxy.toml");
    let output = type_in(home, &format!("valetkey config check --config {}", config.display()));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(!blocks("toml").is_empty() && !blocks("cedar").is_empty());
}

#[test]
fn the_two_commands_at_the_top_are_the_ones_that_are_tested() {
    let run = include_str!("../run");
    let top = blocks("sh");
    assert_eq!(top[0].trim(), "cargo run --release -- run -- curl -s https://whoami.valetkey.internal/");
    assert!(run.contains(top[0].trim()), "tests/run runs the first command of the README");
    assert_eq!(top[1].trim(), "tests/run");
}
