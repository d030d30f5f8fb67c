//! The only place that writes to the terminal.

use std::io::IsTerminal as _;
use std::io::Write as _;

/// stdout for data, stderr for talk.
#[derive(Debug)]
pub struct Output {
    stdout_is_terminal: bool,
}

impl Output {
    /// The process's own streams.
    pub fn new() -> Self {
        Self { stdout_is_terminal: std::io::stdout().is_terminal() }
    }

    /// A line of data. A closed pipe is no failure: the reader has had enough.
    pub fn data(&mut self, line: impl std::fmt::Display) {
        let _ = std::io::stdout().lock().write_all(format!("{line}\n").as_bytes());
    }

    /// A line of talk, in one piece: others may write to the same file.
    pub fn talk(&mut self, line: impl std::fmt::Display) {
        let _ = std::io::stderr().lock().write_all(format!("{line}\n").as_bytes());
    }

    /// Whether a person reads the data.
    pub fn is_terminal(&self) -> bool {
        self.stdout_is_terminal
    }
}

impl Default for Output {
    fn default() -> Self {
        Self::new()
    }
}
