//! The order of the tasks of one thread.

use std::future::poll_fn;
use std::task::Poll;

/// Lets every other task of this thread that is ready go first, once. What comes behind it is then done for many
/// requests in a row: one write(2) takes the lines of them all, and a server that one of them wakes finds more work
/// when it has done the first.
pub async fn behind_others() {
    let mut waited = false;
    poll_fn(|cx| {
        if std::mem::replace(&mut waited, true) {
            return Poll::Ready(());
        }
        // not `yield_now`, which would have the runtime look at its sockets first
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[tokio::test]
    async fn those_who_step_back_go_on_when_all_have_begun() {
        let order = Mutex::new(Vec::new());
        let task = |number: u8| {
            let order = &order;
            async move {
                order.lock().unwrap().push((number, "begun"));
                behind_others().await;
                order.lock().unwrap().push((number, "done"));
            }
        };
        futures_util::future::join(task(1), task(2)).await;
        assert_eq!(*order.lock().unwrap(), [(1, "begun"), (2, "begun"), (1, "done"), (2, "done")]);
    }
}
