//! Bodies that wait to be chained, in the order in which they will stand in the file.

use std::sync::Arc;

use crate::audit::seat::Seat;
use crate::limits::LEDGER_QUEUE_BYTES_MAX;

/// Completions, decisions of followers, signatures.
#[derive(Debug, Default)]
pub(super) struct Queue {
    bytes: Vec<u8>,
    bodies: Vec<Queued>,
    seats: usize,
}

#[derive(Debug)]
struct Queued {
    end: usize,
    /// Who waits for it; none waits for a completion.
    seat: Option<Arc<Seat>>,
}

impl Queue {
    /// Takes a body along with the next group. False when there is no room for it.
    pub fn push(&mut self, body: &[u8], seat: Option<Arc<Seat>>) -> bool {
        let room = self.bytes.len().saturating_add(body.len()) < LEDGER_QUEUE_BYTES_MAX;
        if room {
            self.append(body, seat);
        }
        room
    }

    /// Puts what could not be written back to the front. Whoever waited is told, so that their lines go.
    pub fn put_back(&mut self, earlier: &mut Self) {
        let later = std::mem::take(self);
        if earlier.seats == 0 {
            std::mem::swap(self, earlier);
        } else {
            earlier.each(|body, seat| match seat {
                Some(_) => {}
                None => self.append(body, None),
            });
        }
        later.each(|body, seat| self.append(body, seat.cloned()));
        earlier.clear();
    }

    /// The bodies, each with its seat.
    pub fn each(&self, mut take: impl FnMut(&[u8], Option<&Arc<Seat>>)) {
        let mut start = 0;
        for queued in &self.bodies {
            take(self.bytes.get(start..queued.end).unwrap_or_default(), queued.seat.as_ref());
            start = queued.end;
        }
    }

    /// Those who wait.
    pub fn seats(&self) -> impl Iterator<Item = &Arc<Seat>> {
        let none = if self.seats == 0 { 0 } else { self.bodies.len() };
        self.bodies.iter().take(none).filter_map(|queued| queued.seat.as_ref())
    }

    /// How many wait.
    pub fn seat_count(&self) -> usize {
        self.seats
    }

    pub fn byte_count(&self) -> usize {
        self.bytes.len()
    }

    pub fn is_empty(&self) -> bool {
        self.bodies.is_empty()
    }

    pub fn clear(&mut self) {
        self.bytes.clear();
        self.bodies.clear();
        self.seats = 0;
    }

    fn append(&mut self, body: &[u8], seat: Option<Arc<Seat>>) {
        self.bytes.extend_from_slice(body);
        self.seats += usize::from(seat.is_some());
        self.bodies.push(Queued { end: self.bytes.len(), seat });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(queue: &Queue) -> Vec<String> {
        let mut texts = Vec::new();
        queue.each(|body, _| texts.push(String::from_utf8(body.to_vec()).unwrap()));
        texts
    }

    #[test]
    fn what_nobody_waits_for_is_put_back_in_front_of_what_came_later() {
        for waits in [false, true] {
            let (mut earlier, mut later) = (Queue::default(), Queue::default());
            assert!(earlier.push(b"a", None) && earlier.push(b"", None) && earlier.push(b"c", None));
            if waits {
                assert!(earlier.push(b"told", Some(Arc::new(Seat::new()))));
            }
            assert!(later.push(b"d", Some(Arc::new(Seat::new()))) && later.push(b"e", None));
            later.put_back(&mut earlier);
            assert_eq!(texts(&later), ["a", "", "c", "d", "e"]);
            assert_eq!((later.seat_count(), later.seats().count(), earlier.is_empty()), (1, 1, true));
        }
    }

    #[test]
    fn there_is_an_end_to_it() {
        let (mut queue, body) = (Queue::default(), [b'x'; 60_000]);
        let taken = (0..1000).take_while(|_| queue.push(&body, None)).count();
        assert_eq!(taken, LEDGER_QUEUE_BYTES_MAX / body.len());
    }
}
