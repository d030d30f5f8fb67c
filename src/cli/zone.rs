//! `valetkey zone`: a zone that runs alone, for a team.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use clap::Subcommand;
use tokio::net::TcpListener;
use tokio::signal::unix::SignalKind;
use tokio::signal::unix::signal;
use tokio_util::sync::CancellationToken;

use crate::cli::Exit;
use crate::cli::Failure;
use crate::cli::LogFormat;
use crate::cli::Output;
use crate::cli::Surroundings;
use crate::daemon::ZoneEvents;
use crate::http::Client;
use crate::limits;
use crate::model::Clock;
use crate::model::UserName;
use crate::os;
use crate::os::SystemClock;
use crate::tls;
use crate::zone::Database;
use crate::zone::Registration;
use crate::zone::Rules;
use crate::zone::Settings;
use crate::zone::Zone;

/// Run a zone alone.
#[derive(Debug, Args)]
pub(in crate::cli) struct ZoneArgs {
    #[command(subcommand)]
    command: ZoneCommand,
}

#[derive(Debug, Subcommand)]
enum ZoneCommand {
    Serve(ServeArgs),
}

/// Serve a zone, with its endpoints and its management API, until SIGTERM.
///
/// Several may serve one PostgreSQL database as replicas, with the same sealing key. TLS is for whatever stands in
/// front: `--url` is what clients see.
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
    /// The key under which the database's secrets are sealed, made on first start; beside the file of SQLite, else
    /// `zone.seal` in the state folder.
    #[arg(long, value_name = "FILE")]
    sealing_key: Option<PathBuf>,
    /// Who administers it first; you without this.
    #[arg(long, value_name = "NAME")]
    owner: Option<String>,
    /// Where its ledger of events is: tokens issued and denied, policies bound. Without it, a folder of its own.
    #[arg(long, value_name = "FOLDER")]
    audit: Option<PathBuf>,
    /// How log lines look.
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = LogFormat::Text)]
    log_format: LogFormat,
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
    /// The one that was named, or the usual one.
    pub(in crate::cli) fn find(&self, surroundings: &Surroundings) -> Result<Database, Failure> {
        let named = self.database.as_deref().or_else(|| surroundings.environment.text("VALETKEY_ZONE_DATABASE"));
        let Some(named) = named else { return Ok(Database::Sqlite(surroundings.paths.zone_database())) };
        Database::parse(named).map_err(|error| Failure::new(Exit::Usage, error.to_string()))
    }
}

pub(in crate::cli) fn run(args: ZoneArgs, surroundings: &Surroundings, output: &mut Output) -> Result<Exit, Failure> {
    let ZoneCommand::Serve(args) = args.command;
    crate::daemon::start_log(args.log_format, &surroundings.environment);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::new(Exit::Refused, "no threads to run on").caused_by(&error))?;
    runtime.block_on(serve(args, surroundings, output))
}

async fn serve(args: ServeArgs, surroundings: &Surroundings, output: &mut Output) -> Result<Exit, Failure> {
    let database = args.database.find(surroundings)?;
    let sealing_key = args.sealing_key.unwrap_or_else(|| match &database {
        Database::Sqlite(file) => file.with_extension("seal"),
        Database::Postgres(_) => surroundings.paths.state_folder().join("zone.seal"),
    });
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
    let outbound = Client::new(tls, limits::OUTBOUND_TIMEOUT, limits::OUTBOUND_ANSWER_BYTES_MAX);
    let clock: Arc<dyn Clock> = clock;
    let paths = &surroundings.paths;
    // Several may run on one machine; each keeps its own.
    let folder = args.audit.unwrap_or_else(|| paths.zone_audit_folder().join(format!("at-{}", address.port())));
    let events = Arc::new(ZoneEvents::open(folder, paths.ca_folder(), &clock)?);
    // A team's zone: any client may come, and gets nothing but what a person allows it.
    let rules = Rules { registration: Registration::Open, outbound: Some(outbound), events, ..Rules::default() };
    let settings = Settings { database, sealing_key, issuer, owner, resources: Vec::new(), clock, rules };
    let zone = Zone::open(settings).await.map_err(|error| {
        let failure = Failure::new(Exit::Refused, "the zone can't be opened").caused_by(&error);
        match error.hint() {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    })?;
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
