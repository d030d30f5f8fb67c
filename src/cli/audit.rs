//! `valetkey audit`: what agents did, as a table, as JSON, or as it happens; and whether the ledger is whole.
//!
//! Never shows a character that could mislead a terminal.

use std::io;
use std::path::Path;

use jiff::tz::TimeZone;

use crate::audit::Decision;
use crate::audit::Filter;
use crate::audit::Record;
use crate::audit::Records;
use crate::cli::Exit;
use crate::cli::Failure;
use crate::cli::Output;
use crate::cli::ledger::Place;
use crate::cli::ledger::Rows;
use crate::cli::ledger::Telling;
use crate::cli::ledger::VerifyArgs;
use crate::cli::since;
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
    Verify(VerifyArgs),
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
    let place = Place { folder, row: "record", verify: "valetkey audit verify", begin: "valetkey daemon" };
    if let Some(Check::Verify(args)) = &args.check {
        return place.check(keys, args, output);
    }
    let telling = Telling { json: args.json || args.record.is_some(), follow: args.follow };
    let filter = Filter {
        since: args.since.as_deref().map(|text| since::parse(text, clock.now(), &TimeZone::system())).transpose()?,
        agent: args.agent,
        session: args.session,
        resource: args.resource,
        record: args.record,
        decision: args.decision,
        intercepted: args.all,
    };
    place.tell(&mut Records::new(folder, filter), telling, output)
}

impl Rows for Records {
    type Row = Record;

    fn read(&mut self, each: &mut dyn FnMut(Record)) -> io::Result<()> {
        Records::read(self, each)
    }

    fn with_open(&self, mut rows: Vec<Record>) -> Vec<Record> {
        rows.extend(self.open().cloned());
        rows.sort_by_key(|record| record.seq);
        rows
    }

    fn json(record: &Record) -> String {
        record.to_json()
    }

    fn damaged(&self) -> u64 {
        Records::damaged(self)
    }
}
