//! What went wrong, whose fault it is, and what to do: the table from failures to words and exit codes.

use std::error::Error;

use crate::cli::Output;

/// How a command ended (after sysexits.h, where it has a word).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// 0
    Done,
    /// 1: asked, and told no; or a check found something.
    Refused,
    /// 64: the words of the command are off.
    Usage,
    /// 69: the daemon is not running.
    DaemonDown,
    /// 77: not permitted.
    NotPermitted,
    /// 78: the configuration is off.
    Configuration,
    /// What the child of `run` ended with.
    Child(u8),
}

impl Exit {
    /// The number the shell sees.
    pub const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Refused => 1,
            Self::Usage => 64,
            Self::DaemonDown => 69,
            Self::NotPermitted => 77,
            Self::Configuration => 78,
            Self::Child(code) => code,
        }
    }
}

/// A command's failure: a sentence, what caused it, and a hint, best a command.
#[derive(Debug)]
pub struct Failure {
    exit: Exit,
    message: String,
    causes: Vec<String>,
    hint: Option<String>,
}

impl Failure {
    /// Lower case, no full stop.
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into(), causes: Vec::new(), hint: None }
    }

    /// Adds an error and everything behind it.
    pub fn caused_by(mut self, error: &dyn Error) -> Self {
        let mut next = Some(error);
        while let Some(error) = next {
            self.causes.push(error.to_string());
            next = error.source();
        }
        self
    }

    /// What to do about it.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Tells it on stderr and gives the exit code.
    pub fn tell(&self, output: &mut Output) -> Exit {
        output.talk(format_args!("error: {}", self.message));
        for cause in &self.causes {
            output.talk(format_args!("  caused by: {cause}"));
        }
        if let Some(hint) = &self.hint {
            output.talk(format_args!("  hint: {hint}"));
        }
        self.exit
    }
}
