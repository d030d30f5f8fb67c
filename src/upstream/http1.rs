//! An HTTP/1 connection as a value that whoever uses it drives: the request in flight, then the body of its
//! answer, then nobody while it is idle. So an exchange runs in the task of the agent's own connection, without a
//! second task to wake.

use std::fmt;
use std::future::Future as _;
use std::future::poll_fn;
use std::pin::Pin;
use std::pin::pin;
use std::task::Context;
use std::task::Poll;

use hyper::Request;
use hyper::Response;
use hyper::body::Incoming;
use hyper::client::conn::TrySendError;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio_util::task::TaskTracker;

use crate::limits;
use crate::upstream::connection::Purpose;
use crate::upstream::connection::told;
use crate::upstream::sent::Sent;
use crate::upstream::wire::Wire;

/// A connection and its driver.
pub(super) struct Http1 {
    sender: http1::SendRequest<Sent>,
    /// None once it has ended, or where a task of its own drives it.
    connection: Option<http1::Connection<TokioIo<Wire>, Sent>>,
}

impl Http1 {
    /// One that is to switch protocols has a task of its own, which `tasks` owns.
    pub(super) async fn open(wire: Wire, purpose: Purpose, tasks: &TaskTracker) -> hyper::Result<Self> {
        let mut builder = http1::Builder::new();
        let (sender, connection) = builder.max_headers(limits::HEADERS_MAX).handshake(TokioIo::new(wire)).await?;
        let connection = match purpose {
            Purpose::Requests => Some(connection),
            Purpose::Upgrade => {
                tasks.spawn(async move { told(connection.with_upgrades().await) });
                None
            }
        };
        Ok(Self { sender, connection })
    }

    /// Reads and writes what can be; the connection is let go when it has ended.
    pub(super) fn drive(&mut self, cx: &mut Context<'_>) {
        if let Some(connection) = &mut self.connection
            && let Poll::Ready(ended) = Pin::new(connection).poll(cx)
        {
            told(ended);
            self.connection = None;
        }
    }

    /// Whether it lives and takes a request now.
    pub(super) fn is_idle(&mut self, cx: &mut Context<'_>) -> bool {
        self.drive(cx);
        self.connection.is_some() && self.sender.is_ready()
    }

    pub(super) fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }

    pub(super) async fn try_send(
        &mut self,
        message: Request<Sent>,
    ) -> Result<Response<Incoming>, TrySendError<Request<Sent>>> {
        let Self { sender, connection } = self;
        let mut exchange = pin!(sender.try_send_request(message));
        poll_fn(|cx| {
            if let Some(driven) = connection
                && let Poll::Ready(ended) = Pin::new(driven).poll(cx)
            {
                told(ended);
                *connection = None;
            }
            exchange.as_mut().poll(cx)
        })
        .await
    }
}

impl fmt::Debug for Http1 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Http1").field("driven", &self.connection.is_some()).finish_non_exhaustive()
    }
}
