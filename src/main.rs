//! argv in, exit code out.

use std::process::ExitCode;

use valetkey::cli;
use valetkey::cli::DaemonStart;
use valetkey::cli::Exit;
use valetkey::cli::Failure;
use valetkey::os::Environment;

fn main() -> ExitCode {
    cli::main(std::env::args_os(), Environment::of_this_process(), run_daemon)
}

// The one call point: `valetkey::daemon::run` takes this function's place once the daemon is assembled.
fn run_daemon(_start: DaemonStart) -> Result<(), Failure> {
    Err(Failure::new(Exit::DaemonDown, "the daemon is not assembled yet"))
}
