//! A small world: one home folder, one daemon, upstreams that remember, agents with their environment.

mod agent;
mod certificates;
mod daemon;
mod h2;
mod issuer;
mod ledger;
mod ports;
mod routes;
mod self_check;
mod tools;
mod upstream;

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;

use tempfile::TempDir;

pub use agent::Answer;
pub use agent::Session;
pub use agent::body_of;
pub use agent::empty;
pub use agent::full;
pub use agent::read_answer;
pub use certificates::TestCa;
pub use certificates::client_config;
pub use daemon::Daemon;
pub use daemon::Outcome;
pub use daemon::valetkey;
pub use h2::H2Case;
pub use issuer::Issuer;
pub use issuer::Mood;
pub use ledger::Record;
pub use ledger::read_ledger;
pub use ports::free_port;
pub use routes::Body;
pub use tools::tool;
pub use upstream::Remembered;
pub use upstream::Upstream;

/// No test waits for anything longer than this; a debug build on a busy machine needs much of it.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// The secret that most worlds inject.
pub const TOKEN: &str = "vk-test-6f1c2a9e4b7d";

/// The host of most worlds.
pub const UP: &str = "up.example.test";

/// What a world is made from: lines of `proxy.toml`, policies and secrets.
pub struct Plan {
    folder: TempDir,
    proxy: String,
    zone: Option<String>,
    sections: String,
    policies: Vec<(String, String)>,
    environment: Vec<(String, String)>,
    /// Where the agents' proxy, the zone and whoami will listen.
    pub ports: [u16; 3],
}

/// One `[[resource]]`, with everything that a test may want otherwise.
pub struct Listing {
    lines: String,
}

/// A daemon that runs, and where its things are.
pub struct World {
    folder: Option<TempDir>,
    home: PathBuf,
    environment: Vec<(String, String)>,
    /// The daemon itself; taken when a test ends it.
    pub daemon: Option<Daemon>,
    /// Where the agents' proxy listens.
    pub proxy_port: u16,
    /// Where the zone listens.
    pub zone_port: u16,
    /// Where whoami listens.
    pub whoami_port: u16,
}

impl Plan {
    /// Nothing yet: no resource, no policy; `[proxy]`, `[zone]` and `[whoami]` on free ports.
    pub fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("vk-").tempdir().unwrap();
        Self {
            folder,
            proxy: String::new(),
            zone: None,
            sections: String::new(),
            policies: Vec::new(),
            environment: Vec::new(),
            ports: std::array::from_fn(|_| free_port()),
        }
    }

    /// The usual one: `up.example.test` is `upstream`, its token is [`TOKEN`], everybody may everything.
    pub fn usual(upstream: &Upstream) -> Self {
        Self::new().secret("api", TOKEN).resource(&Listing::of(UP, upstream)).permit_all()
    }

    /// The folder that becomes `VALETKEY_HOME`.
    pub fn home(&self) -> &Path {
        self.folder.path()
    }

    /// A line of `[proxy]`.
    pub fn proxy(mut self, line: &str) -> Self {
        writeln!(self.proxy, "{line}").unwrap();
        self
    }

    /// Unlisted hosts may be on loopback, where all the upstreams of the tests are, at these ports.
    pub fn loopback_tunnels(self, ports: &[u16]) -> Self {
        self.proxy("unlisted = \"tunnel\"")
            .proxy("private_tunnels = [\"127.0.0.1\", \"localhost\"]")
            .proxy(&format!("tunnel_ports = {ports:?}"))
    }

    /// Another zone than the embedded one.
    pub fn zone_at(self, issuer: &Issuer) -> Self {
        let (id, secret) = issuer::CLIENT;
        let mut plan = self.secret("zone", secret);
        plan.zone = Some(format!("issuer = \"{}\"\nclient_id = \"{id}\"\nclient_secret = \"zone\"", issuer.url()));
        plan
    }

    /// A secret in a file of its own, 0600.
    pub fn secret(mut self, name: &str, value: &str) -> Self {
        let file = self.folder.path().join(format!("{name}.secret"));
        fs::write(&file, value).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        writeln!(self.sections, "[[secret]]\nname = \"{name}\"\nfile = \"{}\"\n", file.display()).unwrap();
        self
    }

    /// A resource.
    pub fn resource(mut self, listing: &Listing) -> Self {
        writeln!(self.sections, "[[resource]]\n{}", listing.lines).unwrap();
        self
    }

    /// Any other section, as it stands in the file.
    pub fn section(mut self, text: &str) -> Self {
        writeln!(self.sections, "{text}").unwrap();
        self
    }

    /// A file below `policies/`.
    pub fn policy(mut self, name: &str, text: &str) -> Self {
        self.policies.push((name.to_owned(), text.to_owned()));
        self
    }

    /// Everybody may everything.
    pub fn permit_all(self) -> Self {
        self.policy("all", "@id(\"all\")\npermit(principal, action, resource);\n")
    }

    /// A variable of the daemon's environment.
    pub fn environment(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Writes the files and starts the daemon.
    pub async fn start(self) -> World {
        let mut world = self.write();
        world.start_daemon().await;
        world
    }

    /// Writes the files only.
    pub fn write(self) -> World {
        let [proxy_port, zone_port, whoami_port] = self.ports;
        let home = self.folder.path().to_owned();
        let zone = self.zone.unwrap_or_else(|| format!("listen = \"127.0.0.1:{zone_port}\""));
        let text = format!(
            "[proxy]\nlisten = \"127.0.0.1:{proxy_port}\"\n{}\n[zone]\n{zone}\n\n\
             [whoami]\nlisten = \"127.0.0.1:{whoami_port}\"\n\n[policy]\nfolder = \"policies\"\n\n{}",
            self.proxy, self.sections
        );
        fs::write(home.join("proxy.toml"), text).unwrap();
        let policies = home.join("policies");
        fs::create_dir_all(&policies).unwrap();
        for (name, text) in &self.policies {
            fs::write(policies.join(format!("{name}.cedar")), text).unwrap();
        }
        World {
            home,
            folder: Some(self.folder),
            environment: self.environment,
            daemon: None,
            proxy_port,
            zone_port,
            whoami_port,
        }
    }
}

impl Listing {
    /// `https://HOST` at `upstream`, with the secret `api` as its bearer token.
    pub fn of(host: &str, upstream: &Upstream) -> Self {
        Self::bare(&format!("https://{host}"), host)
            .line("port = 443")
            .line("credential = { source = \"stored\", secret = \"api\" }")
            .reached_at(upstream)
    }

    /// An identifier and a host, and nothing else.
    pub fn bare(identifier: &str, host: &str) -> Self {
        Self { lines: format!("identifier = \"{identifier}\"\nhosts = [\"{host}\"]\n") }
    }

    /// Dials `upstream` and trusts its CA.
    pub fn reached_at(self, upstream: &Upstream) -> Self {
        self.line(&format!("connect = \"127.0.0.1:{}\"", upstream.port()))
            .line(&format!("ca = \"{}\"", TestCa::shared().pem_file().display()))
            .line("private = true")
    }

    /// One more line; replaces the line of the same key.
    pub fn line(mut self, line: &str) -> Self {
        let key = line.split_once('=').unwrap().0.trim().to_owned();
        let kept = self.lines.lines().filter(|old| old.split('=').next().unwrap().trim() != key);
        self.lines = kept.fold(String::new(), |text, old| text + old + "\n") + line + "\n";
        self
    }
}

impl World {
    /// The usual plan, started.
    pub async fn usual(upstream: &Upstream) -> Self {
        Plan::usual(upstream).start().await
    }

    /// `VALETKEY_HOME`.
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// The CA that agents trust.
    pub fn ca_file(&self) -> PathBuf {
        self.home.join("state/ca/ca.pem")
    }

    /// Starts the daemon (again) and waits until it answers.
    pub async fn start_daemon(&mut self) {
        let daemon = Daemon::start(&self.home, &self.environment, self.proxy_port).await;
        self.daemon = Some(daemon);
    }

    /// The daemon's process id.
    pub fn pid(&self) -> u32 {
        self.daemon.as_ref().unwrap().pid()
    }

    /// Runs `valetkey ARGS…` to its end.
    pub async fn valetkey(&self, args: &[&str]) -> Outcome {
        valetkey(&self.home, &[], args).await
    }

    /// Runs a command as the agent.
    pub async fn run(&self, agent: &str, command: &[&str]) -> Outcome {
        self.run_with(agent, &[], command).await
    }

    /// Runs a command as the agent, with more environment.
    pub async fn run_with(&self, agent: &str, environment: &[(&str, &str)], command: &[&str]) -> Outcome {
        let args: Vec<&str> = ["run", "--agent", agent, "--"].iter().chain(command).copied().collect();
        valetkey(&self.home, environment, &args).await
    }

    /// A session that stays open until the value is dropped.
    pub async fn session(&self, agent: &str) -> Session {
        Session::open(&self.home, agent).await
    }

    /// Every line of the ledger.
    pub fn ledger(&self) -> Vec<serde_json::Value> {
        read_ledger(&self.home)
    }

    /// The record of the only request with this path, once it is complete.
    pub async fn record_of(&self, path: &str) -> Record {
        ledger::record_of(&self.home, path).await
    }

    /// What the daemon said on its streams.
    pub fn said(&self) -> String {
        fs::read_to_string(self.home.join("said.log")).unwrap_or_default()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let had_daemon = self.daemon.take().is_some();
        if !had_daemon && self.home.join("run/control.sock").exists() {
            // One that `run` started in the background may be there.
            let _ = daemon::command(&self.home).arg("stop").output();
        }
        if std::thread::panicking()
            && let Some(folder) = self.folder.take()
        {
            eprintln!("the world is kept in {}\n--- the daemon said:\n{}", folder.keep().display(), self.said());
        }
    }
}

/// Asks until the answer is there, or fails with `what` after [`PATIENCE`].
pub async fn until<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(tokio::time::Instant::now() < deadline, "waited {PATIENCE:?} in vain for {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Waits for the future, or fails with `what` after [`PATIENCE`].
pub async fn within<F: Future>(what: &str, future: F) -> F::Output {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(value) => value,
        Err(_) => panic!("waited {PATIENCE:?} in vain for {what}"),
    }
}
