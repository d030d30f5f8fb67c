//! Rows of a ledger as a table that fits the terminal.

use std::fmt::Write as _;
use std::marker::PhantomData;

use jiff::tz::TimeZone;

use crate::audit::misleads;
use crate::model::Timestamp;

/// What can be a row. The first column is its time.
pub(super) trait Row {
    /// The columns' titles.
    const TITLES: &'static [&'static str];
    /// The columns that give way on a narrow terminal, in this order, until the line fits.
    const GIVING: &'static [(usize, Gives)];

    /// One cell for each title, with nothing in it that could mislead a terminal: see [`safe`].
    fn cells(&self, zone: &TimeZone) -> Vec<String>;
}

/// How a column gives way on a narrow terminal.
pub(super) enum Gives {
    /// Down to this width; what is longer is cut.
    To(usize),
    /// Altogether.
    Way,
}

/// The column of the time, whose end is what it keeps.
pub(super) const TIME: usize = 0;
/// `13:00:00`, the end of a moment.
pub(super) const OF_DAY: usize = 8;

/// Remembers its columns' widths, so that rows that come later stand below the first.
#[derive(Debug)]
pub(super) struct Table<R> {
    zone: TimeZone,
    width: Option<usize>,
    widths: Vec<usize>,
    titled: bool,
    rows: PhantomData<R>,
}

impl<R: Row> Table<R> {
    /// For a terminal of `width` columns; with none, nothing is cut.
    pub fn new(zone: TimeZone, width: Option<usize>) -> Self {
        let widths = R::TITLES.iter().map(|title| title.len()).collect();
        Self { zone, width, widths, titled: false, rows: PhantomData }
    }

    /// The rows, the first ones below their titles.
    pub fn lines(&mut self, rows: &[R]) -> impl Iterator<Item = String> + use<R> {
        let rows: Vec<_> = rows.iter().map(|row| row.cells(&self.zone)).collect();
        for row in &rows {
            for (width, cell) in self.widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        let titles = !self.titled && !rows.is_empty();
        self.titled |= titles;
        let title = titles.then(|| self.line(&R::TITLES.iter().map(|&title| title.to_owned()).collect::<Vec<_>>()));
        let lines: Vec<_> = rows.iter().map(|row| self.line(row)).collect();
        title.into_iter().chain(lines)
    }

    fn line(&self, row: &[String]) -> String {
        let widths = fitted(self.widths.clone(), self.width, R::GIVING);
        let mut line = String::with_capacity(widths.iter().sum::<usize>() + 2 * row.len());
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
fn fitted(mut widths: Vec<usize>, terminal: Option<usize>, giving: &[(usize, Gives)]) -> Vec<usize> {
    let Some(terminal) = terminal else { return widths };
    for (column, gives) in giving {
        let shown = widths.iter().filter(|width| **width > 0).count();
        let over = (widths.iter().sum::<usize>() + 2 * shown.saturating_sub(1)).saturating_sub(terminal);
        if over == 0 {
            break;
        }
        if let Some(width) = widths.get_mut(*column) {
            *width = match gives {
                // a date is not cut in its middle
                Gives::To(least) if *column == TIME => *least,
                Gives::To(least) => width.saturating_sub(over).max((*least).min(*width)),
                Gives::Way => 0,
            };
        }
    }
    widths
}

/// A moment as the reader's clock shows it.
pub(super) fn local(time: Timestamp, zone: &TimeZone) -> String {
    let Ok(moment) = jiff::Timestamp::from_millisecond(time.as_millis()) else { return time.to_string() };
    let local = zone.to_datetime(moment);
    let (month, day, hour, minute, second) = (local.month(), local.day(), local.hour(), local.minute(), local.second());
    format!("{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}")
}

/// What could mislead a terminal, spelled out.
pub(super) fn safe(text: &str) -> String {
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
