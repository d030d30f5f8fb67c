//! Serves HTTP/1 over a guarded stream and gives the stream back: for the protocol that follows, or for the
//! last word to a client that broke the framing.

use std::future::Future;
use std::future::poll_fn;
use std::pin::Pin;

use hyper::Request;
use hyper::Response;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;
use tokio_util::sync::CancellationToken;

use crate::http::Strict;
use crate::limits;
use crate::proxy::recorded::Recorded;

/// Requests one after the other until the stream ends, breaks its framing, or switches protocols. Once
/// `draining`, the current request is the last.
pub(super) async fn serve<S, F, Answered>(stream: Strict<S>, answer: F, draining: &CancellationToken) -> Strict<S>
where
    S: AsyncRead + AsyncWrite + Unpin,
    F: Fn(Request<Incoming>) -> Answered,
    Answered: Future<Output = Response<Recorded>>,
{
    let service = service_fn(|request| {
        let answered = answer(request);
        // boxed, because a connection that gives its stream back must be movable while it runs
        Box::pin(async move { Ok::<_, std::convert::Infallible>(answered.await) })
    });
    let mut connection = http1::Builder::new()
        .max_headers(limits::HEADERS_MAX)
        .max_buf_size(limits::HTTP1_BUFFER_BYTES)
        .auto_date_header(false)
        .serve_connection(TokioIo::new(stream), service);
    let mut drain = Some(Box::pin(draining.cancelled()));
    let ended = poll_fn(|cx| {
        if drain.as_mut().is_some_and(|drain| drain.as_mut().poll(cx).is_ready()) {
            drain = None;
            Pin::new(&mut connection).graceful_shutdown();
        }
        connection.poll_without_shutdown(cx)
    });
    if let Err(error) = ended.await {
        tracing::debug!(%error, "an agent's connection ended");
    }
    connection.into_parts().io.into_inner()
}
