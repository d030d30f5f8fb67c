//! What makes the daemon reload or stop: changed files and signals.

use std::collections::HashSet;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

use notify::Event;
use notify::EventKind;
use notify::RecommendedWatcher;
use notify::RecursiveMode;
use notify::Watcher as _;
use tokio::signal::unix::SignalKind;
use tokio::signal::unix::signal;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::cli::config::policy_folder;
use crate::config::Place;
use crate::daemon::parts::Parts;
use crate::limits;

/// SIGTERM, SIGINT and `valetkey stop` stop, SIGHUP reloads; returns when the daemon is to stop.
pub(super) async fn signals(parts: &Arc<Parts>, asked: &CancellationToken) {
    let watched = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()), signal(SignalKind::hangup()));
    let (Ok(mut terminate), Ok(mut interrupt), Ok(mut hangup)) = watched else {
        tracing::error!("signals can't be watched");
        return;
    };
    loop {
        tokio::select! {
            () = asked.cancelled() => return,
            _ = terminate.recv() => return,
            _ = interrupt.recv() => return,
            _ = hangup.recv() => {
                // told in the log, and by `valetkey status`
                let _ = parts.reload().await;
            }
        }
    }
}

/// Reloads when the configuration or a policy changes. Folders are watched, since editors replace files.
pub(super) async fn files(parts: Arc<Parts>, stop: CancellationToken) {
    let (sender, mut changes) = mpsc::unbounded_channel();
    let watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
        if let Ok(event) = event
            && !matches!(event.kind, EventKind::Access(_))
        {
            // nobody receives once the daemon stops
            let _ = sender.send(event.paths);
        }
    });
    let mut watcher = match watcher {
        Ok(watcher) => watcher,
        Err(error) => {
            tracing::warn!(%error, "files can't be watched: `valetkey reload` takes changes");
            return stop.cancelled().await;
        }
    };
    let file = match &parts.place {
        Place::File(file) => file.clone(),
        Place::Defaults { would_be } => would_be.clone(),
    };
    let mut watched = HashSet::new();
    loop {
        let folder = policies_of(&parts);
        for path in [file.parent(), folder.parent(), Some(folder.as_path())].into_iter().flatten() {
            if path.is_dir() && watched.insert(path.to_owned()) {
                watch(&mut watcher, path);
            }
        }
        let first = tokio::select! {
            () = stop.cancelled() => return,
            paths = changes.recv() => paths,
        };
        let Some(mut paths) = first else { return stop.cancelled().await };
        tokio::time::sleep(limits::RELOAD_GATHER).await;
        while let Ok(more) = changes.try_recv() {
            paths.extend(more);
        }
        if paths.contains(&folder) {
            // made anew: the watch on the old one is gone with it
            watched.remove(&folder);
        }
        if paths.contains(&file) {
            // told in the log, and by `valetkey status`
            let _ = parts.reload().await;
        } else if paths.iter().any(|path| path.starts_with(&folder)) {
            parts.reload_policies().await;
        }
    }
}

/// The folder in force, or the one that would be if it were made.
fn policies_of(parts: &Parts) -> PathBuf {
    let paths = &parts.surroundings.paths;
    policy_folder(&parts.config(), paths).unwrap_or_else(|| paths.config_folder().join("policies"))
}

fn watch(watcher: &mut RecommendedWatcher, folder: &Path) {
    if let Err(error) = watcher.watch(folder, RecursiveMode::NonRecursive) {
        tracing::warn!(folder = %folder.display(), %error, "a folder can't be watched: `valetkey reload` takes changes");
    }
}
