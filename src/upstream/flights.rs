//! Connections that are being made: who needs one waits for it instead of making another.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

use tokio::sync::watch;

use crate::upstream::key::Key;

/// All that are under way. What has landed is in the pool.
#[derive(Debug, Default)]
pub(super) struct Flights {
    under_way: Mutex<UnderWay>,
}

#[derive(Debug, Default)]
struct UnderWay {
    count: u64,
    by_key: HashMap<Key, Vec<(u64, Landing)>>,
}

/// One that this side makes; it has landed when this is dropped, with a connection or without.
#[derive(Debug)]
pub(super) struct Flight {
    flights: Arc<Flights>,
    key: Key,
    number: u64,
    _landed: watch::Sender<()>,
}

/// One that somebody makes.
#[derive(Clone, Debug)]
pub(super) struct Landing(watch::Receiver<()>);

/// How a request comes to its connection.
#[derive(Debug)]
pub(super) enum Seat {
    /// Somebody makes one.
    Waits(Landing),
    /// It makes one, for others too.
    Leads(Flight),
    /// It makes one for itself.
    Alone,
}

impl Flights {
    /// One that anybody may wait for.
    pub(super) fn begin(self: &Arc<Self>, key: &Key) -> Flight {
        let (landed, landing) = watch::channel(());
        let mut under_way = self.lock();
        under_way.count += 1;
        let number = under_way.count;
        under_way.by_key.entry(key.clone()).or_default().push((number, Landing(landing)));
        Flight { flights: Arc::clone(self), key: key.clone(), number, _landed: landed }
    }

    /// Whether one is under way.
    pub(super) fn has(&self, key: &Key) -> bool {
        self.lock().by_key.contains_key(key)
    }

    /// A connection that serves many is made once for all who come meanwhile; one that serves a single request at a
    /// time is waited for by one.
    pub(super) fn join(self: &Arc<Self>, key: &Key, shared: bool) -> Seat {
        let mut under_way = self.lock();
        let first = match under_way.by_key.get_mut(key) {
            Some(landings) if shared => landings.last().map(|(_, landing)| landing.clone()),
            Some(landings) => landings.pop().map(|(_, landing)| landing),
            None => None,
        };
        match first {
            Some(landing) => Seat::Waits(landing),
            None if shared => {
                drop(under_way);
                Seat::Leads(self.begin(key))
            }
            None => Seat::Alone,
        }
    }

    fn lock(&self) -> MutexGuard<'_, UnderWay> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Landing {
    /// Bounded, as the making of a connection is.
    pub(super) async fn wait(mut self) {
        let _ = self.0.changed().await;
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        let mut under_way = self.flights.lock();
        if let Some(landings) = under_way.by_key.get_mut(&self.key) {
            landings.retain(|(number, _)| *number != self.number);
            if landings.is_empty() {
                under_way.by_key.remove(&self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::tests::key;

    #[tokio::test]
    async fn a_connection_for_one_is_waited_for_by_one() {
        let flights = Arc::new(Flights::default());
        let key = key("api.example.com");
        assert!(matches!(flights.join(&key, false), Seat::Alone));
        let flight = flights.begin(&key);
        let Seat::Waits(landing) = flights.join(&key, false) else { panic!("nobody is under way") };
        assert!(matches!(flights.join(&key, false), Seat::Alone));
        drop(flight);
        landing.wait().await;
        assert!(!flights.has(&key));
    }

    #[tokio::test]
    async fn a_connection_for_many_is_made_once() {
        let flights = Arc::new(Flights::default());
        let key = key("api.example.com");
        let Seat::Leads(flight) = flights.join(&key, true) else { panic!("somebody is under way") };
        let waiting: Vec<_> = (0..3)
            .map(|_| match flights.join(&key, true) {
                Seat::Waits(landing) => landing,
                other => panic!("{other:?}"),
            })
            .collect();
        drop(flight);
        for landing in waiting {
            landing.wait().await;
        }
        assert!(matches!(flights.join(&key, true), Seat::Leads(_)));
    }
}
