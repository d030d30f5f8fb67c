//! Accepts connections, on the shared port and on each session's own, and sees that each is carried.

use std::io;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

use crate::agent::Session;
use crate::broker::Presented;
use crate::limits;
use crate::os;
use crate::proxy::Berth;
use crate::proxy::Proxy;
use crate::proxy::crew::Aboard;

/// Which door a connection came through.
#[derive(Clone, Debug)]
pub enum Entrance {
    /// The shared port: each request shows who sends it.
    Shared,
    /// A session's own port, for clients that can't authenticate to a proxy: the port is the identity, and a
    /// caller of another user is turned away.
    Session(Arc<Session>),
}

impl Entrance {
    pub(super) fn presented(&self, header: Option<hyper::header::HeaderValue>) -> Presented {
        match self {
            Self::Shared => Presented::Basic(header),
            Self::Session(session) => Presented::Session(Arc::clone(session)),
        }
    }
}

impl Proxy {
    /// Takes connections until `stop`; those it took go on by themselves. `own` is the berth of this thread, if it
    /// has one.
    pub async fn listen(
        self: Arc<Self>,
        listener: TcpListener,
        entrance: Entrance,
        own: Option<usize>,
        stop: CancellationToken,
    ) {
        loop {
            let Ok(permit) = Arc::clone(&self.connections).acquire_owned().await else { return };
            let accepted = tokio::select! {
                biased;
                () = stop.cancelled() => return,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, _)) => {
                    if !is_welcome(&stream, &entrance).await {
                        tracing::warn!("a caller of another user was turned away from a session's port");
                        continue;
                    }
                    let _ = stream.set_nodelay(true);
                    match self.crew.deal(own, stream, entrance.clone(), permit) {
                        Ok(Some((stream, entrance, aboard))) => self.carry_connection(stream, entrance, aboard),
                        Ok(None) => {}
                        Err(error) => back_off(&error).await,
                    }
                }
                Err(error) => back_off(&error).await,
            }
        }
    }

    /// Carries what other threads took for this one, for as long as this is polled.
    pub async fn work(self: Arc<Self>, mut berth: Berth) {
        while let Some((stream, entrance, aboard)) = berth.next().await {
            match stream {
                Ok(stream) => self.carry_connection(stream, entrance, aboard),
                Err(error) => tracing::warn!(%error, "a connection could not be taken over"),
            }
        }
    }

    fn carry_connection(self: &Arc<Self>, stream: TcpStream, entrance: Entrance, aboard: Aboard) {
        let this = Arc::clone(self);
        self.tasks.spawn(async move {
            this.connection(stream, entrance).await;
            drop(aboard);
        });
    }
}

/// On a session's own port there is no secret, so that the kernel is asked whose socket it is.
async fn is_welcome(stream: &TcpStream, entrance: &Entrance) -> bool {
    match entrance {
        Entrance::Shared => return true,
        Entrance::Session(_) => {}
    }
    let (Ok(local), Ok(remote)) = (stream.local_addr(), stream.peer_addr()) else { return false };
    let asked = tokio::task::spawn_blocking(move || os::peer_of(local, remote));
    match asked.await {
        Ok(Some(peer)) => os::is_ours(peer.uid),
        // no such table on this system: the port is all there is
        Ok(None) => !cfg!(target_os = "linux"),
        Err(_) => false,
    }
}

/// Out of file descriptors is no reason to stop listening, nor to spin.
async fn back_off(error: &io::Error) {
    tracing::warn!(%error, "a connection could not be accepted");
    tokio::time::sleep(limits::ACCEPT_BACK_OFF).await;
}
