//! The threads that carry agents' connections: one for each core, each with a runtime of its own.
//!
//! A connection stays on the thread that it was dealt to, with its timers and the upstream connections it uses. A
//! runtime that divides its tasks among threads wakes one thread for another at nearly every step of an exchange;
//! measured, that was half of what a request cost.

use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::thread;
use std::thread::JoinHandle;

use tokio_util::sync::CancellationToken;

use crate::limits;
use crate::proxy::Berth;
use crate::proxy::Entrance;
use crate::proxy::Proxy;

/// How many there should be.
pub(super) fn count() -> usize {
    thread::available_parallelism().map_or(1, |cores| cores.get().min(limits::WORKER_THREADS_MAX))
}

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
    /// One for each berth. Every worker listens on every socket, so that whoever is idle takes what has come.
    pub(super) fn start(
        proxy: &Arc<Proxy>,
        listeners: &[TcpListener],
        berths: Vec<Berth>,
        ends: &Ends,
    ) -> io::Result<Self> {
        let mut threads = Vec::with_capacity(berths.len());
        for (number, berth) in berths.into_iter().enumerate() {
            let own = listeners.iter().map(TcpListener::try_clone).collect::<io::Result<Vec<_>>>()?;
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            let (proxy, ends) = (Arc::clone(proxy), ends.clone());
            let work = move || {
                let _alarm = Alarm(ends.asked.clone());
                runtime.block_on(carry(proxy, own, berth, ends));
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

async fn carry(proxy: Arc<Proxy>, listeners: Vec<TcpListener>, berth: Berth, ends: Ends) {
    let Ends { draining, stop, asked: _ } = ends;
    let (mut listening, number) = (tokio::task::JoinSet::new(), berth.number());
    for listener in listeners {
        match tokio::net::TcpListener::from_std(listener) {
            Ok(listener) => {
                let proxy = Arc::clone(&proxy);
                listening.spawn(proxy.listen(listener, Entrance::Shared, Some(number), draining.clone()));
            }
            Err(error) => {
                tracing::error!(%error, "a worker can't listen");
                return;
            }
        }
    }
    listening.spawn(proxy.work(berth));
    stop.cancelled().await;
    listening.shutdown().await;
}
