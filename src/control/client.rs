//! The commands' side of the control socket.
//!
//! Says nothing to a daemon of another user. One connection per call; every call has a bound.

use std::path::Path;
use std::path::PathBuf;

use bytes::Bytes;
use http_body_util::BodyExt as _;
use http_body_util::Full;
use http_body_util::Limited;
use hyper::Method;
use hyper::Request;
use hyper::Response;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::header::HOST;
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;
use tokio_util::task::AbortOnDropHandle;

use crate::control::Problem;
use crate::control::SessionOpened;
use crate::control::SessionSummary;
use crate::control::SessionWish;
use crate::control::Status;
use crate::control::wire::Reloaded;
use crate::limits;
use crate::model::SessionId;
use crate::os::is_ours;
use crate::os::peer_process;

/// Calls the daemon.
#[derive(Clone, Debug)]
pub struct Client {
    socket: PathBuf,
}

/// Why a call has no answer.
#[derive(Debug, thiserror::Error)]
pub enum CallFailed {
    /// Nobody listens on the socket.
    #[error("the daemon is not running")]
    DaemonDown {
        /// What the system said of the socket.
        source: std::io::Error,
    },
    /// The socket exists, and is not for us.
    #[error("the control socket `{}` cannot be used", socket.display())]
    Socket {
        /// Which.
        socket: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Somebody else listens on it.
    #[error("the control socket `{}` is held by user {uid}", socket.display())]
    ForeignDaemon {
        /// Which.
        socket: PathBuf,
        /// Whose.
        uid: u32,
    },
    /// It broke off in the middle.
    #[error("the daemon broke off its answer")]
    BrokenOff(#[source] hyper::Error),
    /// It was silent for too long.
    #[error("the daemon did not answer within {} s", limits::CONTROL_ANSWER_TIMEOUT.as_secs())]
    TimedOut,
    /// It said what this version does not understand.
    #[error("the daemon's answer is not understood")]
    NotUnderstood,
    /// It said no.
    #[error(transparent)]
    Problem(#[from] Problem),
}

/// An open session. It ends when this is dropped.
#[derive(Debug)]
pub struct HeldSession {
    opened: SessionOpened,
    rest: Incoming,
    _connection: AbortOnDropHandle<()>,
}

impl Client {
    /// For the daemon at this socket.
    pub fn new(socket: impl Into<PathBuf>) -> Self {
        Self { socket: socket.into() }
    }

    /// The socket it calls.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// How the daemon is.
    pub async fn status(&self) -> Result<Status, CallFailed> {
        self.call(Method::GET, "/status").await
    }

    /// The open sessions.
    pub async fn sessions(&self) -> Result<Vec<SessionSummary>, CallFailed> {
        self.call(Method::GET, "/sessions").await
    }

    /// Ends one.
    pub async fn end_session(&self, id: &SessionId) -> Result<(), CallFailed> {
        self.call::<serde::de::IgnoredAny>(Method::DELETE, &format!("/sessions/{id}")).await.map(drop)
    }

    /// Has configuration and policies read anew; a line that says what is in force now.
    pub async fn reload(&self) -> Result<String, CallFailed> {
        self.call::<Reloaded>(Method::POST, "/reload").await.map(|reloaded| reloaded.summary)
    }

    /// Has the daemon stop. It may still be there when this returns.
    pub async fn stop(&self) -> Result<(), CallFailed> {
        self.call::<serde::de::IgnoredAny>(Method::POST, "/stop").await.map(drop)
    }

    /// Opens a session that lasts as long as what is returned.
    pub async fn open_session(&self, wish: &SessionWish) -> Result<HeldSession, CallFailed> {
        let wish = serde_json::to_vec(wish).map_err(|_| CallFailed::NotUnderstood)?;
        within_bound(async {
            let (response, connection) = self.send(Method::POST, "/sessions", wish.into()).await?;
            if !response.status().is_success() {
                return Err(whole::<SessionOpened>(response).await.err().unwrap_or(CallFailed::NotUnderstood));
            }
            let mut rest = response.into_body();
            let opened = first_line(&mut rest).await?;
            Ok(HeldSession { opened, rest, _connection: connection })
        })
        .await
    }

    async fn call<T: DeserializeOwned>(&self, method: Method, path: &str) -> Result<T, CallFailed> {
        within_bound(async {
            let (response, _connection) = self.send(method, path, Bytes::new()).await?;
            whole(response).await
        })
        .await
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<(Response<Incoming>, AbortOnDropHandle<()>), CallFailed> {
        let stream = self.connect().await?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(CallFailed::BrokenOff)?;
        let connection = AbortOnDropHandle::new(tokio::spawn(async move {
            // What went wrong is told to whoever waits for the answer.
            let _ = connection.await;
        }));
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, "valetkey")
            .body(Full::new(body))
            .map_err(|_| CallFailed::NotUnderstood)?;
        let response = sender.send_request(request).await.map_err(CallFailed::BrokenOff)?;
        Ok((response, connection))
    }

    async fn connect(&self) -> Result<UnixStream, CallFailed> {
        use std::io::ErrorKind;

        let stream = UnixStream::connect(&self.socket).await.map_err(|source| match source.kind() {
            ErrorKind::NotFound | ErrorKind::ConnectionRefused => CallFailed::DaemonDown { source },
            _ => CallFailed::Socket { socket: self.socket.clone(), source },
        })?;
        let peer =
            peer_process(&stream).map_err(|source| CallFailed::Socket { socket: self.socket.clone(), source })?;
        if !is_ours(peer.uid) {
            return Err(CallFailed::ForeignDaemon { socket: self.socket.clone(), uid: peer.uid });
        }
        Ok(stream)
    }
}

impl HeldSession {
    /// What the daemon gave.
    pub fn opened(&self) -> &SessionOpened {
        &self.opened
    }

    /// Resolves when the session ended without our doing: the daemon ended it, or is gone. Cancel safe.
    pub async fn ended(&mut self) {
        while let Some(Ok(_)) = self.rest.frame().await {}
    }
}

async fn within_bound<T>(call: impl Future<Output = Result<T, CallFailed>>) -> Result<T, CallFailed> {
    tokio::time::timeout(limits::CONTROL_ANSWER_TIMEOUT, call).await.unwrap_or(Err(CallFailed::TimedOut))
}

/// A small answer, or the problem in it.
async fn whole<T: DeserializeOwned>(response: Response<Incoming>) -> Result<T, CallFailed> {
    let success = response.status().is_success();
    let body = Limited::new(response.into_body(), limits::CONTROL_ANSWER_BYTES_MAX);
    let body = body.collect().await.map_err(|_| CallFailed::NotUnderstood)?.to_bytes();
    if success {
        return serde_json::from_slice(&body).map_err(|_| CallFailed::NotUnderstood);
    }
    let problem: Problem = serde_json::from_slice(&body).map_err(|_| CallFailed::NotUnderstood)?;
    Err(problem.into())
}

/// The first line of an answer that goes on.
async fn first_line<T: DeserializeOwned>(body: &mut Incoming) -> Result<T, CallFailed> {
    let mut line = Vec::new();
    while !line.ends_with(b"\n") {
        let frame = body.frame().await.ok_or(CallFailed::NotUnderstood)?.map_err(CallFailed::BrokenOff)?;
        line.extend_from_slice(frame.data_ref().map(Bytes::as_ref).unwrap_or_default());
        if line.len() > limits::CONTROL_ANSWER_BYTES_MAX {
            return Err(CallFailed::NotUnderstood);
        }
    }
    serde_json::from_slice(&line).map_err(|_| CallFailed::NotUnderstood)
}
