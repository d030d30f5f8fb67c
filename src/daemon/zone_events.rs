//! The zone's events in a ledger of their own: the same format as the broker's, in another folder. The zone and the
//! ledger do not know each other; they meet here.

use std::path::PathBuf;
use std::sync::Arc;

use crate::audit;
use crate::audit::Ledger;
use crate::audit::NoteField;
use crate::cli::Exit;
use crate::cli::Failure;
use crate::daemon::ledger;
use crate::model::Clock;
use crate::zone::Event;
use crate::zone::Events;
use crate::zone::Field;

/// What the folder of the daemon's own zone is called, among those of the zones of this user.
pub(crate) const EMBEDDED_EVENTS: &str = "embedded";

/// Events on their way into a ledger.
pub(crate) struct ZoneEvents(Arc<Ledger>);

impl ZoneEvents {
    /// Opens the ledger in `folder`, signed by the key in `key_folder`; both are made now if they are not there.
    ///
    /// # Errors
    /// When it can't be written.
    pub(crate) fn open(folder: PathBuf, key_folder: PathBuf, clock: &Arc<dyn Clock>) -> Result<Self, Failure> {
        let verify = format!("valetkey zone events verify --audit {}", folder.display());
        let opened = Ledger::open(audit::Settings::new(folder, key_folder), Arc::clone(clock));
        let (ledger, recovery) = opened.map_err(|error| {
            Failure::new(Exit::Refused, "the ledger of the zone's events can't be opened").caused_by(&error)
        })?;
        ledger::tell(&recovery, "the ledger of the zone's events", &verify);
        Ok(Self(ledger))
    }
}

impl Events for ZoneEvents {
    fn record(&self, event: &Event<'_>) {
        let fields = event.fields.iter().map(|(name, field)| {
            let field = match *field {
                Field::Text(text) => NoteField::Text(text),
                Field::Texts(texts) => NoteField::Texts(texts),
                Field::Number(number) => NoteField::Number(number),
                Field::Flag(yes) => NoteField::Flag(yes),
            };
            (*name, field)
        });
        self.0.note(event.name, fields);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::os::SystemClock;

    #[test]
    fn events_are_lines_of_a_ledger_that_verifies() {
        let folder = tempfile::tempdir().unwrap();
        let (lines, keys) = (folder.path().join("audit"), folder.path().join("keys"));
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let events = ZoneEvents::open(lines.clone(), keys.clone(), &clock).unwrap();
        let fields = [
            ("application", Field::Text("app_1")),
            ("policies", Field::Texts(&["p1".to_owned(), "p\"2".to_owned()])),
            ("agrees", Field::Flag(false)),
            ("lifetime_s", Field::Number(60)),
        ];
        events.record(&Event { name: "credentials:issue", fields: &fields });
        events.record(&Event { name: "policies:bind", fields: &[] });
        drop(events);
        let report = audit::verify(&lines, None, &keys).unwrap();
        assert!(report.fault.is_none(), "{report:?}");
        let mut files = std::fs::read_dir(&lines).unwrap().map(|entry| entry.unwrap().path());
        let file = files.find(|path| path.extension().is_some_and(|extension| extension == "jsonl")).unwrap();
        let text = std::fs::read_to_string(file).unwrap();
        let told: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let told: Vec<_> = told.iter().filter(|line| line["kind"] == "event").collect();
        assert_eq!(told.len(), 2, "{text}");
        assert_eq!((&told[0]["event"], &told[0]["application"]), (&"credentials:issue".into(), &"app_1".into()));
        assert_eq!(
            (&told[0]["policies"][1], &told[0]["agrees"], &told[0]["lifetime_s"]),
            (&"p\"2".into(), &false.into(), &60.into())
        );
    }
}
