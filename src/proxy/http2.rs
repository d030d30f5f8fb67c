//! Serves HTTP/2 over a stream.

use std::convert::Infallible;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;

use hyper::Request;
use hyper::Response;
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use hyper_util::rt::TokioTimer;
use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::http::Body;
use crate::http::Trailers;
use crate::limits;
use crate::proxy::patience;
use crate::proxy::recorded::Recorded;

/// Requests beside each other until the stream ends, nothing comes for too long, or the daemon drains. `tasks`
/// owns what hyper starts.
pub(super) async fn serve<S, F, Answered>(stream: S, answer: F, tasks: TaskTracker, draining: &CancellationToken)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    F: Fn(Request<Body>) -> Answered + Send + 'static,
    Answered: Future<Output = Response<Recorded>> + Send + 'static,
{
    let heard = Arc::new(AtomicBool::new(false));
    let hears = Arc::clone(&heard);
    let service = service_fn(move |request: Request<Incoming>| {
        hears.store(true, Ordering::Relaxed);
        let stream = |incoming| Body::stream(incoming, Trailers::Drop, limits::AGENT_BODY_IDLE_TIMEOUT);
        let answered = answer(request.map(stream));
        async move { Ok::<_, Infallible>(answered.await) }
    });
    let mut connection = pin!(
        http2::Builder::new(Tasks(tasks))
            .timer(TokioTimer::new())
            .max_concurrent_streams(limits::HTTP2_STREAMS_MAX)
            .max_header_list_size(u32::try_from(limits::HEAD_BYTES_MAX).unwrap_or(u32::MAX))
            .initial_stream_window_size(limits::HTTP2_STREAM_WINDOW_BYTES)
            .initial_connection_window_size(limits::HTTP2_CONNECTION_WINDOW_BYTES)
            .auto_date_header(false)
            .serve_connection(TokioIo::new(stream), service)
    );
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = patience::is_over(limits::KEPT_ALIVE_IDLE_TIMEOUT, &heard, draining) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "an agent's connection ended");
    }
}

/// hyper's own tasks for streams, under the proxy's ownership.
#[derive(Clone)]
struct Tasks(TaskTracker);

impl<F> hyper::rt::Executor<F> for Tasks
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    fn execute(&self, future: F) {
        self.0.spawn(future);
    }
}
