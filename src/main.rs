//! argv in, exit code out.

use std::process::ExitCode;

use valetkey::cli;
use valetkey::daemon;
use valetkey::os::Environment;

fn main() -> ExitCode {
    cli::main(std::env::args_os(), Environment::of_this_process(), daemon::run)
}
