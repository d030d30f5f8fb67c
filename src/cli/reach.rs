//! Reaching the daemon, and starting one in the background when none runs.

use std::path::PathBuf;

use crate::cli::Exit;
use crate::cli::Failure;
use crate::cli::Output;
use crate::cli::Surroundings;
use crate::control::CallFailed;
use crate::control::Client;
use crate::control::Status;
use crate::limits;
use crate::os;
use crate::os::Program;
use crate::os::Started;

/// A client for this user's daemon.
pub(in crate::cli) fn client(surroundings: &Surroundings) -> Client {
    Client::new(surroundings.paths.control_socket())
}

/// How the daemon is, which is started first when none runs.
pub(in crate::cli) async fn or_start(
    client: &Client,
    config: Option<PathBuf>,
    surroundings: &Surroundings,
    output: &mut Output,
) -> Result<Status, Failure> {
    match client.status().await {
        // one that breaks off has just been killed
        Err(CallFailed::DaemonDown { .. } | CallFailed::BrokenOff(_)) => {}
        answered => return Ok(answered?),
    }
    let program = daemon_program(config, surroundings)?;
    let started = os::start(&program, &surroundings.environment)
        .map_err(|error| Failure::new(Exit::DaemonDown, "the daemon cannot be started").caused_by(&error))?;
    let answered = tokio::time::timeout(limits::DAEMON_START_TIMEOUT, until_it_answers(client, started, output)).await;
    answered.unwrap_or_else(|_| {
        let waited = limits::DAEMON_START_TIMEOUT.as_secs();
        Err(Failure::new(Exit::DaemonDown, format!("the daemon was started and does not answer after {waited} s"))
            .hint("`valetkey logs` shows what it does"))
    })
}

fn daemon_program(config: Option<PathBuf>, surroundings: &Surroundings) -> Result<Program, Failure> {
    let file = std::env::current_exe().map_err(|error| {
        Failure::new(Exit::DaemonDown, "this program cannot find its own file to start the daemon").caused_by(&error)
    })?;
    let mut arguments = vec!["daemon".into(), "--detached".into()];
    if let Some(config) = config {
        arguments.extend(["--config".into(), config.into()]);
    }
    Ok(Program { file, arguments, log: surroundings.paths.daemon_log() })
}

/// One that we started may give way to one that another `run` started a moment earlier; that one serves as well.
async fn until_it_answers(client: &Client, mut started: Started, output: &mut Output) -> Result<Status, Failure> {
    let mut grace = limits::DAEMON_RIVAL_GRACE;
    loop {
        match client.status().await {
            Err(CallFailed::DaemonDown { .. }) => {}
            answered => return Ok(answered?),
        }
        if let Some(status) = started.ended() {
            if grace.is_zero() {
                return Err(it_died(&started, os::signals::exit_code(status), output));
            }
            grace = grace.saturating_sub(limits::DAEMON_POLL_INTERVAL);
        }
        tokio::time::sleep(limits::DAEMON_POLL_INTERVAL).await;
    }
}

/// Its own words come first: they say what is wrong.
fn it_died(started: &Started, code: u8, output: &mut Output) -> Failure {
    let said = started.said();
    let lines: Vec<_> = said.lines().collect();
    for line in lines.iter().skip(lines.len().saturating_sub(limits::DAEMON_LAST_WORDS_LINES)) {
        output.talk(line);
    }
    let known = [Exit::Configuration, Exit::NotPermitted, Exit::Usage];
    let exit = known.into_iter().find(|exit| exit.code() == code).unwrap_or(Exit::DaemonDown);
    Failure::new(exit, format!("the daemon ended as it started, with exit code {code}"))
        .hint("its last words stand above; `valetkey daemon` runs it in the foreground")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::fake::FakeDaemon;
    use crate::os::Environment;
    use crate::os::start;

    fn shell(script: &str, home: &std::path::Path) -> Started {
        let log = home.join("state/daemon.log");
        let program = Program { file: "/bin/sh".into(), arguments: vec!["-c".into(), script.into()], log };
        start(&program, &Environment::default()).unwrap()
    }

    fn exit_of(failure: Failure) -> Exit {
        failure.tell(&mut Output::new())
    }

    #[tokio::test]
    async fn a_daemon_that_dies_is_reported_with_its_exit_code() {
        let home = tempfile::tempdir().unwrap();
        let client = Client::new(home.path().join("control.sock"));
        for (script, exit) in [("exit 78", Exit::Configuration), ("exit 3", Exit::DaemonDown)] {
            let started = shell(script, home.path());
            let failure = until_it_answers(&client, started, &mut Output::new()).await.unwrap_err();
            assert_eq!(exit_of(failure), exit);
        }
    }

    #[tokio::test]
    async fn a_daemon_that_gave_way_to_another_is_no_failure() {
        let daemon = FakeDaemon::start();
        let started = shell("exit 69", daemon.home.path());
        let status = until_it_answers(&daemon.client, started, &mut Output::new()).await.unwrap();
        assert_eq!(status.sessions, 0);
    }
}
