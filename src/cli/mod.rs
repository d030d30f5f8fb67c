//! The commands: one file each. stdout is data, stderr is talk.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::CommandFactory as _;
use clap::Parser;
use clap::Subcommand;

use crate::os::Environment;
use crate::os::Paths;
use crate::os::SystemClock;

mod agent;
mod api;
pub mod audit;
mod auth;
pub mod ca;
pub mod config;
mod daemon;
mod daemon_control;
mod daemon_words;
mod failure;
pub mod init;
mod ledger;
mod logs;
mod output;
mod program;
mod reach;
mod record_row;
mod run;
mod since;
mod table;
mod token;
mod token_place;
mod version;
mod zone;
mod zone_events;

pub use daemon::DaemonStart;
pub use daemon::LogFormat;
pub use daemon::RunDaemon;
pub use failure::Exit;
pub use failure::Failure;
pub use output::Output;

/// What surrounds a command: asked once, handed on.
#[derive(Clone, Debug)]
pub struct Surroundings {
    /// The variables of this process.
    pub environment: Environment,
    /// Where this user's things live.
    pub paths: Paths,
}

impl Surroundings {
    /// The configuration file that was named: by `--config`, else by `VALETKEY_CONFIG`. Absolute, for the daemon
    /// may have another working folder.
    pub fn config_file(&self, named: Option<PathBuf>) -> Option<PathBuf> {
        let named = named.or_else(|| self.environment.text("VALETKEY_CONFIG").map(PathBuf::from))?;
        Some(std::path::absolute(&named).unwrap_or(named))
    }
}

/// The words of one command. `run_daemon` is how the daemon is run; everything else is here.
pub fn main(
    arguments: impl IntoIterator<Item = OsString>,
    environment: Environment,
    run_daemon: RunDaemon,
) -> ExitCode {
    let mut output = Output::new();
    let exit = match Words::try_parse_from(arguments) {
        Ok(words) => surroundings(environment)
            .and_then(|surroundings| words.command.carry_out(surroundings, run_daemon, &mut output))
            .unwrap_or_else(|failure| failure.tell(&mut output)),
        Err(error) => explain(&error, &mut output),
    };
    let exit = match output.failed() {
        Some(error) => {
            let failure =
                Failure::new(Exit::Refused, "not everything could be written to standard output").caused_by(error);
            failure.tell(&mut output)
        }
        None => exit,
    };
    ExitCode::from(exit.code())
}

/// A local credential broker for AI agents.
///
/// An agent that is started with `valetkey run` sends its requests through a daemon on this machine. The
/// daemon decides with your policies, obtains a short-lived token, puts it into the request, and records it.
/// The agent never holds a credential.
#[derive(Debug, Parser)]
#[command(name = "valetkey", bin_name = "valetkey", version, propagate_version = false, after_help = EXAMPLES, max_term_width = 100)]
struct Words {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "Examples:
  valetkey run -- curl -s https://whoami.valetkey.internal/   see yourself as an API sees you
  valetkey run --agent reviewer -- claude                     start an agent under a name of its own
  valetkey status                                             is the daemon well?

Exit codes:
  0 done, 1 refused or something found, 64 usage, 69 the daemon is not running, 77 not permitted,
  78 configuration; `run` ends as its command ends (126 not executable, 127 not found, 128+N by signal N)";

#[derive(Debug, Subcommand)]
enum Command {
    // --- the day: run an agent, see how things are -------------------------------------------------
    Run(run::RunArgs),
    Status(daemon_control::StatusArgs),
    Sessions(daemon_control::SessionsArgs),
    Audit(audit::AuditArgs),
    // --- what is configured, and what is trusted ----------------------------------------------------
    Init(init::InitArgs),
    Config(config::ConfigArgs),
    Ca(ca::CaArgs),
    // --- who you are ---------------------------------------------------------------------------------
    Auth(auth::AuthArgs),
    // --- the zone ------------------------------------------------------------------------------------
    Zone(zone::ZoneArgs),
    Token(token::TokenArgs),
    Agent(agent::AgentArgs),
    // --- the daemon ----------------------------------------------------------------------------------
    Daemon(daemon::DaemonArgs),
    Reload(daemon_control::ReloadArgs),
    Stop(daemon_control::StopArgs),
    Logs(logs::LogsArgs),
    Version(version::VersionArgs),
}

impl Command {
    /// One line per command.
    fn carry_out(
        self,
        surroundings: Surroundings,
        run_daemon: RunDaemon,
        output: &mut Output,
    ) -> Result<Exit, Failure> {
        match self {
            Self::Run(args) => waiting(run::run(args, &surroundings, output)),
            Self::Status(args) => waiting(daemon_control::status(args, &surroundings, output)),
            Self::Sessions(args) => waiting(daemon_control::sessions(args, &surroundings, output)),
            Self::Audit(args) => {
                let folder = ledger_folder(&surroundings);
                audit::run(args, &folder, &surroundings.paths.ca_folder(), &SystemClock::new(), output)
            }
            Self::Init(args) => init::run(&args, &surroundings.paths, output),
            Self::Config(args) => {
                let read = |name: &str| surroundings.environment.get(name).map(OsString::from);
                config::run(&args, &read, &surroundings.paths, output)
            }
            Self::Auth(args) => waiting(auth::run(args, &surroundings, output)),
            Self::Ca(args) => ca::run(args, &surroundings.paths.ca_folder(), output),
            Self::Zone(args) => zone::run(args, &surroundings, output),
            Self::Token(args) => waiting(token::run(args, &surroundings, output)),
            Self::Agent(args) => waiting(agent::run(args, &surroundings, output)),
            Self::Daemon(args) => daemon::run(args, surroundings, run_daemon),
            Self::Reload(args) => waiting(daemon_control::reload(args, &surroundings, output)),
            Self::Stop(args) => waiting(daemon_control::stop(args, &surroundings, output)),
            Self::Logs(args) => waiting(logs::run(args, &surroundings, output)),
            Self::Version(args) => version::run(args, output),
        }
    }
}

/// Where the ledger is: the running daemon knows; without one, the configuration, and without that the usual place.
fn ledger_folder(surroundings: &Surroundings) -> PathBuf {
    let asked = waiting(async { Ok(reach::client(surroundings).status().await?) });
    if let Ok(status) = asked {
        return status.ledger.folder;
    }
    let read = |name: &str| surroundings.environment.get(name).map(OsString::from);
    let place = crate::config::find(None, &read, &surroundings.paths);
    let configured = crate::config::open(&place, &read).ok().and_then(|config| config.audit.folder);
    configured.unwrap_or_else(|| surroundings.paths.audit_folder())
}

/// Runs a command that waits for something, on one thread.
fn waiting<T>(command: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| {
        Failure::new(Exit::Refused, "the system does not let this command wait for anything").caused_by(&error)
    })?;
    runtime.block_on(command)
}

fn surroundings(environment: Environment) -> Result<Surroundings, Failure> {
    let paths = Paths::find(|name| environment.get(name).map(OsString::from)).ok_or_else(|| {
        Failure::new(Exit::Configuration, "there is no home folder for configuration and state")
            .hint("set HOME, or VALETKEY_HOME to an absolute path")
    })?;
    if environment.get("VALETKEY_HOME").is_some() {
        crate::os::refuse_writable(paths.config_folder())?;
    }
    Ok(Surroundings { environment, paths })
}

/// Help and version were asked for; everything else is off.
fn explain(error: &clap::Error, output: &mut Output) -> Exit {
    let text = error.render().to_string();
    if error.use_stderr() {
        output.talk(text.trim_end());
        return Exit::Usage;
    }
    output.data(text.trim_end());
    Exit::Done
}

/// The tree of commands, for completions and for tests.
pub fn tree() -> clap::Command {
    Words::command()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &str) -> Result<Words, clap::Error> {
        Words::try_parse_from(words.split(' '))
    }

    #[test]
    fn the_tree_is_whole_and_every_argument_is_explained() {
        let tree = tree();
        tree.clone().debug_assert();
        for command in tree.get_subcommands() {
            assert!(command.get_about().is_some(), "{}", command.get_name());
            for argument in command.get_arguments().filter(|argument| !argument.is_hide_set()) {
                assert!(argument.get_help().is_some(), "{} {}", command.get_name(), argument.get_id());
            }
        }
    }

    #[test]
    fn everything_after_two_hyphens_is_the_command_to_run() {
        let words = parse("valetkey run --agent a --as ada@example.com -- curl -s --agent b").unwrap();
        let Command::Run(args) = words.command else { panic!("not run") };
        assert_eq!(args.command, ["curl", "-s", "--agent", "b"]);
        assert_eq!(args.agent.unwrap().as_str(), "a");
        let words = parse("valetkey run curl -s").unwrap();
        let Command::Run(args) = words.command else { panic!("not run") };
        assert_eq!(args.command, ["curl", "-s"], "the hyphens may be left out");
    }

    #[test]
    fn words_that_are_off_are_a_usage_error() {
        for words in ["valetkey", "valetkey run", "valetkey run --agent ü -- x", "valetkey what", "valetkey logs -n x"]
        {
            let error = parse(words).unwrap_err();
            assert!(error.use_stderr(), "{words}");
        }
        assert!(!parse("valetkey --help").unwrap_err().use_stderr());
        assert!(!parse("valetkey --version").unwrap_err().use_stderr());
    }

    #[test]
    fn the_configuration_file_is_named_by_option_before_variable() {
        let surroundings = Surroundings {
            environment: Environment::of([("VALETKEY_CONFIG", "/e/proxy.toml")]),
            paths: Paths::below(std::path::Path::new("/h")),
        };
        assert_eq!(surroundings.config_file(None), Some("/e/proxy.toml".into()));
        assert_eq!(surroundings.config_file(Some("/o.toml".into())), Some("/o.toml".into()));
        assert!(surroundings.config_file(Some("o.toml".into())).unwrap().is_absolute());
    }

    #[test]
    fn without_a_home_there_is_a_hint() {
        let failure = surroundings(Environment::default()).unwrap_err();
        assert_eq!(failure.tell(&mut Output::new()), Exit::Configuration);
    }
}
