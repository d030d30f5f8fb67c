//! The daemon's side: routes, and sessions that end when their connection does.
//!
//! Connections are bounded and owned by [`serve`], which returns when all of them are closed. Knows nothing
//! of what a session is; that is the [`Backend`]'s.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::pin::pin;
use std::sync::Arc;
use std::task::Context;
use std::task::Poll;

use bytes::Bytes;
use http_body::Frame;
use http_body_util::BodyExt as _;
use http_body_util::Either;
use http_body_util::Full;
use http_body_util::Limited;
use hyper::Method;
use hyper::Request;
use hyper::Response;
use hyper::StatusCode;
use hyper::body::Incoming;
use hyper::header::CONTENT_TYPE;
use hyper::header::HeaderValue;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use hyper_util::rt::TokioTimer;
use serde::Serialize;
use tokio::net::UnixStream;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::sync::WaitForCancellationFutureOwned;

use crate::control::ControlListener;
use crate::control::Problem;
use crate::control::ProblemKind;
use crate::control::SessionOpened;
use crate::control::SessionSummary;
use crate::control::SessionWish;
use crate::control::Status;
use crate::control::wire::Reloaded;
use crate::limits;
use crate::model::SessionId;
use crate::os::PeerProcess;
use crate::os::is_ours;
use crate::os::peer_process;

/// What the daemon does when it is asked.
pub trait Backend: Send + Sync + 'static {
    /// Opens a session. `SessionOpened::ended` fires when it ends otherwise than by [`Backend::end_session`].
    /// Dropped at an await when the caller is gone: what it opens before its last one must end with it.
    fn open_session(&self, wish: SessionWish) -> impl Future<Output = Result<SessionOpened, Problem>> + Send;

    /// Ends one. Called once for each session whose connection closed, too. False when it was not open.
    fn end_session(&self, id: &SessionId) -> bool;

    /// How the daemon is.
    fn status(&self) -> Status;

    /// The open sessions, oldest first.
    fn sessions(&self) -> Vec<SessionSummary>;

    /// Reads configuration and policies anew; a line that says what is in force now.
    fn reload(&self) -> impl Future<Output = Result<String, Problem>> + Send;

    /// Begins to stop, and returns at once.
    fn stop(&self);
}

/// Serves until `stop` fires. Then open sessions end, and answers under way have
/// [`limits::CONTROL_DRAIN_TIMEOUT`] to leave.
pub async fn serve<B: Backend>(listener: ControlListener, backend: Arc<B>, stop: CancellationToken) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.listener.accept(), if connections.len() < limits::CONTROL_CONNECTIONS_MAX => {
                match accepted {
                    Ok((stream, _)) => admit(&mut connections, stream, &backend, &stop),
                    Err(error) => back_off(&error).await,
                }
            }
        }
    }
    let drained = async { while connections.join_next().await.is_some() {} };
    let _ = tokio::time::timeout(limits::CONTROL_DRAIN_TIMEOUT, drained).await;
    connections.shutdown().await;
}

/// Only processes of our own user are listened to.
fn admit<B: Backend>(connections: &mut JoinSet<()>, stream: UnixStream, backend: &Arc<B>, stop: &CancellationToken) {
    match peer_process(&stream) {
        Ok(peer) if is_ours(peer.uid) => {
            connections.spawn(converse(stream, peer, backend.clone(), stop.clone()));
        }
        Ok(peer) => tracing::warn!(uid = peer.uid, "refused a control connection of another user"),
        Err(error) => tracing::warn!(%error, "refused a control connection of nobody known"),
    }
}

/// Out of file descriptors, most likely: others will close some.
async fn back_off(error: &std::io::Error) {
    tracing::warn!(%error, "cannot accept a control connection");
    tokio::time::sleep(limits::CONTROL_ACCEPT_BACK_OFF).await;
}

async fn converse<B: Backend>(stream: UnixStream, peer: PeerProcess, backend: Arc<B>, stop: CancellationToken) {
    let service = service_fn(|request| {
        let (backend, stop) = (backend.clone(), stop.clone());
        async move { Ok::<_, Infallible>(answer(request, peer, backend, stop).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits::HEAD_READ_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    tokio::select! {
        _ = connection.as_mut() => return,
        () = stop.cancelled() => connection.as_mut().graceful_shutdown(),
    }
    let _ = connection.await;
}

type Answer<B> = Response<Either<Full<Bytes>, Lease<B>>>;

async fn answer<B: Backend>(
    request: Request<Incoming>,
    peer: PeerProcess,
    backend: Arc<B>,
    stop: CancellationToken,
) -> Answer<B> {
    let path = request.uri().path().to_owned();
    let session = path.strip_prefix("/sessions/");
    let answer = match (request.method(), path.as_str(), session) {
        (&Method::GET, "/status", _) => Ok(json(&backend.status())),
        (&Method::GET, "/sessions", _) => Ok(json(&backend.sessions())),
        (&Method::POST, "/sessions", _) => open(request, peer, backend, stop).await,
        (&Method::DELETE, _, Some(id)) => end(id, &*backend),
        (&Method::POST, "/reload", _) => backend.reload().await.map(|summary| json(&Reloaded { summary })),
        (&Method::POST, "/stop", _) => {
            backend.stop();
            Ok(json(&serde_json::json!({})))
        }
        (_, "/status" | "/sessions" | "/reload" | "/stop", _) | (_, _, Some(_)) => Err(unknown("method_not_allowed")),
        _ => Err(unknown("not_found")),
    };
    answer.unwrap_or_else(|problem| {
        let mut answer = json(&problem);
        *answer.status_mut() = status_of(problem.kind);
        answer
    })
}

async fn open<B: Backend>(
    request: Request<Incoming>,
    peer: PeerProcess,
    backend: Arc<B>,
    stop: CancellationToken,
) -> Result<Answer<B>, Problem> {
    let mut wish: SessionWish = read(request).await?;
    wish.pid = peer.pid.or(wish.pid);
    let opened = backend.open_session(wish).await?;
    // From here on the session ends with the lease, also when nobody reads the answer any more.
    let lease = Lease::new(&opened, backend, stop);
    Ok(reply(Either::Right(lease)))
}

fn end<B: Backend>(id: &str, backend: &B) -> Result<Answer<B>, Problem> {
    let id = SessionId::parse(id)
        .map_err(|error| Problem::new(ProblemKind::Invalid, "session_id_invalid", error.to_string()))?;
    if backend.end_session(&id) {
        return Ok(json(&serde_json::json!({})));
    }
    let problem = Problem::new(ProblemKind::Missing, "session_unknown", format!("no session `{id}` is open"));
    Err(problem.hint("`valetkey sessions` lists the open ones"))
}

async fn read<T: serde::de::DeserializeOwned>(request: Request<Incoming>) -> Result<T, Problem> {
    let invalid = |message: String| Problem::new(ProblemKind::Invalid, "request_invalid", message);
    let body = Limited::new(request.into_body(), limits::CONTROL_REQUEST_BYTES_MAX).collect();
    let body = tokio::time::timeout(limits::HEAD_READ_TIMEOUT, body)
        .await
        .map_err(|_| invalid("the request did not arrive whole in time".into()))?
        .map_err(|_| invalid("the request is too large or was broken off".into()))?;
    serde_json::from_slice(&body.to_bytes()).map_err(|error| invalid(format!("the request is not understood: {error}")))
}

fn unknown(code: &str) -> Problem {
    let message = "this daemon does not know the request";
    Problem::new(ProblemKind::Missing, code, message).hint("use the `valetkey` of the daemon's version")
}

fn json<B: Backend>(value: &impl Serialize) -> Answer<B> {
    let text = serde_json::to_vec(value).unwrap_or_default();
    reply(Either::Left(Full::new(text.into())))
}

fn reply<B: Backend>(body: Either<Full<Bytes>, Lease<B>>) -> Answer<B> {
    let mut answer = Response::new(body);
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer
}

fn status_of(kind: ProblemKind) -> StatusCode {
    match kind {
        ProblemKind::Invalid => StatusCode::BAD_REQUEST,
        ProblemKind::Missing => StatusCode::NOT_FOUND,
        ProblemKind::Refused => StatusCode::FORBIDDEN,
        ProblemKind::Busy => StatusCode::SERVICE_UNAVAILABLE,
        ProblemKind::Configuration => StatusCode::UNPROCESSABLE_ENTITY,
        ProblemKind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// The answer to `POST /sessions`: one line, then silence until the session ends. Dropped when the
/// connection closes, and the session ends with it.
struct Lease<B: Backend> {
    line: Option<Bytes>,
    ended: Pin<Box<WaitForCancellationFutureOwned>>,
    stopping: Pin<Box<WaitForCancellationFutureOwned>>,
    session: SessionId,
    backend: Arc<B>,
}

impl<B: Backend> Lease<B> {
    fn new(opened: &SessionOpened, backend: Arc<B>, stop: CancellationToken) -> Self {
        let mut line = serde_json::to_vec(opened).unwrap_or_default();
        line.push(b'\n');
        Self {
            line: Some(line.into()),
            ended: Box::pin(opened.ended.clone().cancelled_owned()),
            stopping: Box::pin(stop.cancelled_owned()),
            session: opened.session.clone(),
            backend,
        }
    }
}

impl<B: Backend> http_body::Body for Lease<B> {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if let Some(line) = self.line.take() {
            return Poll::Ready(Some(Ok(Frame::data(line))));
        }
        let ended = self.ended.as_mut().poll(context).is_ready();
        let stopping = self.stopping.as_mut().poll(context).is_ready();
        if ended || stopping { Poll::Ready(None) } else { Poll::Pending }
    }
}

impl<B: Backend> Drop for Lease<B> {
    fn drop(&mut self) {
        self.backend.end_session(&self.session);
    }
}
