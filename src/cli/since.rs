//! Moments as people say them: `10m`, `2h`, `yesterday`, `2026-11-20`, RFC 3339.

use std::time::Duration;

use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::cli::Exit;
use crate::cli::Failure;
use crate::model::Timestamp;

/// The moment meant by `text`, said at `now` in `zone`.
pub(super) fn parse(text: &str, now: Timestamp, zone: &TimeZone) -> Result<Timestamp, Failure> {
    understood(text.trim(), now, zone).ok_or_else(|| {
        let value: String = text.chars().take(40).flat_map(char::escape_debug).collect();
        Failure::new(Exit::Usage, format!("`{value}` is not a moment"))
            .hint("say `10m`, `2h`, `3d`, `today`, `yesterday`, `2026-11-20` or `2026-11-20T09:00:00Z`")
    })
}

fn understood(text: &str, now: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
    let today = || jiff::Timestamp::from_millisecond(now.as_millis()).ok().map(|now| zone.to_datetime(now).date());
    match text {
        "now" => Some(now),
        "today" => midnight(today()?, zone),
        "yesterday" => midnight(today()?.yesterday().ok()?, zone),
        _ => span(text)
            .map(|span| now.before(span))
            .or_else(|| Timestamp::parse_rfc3339(text))
            .or_else(|| midnight(text.parse().ok()?, zone)),
    }
}

fn midnight(day: Date, zone: &TimeZone) -> Option<Timestamp> {
    let start = day.to_zoned(zone.clone()).ok()?;
    Some(Timestamp::from_millis(start.timestamp().as_millisecond()))
}

/// `90s`, `10m`, `2h`, `3d`, `1w`; also with a space, and with `ago`.
fn span(text: &str) -> Option<Duration> {
    let text = text.strip_suffix("ago").unwrap_or(text).trim_end();
    let unit_at = text.find(|c: char| !c.is_ascii_digit())?;
    let (count, unit) = text.split_at_checked(unit_at)?;
    let seconds: u64 = match unit.trim() {
        "s" | "sec" | "second" | "seconds" => 1,
        "m" | "min" | "minute" | "minutes" => 60,
        "h" | "hour" | "hours" => 3_600,
        "d" | "day" | "days" => 86_400,
        "w" | "week" | "weeks" => 604_800,
        _ => return None,
    };
    Some(Duration::from_secs(count.parse::<u64>().ok()?.checked_mul(seconds)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_understood_as_people_say_them() {
        let now = Timestamp::parse_rfc3339("2026-11-20T12:00:00Z").unwrap();
        let zone = TimeZone::fixed(jiff::tz::offset(1));
        for (text, moment) in [
            ("10m", "2026-11-20T11:50:00.000Z"),
            ("90 s", "2026-11-20T11:58:30.000Z"),
            ("2 hours ago", "2026-11-20T10:00:00.000Z"),
            ("3d", "2026-11-17T12:00:00.000Z"),
            ("now", "2026-11-20T12:00:00.000Z"),
            ("today", "2026-11-19T23:00:00.000Z"),
            ("yesterday", "2026-11-18T23:00:00.000Z"),
            ("2026-11-01", "2026-10-31T23:00:00.000Z"),
            ("2026-11-20T09:00:00+02:00", "2026-11-20T07:00:00.000Z"),
        ] {
            assert_eq!(parse(text, now, &zone).unwrap().to_string(), moment, "{text}");
        }
        for text in ["", "10", "m", "-1h", "soon", "99999999999999999999d", "2026-13-01", "\u{1b}[2J"] {
            assert!(parse(text, now, &zone).is_err(), "{text}");
        }
    }
}
