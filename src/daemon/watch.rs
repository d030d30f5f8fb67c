//! What makes the daemon reload or stop: changed files and signals.

use std::path::Path;
use std::sync::Arc;

use notify::Event;
use notify::EventKind;
use notify::RecursiveMode;
use notify::Watcher as _;
use tokio::signal::unix::SignalKind;
use tokio::signal::unix::signal;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::config::Place;
use crate::daemon::parts;
use crate::daemon::parts::Parts;
use crate::limits;

/// Which files changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Changed {
    Configuration,
    Policies,
}

/// SIGTERM and SIGINT stop, SIGHUP reloads; returns when the daemon is to stop.
pub(super) async fn signals(parts: &Arc<Parts>, stop: &CancellationToken) {
    let watched = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()), signal(SignalKind::hangup()));
    let (Ok(mut terminate), Ok(mut interrupt), Ok(mut hangup)) = watched else {
        tracing::error!("signals can't be watched");
        return;
    };
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
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
    let file = match &parts.place {
        Place::File(file) => Some(file.clone()),
        Place::Defaults { would_be } => Some(would_be.clone()),
    };
    let policies = parts.surroundings.paths.config_folder().join("policies");
    let folder = parts::policy_folder(&parts.config(), &parts.surroundings).unwrap_or(policies);
    let (watched_file, watched_folder) = (file.clone(), folder.clone());
    let watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
        let Ok(event) = event else { return };
        if matches!(event.kind, EventKind::Access(_)) {
            return;
        }
        for path in &event.paths {
            let changed = if watched_file.as_ref() == Some(path) {
                Changed::Configuration
            } else if path.starts_with(&watched_folder) {
                Changed::Policies
            } else {
                continue;
            };
            // nobody receives once the daemon stops
            let _ = sender.send(changed);
        }
    });
    let mut watcher = match watcher {
        Ok(watcher) => watcher,
        Err(error) => {
            tracing::warn!(%error, "files can't be watched: `valetkey reload` takes changes");
            return stop.cancelled().await;
        }
    };
    let parents = [file.as_deref().and_then(Path::parent), folder.parent(), Some(folder.as_path())];
    for watched in parents.into_iter().flatten().filter(|path| path.is_dir()) {
        if let Err(error) = watcher.watch(watched, RecursiveMode::NonRecursive) {
            tracing::warn!(folder = %watched.display(), %error, "a folder can't be watched: `valetkey reload` takes changes");
        }
    }
    loop {
        let first = tokio::select! {
            () = stop.cancelled() => return,
            changed = changes.recv() => changed,
        };
        let Some(mut changed) = first else { return stop.cancelled().await };
        tokio::time::sleep(limits::RELOAD_GATHER).await;
        while let Ok(next) = changes.try_recv() {
            if next == Changed::Configuration {
                changed = next;
            }
        }
        if folder.is_dir() {
            // a folder that was made only now
            let _ = watcher.watch(&folder, RecursiveMode::NonRecursive);
        }
        match changed {
            Changed::Configuration => {
                let _ = parts.reload().await;
            }
            Changed::Policies => parts.reload_policies().await,
        }
    }
}
