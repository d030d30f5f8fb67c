//! The threads that carry agents' connections: a new one goes to whichever carries the fewest.
//!
//! Whoever finds a connection waiting takes all that wait, so that without this one thread could have them all while
//! another sleeps.

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;

use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::mpsc;

use crate::proxy::Entrance;

/// All of them.
#[derive(Clone, Debug)]
pub struct Crew(Arc<[Mate]>);

/// One of them, as the others see it.
#[derive(Debug)]
struct Mate {
    load: Arc<AtomicUsize>,
    inbox: mpsc::UnboundedSender<Handed>,
}

/// One of them, as its own thread sees it: to be given to [`Proxy::work`](crate::proxy::Proxy::work).
#[derive(Debug)]
pub struct Berth {
    number: usize,
    inbox: mpsc::UnboundedReceiver<Handed>,
}

/// A connection on its way to another thread's sockets.
#[derive(Debug)]
struct Handed {
    stream: std::net::TcpStream,
    entrance: Entrance,
    aboard: Aboard,
}

/// A connection that counts where it is carried, until it is dropped, and among all that may be open.
#[derive(Debug)]
pub(super) struct Aboard {
    load: Arc<AtomicUsize>,
    _permit: OwnedSemaphorePermit,
}

impl Crew {
    /// So many, at least one, and a berth for each.
    pub fn of(count: usize) -> (Self, Vec<Berth>) {
        let hire = |number| {
            // as many as there are permits for connections
            let (sender, inbox) = mpsc::unbounded_channel();
            (Mate { load: Arc::default(), inbox: sender }, Berth { number, inbox })
        };
        let (mates, berths): (Vec<_>, Vec<_>) = (0..count.max(1)).map(hire).unzip();
        (Self(mates.into()), berths)
    }

    /// Gives a connection to whoever carries the fewest; back to `own`, who has it already, where that is about as few.
    pub(super) fn deal(
        &self,
        own: Option<usize>,
        stream: TcpStream,
        entrance: Entrance,
        permit: OwnedSemaphorePermit,
    ) -> io::Result<Option<(TcpStream, Entrance, Aboard)>> {
        let load = |mate: &Mate| mate.load.load(Ordering::Relaxed);
        let Some((least, mate)) = self.0.iter().map(|mate| (load(mate), mate)).min_by_key(|(least, _)| *least) else {
            return Ok(None);
        };
        let kept = own.and_then(|own| self.0.get(own)).filter(|own| load(own) <= least + least / SLACK);
        let aboard = Aboard::new(&kept.unwrap_or(mate).load, permit);
        if kept.is_some() {
            return Ok(Some((stream, entrance, aboard)));
        }
        // one whose thread has ended is dropped with it: the daemon ends then
        let _ = mate.inbox.send(Handed { stream: stream.into_std()?, entrance, aboard });
        Ok(None)
    }
}

impl Berth {
    /// Which of them.
    pub fn number(&self) -> usize {
        self.number
    }

    /// The next connection from another thread.
    pub(super) async fn next(&mut self) -> Option<(io::Result<TcpStream>, Entrance, Aboard)> {
        let Handed { stream, entrance, aboard } = self.inbox.recv().await?;
        Some((TcpStream::from_std(stream), entrance, aboard))
    }
}

impl Aboard {
    fn new(load: &Arc<AtomicUsize>, permit: OwnedSemaphorePermit) -> Self {
        load.fetch_add(1, Ordering::Relaxed);
        Self { load: Arc::clone(load), _permit: permit }
    }
}

impl Drop for Aboard {
    fn drop(&mut self) {
        self.load.fetch_sub(1, Ordering::Relaxed);
    }
}

/// To carry one in so many more than another is no reason to wake that one.
const SLACK: usize = 8;

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;
    use tokio::sync::Semaphore;

    use super::*;

    /// A connection to nobody in particular.
    async fn stream() -> TcpStream {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        TcpStream::connect(listener.local_addr().unwrap()).await.unwrap()
    }

    #[tokio::test]
    async fn connections_are_shared_out_evenly_and_counted_until_they_end() {
        let (crew, mut berths) = Crew::of(4);
        let permits = Arc::new(Semaphore::new(9));
        let (mut kept, mut handed) = (Vec::new(), Vec::new());
        for _ in 0..8 {
            let permit = Arc::clone(&permits).acquire_owned().await.unwrap();
            kept.extend(crew.deal(Some(1), stream().await, Entrance::Shared, permit).unwrap());
        }
        for berth in &mut berths {
            while let Ok(one) = berth.inbox.try_recv() {
                handed.push((berth.number(), one));
            }
        }
        assert_eq!(kept.len(), 2);
        assert_eq!(handed.iter().map(|(number, _)| *number).collect::<Vec<_>>(), [0, 0, 2, 2, 3, 3]);
        assert_eq!(permits.available_permits(), 1);
        handed.retain(|(number, _)| *number != 3);
        assert_eq!(permits.available_permits(), 3);
        // a session's own port is nobody's berth
        let permit = Arc::clone(&permits).acquire_owned().await.unwrap();
        assert!(crew.deal(None, stream().await, Entrance::Shared, permit).unwrap().is_none());
        let (connection, _, _aboard) = berths[3].next().await.unwrap();
        assert!(connection.unwrap().local_addr().is_ok());
    }
}
