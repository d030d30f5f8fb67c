//! Serves zones by HTTP/1, each by its own name, behind whatever ends TLS in front of them.
//!
//! A request for a name that is no zone's is not answered: a web page whose name was rebound to this address would ask
//! for its own.

use std::convert::Infallible;
use std::net::IpAddr;

use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use hyper_util::rt::TokioTimer;
use tokio::net::TcpListener;
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::limits::ACCEPT_BACK_OFF;
use crate::limits::OWN_SERVER_DRAIN_TIMEOUT;
use crate::limits::OWN_SERVER_IDLE_TIMEOUT;
use crate::limits::ZONE_CONNECTIONS_MAX;
use crate::limits::ZONE_KEYS_LOOK;
use crate::limits::ZONE_PRUNING_INTERVAL;
use crate::zone::Zone;
use crate::zone::front::Front;
use crate::zone::peer::TrustedProxies;

impl Zone {
    /// Answers at `listener` until `stop`, the home zone under the names of its own URL and of the listener, each other
    /// zone under its own; requests under way are finished. Looks for other replicas' keys now and then.
    pub async fn serve(&self, listener: TcpListener, stop: CancellationToken) {
        let (front, connections) = (self.front(&own_names(&listener)), TaskTracker::new());
        let looking = async {
            loop {
                tokio::time::sleep(ZONE_KEYS_LOOK).await;
                self.look_for_keys().await;
            }
        };
        let pruning = async {
            loop {
                tokio::time::sleep(ZONE_PRUNING_INTERVAL).await;
                self.prune().await;
            }
        };
        let accepting = async {
            loop {
                match listener.accept().await {
                    Ok((stream, from)) if connections.len() < ZONE_CONNECTIONS_MAX => {
                        let line =
                            Line { front: front.clone(), trusted: self.trusted_proxies().clone(), from: from.ip() };
                        connections.spawn(converse(stream, line, stop.clone()));
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
            () = pruning => {}
            () = accepting => {}
        }
        connections.close();
        let _ = tokio::time::timeout(OWN_SERVER_DRAIN_TIMEOUT, connections.wait()).await;
    }
}

fn own_names(listener: &TcpListener) -> Vec<String> {
    let Ok(address) = listener.local_addr() else { return Vec::new() };
    vec![address.to_string(), format!("localhost:{}", address.port())]
}

/// What a connection leads to, and where it comes from.
#[derive(Clone)]
struct Line {
    front: Front,
    trusted: TrustedProxies,
    from: IpAddr,
}

impl Line {
    async fn answer(&self, request: Request<Incoming>) -> Response {
        let peer = self.trusted.peer(self.from, request.headers());
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(peer);
        self.front.answer(request).await
    }
}

async fn converse(stream: TcpStream, line: Line, stop: CancellationToken) {
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request: Request<Incoming>| {
        let line = line.clone();
        async move { Ok::<_, Infallible>(line.answer(request).await) }
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
