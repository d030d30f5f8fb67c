//! `valetkey status`, `sessions`, `reload`, `stop`: one call to the daemon each.

use clap::Args;
use serde::Serialize;

use crate::cli::Exit;
use crate::cli::Failure;
use crate::cli::Output;
use crate::cli::Surroundings;
use crate::cli::daemon_words;
use crate::cli::reach;
use crate::control::CallFailed;
use crate::limits;
use crate::model::SessionId;
use crate::os::signals;

/// Say how the daemon is.
///
/// Exit code 0 when all is well, 1 when a part of it is failing or a changed file could not be taken over, 69 when
/// no daemon runs.
#[derive(Debug, Args)]
pub(in crate::cli) struct StatusArgs {
    /// As JSON.
    #[arg(long)]
    json: bool,
}

/// List the open sessions, or end one.
#[derive(Debug, Args)]
pub(in crate::cli) struct SessionsArgs {
    /// As JSON, one object per line.
    #[arg(long)]
    json: bool,
    /// End this session: its connections close, its credentials are worth nothing.
    #[arg(long, value_name = "SESSION", value_parser = session_id)]
    end: Option<SessionId>,
}

/// Have the daemon read its configuration and policies anew.
///
/// It does so by itself when a file changes. What cannot be taken over leaves all as it was.
#[derive(Debug, Args)]
pub(in crate::cli) struct ReloadArgs {
    /// As JSON.
    #[arg(long)]
    json: bool,
}

/// Stop the daemon, and wait until it is gone.
///
/// Open sessions end; requests under way have a moment to finish.
#[derive(Debug, Args)]
pub(in crate::cli) struct StopArgs {
    /// As JSON.
    #[arg(long)]
    json: bool,
}

pub(in crate::cli) async fn status(
    args: StatusArgs,
    surroundings: &Surroundings,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let status = reach::client(surroundings).status().await?;
    output.data(if args.json { json(&status) } else { daemon_words::status(&status) });
    Ok(if status.is_well() { Exit::Done } else { Exit::Refused })
}

pub(in crate::cli) async fn sessions(
    args: SessionsArgs,
    surroundings: &Surroundings,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let client = reach::client(surroundings);
    if let Some(id) = args.end {
        client.end_session(&id).await?;
        output.talk(format_args!("session `{id}` has ended"));
        return Ok(Exit::Done);
    }
    let sessions = client.sessions().await?;
    if args.json {
        sessions.iter().for_each(|session| output.data(json(session)));
    } else if sessions.is_empty() {
        output.talk("no session is open");
    } else {
        output.data(daemon_words::sessions(&sessions));
    }
    Ok(Exit::Done)
}

pub(in crate::cli) async fn reload(
    args: ReloadArgs,
    surroundings: &Surroundings,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let summary = reach::client(surroundings).reload().await?;
    if args.json {
        output.data(serde_json::json!({ "in_force": summary }));
    } else {
        output.talk(format_args!("in force: {summary}"));
    }
    Ok(Exit::Done)
}

pub(in crate::cli) async fn stop(
    args: StopArgs,
    surroundings: &Surroundings,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let client = reach::client(surroundings);
    let pid = match client.status().await {
        Err(down @ CallFailed::DaemonDown { .. }) => {
            return Err(Failure::new(Exit::DaemonDown, down.to_string()).hint("there is nothing to stop"));
        }
        status => status?.pid,
    };
    client.stop().await?;
    if tokio::time::timeout(limits::DAEMON_STOP_TIMEOUT, until_it_is_gone(pid, output)).await.is_err() {
        let waited = limits::DAEMON_STOP_TIMEOUT.as_secs();
        return Err(Failure::new(
            Exit::Refused,
            format!("the daemon was told to stop and still runs after {waited} s"),
        )
        .hint(format!("`valetkey logs` shows what it waits for; `kill -9 {pid}` ends it at once")));
    }
    if args.json {
        output.data(serde_json::json!({ "stopped": pid }));
    } else {
        output.talk(format_args!("the daemon with pid {pid} has stopped"));
    }
    Ok(Exit::Done)
}

/// Asks the system and not the socket: where a service manager holds that, a call would start the next daemon.
async fn until_it_is_gone(pid: u32, output: &mut Output) {
    let gone = async {
        while signals::is_alive(pid) {
            tokio::time::sleep(limits::DAEMON_POLL_INTERVAL).await;
        }
    };
    tokio::pin!(gone);
    if tokio::time::timeout(limits::DAEMON_STOP_QUIET, &mut gone).await.is_err() {
        let drain = limits::DRAIN_TIMEOUT.as_secs();
        output.talk(format_args!("waiting: requests under way have {drain} s to finish"));
        gone.await;
    }
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

fn session_id(text: &str) -> Result<SessionId, crate::model::IdNotLegal> {
    SessionId::parse(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::fake::FakeDaemon;
    use crate::os::Environment;
    use crate::os::Paths;

    #[tokio::test]
    async fn without_a_daemon_each_of_them_says_so() {
        let home = tempfile::tempdir().unwrap();
        let surroundings = Surroundings { environment: Environment::default(), paths: Paths::below(home.path()) };
        let mut output = Output::new();
        let mut failures = vec![
            status(StatusArgs { json: false }, &surroundings, &mut output).await.unwrap_err(),
            sessions(SessionsArgs { json: false, end: None }, &surroundings, &mut output).await.unwrap_err(),
            reload(ReloadArgs { json: false }, &surroundings, &mut output).await.unwrap_err(),
        ];
        failures.push(stop(StopArgs { json: false }, &surroundings, &mut output).await.unwrap_err());
        for failure in failures {
            assert_eq!(failure.tell(&mut output), Exit::DaemonDown);
        }
    }

    #[tokio::test]
    async fn a_session_is_ended_by_its_name() {
        let daemon = FakeDaemon::start();
        let surroundings =
            Surroundings { environment: Environment::default(), paths: Paths::below(daemon.home.path()) };
        let agent = crate::model::AgentName::parse("x").unwrap();
        let wish =
            crate::control::SessionWish { agent, user: None, pid: None, program: None, inherited: Default::default() };
        let mut held = daemon.client.open_session(&wish).await.unwrap();
        let end = Some(held.opened().session.clone());
        let args = SessionsArgs { json: false, end };
        assert_eq!(sessions(args, &surroundings, &mut Output::new()).await.unwrap(), Exit::Done);
        held.ended().await;
        daemon.sessions_are(0).await;
    }
}
