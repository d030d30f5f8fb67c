//! Which file a command names, as a shell would find it, and which agent it is by default.

use std::ffi::OsStr;
use std::path::Path;
use std::path::PathBuf;

use crate::cli::Exit;
use crate::cli::Failure;
use crate::model::AgentName;
use crate::os;

/// The file of `command`: itself when it has a slash, else the first in `path` that may be executed.
pub(in crate::cli) fn find(command: &OsStr, path: Option<&OsStr>) -> Result<PathBuf, Failure> {
    if command.as_encoded_bytes().contains(&b'/') {
        return runnable(Path::new(command)).unwrap_or_else(|| Err(not_found(command)));
    }
    if command.is_empty() {
        return Err(not_found(command));
    }
    let mut in_the_way = None;
    for folder in std::env::split_paths(path.unwrap_or(USUAL_PATH.as_ref())) {
        match runnable(&folder.join(command)) {
            Some(Ok(file)) => return Ok(file),
            Some(Err(failure)) => in_the_way = in_the_way.or(Some(failure)),
            None => {}
        }
    }
    Err(in_the_way.unwrap_or_else(|| not_found(command)))
}

/// The agent's name when none is given: the program's file name, with what is not legal in names replaced.
pub(in crate::cli) fn agent_of(command: &OsStr) -> Result<AgentName, Failure> {
    let file_name = Path::new(command).file_name().unwrap_or(command).to_string_lossy();
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '+');
    let name: String = file_name.chars().take(64).map(|c| if legal(c) { c } else { '-' }).collect();
    AgentName::parse(&name).map_err(|error| {
        Failure::new(Exit::Usage, "the command has no name to call its agent by")
            .caused_by(&error)
            .hint("name it with `--agent NAME`")
    })
}

/// The exit code and words for a file that was found and did not start.
pub(in crate::cli) fn did_not_start(command: &OsStr, error: &std::io::Error) -> Failure {
    if error.kind() == std::io::ErrorKind::NotFound {
        let message = format!("`{}` cannot be started", command.to_string_lossy());
        let failure = Failure::new(Exit::Child(NOT_FOUND), message).caused_by(error);
        return failure.hint("look at its first line: the interpreter named there is missing");
    }
    not_executable(Path::new(command)).caused_by(error)
}

/// None when there is no such file.
fn runnable(file: &Path) -> Option<Result<PathBuf, Failure>> {
    let found = file.metadata().ok()?;
    let executable = found.is_file() && os::may_execute(file);
    Some(if executable { Ok(file.to_owned()) } else { Err(not_executable(file)) })
}

fn not_found(command: &OsStr) -> Failure {
    let message = format!("the command `{}` is not found", command.to_string_lossy());
    let failure = Failure::new(Exit::Child(NOT_FOUND), message);
    if command.as_encoded_bytes().contains(&b' ') {
        return failure.hint("give program and arguments as separate words: `valetkey run -- PROGRAM ARGUMENT…`");
    }
    failure.hint("check the spelling and PATH")
}

fn not_executable(file: &Path) -> Failure {
    let message = format!("`{}` is not executable", file.display());
    let failure = Failure::new(Exit::Child(NOT_EXECUTABLE), message);
    if file.is_dir() {
        return failure.hint("it is a folder");
    }
    failure.hint(format!("`chmod +x {}`, or name its interpreter", file.display()))
}

/// POSIX 2.8.2.
const NOT_FOUND: u8 = 127;
const NOT_EXECUTABLE: u8 = 126;

/// What a shell assumes without `PATH`.
const USUAL_PATH: &str = "/usr/local/bin:/usr/bin:/bin";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Output;

    fn exit_of(command: &str, path: Option<&str>) -> Exit {
        find(command.as_ref(), path.map(OsStr::new)).unwrap_err().tell(&mut Output::new())
    }

    #[test]
    fn a_command_is_found_as_a_shell_finds_it() {
        assert_eq!(find("sh".as_ref(), Some("/nonexistent:/bin".as_ref())).unwrap(), Path::new("/bin/sh"));
        assert_eq!(find("/bin/sh".as_ref(), None).unwrap(), Path::new("/bin/sh"));
        assert!(find("sh".as_ref(), None).is_ok());
    }

    #[test]
    fn what_cannot_be_run_has_the_exit_code_of_a_shell() {
        assert_eq!(exit_of("no-such-command", Some("/bin")), Exit::Child(127));
        assert_eq!(exit_of("/no/such/command", None), Exit::Child(127));
        assert_eq!(exit_of("curl -s x", None), Exit::Child(127));
        assert_eq!(exit_of("", None), Exit::Child(127));
        assert_eq!(exit_of("/etc/passwd", None), Exit::Child(126));
        assert_eq!(exit_of("/bin/", None), Exit::Child(126));
        assert_eq!(exit_of("passwd", Some("/etc")), Exit::Child(126));
    }

    #[test]
    fn an_agent_is_called_by_the_file_name_of_its_program() {
        for (command, agent) in [("curl", "curl"), ("/usr/bin/python3.11", "python3.11"), ("./my agent", "my-agent")] {
            assert_eq!(agent_of(command.as_ref()).unwrap().as_str(), agent);
        }
        assert_eq!(agent_of("x".repeat(300).as_ref()).unwrap().as_str().len(), 64);
        assert!(agent_of("".as_ref()).is_err());
    }
}
