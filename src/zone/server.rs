//! Serves a zone alone, for other machines: by its own name and behind whatever ends TLS in front of it.
//!
//! A request for a name that is not the zone's is not answered: a web page whose name was rebound to this address would
//! ask for its own.

use std::convert::Infallible;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::http::header::HOST;
use axum::response::IntoResponse as _;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use hyper_util::rt::TokioTimer;
use tokio::net::TcpListener;
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::Service as _;

use crate::limits::ACCEPT_BACK_OFF;
use crate::limits::OWN_SERVER_DRAIN_TIMEOUT;
use crate::limits::OWN_SERVER_IDLE_TIMEOUT;
use crate::limits::ZONE_CONNECTIONS_MAX;
use crate::limits::ZONE_KEYS_LOOK;
use crate::zone::Zone;

impl Zone {
    /// Answers at `listener` until `stop`, under the names of the zone's own URL and of the listener; requests under
    /// way are finished. Looks for other replicas' keys now and then.
    pub async fn serve(&self, listener: TcpListener, stop: CancellationToken) {
        let names: Arc<[String]> = self.names(&listener).into();
        let (router, connections) = (self.router(), TaskTracker::new());
        let looking = async {
            loop {
                tokio::time::sleep(ZONE_KEYS_LOOK).await;
                self.look_for_keys().await;
            }
        };
        let accepting = async {
            loop {
                match listener.accept().await {
                    Ok((stream, _)) if connections.len() < ZONE_CONNECTIONS_MAX => {
                        connections.spawn(converse(stream, router.clone(), Arc::clone(&names), stop.clone()));
                    }
                    // Over the bound: whoever balances in front of it finds another replica.
                    Ok(_) => {}
                    Err(_) => tokio::time::sleep(ACCEPT_BACK_OFF).await,
                }
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = looking => {}
            () = accepting => {}
        }
        connections.close();
        let _ = tokio::time::timeout(OWN_SERVER_DRAIN_TIMEOUT, connections.wait()).await;
    }

    fn names(&self, listener: &TcpListener) -> Vec<String> {
        let authority = self.url().split_once("://").map_or("", |(_, authority)| authority).to_owned();
        let mut names = vec![authority];
        if let Ok(address) = listener.local_addr() {
            names.push(address.to_string());
            names.push(format!("localhost:{}", address.port()));
        }
        names
    }
}

async fn converse(stream: TcpStream, router: Router, names: Arc<[String]>, stop: CancellationToken) {
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request: Request<Incoming>| {
        let (mut router, names) = (router.clone(), Arc::clone(&names));
        async move {
            if !is_for(&names, &request) {
                return Ok(StatusCode::MISDIRECTED_REQUEST.into_response());
            }
            Ok::<_, Infallible>(router.call(request.map(Body::new)).await.unwrap_or_else(|never| match never {}))
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(OWN_SERVER_IDLE_TIMEOUT)
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
        tracing::debug!(%error, "a connection to the zone ended");
    }
}

/// Whether the request is for one of ours (RFC 9110 §7.4).
fn is_for(names: &[String], request: &Request<Incoming>) -> bool {
    let mut hosts = request.headers().get_all(HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else { return false };
    names.iter().any(|name| host.as_bytes().eq_ignore_ascii_case(name.as_bytes()))
}
