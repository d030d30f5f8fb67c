//! `valetkey run`: a command in a session of its own.
//!
//! The child keeps the terminal, gets the signals that were meant for it, and gives its exit code. The session
//! ends when this process does, however it does: the daemon watches the connection.

use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;

use clap::Args;
use clap::builder::TypedValueParser as _;
use tokio::process::Child;
use tokio::signal::unix::Signal;
use tokio::signal::unix::SignalKind;

use crate::cli::Exit;
use crate::cli::Failure;
use crate::cli::Output;
use crate::cli::Surroundings;
use crate::cli::program;
use crate::cli::reach;
use crate::control::HeldSession;
use crate::control::SessionOpened;
use crate::control::SessionWish;
use crate::control::Status;
use crate::model::AgentName;
use crate::model::UserName;
use crate::os::signals;
use crate::tls::LISTS;

/// Run a command as an agent, in a session of its own.
///
/// Starts the daemon in the background when none runs. The command gets HTTPS_PROXY, NO_PROXY and the variables
/// by which clients find the local certificate authority, all for this session only. Requests to hosts that the
/// configuration calls resources leave with a short-lived token, when a policy permits it.
///
/// Ends as the command ends: with its exit code, or 128+N when signal N ended it; 127 when it is not found and 126
/// when it cannot be executed.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  valetkey run -- curl -s https://whoami.valetkey.internal/
  valetkey run --agent reviewer -- claude
  valetkey run --as ada@example.com -- sh -c 'git pull && make'")]
pub(in crate::cli) struct RunArgs {
    /// The agent's name in policies, tokens and records [default: the command's file name]
    #[arg(long, value_name = "NAME", value_parser = clap::builder::StringValueParser::new().try_map(|name| AgentName::parse(&name)))]
    pub(in crate::cli) agent: Option<AgentName>,
    /// The user it works for [default: the one who is signed in]
    #[arg(long = "as", value_name = "USER", value_parser = clap::builder::StringValueParser::new().try_map(|name| UserName::parse(&name)))]
    pub(in crate::cli) user: Option<UserName>,
    /// The configuration for a daemon that is started now.
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) config: Option<PathBuf>,
    /// What to run, and its arguments.
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true, value_name = "COMMAND")]
    pub(in crate::cli) command: Vec<OsString>,
}

pub(in crate::cli) async fn run(
    args: RunArgs,
    surroundings: &Surroundings,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let Some((name, arguments)) = args.command.split_first() else {
        return Err(Failure::new(Exit::Usage, "there is no command to run"));
    };
    if name.to_string_lossy().starts_with('-') {
        let message = format!("`{}` is no flag of `run`", name.to_string_lossy().escape_debug());
        return Err(
            Failure::new(Exit::Usage, message).hint("`valetkey run --help` has them; the command comes after `--`")
        );
    }
    let file = program::find(name, surroundings.environment.get("PATH"))?;
    let agent = args.agent.map_or_else(|| program::agent_of(name), Ok)?;
    let client = reach::client(surroundings);
    let config = surroundings.config_file(args.config);
    let status = reach::or_start(&client, config.clone(), surroundings, output).await?;
    warn_of_another_configuration(config.as_deref(), &status, output);
    let own = |name: &&str| Some(((*name).to_owned(), surroundings.environment.text(name)?.to_owned()));
    let inherited = LISTS.iter().filter_map(own);
    let wish = SessionWish {
        agent,
        user: args.user,
        pid: Some(std::process::id()),
        program: Some(absolute(&file)),
        inherited: inherited.collect(),
    };
    let held = client.open_session(&wish).await?;
    let mut command = Command::new(&file);
    command.arg0(name).args(arguments);
    dress(&mut command, held.opened());
    // Before the child exists: no signal may fall between its start and ours to pass it on.
    let mut incoming = Incoming::listen()
        .map_err(|error| Failure::new(Exit::Refused, "signals cannot be listened to").caused_by(&error))?;
    let child = tokio::process::Command::from(command).spawn();
    let child = child.map_err(|error| program::did_not_start(name, &error))?;
    supervise(child, held, async || incoming.next().await, output).await
}

/// The child's environment: ours, with what the daemon says and the session's name.
fn dress(command: &mut Command, opened: &SessionOpened) {
    for name in &opened.unset {
        command.env_remove(name);
    }
    command.envs(opened.environment.iter().map(|(name, value)| (name, value)));
    let session = opened.session.as_str();
    command.envs([("VALETKEY_SESSION_ID", session), ("KEYCARD_RUN", "1"), ("KEYCARD_RUN_SESSION_ID", session)]);
}

/// Waits for the child's end, passes signals on, and says when the session is lost meanwhile.
async fn supervise(
    mut child: Child,
    mut session: HeldSession,
    mut next_signal: impl AsyncFnMut() -> Signalled,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let pid = child.id();
    let mut lease = Lease::Open;
    loop {
        tokio::select! {
            biased;
            ended = child.wait() => {
                let status = ended.map_err(|error| {
                    Failure::new(Exit::Refused, "the command's end cannot be waited for").caused_by(&error)
                })?;
                return Ok(Exit::Child(signals::exit_code(status)));
            }
            signalled = next_signal() => if let (Signalled::PassOn(signal), Some(pid)) = (signalled, pid) {
                signals::send(pid, signal);
            },
            () = session.ended(), if lease == Lease::Open => {
                lease = Lease::Lost;
                output.talk(format_args!("warning: session `{}` has ended before its command", session.opened().session));
                output.talk("  hint: its requests are refused from now on; `valetkey status` says whether the daemon runs");
            }
        }
    }
}

#[derive(PartialEq, Eq)]
enum Lease {
    Open,
    Lost,
}

/// A signal that reached us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Signalled {
    /// It was for the child.
    PassOn(i32),
    /// The terminal has given it to the child as well.
    Shared,
}

/// The signals we answer to while a child runs, each with what it means.
struct Incoming(Vec<(Signalled, Signal)>);

impl Incoming {
    /// Those that were ignored when we began stay ignored, for us and for the child (`nohup`).
    fn listen() -> std::io::Result<Self> {
        let interrupt = if has_terminal() { |_| Signalled::Shared } else { Signalled::PassOn };
        let interrupts =
            [SignalKind::interrupt(), SignalKind::quit()].map(|kind| (interrupt(kind.as_raw_value()), kind));
        let others = [
            SignalKind::terminate(),
            SignalKind::hangup(),
            SignalKind::user_defined1(),
            SignalKind::user_defined2(),
            SignalKind::window_change(),
        ]
        .map(|kind| (Signalled::PassOn(kind.as_raw_value()), kind));
        interrupts
            .into_iter()
            .chain(others)
            .filter(|(_, kind)| !signals::was_ignored(kind.as_raw_value()))
            .map(|(meaning, kind)| Ok((meaning, tokio::signal::unix::signal(kind)?)))
            .collect::<std::io::Result<_>>()
            .map(Self)
    }

    async fn next(&mut self) -> Signalled {
        std::future::poll_fn(|context| {
            for (meaning, signal) in &mut self.0 {
                if signal.poll_recv(context).is_ready() {
                    return std::task::Poll::Ready(*meaning);
                }
            }
            std::task::Poll::Pending
        })
        .await
    }
}

/// Without a terminal nobody but a process sends SIGINT, and it means the child.
fn has_terminal() -> bool {
    std::fs::File::open("/dev/tty").is_ok()
}

fn absolute(file: &Path) -> PathBuf {
    std::path::absolute(file).unwrap_or_else(|_| file.to_owned())
}

/// A daemon that runs keeps its configuration; who asked for another should know.
fn warn_of_another_configuration(asked: Option<&Path>, status: &Status, output: &mut Output) {
    let running = status.configuration.file.as_deref();
    if let Some(asked) = asked.filter(|asked| Some(*asked) != running) {
        let running = running.map_or_else(|| "the built-in defaults".into(), |file| format!("`{}`", file.display()));
        output.talk(format_args!("warning: the daemon runs with {running}, not with `{}`", asked.display()));
        output.talk("  hint: `valetkey stop`, then run this again");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::fake::FakeDaemon;
    use crate::os::Environment;
    use crate::os::Paths;

    fn surroundings(daemon: &FakeDaemon) -> Surroundings {
        let environment = Environment::of([("PATH", "/usr/bin:/bin")]);
        Surroundings { environment, paths: Paths::below(daemon.home.path()) }
    }

    fn args(command: &[&str]) -> RunArgs {
        RunArgs { agent: None, user: None, config: None, command: command.iter().map(OsString::from).collect() }
    }

    async fn run_it(daemon: &FakeDaemon, command: &[&str]) -> Exit {
        let mut output = Output::new();
        let ended = run(args(command), &surroundings(daemon), &mut output).await;
        ended.unwrap_or_else(|failure| failure.tell(&mut output))
    }

    #[tokio::test]
    async fn the_command_gets_the_environment_of_its_session() {
        let daemon = FakeDaemon::start();
        let told = daemon.home.path().join("told");
        let script = "printf '%s\\n' \"$HTTPS_PROXY\" \"$VALETKEY_SESSION_ID\" \"$KEYCARD_RUN\" \
                      \"$KEYCARD_RUN_SESSION_ID\" \"$0\" \"${SSL_CERT_DIR-unset}\" > \"$1\"";
        let exit = run_it(&daemon, &["sh", "-c", script, "zero", told.to_str().unwrap()]).await;
        assert_eq!(exit, Exit::Child(0));
        let told = std::fs::read_to_string(told).unwrap();
        let lines: Vec<_> = told.lines().collect();
        let session = lines[1];
        assert_eq!(lines[0], format!("http://{session}:hunter2@127.0.0.1:7979"));
        assert_eq!(lines[2..], ["1", session, "zero", "unset"]);
        let wish = daemon.backend.wishes.lock().unwrap()[0].clone();
        assert_eq!(wish.agent.as_str(), "sh");
        assert!(wish.program.unwrap().is_absolute());
        daemon.sessions_are(0).await;
    }

    #[tokio::test]
    async fn its_end_is_our_end() {
        let daemon = FakeDaemon::start();
        assert_eq!(run_it(&daemon, &["sh", "-c", "exit 7"]).await, Exit::Child(7));
        assert_eq!(run_it(&daemon, &["sh", "-c", "kill -KILL $$"]).await, Exit::Child(137));
        daemon.sessions_are(0).await;
    }

    #[tokio::test]
    async fn a_command_that_cannot_be_run_opens_no_session() {
        let daemon = FakeDaemon::start();
        assert_eq!(run_it(&daemon, &["no-such-command"]).await, Exit::Child(127));
        assert_eq!(run_it(&daemon, &["/etc/passwd"]).await, Exit::Child(126));
        assert!(daemon.backend.wishes.lock().unwrap().is_empty());
    }

    #[tokio::test]
    async fn a_script_without_its_interpreter_is_not_found() {
        let daemon = FakeDaemon::start();
        let script = daemon.home.path().join("script");
        std::fs::write(&script, "#!/no/such/interpreter\n").unwrap();
        std::fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
        assert_eq!(run_it(&daemon, &[script.to_str().unwrap()]).await, Exit::Child(127));
        daemon.sessions_are(0).await;
    }

    #[tokio::test]
    async fn a_refused_session_runs_nothing() {
        let daemon = FakeDaemon::start();
        let told = daemon.home.path().join("told");
        let mut words = args(&["touch", told.to_str().unwrap()]);
        words.agent = Some(AgentName::parse("forbidden").unwrap());
        let mut output = Output::new();
        let failure = run(words, &surroundings(&daemon), &mut output).await.unwrap_err();
        assert_eq!(failure.tell(&mut output), Exit::NotPermitted);
        assert!(!told.exists());
    }

    async fn supervised(daemon: &FakeDaemon, script: &str) -> (Child, HeldSession) {
        let agent = AgentName::parse("sh").unwrap();
        let wish = SessionWish { agent, user: None, pid: None, program: None, inherited: Default::default() };
        let held = daemon.client.open_session(&wish).await.unwrap();
        let mut command = tokio::process::Command::new("sh");
        command.args(["-c", script]).stdout(std::process::Stdio::piped()).kill_on_drop(true);
        (command.spawn().unwrap(), held)
    }

    /// Waits until the child says that its trap is set.
    async fn until_it_speaks(child: &mut Child) {
        use tokio::io::AsyncReadExt as _;

        let mut said = [0; 6];
        child.stdout.as_mut().unwrap().read_exact(&mut said).await.unwrap();
        assert_eq!(&said, b"ready\n");
    }

    #[tokio::test]
    async fn signals_are_passed_on_and_those_of_the_terminal_are_not_doubled() {
        let daemon = FakeDaemon::start();
        let script = "trap 'exit 9' INT; trap 'exit 10' USR1; echo ready; while :; do sleep 0.01; done";
        let (mut child, held) = supervised(&daemon, script).await;
        until_it_speaks(&mut child).await;
        let user1 = SignalKind::user_defined1().as_raw_value();
        let mut coming = vec![Signalled::PassOn(user1), Signalled::Shared];
        let next = async || match coming.pop() {
            Some(signalled) => signalled,
            None => std::future::pending().await,
        };
        let exit = supervise(child, held, next, &mut Output::new()).await.unwrap();
        assert_eq!(exit, Exit::Child(10));
    }

    #[tokio::test]
    async fn the_command_goes_on_when_its_session_is_lost() {
        let daemon = FakeDaemon::start();
        let go = daemon.home.path().join("go");
        let script = format!("echo ready; until test -e '{}'; do sleep 0.01; done; exit 4", go.display());
        let (mut child, held) = supervised(&daemon, &script).await;
        until_it_speaks(&mut child).await;
        let id = held.opened().session.clone();
        let lose_it = async {
            daemon.client.end_session(&id).await.unwrap();
            daemon.sessions_are(0).await;
            std::fs::write(&go, "").unwrap();
        };
        let mut output = Output::new();
        let never = async || std::future::pending().await;
        let (exit, ()) = tokio::join!(supervise(child, held, never, &mut output), lose_it);
        assert_eq!(exit.unwrap(), Exit::Child(4));
    }
}
