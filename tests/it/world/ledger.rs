//! Reading the ledger as an auditor would: from its files, knowing nothing of the program.

use std::fs;
use std::path::Path;
use std::path::PathBuf;

use serde_json::Value;

use super::until;

/// The lines of one request.
#[derive(Debug)]
pub struct Record {
    /// What was decided, before a byte went out.
    pub decided: Value,
    /// How it ended.
    pub completed: Value,
}

/// The files, oldest first.
pub fn ledger_files(home: &Path) -> Vec<PathBuf> {
    let Ok(folder) = fs::read_dir(home.join("state/audit")) else { return Vec::new() };
    let mut files: Vec<PathBuf> = folder.map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "jsonl"));
    files.sort();
    files
}

/// All lines that are whole.
pub fn read_ledger(home: &Path) -> Vec<Value> {
    let mut lines = Vec::new();
    for file in ledger_files(home) {
        let text = fs::read_to_string(file).unwrap();
        lines.extend(text.split_inclusive('\n').filter(|line| line.ends_with('\n')).map(|line| {
            serde_json::from_str::<Value>(line).unwrap_or_else(|error| panic!("{error} in ledger line {line}"))
        }));
    }
    lines
}

/// The two lines of the only request for `path`, once both are there.
pub async fn record_of(home: &Path, path: &str) -> Record {
    let of_kind = |kind: &str, id: Option<&Value>| {
        let lines = read_ledger(home).into_iter().filter(|line| line["kind"] == kind);
        match id {
            None => lines.filter(|line| line["path"] == path).collect::<Vec<_>>(),
            Some(id) => lines.filter(|line| line["id"] == *id).collect(),
        }
    };
    let decided = until(&format!("a decided record of {path}"), || {
        let mut lines = of_kind("decided", None);
        assert!(lines.len() < 2, "more than one record of {path}: {lines:#?}");
        lines.pop()
    })
    .await;
    let id = decided["id"].clone();
    let completed = until(&format!("a completed record of {path}"), || {
        let mut lines = of_kind("completed", Some(&id));
        assert!(lines.len() < 2, "completed twice: {lines:#?}");
        lines.pop()
    })
    .await;
    Record { decided, completed }
}
