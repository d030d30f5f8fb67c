//! `valetkey zone`: a zone that runs alone, for a team, the keys of its zones, and what it did.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;

use clap::Args;
use clap::Subcommand;
use tokio::net::TcpListener;
use tokio::net::TcpStream;
use tokio::signal::unix::SignalKind;
use tokio::signal::unix::signal;
use tokio_util::sync::CancellationToken;

use crate::cli::Exit;
use crate::cli::Failure;
use crate::cli::LogFormat;
use crate::cli::Output;
use crate::cli::Surroundings;
use crate::cli::zone_events;
use crate::cli::zone_events::EventsArgs;
use crate::daemon::ZoneEvents;
use crate::http::Client;
use crate::http::Dial;
use crate::limits;
use crate::model::Authority;
use crate::model::Clock;
use crate::model::UserName;
use crate::os;
use crate::os::SystemClock;
use crate::tls;
use crate::upstream::Dialer;
use crate::upstream::Reach;
use crate::zone;
use crate::zone::Database;
use crate::zone::Registration;
use crate::zone::Rules;
use crate::zone::Settings;
use crate::zone::TrustedProxies;
use crate::zone::Zone;

/// Run a zone alone, look after its keys, and see what it did.
#[derive(Debug, Args)]
pub(in crate::cli) struct ZoneArgs {
    #[command(subcommand)]
    command: ZoneCommand,
}

#[derive(Debug, Subcommand)]
enum ZoneCommand {
    Serve(ServeArgs),
    RotateKey(RotateArgs),
    Events(EventsArgs),
}

/// Serve a zone, with its endpoints and its management API, and the zones that are made there, until SIGTERM.
///
/// Several may serve one PostgreSQL database as replicas, with the same sealing key. TLS is for whatever stands in
/// front: `--url` is what clients see. A zone that the management API makes is served at a name of its own below it:
/// `https://<zone-id>.zone.example` for `--url https://zone.example`. Whatever ends TLS in front hands `Host` on.
#[derive(Debug, Args)]
struct ServeArgs {
    #[command(flatten)]
    database: DatabaseArgs,
    /// Where to listen.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:7980")]
    listen: SocketAddr,
    /// The zone's own address as its clients see it; `http://` and where it listens without this.
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    #[command(flatten)]
    sealing: SealingArgs,
    /// Who administers it first; you without this.
    #[arg(long, value_name = "NAME")]
    owner: Option<String>,
    /// A proxy in front, by address or network (10.0.0.0/8), whose `X-Forwarded-For` is believed; may be repeated.
    #[arg(long, value_name = "NETWORK")]
    trusted_proxy: Vec<String>,
    /// Also fetch key sets from this machine and private networks. Whoever registers a client names an address that the
    /// zone asks: without this, only the public internet is asked.
    #[arg(long)]
    allow_private_fetch: bool,
    /// Where its ledger of events is: tokens issued and denied, policies bound. Without it, a folder of its own.
    #[arg(long, value_name = "FOLDER")]
    audit: Option<PathBuf>,
    /// How log lines look.
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = LogFormat::Text)]
    log_format: LogFormat,
}

/// Make a zone sign with a new key.
///
/// What the old key signed stays good until it expires. A running zone takes the new key up by itself, within a minute.
#[derive(Debug, Args)]
struct RotateArgs {
    #[command(flatten)]
    database: DatabaseArgs,
    #[command(flatten)]
    sealing: SealingArgs,
    /// The id of a zone that was made by the management API; the zone at the address itself without this.
    #[arg(long, value_name = "ID")]
    zone: Option<String>,
}

/// Where the sealing key is.
#[derive(Debug, Args)]
struct SealingArgs {
    /// The key under which the database's secrets are sealed, made on first start; beside the file of SQLite, else
    /// `zone.seal` in the state folder.
    #[arg(long, value_name = "FILE")]
    sealing_key: Option<PathBuf>,
}

impl SealingArgs {
    fn find(self, database: &Database, surroundings: &Surroundings) -> PathBuf {
        self.sealing_key.unwrap_or_else(|| match database {
            Database::Sqlite(file) => file.with_extension("seal"),
            Database::Postgres(_) => surroundings.paths.state_folder().join("zone.seal"),
        })
    }
}

/// Which database.
#[derive(Debug, Args)]
pub(in crate::cli) struct DatabaseArgs {
    /// `postgres://…`, or a path for SQLite; else `VALETKEY_ZONE_DATABASE`, which other users can't read, and without
    /// it the personal zone's file.
    #[arg(long, value_name = "DATABASE")]
    database: Option<String>,
}

impl DatabaseArgs {
    /// Whether one was named on the command line.
    pub(in crate::cli) fn is_named(&self) -> bool {
        self.database.is_some()
    }

    /// The one that was named, or the usual one.
    pub(in crate::cli) fn find(&self, surroundings: &Surroundings) -> Result<Database, Failure> {
        let named = self.database.as_deref().or_else(|| surroundings.environment.text("VALETKEY_ZONE_DATABASE"));
        let Some(named) = named else { return Ok(Database::Sqlite(surroundings.paths.zone_database())) };
        Database::parse(named).map_err(|error| Failure::new(Exit::Usage, error.to_string()))
    }
}

pub(in crate::cli) fn run(args: ZoneArgs, surroundings: &Surroundings, output: &mut Output) -> Result<Exit, Failure> {
    let runtime = || {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
        runtime.map_err(|error| Failure::new(Exit::Refused, "no threads to run on").caused_by(&error))
    };
    match args.command {
        ZoneCommand::Serve(args) => {
            crate::daemon::start_log(args.log_format, &surroundings.environment);
            runtime()?.block_on(serve(args, surroundings, output))
        }
        ZoneCommand::RotateKey(args) => runtime()?.block_on(rotate(args, surroundings, output)),
        ZoneCommand::Events(args) => zone_events::run(args, surroundings, output),
    }
}

async fn rotate(args: RotateArgs, surroundings: &Surroundings, output: &mut Output) -> Result<Exit, Failure> {
    let database = args.database.find(surroundings)?;
    let sealing_key = args.sealing.find(&database, surroundings);
    let rotated = zone::rotate_key(&database, &sealing_key, args.zone.as_deref(), SystemClock::new().now()).await;
    let zone = rotated.map_err(|error| failure("the key was not rotated", &error))?;
    output.talk(format_args!("zone {zone} signs with a new key"));
    Ok(Exit::Done)
}

fn failure(what: &str, error: &zone::Error) -> Failure {
    let failure = Failure::new(Exit::Refused, what).caused_by(error);
    match error.hint() {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}

async fn serve(args: ServeArgs, surroundings: &Surroundings, output: &mut Output) -> Result<Exit, Failure> {
    let database = args.database.find(surroundings)?;
    let sealing_key = args.sealing.find(&database, surroundings);
    let owner = match args.owner {
        Some(name) => UserName::parse(&name)
            .map_err(|_| Failure::new(Exit::Usage, format!("`{}` is no user name", name.escape_debug())))?,
        None => os::current_user(surroundings.environment.text("USER")),
    };
    let listener = TcpListener::bind(args.listen)
        .await
        .map_err(|error| Failure::new(Exit::Refused, format!("can't listen at `{}`", args.listen)).caused_by(&error))?;
    let address = listener.local_addr().unwrap_or(args.listen);
    let issuer = args.url.unwrap_or_else(|| format!("http://{address}"));
    let told = issuer.clone();
    let clock = Arc::new(SystemClock::new());
    let roots = tls::platform_roots(None);
    let tls = tls::client_config(&roots, &[], &[b"http/1.1"])
        .map_err(|error| Failure::new(Exit::Refused, "TLS can't be used").caused_by(&error))?;
    let reach = if args.allow_private_fetch { Reach::Any } else { Reach::Public };
    let outbound = Client::new(tls, limits::OUTBOUND_TIMEOUT, limits::OUTBOUND_ANSWER_BYTES_MAX)
        .through(Arc::new(Fetch { dialer: Dialer::new(None), reach }));
    let trusted_proxies = TrustedProxies::parse(args.trusted_proxy.iter().map(String::as_str))
        .map_err(|error| Failure::new(Exit::Usage, error.to_string()))?;
    let clock: Arc<dyn Clock> = clock;
    let paths = &surroundings.paths;
    // Several may run on one machine; each keeps its own.
    let folder = args.audit.unwrap_or_else(|| paths.zone_audit_folder().join(format!("at-{}", address.port())));
    let events = Arc::new(ZoneEvents::open(folder, paths.ca_folder(), &clock)?);
    // A team's zone: any client may come, and gets nothing but what a person allows it.
    let rules = Rules { registration: Registration::Open, outbound: Some(outbound), trusted_proxies, events };
    let administrator = owner.to_string();
    let settings = Settings { database, sealing_key, issuer, owner, resources: Vec::new(), clock, rules };
    let zone = Zone::open(settings).await.map_err(|error| failure("the zone can't be opened", &error))?;
    if !zone.has_names_below() {
        output
            .talk(format_args!("an address has no names below it: for more zones than this one, give `--url` a name"));
    }
    // Not into the log: whoever reads this may be that administrator.
    if let Some(link) = zone.welcome_link().await.map_err(|error| failure("the zone can't be opened", &error))? {
        let link = link.expose_str().unwrap_or_default();
        output.talk(format_args!("{administrator} administers this zone and has no password; to choose one: {link}"));
    }
    let stop = CancellationToken::new();
    output.talk(format_args!("zone {told} is served at {address}"));
    tokio::select! {
        () = zone.serve(listener, stop.clone()) => {}
        () = asked_to_stop() => {}
    }
    stop.cancel();
    zone.close().await;
    Ok(Exit::Done)
}

/// How the zone reaches what others named: by the same rules as the daemon's tunnels. A name is resolved once, and the
/// address that was checked is the one that is dialled.
struct Fetch {
    dialer: Dialer,
    reach: Reach,
}

impl Dial for Fetch {
    fn dial<'a>(
        &'a self,
        authority: &'a Authority,
    ) -> Pin<Box<dyn Future<Output = std::io::Result<TcpStream>> + Send + 'a>> {
        Box::pin(async move { self.dialer.dial(authority, self.reach).await.map_err(std::io::Error::other) })
    }
}

async fn asked_to_stop() {
    let (Ok(mut terminate), Ok(mut interrupt)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_others_name_is_asked_on_the_public_internet_only() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let fetch = |reach| Fetch { dialer: Dialer::new(None), reach };
        for host in ["127.0.0.1", "localhost", "10.0.0.1", "169.254.169.254", "[::1]", "[fd00:ec2::254]"] {
            let authority = Authority::parse(&format!("{host}:{port}")).unwrap();
            let refused = fetch(Reach::Public).dial(&authority).await.unwrap_err();
            assert!(refused.to_string().contains("private"), "{host}: {refused}");
        }
        let here = Authority::parse(&format!("localhost:{port}")).unwrap();
        assert!(fetch(Reach::Any).dial(&here).await.is_ok());
    }
}
