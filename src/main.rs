//! argv in, exit code out.

use std::process::ExitCode;

use mimalloc::MiMalloc;

use valetkey::cli;
use valetkey::daemon;
use valetkey::os::Environment;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    cli::main(std::env::args_os(), Environment::of_this_process(), daemon::run)
}
