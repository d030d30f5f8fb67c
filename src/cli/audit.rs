//! `valetkey audit`: what agents did, as a table, as JSON, or as it happens; and whether the ledger is whole.
//!
//! Reads the files themselves, so that it works without a daemon. Never shows a character that could mislead
//! a terminal.

use std::collections::VecDeque;
use std::io;
use std::path::Path;
use std::path::PathBuf;
use std::sync::mpsc;
use std::thread;

use jiff::tz::TimeZone;

use crate::audit::Decision;
use crate::audit::Filter;
use crate::audit::PublicKey;
use crate::audit::Record;
use crate::audit::Records;
use crate::audit::verify;
use crate::cli::Exit;
use crate::cli::Failure;
use crate::cli::Output;
use crate::cli::since;
use crate::cli::table::Table;
use crate::limits::LEDGER_FOLLOW_POLL;
use crate::limits::LEDGER_FOLLOW_ROWS;
use crate::limits::LEDGER_ROWS_MAX;
use crate::model::Clock;

/// Show the records of requests, newest last; or check that the ledger is whole.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct AuditArgs {
    /// Check the ledger instead of listing it.
    #[command(subcommand)]
    check: Option<Check>,
    /// Only this agent's requests.
    #[arg(long, value_name = "NAME")]
    agent: Option<String>,
    /// Only this session's requests.
    #[arg(long, value_name = "ID")]
    session: Option<String>,
    /// The record with this id, whole: the id that a refusal tells the agent.
    #[arg(long, value_name = "ID")]
    record: Option<String>,
    /// Only requests for resources whose identifier holds this text.
    #[arg(long, value_name = "TEXT")]
    resource: Option<String>,
    /// Only requests from then on: `10m`, `2h`, `3d`, `today`, `yesterday`, `2026-11-20`, or RFC 3339.
    #[arg(long, value_name = "WHEN")]
    since: Option<String>,
    /// Only requests that were decided so: `permit`, `deny` or `refuse`.
    #[arg(long, value_name = "DECISION")]
    decision: Option<Decision>,
    /// One JSON object a line.
    #[arg(long)]
    json: bool,
    /// Also CONNECT requests that valetkey opened; the requests inside have records of their own.
    #[arg(long)]
    all: bool,
    /// Show the last records, and go on with requests as they are completed.
    #[arg(short, long)]
    follow: bool,
}

/// What can be done beside listing.
#[derive(Debug, clap::Subcommand)]
enum Check {
    /// Check every line's number, hash and signature; name the first that was changed, removed or inserted.
    Verify {
        /// One JSON object instead of words.
        #[arg(long)]
        json: bool,
        /// A public key kept elsewhere, instead of the `ledger.pub` beside the ledger.
        #[arg(long, value_name = "FILE")]
        key: Option<PathBuf>,
    },
}

/// Lists, follows or verifies the ledger in `folder`.
///
/// `keys` is where the ledger's key lives, and beside it the last head that it signed.
pub fn run(
    args: AuditArgs,
    folder: &Path,
    keys: &Path,
    clock: &dyn Clock,
    output: &mut Output,
) -> Result<Exit, Failure> {
    if let Some(Check::Verify { json, key }) = &args.check {
        return check(folder, keys, key.as_deref(), *json, output);
    }
    let filter = Filter {
        since: args.since.as_deref().map(|text| since::parse(text, clock.now(), &TimeZone::system())).transpose()?,
        agent: args.agent,
        session: args.session,
        resource: args.resource,
        record: args.record.clone(),
        decision: args.decision,
        intercepted: args.all,
    };
    let mut records = Records::new(folder, filter);
    let mut table = Table::new(TimeZone::system(), output.width());
    list(&mut records, &mut table, args.json || args.record.is_some(), args.follow, folder, output)?;
    if args.follow {
        follow(&mut records, &mut table, args.json, folder, output)?;
    }
    Ok(Exit::Done)
}

fn list(
    records: &mut Records,
    table: &mut Table,
    json: bool,
    follow: bool,
    folder: &Path,
    output: &mut Output,
) -> Result<(), Failure> {
    let rows_max = if follow { LEDGER_FOLLOW_ROWS } else { LEDGER_ROWS_MAX };
    let (mut rows, mut left_out) = (VecDeque::new(), 0_u64);
    let read = records.read(|record| {
        rows.push_back(record);
        if rows.len() > rows_max {
            rows.pop_front();
            left_out += u64::from(!follow);
        }
    });
    read.map_err(|error| unreadable(folder, &error))?;
    let mut rows: Vec<Record> = rows.into();
    if !follow {
        rows.extend(records.open().cloned());
    }
    rows.sort_by_key(|record| record.seq);
    if json {
        rows.iter().for_each(|record| output.data(record.to_json()));
    } else {
        table.lines(&rows).for_each(|line| output.data(line));
    }
    if rows.is_empty() && !follow {
        output.talk("no record matches");
    }
    if left_out > 0 {
        output.talk(format_args!("{left_out} older records are not shown; `--since` narrows the list"));
    }
    if records.damaged() > 0 {
        let damaged = records.damaged();
        output.talk(format_args!("{damaged} lines could not be read; `valetkey audit verify` says more"));
    }
    Ok(())
}

/// Until Ctrl-C or until nobody reads.
fn follow(
    records: &mut Records,
    table: &mut Table,
    json: bool,
    folder: &Path,
    output: &mut Output,
) -> Result<(), Failure> {
    let interrupted =
        interrupted().map_err(|error| Failure::new(Exit::Refused, "can't follow the ledger").caused_by(&error))?;
    while !output.reader_is_gone()
        && interrupted.recv_timeout(LEDGER_FOLLOW_POLL) == Err(mpsc::RecvTimeoutError::Timeout)
    {
        let mut rows = Vec::new();
        records.read(|record| rows.push(record)).map_err(|error| unreadable(folder, &error))?;
        if json {
            rows.iter().for_each(|record| output.data(record.to_json()));
        } else {
            table.lines(&rows).for_each(|line| output.data(line));
        }
    }
    Ok(())
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

fn check(folder: &Path, keys: &Path, key: Option<&Path>, json: bool, output: &mut Output) -> Result<Exit, Failure> {
    let key = match key {
        None => None,
        Some(path) => Some(PublicKey::read(path).map_err(|error| {
            Failure::new(Exit::Usage, format!("`{}` is not a ledger's public key", path.display())).caused_by(&error)
        })?),
    };
    let report = verify(folder, key, keys).map_err(|error| unreadable(folder, &error))?;
    let whole = report.fault.is_none();
    if json {
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
    let hint = format!("keep a copy of `{}` as it is now; valetkey goes on and mends nothing", folder.display());
    Err(Failure::new(Exit::Refused, format!("the ledger is not whole ({word}): {fault}")).hint(hint))
}

fn unreadable(folder: &Path, error: &io::Error) -> Failure {
    let exit = if error.kind() == io::ErrorKind::PermissionDenied { Exit::NotPermitted } else { Exit::Refused };
    let failure = Failure::new(exit, format!("can't read the ledger in `{}`", folder.display())).caused_by(error);
    match error.kind() {
        io::ErrorKind::NotFound => failure.hint("there is none before the first start: `valetkey daemon`"),
        _ => failure,
    }
}
