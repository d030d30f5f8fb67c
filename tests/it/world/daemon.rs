//! The real binary: the daemon as a child, and commands that end.

use std::fs::File;
use std::path::Path;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;

use super::PATIENCE;
use super::until;

/// A daemon in the foreground; killed when dropped.
pub struct Daemon {
    child: Child,
}

/// How a command ended, and what it said.
#[derive(Debug)]
pub struct Outcome {
    /// Exit code; None when a signal ended it.
    pub code: Option<i32>,
    /// Data.
    pub stdout: String,
    /// Talk.
    pub stderr: String,
}

/// Whether the daemon behind the socket answers.
fn status(socket: &Path) -> Option<()> {
    use std::io::Read as _;
    use std::io::Write as _;

    let mut stream = std::os::unix::net::UnixStream::connect(socket).ok()?;
    stream.set_read_timeout(Some(super::PATIENCE)).ok()?;
    stream.write_all(b"GET /status HTTP/1.1\r\nHost: daemon\r\nConnection: close\r\n\r\n").ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    answer.starts_with(b"HTTP/1.1 200").then_some(())
}

impl Daemon {
    /// Starts it and waits until its control socket and its proxy answer.
    pub async fn start(home: &Path, environment: &[(String, String)], proxy_port: u16) -> Self {
        let said = File::options().create(true).append(true).open(home.join("said.log")).unwrap();
        let child = command(home)
            .arg("daemon")
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(said.try_clone().unwrap())
            .stderr(said)
            .spawn()
            .unwrap();
        let mut daemon = Self { child };
        let socket = home.join("run/control.sock");
        until("the daemon to answer", || {
            if let Some(status) = daemon.child.try_wait().unwrap() {
                let said = std::fs::read_to_string(home.join("said.log")).unwrap_or_default();
                panic!("the daemon ended with {status}:\n{said}");
            }
            // the sockets are there before the parts behind them: only an answer says that it serves
            status(&socket)?;
            std::net::TcpStream::connect(("127.0.0.1", proxy_port)).ok()
        })
        .await;
        daemon
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Ends it as a power cut would.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Sends a signal by its name.
    pub fn signal(&self, name: &str) {
        let status = Command::new("kill").args(["-s", name, &self.pid().to_string()]).status().unwrap();
        assert!(status.success());
    }

    /// Waits until it has ended by itself.
    pub async fn ended(mut self) -> Option<i32> {
        until("the daemon to end", || self.child.try_wait().unwrap()).await.code()
    }

    /// The most memory it ever held, in KiB.
    pub fn peak_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs `valetkey ARGS…` to its end, with a clean environment.
pub async fn valetkey(home: &Path, environment: &[(&str, &str)], args: &[&str]) -> Outcome {
    let mut command = tokio::process::Command::from(command(home));
    command.args(args).envs(environment.iter().copied()).stdin(Stdio::null()).kill_on_drop(true);
    let output = tokio::time::timeout(PATIENCE * 4, command.output()).await;
    let output = output.unwrap_or_else(|_| panic!("`valetkey {}` does not end", args.join(" "))).unwrap();
    Outcome {
        code: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// `valetkey` with nothing of this process's environment but `PATH` and the user's name.
pub fn command(home: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_valetkey"));
    command.env_clear().env("VALETKEY_HOME", home).env("HOME", home).current_dir(home);
    for name in ["PATH", "USER", "LOGNAME", "LANG"] {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    command
}

impl Outcome {
    /// Fails with everything the command said unless it ended with `code`.
    #[track_caller]
    pub fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self
    }

    /// stdout as JSON.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error} in {self:?}"))
    }
}
