//! The threads that carry agents' connections: one for each core, each with a runtime of its own.
//!
//! A connection stays on the thread that accepted it, with its timers and the upstream connections it uses. A
//! runtime that divides its tasks among threads wakes one thread for another at nearly every step of an exchange;
//! measured, that was half of what a request cost.

use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::thread;
use std::thread::JoinHandle;

use tokio_util::sync::CancellationToken;

use crate::limits;
use crate::proxy::Entrance;
use crate::proxy::Proxy;

/// Running workers.
pub(super) struct Workers {
    threads: Vec<JoinHandle<()>>,
}

/// How workers learn of the daemon's end, and the daemon of theirs.
#[derive(Clone)]
pub(super) struct Ends {
    /// Take no more connections.
    pub(super) draining: CancellationToken,
    /// Everything under way is done, or given up.
    pub(super) stop: CancellationToken,
    /// The daemon is to stop: it must not live on without the threads that carry its requests.
    pub(super) asked: CancellationToken,
}

impl Workers {
    /// Every worker listens on every socket; the kernel gives a connection to whoever is idle.
    pub(super) fn start(proxy: &Arc<Proxy>, listeners: &[TcpListener], ends: &Ends) -> io::Result<Self> {
        let cores = thread::available_parallelism().map_or(1, |cores| cores.get().min(limits::WORKER_THREADS_MAX));
        let mut threads = Vec::with_capacity(cores);
        for number in 0..cores {
            let own = listeners.iter().map(TcpListener::try_clone).collect::<io::Result<Vec<_>>>()?;
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            let (proxy, ends) = (Arc::clone(proxy), ends.clone());
            let work = move || {
                let _alarm = Alarm(ends.asked.clone());
                runtime.block_on(carry(proxy, own, ends));
            };
            threads.push(thread::Builder::new().name(format!("worker-{number}")).spawn(work)?);
        }
        Ok(Self { threads })
    }

    /// Waits for their end; `stop` must have fired.
    pub(super) fn join(self) {
        for thread in self.threads {
            if thread.join().is_err() {
                tracing::error!("a worker thread had panicked");
            }
        }
    }
}

/// Rings when a worker ends, whatever ended it.
struct Alarm(CancellationToken);

impl Drop for Alarm {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

async fn carry(proxy: Arc<Proxy>, listeners: Vec<TcpListener>, ends: Ends) {
    let Ends { draining, stop, asked: _ } = ends;
    let mut listening = tokio::task::JoinSet::new();
    for listener in listeners {
        match tokio::net::TcpListener::from_std(listener) {
            Ok(listener) => {
                listening.spawn(Arc::clone(&proxy).listen(listener, Entrance::Shared, draining.clone()));
            }
            Err(error) => {
                tracing::error!(%error, "a worker can't listen");
                return;
            }
        }
    }
    stop.cancelled().await;
    listening.shutdown().await;
}
