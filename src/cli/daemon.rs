//! `valetkey daemon`: makes this process fit to hold secrets, then runs the daemon in it.

use std::path::PathBuf;

use clap::Args;
use clap::ValueEnum;

use crate::cli::Exit;
use crate::cli::Failure;
use crate::cli::Surroundings;
use crate::os;

/// Run the daemon in the foreground.
///
/// `valetkey run` starts one in the background when none runs, so this is for service managers and for watching
/// it work. SIGTERM drains and ends it, SIGHUP reads the configuration anew. There is one daemon per user.
#[derive(Debug, Args)]
pub(in crate::cli) struct DaemonArgs {
    /// The configuration, instead of `VALETKEY_CONFIG` or `proxy.toml` in the configuration folder.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// How log lines look.
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = LogFormat::Text)]
    log_format: LogFormat,
    /// Leave the session of the terminal: `run` starts the daemon so.
    #[arg(long, hide = true)]
    detached: bool,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object per line.
    Json,
}

/// What the daemon is started with.
#[derive(Clone, Debug)]
pub struct DaemonStart {
    /// The configuration file that was named, absolute; none for the usual place.
    pub config: Option<PathBuf>,
    /// How log lines look.
    pub log_format: LogFormat,
    /// Scrubbed environment and paths.
    pub surroundings: Surroundings,
}

/// Runs the daemon until it is told to stop. Called on the main thread, before any other exists.
pub type RunDaemon = fn(DaemonStart) -> Result<(), Failure>;

pub(in crate::cli) fn run(
    args: DaemonArgs,
    surroundings: Surroundings,
    run_daemon: RunDaemon,
) -> Result<Exit, Failure> {
    os::harden()
        .map_err(|error| Failure::new(Exit::NotPermitted, "the daemon cannot protect its memory").caused_by(&error))?;
    if let Some(scrub) = surroundings.environment.scrub() {
        // Comes back only when it failed; otherwise this line is reached again with a clean environment.
        let error = scrub.begin_again();
        return Err(Failure::new(Exit::NotPermitted, "the daemon cannot start anew with a clean environment")
            .caused_by(&error)
            .hint("unset proxy, SSL_CERT_* and LD_* variables for it"));
    }
    if args.detached {
        os::detach();
    }
    let config = surroundings.config_file(args.config);
    run_daemon(DaemonStart { config, log_format: args.log_format, surroundings })?;
    Ok(Exit::Done)
}
