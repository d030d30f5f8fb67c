//! A daemon in the background: apart from the terminal, with a log of its own.
//!
//! The starter gives it a clean environment, no standard input and `/` as its folder, and leaves it alone:
//! it outlives the starter.

use std::ffi::OsString;
use std::fs::File;
use std::io::Read as _;
use std::io::Seek as _;
use std::io::SeekFrom;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::process::ExitStatus;
use std::process::Stdio;

use tokio::process::Child;

use crate::limits;
use crate::os::Environment;
use crate::os::NotPrivate;
use crate::os::private_append;
use crate::os::private_folder;

/// What to start.
#[derive(Clone, Debug)]
pub struct Program {
    /// The file.
    pub file: PathBuf,
    /// Its arguments.
    pub arguments: Vec<OsString>,
    /// Where it says what it has to say; its folder is made for us alone.
    pub log: PathBuf,
}

/// A program that was started and is not waited for.
#[derive(Debug)]
pub struct Started {
    child: Child,
    log: PathBuf,
    log_from: u64,
}

/// Why it could not be started.
#[derive(Debug, thiserror::Error)]
pub enum NotStarted {
    /// The log's place is not ours alone.
    #[error(transparent)]
    Log(#[from] NotPrivate),
    /// The system refused.
    #[error("`{}` cannot be started", program.display())]
    Spawn {
        /// Which.
        program: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

/// Starts it; the program itself calls [`detach`] first thing. `environment` is ours; what a daemon must not
/// have is left out. Needs a tokio runtime.
pub fn start(program: &Program, environment: &Environment) -> Result<Started, NotStarted> {
    if let Some(folder) = program.log.parent() {
        private_folder(folder)?;
    }
    set_aside(&program.log);
    let log = private_append(&program.log)?;
    let spawn_failed = |source| NotStarted::Spawn { program: program.file.clone(), source };
    let log_from = log.metadata().map_err(spawn_failed)?.len();
    let mut command = Command::new(&program.file);
    command
        .args(&program.arguments)
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(log.try_clone().map_err(spawn_failed)?)
        .stderr(log);
    if let Some(scrub) = environment.scrub() {
        scrub.apply(&mut command);
    }
    // tokio reaps it should it end while its starter lives, so that it is gone for those who wait for that.
    let child = tokio::process::Command::from(command).spawn().map_err(spawn_failed)?;
    Ok(Started { child, log: program.log.clone(), log_from })
}

/// Leaves the terminal's session, so that neither its end nor its Ctrl-C is ours. Called by the child itself; a
/// process that leads its group may not, but then no terminal's job is what it belongs to.
pub fn detach() {
    let _ = rustix::process::setsid();
}

impl Started {
    /// How it ended, when it did.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// What it said since it was started.
    pub fn said(&self) -> String {
        read_from(&self.log, self.log_from).unwrap_or_default()
    }
}

fn read_from(path: &Path, offset: u64) -> std::io::Result<String> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(offset))?;
    let mut said = Vec::new();
    file.take(limits::DAEMON_LOG_TAIL_BYTES).read_to_end(&mut said)?;
    Ok(String::from_utf8_lossy(&said).into_owned())
}

/// A log that has grown large becomes `….1`. One that can't be moved goes on growing, which is no reason to fail.
fn set_aside(log: &Path) {
    let large = log.symlink_metadata().is_ok_and(|found| found.len() > limits::DAEMON_LOG_BYTES_MAX);
    if large {
        let mut old = log.as_os_str().to_owned();
        old.push(".1");
        let _ = std::fs::rename(log, old);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, log: PathBuf) -> Program {
        Program { file: "/bin/sh".into(), arguments: vec!["-c".into(), script.into()], log }
    }

    #[tokio::test]
    async fn it_runs_apart_with_a_clean_environment_and_says_so_in_its_log() {
        let home = tempfile::tempdir().unwrap();
        let log = home.path().join("state/daemon.log");
        let dirty = Environment::of([("HTTPS_PROXY", "http://corp:3128")]);
        let program = shell("pwd; echo up=$VALETKEY_UPSTREAM_PROXY; read line || echo no input; exit 3", log.clone());
        for _ in 0..2 {
            let mut started = start(&program, &dirty).unwrap();
            let status = started.child.wait().await.unwrap();
            assert_eq!(started.ended(), Some(status));
            assert_eq!(status.code(), Some(3));
            assert_eq!(started.said(), "/\nup=http://corp:3128\nno input\n", "only what this one said");
        }
        assert_eq!(std::fs::read_to_string(log).unwrap().lines().count(), 6);
    }

    #[tokio::test]
    async fn a_large_log_is_set_aside() {
        let home = tempfile::tempdir().unwrap();
        let log = home.path().join("state/daemon.log");
        private_folder(log.parent().unwrap()).unwrap();
        private_append(&log).unwrap().set_len(limits::DAEMON_LOG_BYTES_MAX + 1).unwrap();
        let mut started = start(&shell("echo new", log.clone()), &Environment::default()).unwrap();
        started.child.wait().await.unwrap();
        assert_eq!(std::fs::read_to_string(log).unwrap(), "new\n");
        assert!(home.path().join("state/daemon.log.1").exists());
    }

    #[tokio::test]
    async fn a_program_that_is_not_there_is_an_error() {
        let home = tempfile::tempdir().unwrap();
        let missing = Program { file: "/nonexistent".into(), arguments: vec![], log: home.path().join("state/log") };
        assert!(matches!(start(&missing, &Environment::default()), Err(NotStarted::Spawn { .. })));
    }
}
