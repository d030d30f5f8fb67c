//! What went wrong, whose fault it is, and what to do: the table from failures to words and exit codes.

use std::error::Error;

use crate::cli::Output;
use crate::control::CallFailed;
use crate::control::NotListening;
use crate::control::ProblemKind;
use crate::os::NotPrivate;

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

/// On one line, for logs and for other programs.
impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)?;
        self.causes.iter().try_for_each(|cause| write!(f, ": {cause}"))
    }
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

    /// Adds what is behind an error whose own words are the message already.
    pub fn caused_by_source_of(self, error: &dyn Error) -> Self {
        match error.source() {
            Some(source) => self.caused_by(source),
            None => self,
        }
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

impl From<CallFailed> for Failure {
    fn from(failed: CallFailed) -> Self {
        let message = failed.to_string();
        match &failed {
            CallFailed::DaemonDown { .. } => Self::new(Exit::DaemonDown, message)
                .hint("`valetkey run -- COMMAND` starts one, and `valetkey daemon` runs it in the foreground"),
            CallFailed::Socket { source, socket } => Self::new(Exit::NotPermitted, message)
                .caused_by(source)
                .hint(format!("look at it with `ls -ld {}`", socket.display())),
            CallFailed::ForeignDaemon { .. } => Self::new(Exit::NotPermitted, message)
                .hint("nothing was sent to it; set XDG_RUNTIME_DIR or VALETKEY_HOME to a folder of your own"),
            CallFailed::BrokenOff(source) => {
                Self::new(Exit::DaemonDown, message).caused_by(source).hint("`valetkey logs` shows why")
            }
            CallFailed::TimedOut => Self::new(Exit::DaemonDown, message).hint("`valetkey logs` shows what it does"),
            CallFailed::NotUnderstood => Self::new(Exit::DaemonDown, message)
                .hint("`valetkey stop` ends a daemon of another version; the next `run` starts this one"),
            CallFailed::Problem(problem) => {
                let failure = Self::new(exit_of(problem.kind), message);
                match &problem.hint {
                    Some(hint) => failure.hint(hint),
                    None => failure,
                }
            }
        }
    }
}

fn exit_of(kind: ProblemKind) -> Exit {
    match kind {
        ProblemKind::Invalid => Exit::Usage,
        ProblemKind::Missing | ProblemKind::Busy | ProblemKind::Internal => Exit::Refused,
        ProblemKind::Refused => Exit::NotPermitted,
        ProblemKind::Configuration => Exit::Configuration,
    }
}

impl From<NotListening> for Failure {
    fn from(refused: NotListening) -> Self {
        let exit = match &refused {
            NotListening::AnotherDaemon { .. } => Exit::Refused,
            NotListening::Path { .. } => Exit::Configuration,
            NotListening::NotPrivate(_) | NotListening::InTheWay { .. } | NotListening::Io { .. } => Exit::NotPermitted,
        };
        Self::new(exit, refused.to_string()).caused_by_source_of(&refused).hint(refused.hint())
    }
}

impl From<NotPrivate> for Failure {
    fn from(refused: NotPrivate) -> Self {
        Self::new(Exit::NotPermitted, refused.to_string()).caused_by_source_of(&refused).hint(refused.hint())
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn exit_of(failure: Failure) -> Exit {
        failure.tell(&mut Output::new())
    }

    #[test]
    fn each_way_a_call_fails_has_its_exit_code() {
        let io = || std::io::Error::from(std::io::ErrorKind::NotFound);
        let socket = || PathBuf::from("/s");
        let problem = crate::control::Problem::new(ProblemKind::Refused, "x", "no");
        for (failed, exit) in [
            (CallFailed::DaemonDown { source: io() }, Exit::DaemonDown),
            (CallFailed::Socket { socket: socket(), source: io() }, Exit::NotPermitted),
            (CallFailed::ForeignDaemon { socket: socket(), uid: 7 }, Exit::NotPermitted),
            (CallFailed::TimedOut, Exit::DaemonDown),
            (CallFailed::NotUnderstood, Exit::DaemonDown),
            (CallFailed::Problem(problem), Exit::NotPermitted),
        ] {
            assert_eq!(exit_of(failed.into()), exit);
        }
    }

    #[test]
    fn each_reason_not_to_be_the_daemon_has_its_exit_code() {
        let path = || PathBuf::from("/run/control.sock");
        let io = || std::io::Error::from(std::io::ErrorKind::PermissionDenied);
        for (refused, exit) in [
            (NotListening::AnotherDaemon { path: path() }, Exit::Refused),
            (NotListening::Path { path: path() }, Exit::Configuration),
            (NotListening::InTheWay { path: path() }, Exit::NotPermitted),
            (NotListening::Io { path: path(), source: io() }, Exit::NotPermitted),
            (NotPrivate::Open { path: path(), mode: 0o755 }.into(), Exit::NotPermitted),
        ] {
            assert_eq!(exit_of(refused.into()), exit);
        }
    }
}
