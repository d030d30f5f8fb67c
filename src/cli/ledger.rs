//! Reading a ledger in whatever words its rows are: listed, followed, verified. `valetkey audit` reads the broker's, and
//! `valetkey zone events` the zone's.
//!
//! Reads the files themselves, so that it works without a daemon.

use std::collections::VecDeque;
use std::io;
use std::path::Path;
use std::path::PathBuf;
use std::sync::mpsc;
use std::thread;

use jiff::tz::TimeZone;

use crate::audit::PublicKey;
use crate::audit::verify;
use crate::cli::Exit;
use crate::cli::Failure;
use crate::cli::Output;
use crate::cli::table::Row;
use crate::cli::table::Table;
use crate::limits::LEDGER_FOLLOW_POLL;
use crate::limits::LEDGER_FOLLOW_ROWS;
use crate::limits::LEDGER_ROWS_MAX;

/// Where rows come from.
pub(super) trait Rows {
    /// One of them.
    type Row: Row;

    /// Gives `each` row that was written since the last call.
    fn read(&mut self, each: &mut dyn FnMut(Self::Row)) -> io::Result<()>;

    /// All that are wanted although they are not whole yet, in their order among the others.
    fn with_open(&self, rows: Vec<Self::Row>) -> Vec<Self::Row> {
        rows
    }

    /// A row as one line of JSON.
    fn json(row: &Self::Row) -> String;

    /// Lines that could not be understood.
    fn damaged(&self) -> u64;
}

/// A ledger, and what people call it.
pub(super) struct Place<'a> {
    /// Where its files are.
    pub folder: &'a Path,
    /// What a row is called.
    pub row: &'static str,
    /// What checks it.
    pub verify: &'static str,
    /// What begins one.
    pub begin: &'static str,
}

/// How rows are told.
#[derive(Clone, Copy, Debug)]
pub(super) struct Telling {
    /// One JSON object a line.
    pub json: bool,
    /// The last rows, and those to come.
    pub follow: bool,
}

/// How a ledger is checked.
#[derive(Debug, clap::Args)]
pub(super) struct VerifyArgs {
    /// One JSON object instead of words.
    #[arg(long)]
    json: bool,
    /// A public key kept elsewhere, instead of the `ledger.pub` beside the ledger.
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
}

impl Place<'_> {
    /// Tells the rows, and goes on telling until Ctrl-C where that is wanted.
    pub(super) fn tell<R: Rows>(&self, rows: &mut R, telling: Telling, output: &mut Output) -> Result<Exit, Failure> {
        let mut table = Table::new(TimeZone::system(), output.width());
        self.list(rows, &mut table, telling, output)?;
        if telling.follow {
            self.follow(rows, &mut table, telling, output)?;
        }
        Ok(Exit::Done)
    }

    fn list<R: Rows>(
        &self,
        rows: &mut R,
        table: &mut Table<R::Row>,
        telling: Telling,
        output: &mut Output,
    ) -> Result<(), Failure> {
        let follow = telling.follow;
        let rows_max = if follow { LEDGER_FOLLOW_ROWS } else { LEDGER_ROWS_MAX };
        let (mut last, mut left_out) = (VecDeque::new(), 0_u64);
        let read = rows.read(&mut |row| {
            last.push_back(row);
            if last.len() > rows_max {
                last.pop_front();
                left_out += u64::from(!follow);
            }
        });
        read.map_err(|error| self.unreadable(&error))?;
        let last: Vec<R::Row> = last.into();
        let last = if follow { last } else { rows.with_open(last) };
        show::<R>(&last, table, telling, output);
        let row = self.row;
        if last.is_empty() && !follow {
            output.talk(format_args!("no {row} matches"));
        }
        if left_out > 0 {
            output.talk(format_args!("{left_out} older {row}s are not shown; `--since` narrows the list"));
        }
        if rows.damaged() > 0 {
            let (damaged, verify) = (rows.damaged(), self.verify);
            output.talk(format_args!("{damaged} lines could not be read; `{verify}` says more"));
        }
        Ok(())
    }

    /// Until Ctrl-C or until nobody reads.
    fn follow<R: Rows>(
        &self,
        rows: &mut R,
        table: &mut Table<R::Row>,
        telling: Telling,
        output: &mut Output,
    ) -> Result<(), Failure> {
        let interrupted =
            interrupted().map_err(|error| Failure::new(Exit::Refused, "can't follow the ledger").caused_by(&error))?;
        while !output.reader_is_gone()
            && interrupted.recv_timeout(LEDGER_FOLLOW_POLL) == Err(mpsc::RecvTimeoutError::Timeout)
        {
            let mut next = Vec::new();
            rows.read(&mut |row| next.push(row)).map_err(|error| self.unreadable(&error))?;
            show::<R>(&next, table, telling, output);
        }
        Ok(())
    }

    /// Whether the ledger is whole. `keys` is where its key lives, and beside it the last head that it signed.
    pub(super) fn check(&self, keys: &Path, args: &VerifyArgs, output: &mut Output) -> Result<Exit, Failure> {
        let key = match &args.key {
            None => None,
            Some(path) => Some(PublicKey::read(path).map_err(|error| {
                Failure::new(Exit::Usage, format!("`{}` is not a ledger's public key", path.display()))
                    .caused_by(&error)
            })?),
        };
        let report = verify(self.folder, key, keys).map_err(|error| self.unreadable(&error))?;
        let whole = report.fault.is_none();
        if args.json {
            let fault = report.fault.as_ref().map(|fault| {
                serde_json::json!({
                    "file": fault.file, "line": fault.line, "tampering": fault.tampering.as_str(), "detail": fault.detail,
                })
            });
            output.data(serde_json::json!({
                "whole": whole, "lines": report.lines, "files": report.files, "days": report.days,
                "signatures": report.signatures, "seq": report.head.seq(), "head": report.head.hash(), "fault": fault,
                "told": report.told,
            }));
        } else {
            let (lines, days, signatures) = (report.lines, report.days, report.signatures);
            let what = if whole { "whole" } else { "whole up to the fault" };
            let counted = |number: u64, noun: &str| format!("{number} {noun}{}", if number == 1 { "" } else { "s" });
            let (lines, days, signatures) =
                (counted(lines, "line"), counted(days, "day"), counted(signatures, "signature"));
            output.data(format_args!("{what}: {lines}, {days}, {signatures}"));
            output.data(format_args!("head: {} sha256:{}", report.head.seq(), report.head.hash()));
            report.told.iter().for_each(|told| output.data(format_args!("found at a start: {told}")));
        }
        let Some(fault) = report.fault else { return Ok(Exit::Done) };
        let word = fault.tampering.as_str();
        let hint =
            format!("keep a copy of `{}` as it is now; valetkey goes on and mends nothing", self.folder.display());
        Err(Failure::new(Exit::Refused, format!("the ledger is not whole ({word}): {fault}")).hint(hint))
    }

    fn unreadable(&self, error: &io::Error) -> Failure {
        let exit = if error.kind() == io::ErrorKind::PermissionDenied { Exit::NotPermitted } else { Exit::Refused };
        let what = format!("can't read the ledger in `{}`", self.folder.display());
        let failure = Failure::new(exit, what).caused_by(error);
        match error.kind() {
            io::ErrorKind::NotFound => failure.hint(format!("there is none before the first start: `{}`", self.begin)),
            _ => failure,
        }
    }
}

fn show<R: Rows>(rows: &[R::Row], table: &mut Table<R::Row>, telling: Telling, output: &mut Output) {
    if telling.json {
        rows.iter().for_each(|row| output.data(R::json(row)));
    } else {
        table.lines(rows).for_each(|line| output.data(line));
    }
}

/// Says so once on Ctrl-C. The thread that listens ends with the process.
fn interrupted() -> io::Result<mpsc::Receiver<()>> {
    let (tell, told) = mpsc::channel();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    thread::Builder::new().name("ctrl-c".to_owned()).spawn(move || {
        if runtime.block_on(tokio::signal::ctrl_c()).is_ok() {
            // nobody listens any more: then the command has ended by itself
            let _ = tell.send(());
        }
    })?;
    Ok(told)
}
