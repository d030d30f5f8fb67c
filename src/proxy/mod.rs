//! The edge that agents talk to: CONNECT and absolute-form requests on loopback.
//!
//! It reads bytes, hands [`Arrival`](crate::broker::Arrival)s to the broker and writes what comes back. It
//! decides nothing and records nothing by itself.

mod carried;
mod connection;
mod crew;
mod farewell;
mod gathered;
mod http1;
mod http2;
mod intercept;
mod line;
mod listener;
mod patience;
mod recorded;
mod reply;
mod request;
mod tunnel;

use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use crew::Berth;
pub use crew::Crew;
pub use listener::Entrance;

use crate::broker::Broker;
use crate::limits;
use crate::os;
use crate::tls::CertificateAuthority;

/// The proxy: what every connection of an agent shares.
#[derive(Debug)]
pub struct Proxy {
    broker: Arc<Broker>,
    certificates: Arc<CertificateAuthority>,
    crew: Crew,
    connections: Arc<Semaphore>,
    /// Ends when the daemon drains: connections finish what they carry and take no more.
    draining: CancellationToken,
    tasks: TaskTracker,
}

impl Proxy {
    /// `crew` carries the connections, `tasks` owns them; cancelling `draining` lets them finish.
    pub fn new(
        broker: Arc<Broker>,
        certificates: Arc<CertificateAuthority>,
        crew: Crew,
        draining: CancellationToken,
        tasks: TaskTracker,
    ) -> Arc<Self> {
        // each connection of an agent has one to an API at its side
        let room = os::descriptors().saturating_sub(limits::DESCRIPTORS_RESERVED) / 2;
        let room = usize::try_from(room).unwrap_or(usize::MAX).clamp(1, limits::CONNECTIONS_MAX);
        let connections = Arc::new(Semaphore::new(room));
        Arc::new(Self { broker, certificates, crew, connections, draining, tasks })
    }
}
