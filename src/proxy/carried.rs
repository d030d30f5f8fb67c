//! For whom a connection carries a request in the clear.

use std::future::Future;
use std::future::poll_fn;
use std::pin::Pin;
use std::pin::pin;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::task::Poll;

use tokio_util::sync::WaitForCancellationFutureOwned;

use crate::agent::Session;

/// The session of the newest request. HTTP/1 carries one request at a time, so that the connection may end with
/// the session. Requests of one session, one after the other, cost nothing.
#[derive(Default)]
pub(super) struct Carried(Mutex<Option<Watch>>);

struct Watch {
    session: Arc<Session>,
    ended: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl Carried {
    /// From now on it is this session's end that counts. To be called within what `until_ended` runs, which looks
    /// right after.
    pub(super) fn for_session(&self, session: &Arc<Session>) {
        let mut watch = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if watch.as_ref().is_some_and(|watch| Arc::ptr_eq(&watch.session, session)) {
            return;
        }
        let ended = Box::pin(session.ended().clone().cancelled_owned());
        *watch = Some(Watch { session: Arc::clone(session), ended });
    }

    /// Runs `serve` until it is done; none when the session ended before.
    pub(super) async fn until_ended<F: Future>(&self, serve: F) -> Option<F::Output> {
        let mut serve = pin!(serve);
        poll_fn(|cx| {
            if let Poll::Ready(served) = serve.as_mut().poll(cx) {
                return Poll::Ready(Some(served));
            }
            match &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner) {
                Some(watch) => watch.ended.as_mut().poll(cx).map(|()| None),
                None => Poll::Pending,
            }
        })
        .await
    }
}
