//! Records as a table that fits the terminal.

use std::fmt::Write as _;

use jiff::tz::TimeZone;

use crate::audit::Record;
use crate::audit::misleads;
use crate::model::Timestamp;

/// Remembers its columns' widths, so that rows that come later stand below the first.
#[derive(Debug)]
pub(super) struct Table {
    zone: TimeZone,
    width: Option<usize>,
    widths: [usize; COLUMNS],
    titled: bool,
}

const COLUMNS: usize = 8;
const TITLES: [&str; COLUMNS] =
    ["TIME", "AGENT", "DECISION", "STATUS", "METHOD", "HOST AND PATH", "RESOURCE OR REASON", "MS"];

/// How a column gives way on a narrow terminal.
enum Gives {
    /// Down to this width; what is longer is cut.
    To(usize),
    /// Altogether.
    Way,
}

/// The columns that give way, in this order, until the line fits. Who, the decision and the place stay.
const GIVING: [(usize, Gives); 12] = [
    (RESOURCE, Gives::To(20)),
    (PLACE, Gives::To(28)),
    (MS, Gives::Way),
    (TIME, Gives::To(OF_DAY)),
    (AGENT, Gives::To(12)),
    (PLACE, Gives::To(20)),
    (RESOURCE, Gives::To(12)),
    (RESOURCE, Gives::Way),
    (PLACE, Gives::To(16)),
    (AGENT, Gives::To(8)),
    (STATUS, Gives::To(6)),
    (PLACE, Gives::To(12)),
];
const TIME: usize = 0;
const AGENT: usize = 1;
const STATUS: usize = 3;
const PLACE: usize = 5;
const RESOURCE: usize = 6;
const MS: usize = 7;
/// `13:00:00`, the end of a moment.
const OF_DAY: usize = 8;

impl Table {
    /// For a terminal of `width` columns; with none, nothing is cut.
    pub fn new(zone: TimeZone, width: Option<usize>) -> Self {
        Self { zone, width, widths: TITLES.map(str::len), titled: false }
    }

    /// The rows, the first ones below their titles.
    pub fn lines(&mut self, records: &[Record]) -> impl Iterator<Item = String> {
        let rows = self.rows(records);
        let titles = !self.titled && !rows.is_empty();
        self.titled |= titles;
        let title = titles.then(|| self.line(&TITLES.map(str::to_owned)));
        let lines: Vec<_> = rows.iter().map(|row| self.line(row)).collect();
        title.into_iter().chain(lines)
    }

    fn rows(&mut self, records: &[Record]) -> Vec<[String; COLUMNS]> {
        let rows: Vec<_> = records.iter().map(|record| cells(record, &self.zone)).collect();
        for row in &rows {
            for (width, cell) in self.widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        rows
    }

    fn line(&self, row: &[String; COLUMNS]) -> String {
        let widths = fitted(self.widths, self.width);
        let mut line = String::with_capacity(widths.iter().sum::<usize>() + 2 * COLUMNS);
        for (column, (cell, width)) in row.iter().zip(widths).enumerate() {
            let count = cell.chars().count();
            if width == 0 {
                continue;
            }
            if count > width && column == TIME {
                line.extend(cell.chars().skip(count - width));
            } else if count > width {
                line.extend(cell.chars().take(width.saturating_sub(1)));
                line.push('…');
            } else {
                let _ = write!(line, "{cell:width$}");
            }
            line.push_str("  ");
        }
        line.truncate(line.trim_end().len());
        line
    }
}

/// The widths with which a line fits; 0 for a column that is not shown.
fn fitted(mut widths: [usize; COLUMNS], terminal: Option<usize>) -> [usize; COLUMNS] {
    let Some(terminal) = terminal else { return widths };
    for (column, gives) in GIVING {
        let shown = widths.iter().filter(|width| **width > 0).count();
        let over = (widths.iter().sum::<usize>() + 2 * shown.saturating_sub(1)).saturating_sub(terminal);
        if over == 0 {
            break;
        }
        if let Some(width) = widths.get_mut(column) {
            *width = match gives {
                // a date is not cut in its middle
                Gives::To(least) if column == TIME => least,
                Gives::To(least) => width.saturating_sub(over).max(least.min(*width)),
                Gives::Way => 0,
            };
        }
    }
    widths
}

fn cells(record: &Record, zone: &TimeZone) -> [String; COLUMNS] {
    let or_dash = |text: Option<&str>| safe(text.unwrap_or("-"));
    let status = match (record.status(), record.outcome()) {
        (Some(status), Some("ok" | "intercepted" | "refused")) => status.to_string(),
        (Some(status), Some(outcome)) => format!("{status} {outcome}"),
        (_, Some(outcome)) => outcome.to_owned(),
        (_, None) => "open".to_owned(),
    };
    let ms = record.total_us().map_or_else(|| "-".to_owned(), |micros| micros.div_ceil(1000).to_string());
    [
        local(record.time, zone),
        or_dash(record.agent()),
        safe(&record.decision),
        safe(&status),
        or_dash(record.method()),
        safe(&record.place()),
        or_dash(record.why().or_else(|| record.resource())),
        ms,
    ]
}

fn local(time: Timestamp, zone: &TimeZone) -> String {
    let Ok(moment) = jiff::Timestamp::from_millisecond(time.as_millis()) else { return time.to_string() };
    let local = zone.to_datetime(moment);
    let (month, day, hour, minute, second) = (local.month(), local.day(), local.hour(), local.minute(), local.second());
    format!("{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}")
}

/// What could mislead a terminal, spelled out.
fn safe(text: &str) -> String {
    if !text.contains(misleads) {
        return text.to_owned();
    }
    text.chars().fold(String::new(), |mut safe, c| {
        if misleads(c) {
            safe.extend(c.escape_unicode())
        } else {
            safe.push(c)
        }
        safe
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(path: &str, rest: &str) -> Record {
        let path = serde_json::json!(path);
        serde_json::from_str(&format!(
            r#"{{"seq":4,"id":"rec_1","time":"2026-11-20T12:00:00.000Z","decision":"permit","agent":"curl",
            "method":"GET","scheme":"https","host":"api.example.com","port":443,"path":{path},
            "resource":"https://api.example.com/"{rest}}}"#
        ))
        .unwrap()
    }

    #[test]
    fn a_row_tells_the_request_in_local_time() {
        let mut table = Table::new(TimeZone::fixed(jiff::tz::offset(1)), None);
        let rows = [record("/v1", r#","status":200,"total_us":1200,"outcome":"ok""#), record("/v2", "")];
        let lines: Vec<_> = table.lines(&rows).collect();
        assert_eq!(
            lines,
            [
                "TIME            AGENT  DECISION  STATUS  METHOD  HOST AND PATH       RESOURCE OR REASON        MS",
                "11-20 13:00:00  curl   permit    200     GET     api.example.com/v1  https://api.example.com/  2",
                "11-20 13:00:00  curl   permit    open    GET     api.example.com/v2  https://api.example.com/  -",
            ]
        );
        assert_eq!(table.lines(&[record("/v3", "")]).count(), 1, "the titles stand there already");
        assert_eq!(Table::new(TimeZone::UTC, None).lines(&[]).count(), 0);
    }

    #[test]
    fn a_row_fits_any_terminal_from_sixty_columns_on() {
        let rows = || {
            let ok = record("/v1/things", r#","status":200,"total_us":1200,"outcome":"ok""#);
            let long = record(&format!("/{}", "a".repeat(300)), r#","status":502,"outcome":"upstream-failed""#);
            let named = r#"{"seq":5,"id":"rec_2","time":"2026-11-20T12:00:00.000Z","decision":"permit",
                "agent":"an-agent-with-quite-a-long-name","host":"api.example.com"}"#;
            let named = serde_json::from_str(named).unwrap();
            [ok, long, named]
        };
        for width in 60..=200 {
            let lines: Vec<_> = Table::new(TimeZone::UTC, Some(width)).lines(&rows()).collect();
            assert!(lines.iter().all(|line| line.chars().count() <= width), "{width}: {lines:#?}");
            assert!(lines[1].contains("permit") && lines[1].contains("api.exampl"), "{width}: {lines:#?}");
        }
        let narrow: Vec<_> = Table::new(TimeZone::UTC, Some(80)).lines(&rows()[..1]).collect();
        assert_eq!(
            narrow,
            [
                "TIME      AGENT  DECISION  STATUS  METHOD  HOST AND PATH         RESOURCE OR RE…",
                "12:00:00  curl   permit    200     GET     api.example.com/v1/…  https://api.ex…",
            ]
        );
    }

    #[test]
    fn a_row_fits_the_terminal_and_can_not_mislead_it() {
        let mut table = Table::new(TimeZone::UTC, Some(120));
        let long = record(&format!("/{}", "a".repeat(300)), r#","status":502,"outcome":"failed""#);
        let nasty = record("/\u{1b}[2J\u{202e}", "");
        let lines: Vec<_> = table.lines(&[long, nasty]).collect();
        assert!(lines.iter().all(|line| line.chars().count() <= 120), "{lines:#?}");
        assert!(!lines.concat().contains(misleads));
        assert!(lines[1].contains("502 failed") && lines[2].contains("\\u{1b}[2J\\u{20"), "{lines:#?}");
    }
}
