//! `valetkey status`, `sessions`, `reload`, `stop`: one call to the daemon each.

use std::fmt::Write as _;
use std::time::Duration;

use clap::Args;
use serde::Serialize;

use crate::cli::Exit;
use crate::cli::Failure;
use crate::cli::Output;
use crate::cli::Surroundings;
use crate::cli::reach;
use crate::control::Client;
use crate::control::Health;
use crate::control::SessionSummary;
use crate::control::Status;
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
    output.data(if args.json { json(&status) } else { status_text(&status) });
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
        output.data(sessions_text(&sessions));
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
    let pid = client.status().await?.pid;
    client.stop().await?;
    if tokio::time::timeout(limits::DAEMON_STOP_TIMEOUT, until_it_is_gone(&client, pid)).await.is_err() {
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

/// Under a service manager the socket stays; the process does not.
async fn until_it_is_gone(client: &Client, pid: u32) {
    while signals::is_alive(pid) && !is_another(client, pid).await {
        tokio::time::sleep(limits::DAEMON_POLL_INTERVAL).await;
    }
}

/// Whether another process than `pid` answers by now.
async fn is_another(client: &Client, pid: u32) -> bool {
    client.status().await.is_ok_and(|status| status.pid != pid)
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

fn session_id(text: &str) -> Result<SessionId, crate::model::IdNotLegal> {
    SessionId::parse(text)
}

/// A part per line, and below it what is wrong with it.
fn status_text(status: &Status) -> String {
    let mut text = format!("valetkey {}, pid {}, up {}\n", status.version, status.pid, span(status.uptime_s));
    let mut part = |name: &str, value: &str, error: Option<&str>| {
        let _ = writeln!(text, "  {name:<13} {value}");
        if let Some(error) = error {
            let _ = writeln!(text, "  {:<13} error: {error}", "");
        }
    };
    let listening: Vec<_> = status.listening.iter().map(ToString::to_string).collect();
    part("proxy", &listening.join(", "), None);
    part("user", status.user.as_str(), None);
    part("sessions", &status.sessions.to_string(), None);
    let (zone, failing) = match status.zone.health {
        Health::Well => (format!("{} ({})", status.zone.issuer, status.zone.detail), None),
        Health::Failing => (status.zone.issuer.clone(), Some(status.zone.detail.as_str())),
    };
    part("zone", &zone, failing);
    let configuration = &status.configuration;
    let file = configuration.file.as_ref().map_or("built-in defaults".into(), |file| file.display().to_string());
    let loaded = format!("{file}, {}, since {}", count(configuration.resources, "resource"), configuration.loaded_at);
    part("configuration", &loaded, configuration.last_error.as_deref());
    let policies = &status.policies;
    let set = format!("{} ({})", count_of(policies.count, "policy", "policies"), policies.hash);
    part("policies", &set, policies.last_error.as_deref());
    let ledger = match status.ledger.health {
        Health::Well => status.ledger.folder.display().to_string(),
        Health::Failing => format!("{} (failing: requests are refused)", status.ledger.folder.display()),
    };
    part("ledger", &ledger, status.ledger.last_error.as_deref());
    let certificates = &status.certificates;
    let leaves = usize::try_from(certificates.leaves).unwrap_or(usize::MAX);
    let bundle = format!("{}, {}", certificates.bundle.display(), count_of(leaves, "leaf", "leaves"));
    part("certificates", &bundle, None);
    text.trim_end().to_owned()
}

fn sessions_text(sessions: &[SessionSummary]) -> String {
    let head = format!("{:<30} {:<16} {:<20} {:<24} {:>7} PROGRAM", "SESSION", "AGENT", "USER", "SINCE", "PID");
    let rows = sessions.iter().map(|session| {
        let pid = session.pid.map_or("-".into(), |pid| pid.to_string());
        // A file name may hold anything; what the terminal would obey is escaped.
        let program = session.program.as_ref().map_or("-".into(), |file| file.display().to_string());
        let program = program.chars().fold(String::new(), |mut shown, c| {
            if c.is_control() {
                shown.extend(c.escape_default())
            } else {
                shown.push(c)
            }
            shown
        });
        let (id, agent, user) = (session.session.as_str(), session.agent.as_str(), session.user.as_str());
        format!("{id:<30} {agent:<16} {user:<20} {:<24} {pid:>7} {program}", session.opened_at.to_string())
    });
    std::iter::once(head).chain(rows).collect::<Vec<_>>().join("\n")
}

fn count(number: usize, one: &str) -> String {
    count_of(number, one, &format!("{one}s"))
}

fn count_of(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

/// The two largest units.
fn span(seconds: u64) -> String {
    let duration = Duration::from_secs(seconds).as_secs();
    match (duration / 86_400, duration / 3600 % 24, duration / 60 % 60, duration % 60) {
        (0, 0, 0, seconds) => format!("{seconds} s"),
        (0, 0, minutes, seconds) => format!("{minutes} min {seconds} s"),
        (0, hours, minutes, _) => format!("{hours} h {minutes} min"),
        (days, hours, _, _) => format!("{days} d {hours} h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::fake;
    use crate::control::fake::FakeDaemon;
    use crate::os::Environment;
    use crate::os::Paths;

    #[test]
    fn a_daemon_that_is_well_is_told_in_nine_lines() {
        let text = status_text(&fake::status(2));
        assert_eq!(
            text,
            format!(
                "valetkey 0.1.0, pid {}, up 1 h 2 min
  proxy         127.0.0.1:7979
  user          ada
  sessions      2
  zone          http://127.0.0.1:7980 (embedded)
  configuration built-in defaults, 1 resource, since 2027-01-15T08:00:00.000Z
  policies      1 policy (sha256:00)
  ledger        /h/audit
  certificates  /h/ca/bundle.pem, 2 leaves",
                std::process::id()
            )
        );
    }

    #[test]
    fn what_is_wrong_stands_below_its_part() {
        let mut status = fake::status(0);
        assert!(status.is_well());
        status.ledger.health = Health::Failing;
        status.ledger.last_error = Some("no space left on device".into());
        status.zone.health = Health::Failing;
        status.zone.detail = "no answer".into();
        assert!(!status.is_well());
        let text = status_text(&status);
        assert!(
            text.contains("(failing: requests are refused)\n                error: no space left on device\n"),
            "{text}"
        );
        assert!(text.contains("http://127.0.0.1:7980\n                error: no answer\n"), "{text}");
    }

    #[test]
    fn spans_are_told_by_their_two_largest_units() {
        for (seconds, text) in [(5, "5 s"), (65, "1 min 5 s"), (3_725, "1 h 2 min"), (90_000, "1 d 1 h")] {
            assert_eq!(span(seconds), text);
        }
    }

    #[tokio::test]
    async fn a_program_s_name_cannot_steer_the_terminal() {
        let session = SessionSummary {
            session: SessionId::parse("ses_1").unwrap(),
            agent: crate::model::AgentName::parse("x").unwrap(),
            user: crate::model::UserName::parse("ada").unwrap(),
            opened_at: crate::model::Timestamp::from_seconds(0),
            pid: None,
            program: Some("/tmp/\u{1b}[2Jx".into()),
        };
        assert!(sessions_text(&[session]).contains("/tmp/\\u{1b}[2Jx"));
    }

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
        let wish = crate::control::SessionWish { agent, user: None, pid: None, program: None };
        let mut held = daemon.client.open_session(&wish).await.unwrap();
        let end = Some(held.opened().session.clone());
        let args = SessionsArgs { json: false, end };
        assert_eq!(sessions(args, &surroundings, &mut Output::new()).await.unwrap(), Exit::Done);
        held.ended().await;
        daemon.sessions_are(0).await;
    }
}
