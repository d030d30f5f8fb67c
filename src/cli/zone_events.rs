//! `valetkey zone events`: tokens that a zone issued and denied, what its shadow policies would have said, and which
//! policies were bound; and whether their ledger is whole.
//!
//! Never shows a character that could mislead a terminal.

use std::io;
use std::path::Path;
use std::path::PathBuf;

use jiff::tz::TimeZone;

use crate::audit::Note;
use crate::audit::Notes;
use crate::cli::Exit;
use crate::cli::Failure;
use crate::cli::Output;
use crate::cli::Surroundings;
use crate::cli::ledger::Place;
use crate::cli::ledger::Rows;
use crate::cli::ledger::Telling;
use crate::cli::ledger::VerifyArgs;
use crate::cli::since;
use crate::cli::table::Gives;
use crate::cli::table::OF_DAY;
use crate::cli::table::Row;
use crate::cli::table::TIME;
use crate::cli::table::local;
use crate::cli::table::safe;
use crate::daemon::EMBEDDED_EVENTS;
use crate::model::Clock as _;
use crate::model::Timestamp;
use crate::os::SystemClock;

/// Show what a zone did: tokens issued and denied, policies bound; or check that the ledger of it is whole.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(in crate::cli) struct EventsArgs {
    /// Check the ledger instead of listing it.
    #[command(subcommand)]
    check: Option<Check>,
    #[command(flatten)]
    folder: FolderArgs,
    /// Only events of this type, like `credentials:issue`, `credentials:deny`, `policies:shadow` or `policies:bind`.
    #[arg(long = "type", value_name = "TYPE")]
    event: Option<String>,
    /// Only about this user, by name or id.
    #[arg(long, value_name = "USER")]
    user: Option<String>,
    /// Only of this application, by name, id or client id.
    #[arg(long, value_name = "APPLICATION")]
    application: Option<String>,
    /// Only about resources whose identifier holds this text.
    #[arg(long, value_name = "TEXT")]
    resource: Option<String>,
    /// Only what was decided so; of shadow policies, what they would have decided.
    #[arg(long, value_name = "DECISION")]
    decision: Option<Decided>,
    /// Only from then on: `10m`, `2h`, `3d`, `today`, `yesterday`, `2026-11-20`, or RFC 3339.
    #[arg(long, value_name = "WHEN")]
    since: Option<String>,
    /// Only before then.
    #[arg(long, value_name = "WHEN")]
    until: Option<String>,
    /// One JSON object a line.
    #[arg(long)]
    json: bool,
    /// Show the last events, and go on with others as they happen.
    #[arg(short, long)]
    follow: bool,
}

/// What can be done beside listing.
#[derive(Debug, clap::Subcommand)]
enum Check {
    /// Check every line's number, hash and signature; name the first that was changed, removed or inserted.
    Verify {
        #[command(flatten)]
        folder: FolderArgs,
        #[command(flatten)]
        verify: VerifyArgs,
    },
}

/// Which ledger.
#[derive(Debug, clap::Args)]
struct FolderArgs {
    /// Where the zone keeps it, as `valetkey zone serve --audit` says; without it the daemon's own zone's, or that of
    /// the one zone that was served alone here.
    #[arg(long, value_name = "FOLDER")]
    audit: Option<PathBuf>,
}

/// How a token was decided on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Decided {
    Permit,
    Deny,
}

impl FolderArgs {
    /// The folder that was named, or the only one that can be meant.
    fn find(&self, all: &Path) -> Result<PathBuf, Failure> {
        if let Some(folder) = &self.audit {
            return Ok(folder.clone());
        }
        let usual = all.join(EMBEDDED_EVENTS);
        if usual.is_dir() {
            return Ok(usual);
        }
        let found = std::fs::read_dir(all).map(|entries| entries.filter_map(|entry| Some(entry.ok()?.path())));
        let mut found: Vec<PathBuf> = found.map(Iterator::collect).unwrap_or_default();
        found.retain(|folder| folder.is_dir());
        found.sort();
        match found.as_slice() {
            [] => Ok(usual),
            [only] => Ok(only.clone()),
            [first, ..] => {
                let hint = format!("name the one that is meant, like `--audit {}`", first.display());
                Err(Failure::new(Exit::Usage, "several zones kept a ledger of events here").hint(hint))
            }
        }
    }
}

/// Lists, follows or verifies.
pub(in crate::cli) fn run(args: EventsArgs, surroundings: &Surroundings, output: &mut Output) -> Result<Exit, Failure> {
    let paths = &surroundings.paths;
    let named = match &args.check {
        Some(Check::Verify { folder, .. }) => folder,
        None => &args.folder,
    };
    let folder = named.find(&paths.zone_audit_folder())?;
    let (row, verify, begin) = ("event", "valetkey zone events verify", "valetkey daemon` or `valetkey zone serve");
    let place = Place { folder: &folder, row, verify, begin };
    if let Some(Check::Verify { verify, .. }) = &args.check {
        return place.check(&paths.ca_folder(), verify, output);
    }
    let telling = Telling { json: args.json, follow: args.follow };
    place.tell(&mut Events::wanted(args, &folder)?, telling, output)
}

/// The wanted notes of a zone's ledger.
struct Events {
    notes: Notes,
    wanted: EventsArgs,
    since: Option<Timestamp>,
    until: Option<Timestamp>,
}

impl Events {
    fn wanted(wanted: EventsArgs, folder: &Path) -> Result<Self, Failure> {
        let now = SystemClock::new().now();
        let moment = |text: &Option<String>| {
            text.as_deref().map(|text| since::parse(text, now, &TimeZone::system())).transpose()
        };
        let (since, until) = (moment(&wanted.since)?, moment(&wanted.until)?);
        Ok(Self { notes: Notes::new(folder, since), wanted, since, until })
    }
}

impl Rows for Events {
    type Row = Note;

    fn read(&mut self, each: &mut dyn FnMut(Note)) -> io::Result<()> {
        let Self { notes, wanted, since, until } = self;
        notes.read(|note| {
            let in_time = since.is_none_or(|since| note.time >= since) && until.is_none_or(|until| note.time < until);
            if in_time && wants(wanted, &note) {
                each(note);
            }
        })
    }

    fn json(note: &Note) -> String {
        note.to_json()
    }

    fn damaged(&self) -> u64 {
        self.notes.damaged()
    }
}

fn wants(wanted: &EventsArgs, note: &Note) -> bool {
    let one_of = |wanted: &Option<String>, names: &[&str]| {
        wanted.as_deref().is_none_or(|wanted| names.iter().any(|name| note.text(name) == Some(wanted)))
    };
    wanted.event.as_ref().is_none_or(|event| *event == note.event)
        && one_of(&wanted.user, &["subject_name", "subject"])
        && one_of(&wanted.application, &["application_name", "application", "client_id"])
        && wanted.resource.as_ref().is_none_or(|text| note.text("resource").is_some_and(|found| found.contains(text)))
        && wanted.decision.is_none_or(|decision| decided(note) == Some(decision))
}

/// None where there was nothing to decide.
fn decided(note: &Note) -> Option<Decided> {
    match (note.event.as_str(), note.text("decision")) {
        ("credentials:issue", _) | (_, Some("permit")) => Some(Decided::Permit),
        ("credentials:deny", _) | (_, Some("deny")) => Some(Decided::Deny),
        _ => None,
    }
}

const EVENT: usize = 1;
const APPLICATION: usize = 3;
const SUBJECT: usize = 4;
const ABOUT: usize = 5;
const SCOPES: usize = 6;

impl Row for Note {
    const TITLES: &'static [&'static str] =
        &["TIME", "EVENT", "DECISION", "APPLICATION", "SUBJECT", "RESOURCE OR POLICIES", "SCOPES"];

    /// What happened and how it was decided stay.
    const GIVING: &'static [(usize, Gives)] = &[
        (SCOPES, Gives::To(16)),
        (ABOUT, Gives::To(28)),
        (SUBJECT, Gives::To(16)),
        (TIME, Gives::To(OF_DAY)),
        (APPLICATION, Gives::To(12)),
        (SCOPES, Gives::Way),
        (ABOUT, Gives::To(16)),
        (SUBJECT, Gives::Way),
        (APPLICATION, Gives::To(8)),
        (EVENT, Gives::To(17)),
        (ABOUT, Gives::To(8)),
    ];

    fn cells(&self, zone: &TimeZone) -> Vec<String> {
        let first = |names: &[&str]| safe(names.iter().find_map(|name| self.text(name)).unwrap_or("-"));
        let decision = match decided(self) {
            Some(Decided::Permit) => "permit",
            Some(Decided::Deny) => "deny",
            None => "-",
        };
        vec![
            local(self.time, zone),
            safe(&self.event),
            decision.to_owned(),
            first(&["application_name", "application"]),
            first(&["subject_name", "subject", "by"]),
            first(&["resource", "policy_set_version"]),
            first(&["scopes"]),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::table::Table;

    fn note(event: &str, rest: &str) -> Note {
        let line = format!(r#"{{"seq":4,"time":"2026-11-20T12:00:00.000Z","event":"{event}"{rest}}}"#);
        serde_json::from_str(&line).unwrap()
    }

    #[test]
    fn rows_fit_the_terminal_and_say_what_was_decided() {
        let rows = [
            note(
                "credentials:issue",
                r#","application":"app_1","application_name":"curl","subject":"usr_1","subject_name":"ada",
                "resource":"https://api.example.com","scopes":"read write""#,
            ),
            note("credentials:deny", r#","application":"app_1","subject":"app_1","resource":"https://b.example""#),
            note("policies:bind", r#","by":"usr_1\u001b","policy_set_version":"v1""#),
        ];
        let lines: Vec<_> = Table::new(TimeZone::UTC, None).lines(&rows).collect();
        assert_eq!(
            lines,
            [
                "TIME            EVENT              DECISION  APPLICATION  SUBJECT      RESOURCE OR POLICIES     SCOPES",
                "11-20 12:00:00  credentials:issue  permit    curl         ada          https://api.example.com  read write",
                "11-20 12:00:00  credentials:deny   deny      app_1        app_1        https://b.example        -",
                "11-20 12:00:00  policies:bind      -         -            usr_1\\u{1b}  v1                       -",
            ]
        );
        for width in 60..=200 {
            let lines: Vec<_> = Table::new(TimeZone::UTC, Some(width)).lines(&rows).collect();
            assert!(lines.iter().all(|line| line.chars().count() <= width), "{width}: {lines:#?}");
        }
    }

    #[test]
    fn the_ledger_that_can_only_be_meant_is_found() {
        let home = tempfile::tempdir().unwrap();
        let find = |audit: Option<&str>| FolderArgs { audit: audit.map(PathBuf::from) }.find(home.path());
        assert_eq!(find(None).unwrap(), home.path().join(EMBEDDED_EVENTS));
        std::fs::create_dir(home.path().join("at-1")).unwrap();
        assert_eq!(find(None).unwrap(), home.path().join("at-1"));
        std::fs::create_dir(home.path().join("at-2")).unwrap();
        assert!(find(None).is_err());
        assert_eq!(find(Some("/x")).unwrap(), Path::new("/x"));
        std::fs::create_dir(home.path().join(EMBEDDED_EVENTS)).unwrap();
        assert_eq!(find(None).unwrap(), home.path().join(EMBEDDED_EVENTS));
    }
}
