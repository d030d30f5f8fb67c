//! What the daemon's status and its sessions look like to a person.

use std::fmt::Write as _;

use crate::control::Health;
use crate::control::SessionSummary;
use crate::control::Status;

/// A part per line, and below it what is wrong with it.
pub(in crate::cli) fn status(status: &Status) -> String {
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
    if configuration.restart_needed {
        let what = "listeners, zone, audit or upstream proxy were changed: `valetkey stop`, and the next `run` starts";
        part("", &format!("restart needed: {what} it anew"), None);
    }
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

pub(in crate::cli) fn sessions(sessions: &[SessionSummary]) -> String {
    let head = format!("{:<30} {:<16} {:<20} {:<24} {:>7} PROGRAM", "SESSION", "AGENT", "USER", "SINCE", "PID");
    let rows = sessions.iter().map(|session| {
        let pid = session.pid.map_or("-".into(), |pid| pid.to_string());
        // A file name may hold anything; what the terminal would obey is escaped.
        let program = session.program.as_ref().map_or("-".into(), |file| file.display().to_string());
        let program = program.chars().fold(String::new(), |mut shown, c| {
            if crate::audit::misleads(c) {
                shown.extend(c.escape_unicode())
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
    match (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60, seconds % 60) {
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
    use crate::model::AgentName;
    use crate::model::SessionId;
    use crate::model::Timestamp;
    use crate::model::UserName;

    #[test]
    fn a_daemon_that_is_well_is_told_in_nine_lines() {
        let text = status(&fake::status(2));
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
        status.configuration.restart_needed = true;
        assert!(!status.is_well());
        let text = super::status(&status);
        assert!(
            text.contains("(failing: requests are refused)\n                error: no space left on device\n"),
            "{text}"
        );
        assert!(text.contains("\n                restart needed: "), "{text}");
        assert!(text.contains("http://127.0.0.1:7980\n                error: no answer\n"), "{text}");
    }

    #[test]
    fn spans_are_told_by_their_two_largest_units() {
        for (seconds, text) in [(5, "5 s"), (65, "1 min 5 s"), (3_725, "1 h 2 min"), (90_000, "1 d 1 h")] {
            assert_eq!(span(seconds), text);
        }
    }

    #[test]
    fn a_program_s_name_cannot_steer_the_terminal() {
        let session = SessionSummary {
            session: SessionId::parse("ses_1").unwrap(),
            agent: AgentName::parse("x").unwrap(),
            user: UserName::parse("ada").unwrap(),
            opened_at: Timestamp::from_seconds(0),
            pid: None,
            program: Some("/tmp/\u{1b}[2Jx".into()),
        };
        assert!(sessions(&[session]).contains("/tmp/\\u{1b}[2Jx"));
    }
}
