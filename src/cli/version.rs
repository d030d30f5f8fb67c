//! `valetkey version`.

use clap::Args;

use crate::cli::Exit;
use crate::cli::Failure;
use crate::cli::Output;

/// Say which version this is.
#[derive(Debug, Args)]
pub(in crate::cli) struct VersionArgs {
    /// As JSON.
    #[arg(long)]
    json: bool,
}

pub(in crate::cli) fn run(args: VersionArgs, output: &mut Output) -> Result<Exit, Failure> {
    let version = env!("CARGO_PKG_VERSION");
    if args.json {
        output.data(serde_json::json!({ "name": "valetkey", "version": version }));
    } else {
        output.data(format_args!("valetkey {version}"));
    }
    Ok(Exit::Done)
}
