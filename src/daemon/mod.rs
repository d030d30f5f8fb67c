//! The composition root: builds the parts from the configuration, starts them, reloads, drains.
//!
//! This is the one place that knows both the broker and the embedded zone; each is handed what it needs and
//! neither hears of the other.

mod authority;
mod backend;
mod ledger;
mod listeners;
mod log;
mod network;
mod own_api;
mod parts;
mod reload;
mod watch;
mod workers;
mod zone_events;

use std::sync::Arc;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::cli::DaemonStart;
use crate::cli::Exit;
use crate::cli::Failure;
use crate::config;
use crate::control;
use crate::control::ControlListener;
use crate::daemon::backend::Control;
use crate::daemon::listeners::Listeners;
use crate::daemon::parts::Parts;
use crate::daemon::workers::Ends;
use crate::daemon::workers::Workers;
use crate::http;
use crate::limits;
use crate::os;
use crate::os::systemd;
use crate::proxy::Crew;

pub(crate) use self::log::start as start_log;
pub(crate) use self::zone_events::EMBEDDED_EVENTS;
pub(crate) use self::zone_events::ZoneEvents;

/// Runs the daemon until it is told to stop.
///
/// # Errors
/// Whatever keeps it from serving, in words for the person who started it.
pub fn run(start: DaemonStart) -> Result<(), Failure> {
    log::start(start.log_format, &start.surroundings.environment);
    // for everything but agents' connections, which have threads of their own
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let runtime = runtime.map_err(|error| Failure::new(Exit::Refused, "no threads to run on").caused_by(&error))?;
    let outcome = runtime.block_on(serve(start));
    runtime.shutdown_timeout(limits::OWN_SERVER_DRAIN_TIMEOUT);
    outcome
}

async fn serve(start: DaemonStart) -> Result<(), Failure> {
    let paths = &start.surroundings.paths;
    for folder in [paths.state_folder(), paths.runtime_folder()] {
        os::private_folder(folder).map_err(|error| {
            Failure::new(Exit::NotPermitted, format!("`{}` can't be used", folder.display()))
                .caused_by(&error)
                .hint(error.hint())
        })?;
    }
    let activated = systemd::activated().map_err(|error| {
        Failure::new(Exit::Refused, "the service manager's sockets can't be used").caused_by(&error)
    })?;
    // Being the daemon comes first: a second one must not touch the ledger or the certificates.
    let control = match activated.control {
        Some(listener) => ControlListener::adopt(&paths.control_socket(), listener),
        None => ControlListener::bind(&paths.control_socket()),
    };
    let control = control
        .map_err(|error| Failure::new(Exit::Refused, "this is not the daemon").caused_by(&error).hint(error.hint()))?;
    let environment = start.surroundings.environment.clone();
    let read = |name: &str| environment.get(name).map(std::ffi::OsString::from);
    let place = config::find(start.config.as_deref(), &read, paths);
    let config = parts::open_config(&place, &read)?;
    let listeners = Listeners::bind(&config, activated.proxy).await?;

    let (stop, draining, tasks) = (CancellationToken::new(), CancellationToken::new(), TaskTracker::new());
    let (crew, berths) = Crew::of(workers::count());
    let parts = Parts::build(start.surroundings.clone(), place, config, &listeners, crew, &draining, &tasks).await?;
    let parts = Arc::new(parts);
    let services = TaskTracker::new();
    let Listeners { proxy, zone, whoami } = listeners;
    if let Some(listener) = zone {
        services.spawn(serve_zone(Arc::clone(&parts), listener, stop.clone()));
    }
    if let (Some(listener), Some(whoami)) = (whoami, parts.whoami.clone()) {
        services.spawn(http::serve(listener, whoami.tls, config::WHOAMI_HOST, whoami.router, stop.clone()));
    }
    let asked = CancellationToken::new();
    let ends = Ends { draining: draining.clone(), stop: stop.clone(), asked: asked.clone() };
    let workers = proxy.into_iter().map(tokio::net::TcpListener::into_std).collect::<std::io::Result<Vec<_>>>();
    let workers = workers.and_then(|listeners| Workers::start(&parts.proxy, &listeners, berths, &ends));
    let workers = workers.map_err(|error| Failure::new(Exit::Refused, "no threads to serve on").caused_by(&error))?;
    let backend = Arc::new(Control::new(Arc::clone(&parts), asked.clone()));
    services.spawn(control::serve(control, Arc::clone(&backend), stop.clone()));
    services.spawn(watch::files(Arc::clone(&parts), stop.clone()));
    services.spawn(housekeeping(Arc::clone(&parts), stop.clone()));
    let ledger = Arc::clone(&parts.broker.ledger);
    services.spawn(systemd::keep_watchdog(stop.clone(), move || ledger.writer_lives()));
    systemd::ready("serving");
    let listening: Vec<_> = parts.listening.iter().map(ToString::to_string).collect();
    tracing::info!(listening = listening.join(", "), config = %parts.place, "serving");

    watch::signals(&parts, &asked).await;
    systemd::stopping();
    tracing::info!("draining");
    drain(&parts, &stop, &draining, &tasks, &services).await;
    let _ = tokio::task::spawn_blocking(move || workers.join()).await;
    seal(&parts).await;
    tracing::info!("stopped");
    Ok(())
}

/// The embedded zone and those beside it, where the zone is not elsewhere.
async fn serve_zone(parts: Arc<Parts>, listener: TcpListener, stop: CancellationToken) {
    if let Some(zone) = &parts.zone {
        zone.serve(listener, stop).await;
    }
}

/// In order: take nothing new, let finish what is under way, end the sessions and with them what is left, then
/// the services that all of these used.
async fn drain(
    parts: &Parts,
    stop: &CancellationToken,
    draining: &CancellationToken,
    tasks: &TaskTracker,
    services: &TaskTracker,
) {
    draining.cancel();
    parts.connections.close();
    if tokio::time::timeout(limits::DRAIN_TIMEOUT, parts.connections.wait()).await.is_err() {
        tracing::warn!(left = parts.connections.len(), "not everything under way could be finished");
    }
    parts.broker.agents.end_all(crate::agent::Ending::Stopping);
    parts.attendants.close();
    within_bound(async {
        parts.connections.wait().await;
        parts.attendants.wait().await;
        parts.broker.vault.close().await;
    })
    .await;
    parts.broker.upstream.close();
    tasks.close();
    stop.cancel();
    services.close();
    within_bound(async {
        tasks.wait().await;
        services.wait().await;
    })
    .await;
    if let Some(zone) = &parts.zone {
        zone.close().await;
    }
}

/// Once nobody is left who could write to it.
async fn seal(parts: &Parts) {
    let ledger = Arc::clone(&parts.broker.ledger);
    let _ = tokio::task::spawn_blocking(move || ledger.close()).await;
}

async fn within_bound(work: impl Future<Output = ()>) {
    if tokio::time::timeout(limits::OWN_SERVER_DRAIN_TIMEOUT, work).await.is_err() {
        tracing::warn!("a part of the daemon did not end in time");
    }
}

async fn housekeeping(parts: Arc<Parts>, stop: CancellationToken) {
    let mut beat = tokio::time::interval(limits::HOUSEKEEPING_INTERVAL);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = beat.tick() => {}
        }
        parts.broker.upstream.sweep();
        parts.look_after_certificates().await;
    }
}
