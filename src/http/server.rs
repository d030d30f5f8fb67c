//! Serves a router of the daemon's own: the zone, and whoami. HTTP/1, on loopback, with TLS or without.

use std::convert::Infallible;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use hyper_util::rt::TokioTimer;
use rustls::ServerConfig;
use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::Service as _;

use crate::limits;

/// Serves `router` until `stop`; requests under way are finished.
pub async fn serve(listener: TcpListener, tls: Option<Arc<ServerConfig>>, router: Router, stop: CancellationToken) {
    let connections = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            biased;
            () = stop.cancelled() => break,
            accepted = listener.accept(), if connections.len() < limits::OWN_SERVER_CONNECTIONS_MAX => accepted,
            () = tokio::time::sleep(limits::ACCEPT_BACK_OFF), if connections.len() >= limits::OWN_SERVER_CONNECTIONS_MAX => continue,
        };
        let Ok((stream, _)) = accepted else {
            tokio::time::sleep(limits::ACCEPT_BACK_OFF).await;
            continue;
        };
        let _ = stream.set_nodelay(true);
        let (router, stop) = (router.clone(), stop.clone());
        match &tls {
            None => _ = connections.spawn(converse(stream, router, stop)),
            Some(tls) => {
                let acceptor = TlsAcceptor::from(Arc::clone(tls));
                connections.spawn(async move {
                    let shaken = tokio::time::timeout(limits::AGENT_TLS_TIMEOUT, acceptor.accept(stream)).await;
                    if let Ok(Ok(stream)) = shaken {
                        converse(stream, router, stop).await;
                    }
                });
            }
        }
    }
    connections.close();
    let _ = tokio::time::timeout(limits::OWN_SERVER_DRAIN_TIMEOUT, connections.wait()).await;
}

async fn converse<S>(stream: S, router: Router, stop: CancellationToken)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |request: Request<Incoming>| {
        let mut router = router.clone();
        async move { Ok::<_, Infallible>(router.call(request.map(Body::new)).await.unwrap_or_else(|never| match never {})) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits::OWN_SERVER_IDLE_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection to one of the daemon's own services ended");
    }
}
