//! Serves a router of the daemon's own: whoami. HTTP/1 with TLS, on loopback.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use hyper::Request;
use hyper::Response;
use hyper::StatusCode;
use hyper::body::Incoming;
use hyper::header::HOST;
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

/// Serves `router` until `stop`; requests under way are finished. Only requests for the listener's own address, for
/// `localhost` or for `name` are answered: a web page whose name was rebound to this address asks for another.
pub async fn serve(
    listener: TcpListener,
    tls: Arc<ServerConfig>,
    name: &'static str,
    router: Router,
    stop: CancellationToken,
) {
    let names: Arc<[String]> = match listener.local_addr() {
        Ok(address) => own_names(address, name).into(),
        Err(_) => Arc::default(),
    };
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
        let (router, names, stop) = (router.clone(), Arc::clone(&names), stop.clone());
        let acceptor = TlsAcceptor::from(Arc::clone(&tls));
        connections.spawn(async move {
            let shaken = tokio::time::timeout(limits::AGENT_TLS_TIMEOUT, acceptor.accept(stream)).await;
            if let Ok(Ok(stream)) = shaken {
                converse(stream, router, names, stop).await;
            }
        });
    }
    connections.close();
    let _ = tokio::time::timeout(limits::OWN_SERVER_DRAIN_TIMEOUT, connections.wait()).await;
}

fn own_names(address: SocketAddr, name: &str) -> Vec<String> {
    let port = address.port();
    let local = [address.to_string(), format!("localhost:{port}")].into_iter();
    local.chain([name.to_owned(), format!("{name}:443"), format!("{name}:{port}")]).collect()
}

/// Whether the request is for one of ours (RFC 9110 §7.4).
fn is_for(names: &[String], request: &Request<Incoming>) -> bool {
    let mut hosts = request.headers().get_all(HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else { return false };
    names.iter().any(|name| host.as_bytes().eq_ignore_ascii_case(name.as_bytes()))
}

async fn converse<S>(stream: S, router: Router, names: Arc<[String]>, stop: CancellationToken)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |request: Request<Incoming>| {
        let mut router = router.clone();
        let misdirected = !is_for(&names, &request);
        async move {
            if misdirected {
                let mut answer = Response::new(Body::empty());
                *answer.status_mut() = StatusCode::MISDIRECTED_REQUEST;
                return Ok(answer);
            }
            Ok::<_, Infallible>(router.call(request.map(Body::new)).await.unwrap_or_else(|never| match never {}))
        }
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
