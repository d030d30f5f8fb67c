//! The never-rules of the house, read from the source: layers, doors, secrets, words.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::path::PathBuf;

/// Each room and its layer. Imports go down only; inside layer 2 only back along the order of the steps.
const LAYERS: &[(&str, u8)] = &[
    ("model", 0),
    ("limits", 0),
    ("cedar", 1),
    ("http", 1),
    ("jose", 1),
    ("os", 1),
    ("tls", 1),
    ("agent", 2),
    ("resource", 2),
    ("policy", 2),
    ("credential", 2),
    ("upstream", 2),
    ("audit", 2),
    ("refusal", 3),
    ("broker", 3),
    ("proxy", 4),
    ("control", 4),
    ("viewer", 4),
    ("whoami", 4),
    ("zone", 4),
    ("config", 4),
    ("cli", 5),
    ("daemon", 5),
    ("main", 5),
];

/// The steps in their order: each may know the ones before it.
const STEPS: &[&str] = &["agent", "resource", "policy", "credential", "upstream", "audit"];

/// The only rooms that may know a crate.
const DOORS: &[(&str, &[&str])] = &[
    ("cedar_policy", &["cedar"]),
    ("miette", &["cedar"]),
    ("sqlx", &["zone"]),
    ("utoipa", &["zone"]),
    ("rcgen", &["tls"]),
    ("clap", &["cli"]),
    ("jsonwebtoken", &["jose"]),
    ("idna", &["model"]),
    ("psl", &["resource"]),
    ("annotate_snippets", &["config", "cli"]),
    ("axum", &["http", "zone", "whoami", "viewer", "control", "daemon"]),
    ("sd_notify", &["os", "daemon"]),
    ("notify", &["os", "daemon"]),
    ("askama", &["zone"]),
    ("argon2", &["zone"]),
    ("flate2", &["zone"]),
    ("totp_rs", &["zone"]),
];

/// Where the bytes of a `Secret` may be looked at: on their way in, to a hash, or onto the wire.
const EXPOSE: &[&str] = &[
    "agent/held.rs",
    "agent/registry.rs",
    "cli/api.rs",
    "cli/auth/flows.rs",
    "cli/auth/wallet.rs",
    "cli/run.rs",
    "cli/token.rs",
    "cli/zone.rs",
    "credential/answer.rs",
    "credential/endpoint.rs",
    "credential/secret_source.rs",
    "credential/secrets.rs",
    "credential/source.rs",
    "credential/zone.rs",
    "daemon/backend.rs",
    "daemon/authority.rs",
    "daemon/network.rs",
    "jose/signing_key.rs",
    "model/header.rs",
    "model/secret.rs",
    "os/keychain.rs",
    "upstream/rewrite.rs",
    "upstream/via.rs",
    "zone/management/api_tokens.rs",
    "zone/management/credentials.rs",
    "zone/management/invitations.rs",
    "zone/management/secrets.rs",
    "zone/management/service_account_credentials.rs",
    "zone/management/service_account_token.rs",
    "zone/oauth/answer.rs",
    "zone/oauth/assertion.rs",
    "zone/oauth/client.rs",
    "zone/oauth/device.rs",
    "zone/oauth/introspection.rs",
    "zone/oauth/registration.rs",
    "zone/opaque.rs",
    "zone/own_client.rs",
    "zone/pages/account.rs",
    "zone/pages/authorize.rs",
    "zone/pages/browser.rs",
    "zone/pages/sign_in.rs",
    "zone/people/external.rs",
    "zone/people/password.rs",
    "zone/people/seal.rs",
    "zone/people/second_factor.rs",
    "zone/people/ticket.rs",
    "zone/people/way.rs",
    "zone/zone.rs",
    "zone/seal.rs",
    "zone/store/database.rs",
];

/// A file of `src/`: its path below it, and its text before the first `#[cfg(test)]`.
struct Source {
    path: String,
    text: String,
    code: String,
}

impl Source {
    fn room(&self) -> &str {
        let first = self.path.split('/').next().unwrap();
        first.strip_suffix(".rs").unwrap_or(first)
    }

    /// Lines of code with their numbers, comments left out.
    fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        let numbered = self.code.lines().enumerate().map(|(index, line)| (index + 1, line));
        numbered.filter(|(_, line)| !line.trim_start().starts_with("//"))
    }
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut paths = Vec::new();
    walk(&root, &mut paths);
    paths.sort();
    let sources = paths.into_iter().map(|path| {
        let text = fs::read_to_string(&path).unwrap();
        let code = text.split("#[cfg(test)]\nmod").next().unwrap().to_owned();
        Source { path: path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned(), text, code }
    });
    // Files of tests are judged by nobody but their readers.
    sources.filter(|source| !source.path.contains("/tests/") && !source.path.ends_with("/tests.rs")).collect()
}

fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            walk(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// Fails with every finding of a rule at once.
fn rule(what: &str, find: impl Fn(&Source, &mut String)) {
    let mut findings = String::new();
    for source in sources() {
        find(&source, &mut findings);
    }
    assert!(findings.is_empty(), "{what}:\n{findings}");
}

fn has_word(line: &str, word: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word)
        .any(|(at, _)| !line[..at].ends_with(is_part) && !line[at + word.len()..].starts_with(is_part))
}

#[test]
fn imports_go_down_only() {
    let layers: BTreeMap<&str, u8> = LAYERS.iter().copied().collect();
    let step = |room: &str| STEPS.iter().position(|step| *step == room);
    rule("an import upward or sideways", |source, findings| {
        let from = source.room();
        if from == "lib" {
            return;
        }
        let Some(own) = layers.get(from) else {
            writeln!(findings, "src/{}: give the room `{from}` a layer in tests/it/tidy.rs", source.path).unwrap();
            return;
        };
        for (number, line) in source.lines() {
            for (at, _) in line.match_indices("crate::") {
                let rest = &line[at + 7..];
                let to: String = rest.chars().take_while(|c| c.is_ascii_lowercase() || *c == '_').collect();
                let Some(layer) = layers.get(to.as_str()) else { continue };
                let allowed = to == from
                    || layer < own
                    || (*own == 5 && *layer == 5)
                    || (*own == 0 && *layer == 0)
                    || (*own == 1 && *layer == 1)
                    || (*own == 3 && *layer == 3)
                    || step(&to).zip(step(from)).is_some_and(|(to, from)| to < from);
                if !allowed {
                    writeln!(
                        findings,
                        "src/{}:{number}: {from} (layer {own}) imports {to} (layer {layer})",
                        source.path
                    )
                    .unwrap();
                }
            }
        }
    });
}

#[test]
fn the_zone_and_the_brokers_side_are_strangers() {
    rule("the zone and the broker's side know each other", |source, findings| {
        let strangers: &[&str] = match source.room() {
            "zone" | "whoami" => &["agent", "resource", "policy", "credential", "upstream", "audit", "broker", "proxy"],
            "agent" | "resource" | "policy" | "credential" | "upstream" | "audit" | "broker" | "proxy" => {
                &["zone", "whoami"]
            }
            _ => return,
        };
        for (number, line) in source.lines() {
            for stranger in strangers {
                if line.contains(&format!("crate::{stranger}::")) {
                    writeln!(findings, "src/{}:{number}: {}", source.path, line.trim()).unwrap();
                }
            }
        }
    });
}

#[test]
fn a_crate_has_one_door() {
    rule("a second door to a crate", |source, findings| {
        for (number, line) in source.lines() {
            for (name, rooms) in DOORS {
                let used = line.contains(&format!("{name}::"))
                    && has_word(line, name)
                    && !line.contains(&format!("::{name}::"));
                if used && !rooms.contains(&source.room()) {
                    writeln!(findings, "src/{}:{number}: `{name}` belongs to {rooms:?}", source.path).unwrap();
                }
            }
        }
    });
}

#[test]
fn a_secret_is_looked_at_in_listed_files_only() {
    rule("`expose` outside the list in tests/it/tidy.rs", |source, findings| {
        for (number, line) in source.lines() {
            if line.contains(".expose") && !EXPOSE.contains(&source.path.as_str()) {
                writeln!(findings, "src/{}:{number}: {}", source.path, line.trim()).unwrap();
            }
        }
    });
}

#[test]
fn the_model_is_pure() {
    rule("I/O, async or clock in the model", |source, findings| {
        if source.room() != "model" && source.room() != "limits" {
            return;
        }
        for (number, line) in source.lines() {
            let impure = [
                "tokio",
                "async fn",
                "std::fs",
                "std::net::Tcp",
                "std::env",
                "SystemTime::now",
                "Instant::now",
                "hyper_util",
            ];
            if impure.iter().any(|word| line.contains(word)) {
                writeln!(findings, "src/{}:{number}: {}", source.path, line.trim()).unwrap();
            }
        }
    });
}

#[test]
fn time_environment_and_exit_have_their_places() {
    let places: &[(&str, &[&str])] = &[
        ("SystemTime::now", &["os/clock.rs"]),
        ("Instant::now", &["os/clock.rs"]),
        ("env::var", &["os/environment.rs", "cli/mod.rs", "main.rs"]),
        ("env::vars", &["os/environment.rs", "cli/mod.rs", "main.rs"]),
        ("process::exit", &["main.rs"]),
        ("println!", &["cli/output.rs"]),
        ("unsafe_code", &["os/harden.rs"]),
    ];
    rule("ambient time, environment, exit or output", |source, findings| {
        for (number, line) in source.lines() {
            for (word, files) in places {
                let tokio_time = line.contains("tokio::time::Instant::now");
                if line.contains(word) && !tokio_time && !files.contains(&source.path.as_str()) {
                    writeln!(findings, "src/{}:{number}: `{word}` belongs to {files:?}", source.path).unwrap();
                }
            }
        }
    });
}

#[test]
fn every_file_says_what_it_is_for() {
    rule("a file without its `//!`", |source, findings| {
        if !source.text.starts_with("//! ") {
            writeln!(findings, "src/{}", source.path).unwrap();
        }
    });
}

#[test]
fn one_import_a_line_and_nothing_unfinished() {
    rule("several imports in a line, or unfinished work", |source, findings| {
        for (number, line) in source.lines() {
            if line.contains("use crate::") && line.contains('{') {
                writeln!(findings, "src/{}:{number}: {}", source.path, line.trim()).unwrap();
            }
        }
        for (number, line) in source.text.lines().enumerate() {
            if ["TODO", "FIXME", "XXX", "unimplemented!"].iter().any(|word| has_word(line, word.trim_end_matches('!')))
            {
                writeln!(findings, "src/{}:{}: {}", source.path, number + 1, line.trim()).unwrap();
            }
        }
    });
}

#[test]
fn names_are_nouns_of_the_house() {
    rule("a Manager, Handler, Helper or Util", |source, findings| {
        for (number, line) in source.lines() {
            let Some(name) = ["struct ", "enum ", "trait ", "mod "].iter().find_map(|kind| {
                let at = line.find(kind)?;
                line[..at]
                    .trim()
                    .chars()
                    .all(|c| c.is_alphanumeric() || "() _".contains(c))
                    .then(|| &line[at + kind.len()..])
            }) else {
                continue;
            };
            let name: String = name.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            let lower = name.to_lowercase();
            if ["manager", "handler", "helper", "util"].iter().any(|word| lower.contains(word)) {
                writeln!(findings, "src/{}:{number}: `{name}`", source.path).unwrap();
            }
        }
    });
}

#[test]
fn files_are_short() {
    // The limits are a table, and belong in one place.
    let files = sources().into_iter().filter(|source| source.path != "limits.rs");
    let mut lengths: Vec<(usize, String)> = files.map(|source| (source.code.lines().count(), source.path)).collect();
    lengths.sort();
    let median = lengths[lengths.len() / 2].0;
    let long: Vec<String> = lengths
        .iter()
        .rev()
        .take_while(|(count, _)| *count > 250)
        .map(|(count, path)| format!("{count:5} src/{path}"))
        .collect();
    eprintln!("{} files, median {median} lines; past 250:\n{}", lengths.len(), long.join("\n"));
    // one list of named bounds, read by its section headers
    let longest = lengths.iter().rfind(|(_, path)| path != "limits.rs").unwrap();
    assert!(longest.0 <= 450, "src/{} has {} lines before its tests: look for the second noun", longest.1, longest.0);
    assert!(median <= 170, "the median file has {median} lines");
}

#[test]
fn no_line_is_wider_than_the_page() {
    rule("a line wider than 140 characters", |source, findings| {
        for (number, line) in source.text.lines().enumerate() {
            if line.chars().count() > 140 {
                writeln!(findings, "src/{}:{}", source.path, number + 1).unwrap();
            }
        }
    });
}
