//! An HTTP/2 connection that many requests share: as many at once as its server takes.

use std::future::Future as _;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::task::Poll;

use hyper::Request;
use hyper::Response;
use hyper::body::Incoming;
use hyper::client::conn::TrySendError;
use hyper::client::conn::http2;
use hyper_util::rt::TokioExecutor;
use hyper_util::rt::TokioIo;
use hyper_util::rt::TokioTimer;
use tokio_util::task::TaskTracker;

use crate::limits;
use crate::upstream::connection::told;
use crate::upstream::sent::Sent;
use crate::upstream::wire::Wire;

/// One use of a connection; the uses that live are counted.
#[derive(Debug)]
pub(super) struct Http2 {
    sender: http2::SendRequest<Sent>,
    /// How many streams the server takes; its owners are the uses of the connection.
    streams_max: Arc<AtomicUsize>,
}

impl Http2 {
    /// `tasks` owns the task that drives it. While streams are open the server is asked for signs of life.
    pub(super) async fn open(wire: Wire, tasks: &TaskTracker) -> hyper::Result<Self> {
        let (sender, connection) = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .keep_alive_interval(limits::HTTP2_PING_INTERVAL)
            .keep_alive_timeout(limits::HTTP2_PING_TIMEOUT)
            .initial_stream_window_size(limits::HTTP2_STREAM_WINDOW_BYTES)
            .initial_connection_window_size(limits::HTTP2_CONNECTION_WINDOW_BYTES)
            .max_header_list_size(u32::try_from(limits::HEAD_BYTES_MAX).unwrap_or(u32::MAX))
            .handshake(TokioIo::new(wire))
            .await?;
        let streams_max = Arc::new(AtomicUsize::new(limits::UPSTREAM_STREAMS_MAX));
        let known = Arc::downgrade(&streams_max);
        tasks.spawn(async move {
            let mut connection = pin!(connection);
            let ended = poll_fn(|cx| {
                let polled = connection.as_mut().poll(cx);
                if let (Poll::Pending, Some(known)) = (&polled, known.upgrade()) {
                    known.store(connection.current_max_send_streams(), Ordering::Relaxed);
                }
                polled
            });
            told(ended.await);
        });
        Ok(Self { sender, streams_max })
    }

    /// Another use of the same connection.
    pub(super) fn share(&self) -> Self {
        Self { sender: self.sender.clone(), streams_max: Arc::clone(&self.streams_max) }
    }

    /// Whether one more use finds no stream. This one is none itself while it is kept for others.
    pub(super) fn is_full(&self) -> bool {
        let streams_max = self.streams_max.load(Ordering::Relaxed).min(limits::UPSTREAM_STREAMS_MAX);
        Arc::strong_count(&self.streams_max) > streams_max
    }

    pub(super) fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }

    pub(super) async fn try_send(
        &mut self,
        message: Request<Sent>,
    ) -> Result<Response<Incoming>, TrySendError<Request<Sent>>> {
        self.sender.try_send_request(message).await
    }
}
