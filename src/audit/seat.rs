//! Where a decision waits while another writes its line.
//!
//! A follower never blocks its thread. One that goes away leaves its completion here, so that whoever writes
//! the decision writes the end of its record too.

use std::future::poll_fn;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::task::Poll;
use std::task::Waker;

use crate::audit::Unrecorded;

/// One follower's place, shared with the queue that has its line.
#[derive(Debug)]
pub(super) struct Seat(Mutex<Fate>);

#[derive(Debug)]
enum Fate {
    /// The line is queued or being written.
    Waiting(Option<Waker>),
    /// The leader has led long enough: the follower is to go on.
    Invited,
    /// The follower has gone; this is the body of its completion.
    Left(Vec<u8>),
    /// The line's number, or why there is none.
    Told(Result<u64, Unrecorded>),
    /// The follower knows.
    Known,
}

/// What a follower is woken for.
#[derive(Debug)]
pub(super) enum Call {
    /// Its line is written, or is not.
    Told(Result<u64, Unrecorded>),
    /// It is to lead, if nobody does.
    Lead,
}

impl Seat {
    pub fn new() -> Self {
        Self(Mutex::new(Fate::Waiting(None)))
    }

    /// Whether nobody has told or invited it.
    pub fn waits(&self) -> bool {
        matches!(*self.lock(), Fate::Waiting(_))
    }

    /// Waits to be told or invited.
    pub async fn call(&self) -> Call {
        poll_fn(|context| {
            let mut fate = self.lock();
            match &mut *fate {
                Fate::Waiting(waker) => {
                    if !waker.as_ref().is_some_and(|known| known.will_wake(context.waker())) {
                        *waker = Some(context.waker().clone());
                    }
                    Poll::Pending
                }
                Fate::Invited => {
                    *fate = Fate::Waiting(None);
                    Poll::Ready(Call::Lead)
                }
                _ => Poll::Ready(Call::Told(take(&mut fate))),
            }
        })
        .await
    }

    /// Goes away before being told. Gives the call that nobody will answer any more, if there was one.
    pub fn leave(&self, completion: &[u8]) -> Option<Call> {
        let mut fate = self.lock();
        match &*fate {
            Fate::Waiting(_) => {
                *fate = Fate::Left(completion.to_vec());
                None
            }
            Fate::Invited => {
                *fate = Fate::Left(completion.to_vec());
                Some(Call::Lead)
            }
            _ => Some(Call::Told(take(&mut fate))),
        }
    }

    /// Tells the follower; gives the completion that it left instead of waiting.
    pub fn tell(&self, result: Result<u64, Unrecorded>) -> Option<Vec<u8>> {
        let before = std::mem::replace(&mut *self.lock(), Fate::Told(result));
        match before {
            Fate::Waiting(Some(waker)) => waker.wake(),
            Fate::Left(completion) => return Some(completion),
            Fate::Waiting(None) | Fate::Invited | Fate::Told(_) | Fate::Known => {}
        }
        None
    }

    /// Asks the follower to lead; false when it has gone.
    pub fn invite(&self) -> bool {
        let mut fate = self.lock();
        let Fate::Waiting(waker) = &mut *fate else { return false };
        let waker = waker.take();
        *fate = Fate::Invited;
        drop(fate);
        if let Some(waker) = waker {
            waker.wake();
        }
        true
    }

    fn lock(&self) -> MutexGuard<'_, Fate> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn take(fate: &mut Fate) -> Result<u64, Unrecorded> {
    match std::mem::replace(fate, Fate::Known) {
        Fate::Told(result) => result,
        Fate::Waiting(_) | Fate::Invited | Fate::Left(_) | Fate::Known => Err(Unrecorded::Before),
    }
}
