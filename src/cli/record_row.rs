//! A record as a row of a table.

use jiff::tz::TimeZone;

use crate::audit::Record;
use crate::cli::table::Gives;
use crate::cli::table::OF_DAY;
use crate::cli::table::Row;
use crate::cli::table::TIME;
use crate::cli::table::local;
use crate::cli::table::safe;

const AGENT: usize = 1;
const STATUS: usize = 3;
const PLACE: usize = 5;
const RESOURCE: usize = 6;
const MS: usize = 7;

impl Row for Record {
    const TITLES: &'static [&'static str] =
        &["TIME", "AGENT", "DECISION", "STATUS", "METHOD", "HOST AND PATH", "RESOURCE OR REASON", "MS"];

    /// Who, the decision and the place stay.
    const GIVING: &'static [(usize, Gives)] = &[
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

    fn cells(&self, zone: &TimeZone) -> Vec<String> {
        let or_dash = |text: Option<&str>| safe(text.unwrap_or("-"));
        let status = match (self.status(), self.outcome()) {
            (Some(status), Some("ok" | "intercepted" | "refused")) => status.to_string(),
            (Some(status), Some(outcome)) => format!("{status} {outcome}"),
            (_, Some(outcome)) => outcome.to_owned(),
            (_, None) => "open".to_owned(),
        };
        let ms = self.total_us().map_or_else(|| "-".to_owned(), |micros| micros.div_ceil(1000).to_string());
        vec![
            local(self.time, zone),
            or_dash(self.agent()),
            safe(&self.decision),
            safe(&status),
            or_dash(self.method()),
            safe(&self.place()),
            or_dash(self.why().or_else(|| self.resource())),
            ms,
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::misleads;
    use crate::cli::table::Table;

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
        assert_eq!(Table::<Record>::new(TimeZone::UTC, None).lines(&[]).count(), 0);
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
