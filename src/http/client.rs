//! The one client for the daemon's own requests: to token endpoints, discovery documents, key sets.
//!
//! Small answers only, read whole within a bound; never follows a redirect; one connection per request.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt as _;
use http_body_util::Full;
use http_body_util::LengthLimitError;
use http_body_util::Limited;
use hyper::Request;
use hyper::Response;
use hyper::header::HOST;
use hyper::header::HeaderValue;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::model::Authority;
use crate::model::Scheme;

/// Sends a request and reads the whole answer. Cheap to clone.
#[derive(Clone)]
pub struct Client {
    tls: Arc<ClientConfig>,
    timeout: Duration,
    answer_bytes_max: usize,
}

/// Why there is no answer. Says no header, body or query.
#[derive(Debug, thiserror::Error)]
pub enum Failed {
    /// The URL is not `http(s)://host[:port]/…`.
    #[error("`{0}` is not an http or https URL")]
    Url(String),
    /// Nobody listens, or the name is unknown.
    #[error("could not connect to `{authority}`")]
    Connect {
        /// Who was called.
        authority: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// The server's certificate or handshake is not acceptable.
    #[error("no TLS with `{authority}`")]
    Tls {
        /// Who was called.
        authority: String,
        /// What rustls said.
        source: std::io::Error,
    },
    /// The server broke off or spoke no HTTP.
    #[error("`{authority}` broke the connection or spoke no HTTP")]
    Http {
        /// Who was called.
        authority: String,
        /// What hyper said.
        source: hyper::Error,
    },
    /// The server broke off in the middle of its answer.
    #[error("`{0}` broke off in the middle of its answer")]
    CutShort(String),
    /// The answer is larger than the bound.
    #[error("the answer of `{0}` is too large")]
    TooLarge(String),
    /// No whole answer within the bound.
    #[error("`{authority}` did not answer within {} s", timeout.as_secs())]
    Timeout {
        /// Who was called.
        authority: String,
        /// The bound.
        timeout: Duration,
    },
}

impl Client {
    /// `tls` verifies servers; `timeout` bounds the whole request, `answer_bytes_max` the answer's body.
    pub fn new(tls: Arc<ClientConfig>, timeout: Duration, answer_bytes_max: usize) -> Self {
        Self { tls, timeout, answer_bytes_max }
    }

    /// Sends `request`, whose URI is absolute, and reads the answer. Any status is an answer.
    pub async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, Failed> {
        let (scheme, authority) = address(request.uri())?;
        let name = authority.to_string();
        let work = self.connect_and_send(scheme, &authority, request);
        match tokio::time::timeout(self.timeout, work).await {
            Ok(answer) => answer,
            Err(_) => Err(Failed::Timeout { authority: name, timeout: self.timeout }),
        }
    }

    async fn connect_and_send(
        &self,
        scheme: Scheme,
        authority: &Authority,
        request: Request<Bytes>,
    ) -> Result<Response<Bytes>, Failed> {
        let name = || authority.to_string();
        let host = authority.host.as_str().trim_matches(['[', ']']);
        let tcp = TcpStream::connect((host, authority.port))
            .await
            .map_err(|source| Failed::Connect { authority: name(), source })?;
        let _ = tcp.set_nodelay(true);
        match scheme {
            Scheme::Http => self.exchange(tcp, authority, request).await,
            Scheme::Https => {
                let server = ServerName::try_from(host.to_owned()).map_err(|_| Failed::Url(name()))?;
                let tls = TlsConnector::from(Arc::clone(&self.tls))
                    .connect(server, tcp)
                    .await
                    .map_err(|source| Failed::Tls { authority: name(), source })?;
                self.exchange(tls, authority, request).await
            }
        }
    }

    async fn exchange<S>(
        &self,
        stream: S,
        authority: &Authority,
        request: Request<Bytes>,
    ) -> Result<Response<Bytes>, Failed>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let broken = |source| Failed::Http { authority: authority.to_string(), source };
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
        let answer = async {
            let answer = sender.send_request(origin_form(request, authority)?).await.map_err(broken)?;
            let (head, body) = answer.into_parts();
            let body = Limited::new(body, self.answer_bytes_max).collect().await;
            let body = body.map_err(|error| match error.is::<LengthLimitError>() {
                true => Failed::TooLarge(authority.to_string()),
                false => Failed::CutShort(authority.to_string()),
            })?;
            Ok(Response::from_parts(head, body.to_bytes()))
        };
        tokio::pin!(answer);
        // The connection's task is this future's own: dropped with it, so that a time-out leaves nothing behind.
        tokio::select! {
            biased;
            answer = &mut answer => answer,
            ended = connection => match ended {
                Ok(()) => answer.await,
                Err(source) => Err(broken(source)),
            },
        }
    }
}

fn address(uri: &hyper::Uri) -> Result<(Scheme, Authority), Failed> {
    let refuse = || Failed::Url(format!("{}://{}", uri.scheme_str().unwrap_or(""), uri.host().unwrap_or("")));
    let scheme = match uri.scheme_str() {
        Some("http") => Scheme::Http,
        Some("https") => Scheme::Https,
        _ => return Err(refuse()),
    };
    let authority = uri.authority().ok_or_else(refuse)?;
    Ok((scheme, Authority::parse_or(authority.as_str(), scheme.default_port()).map_err(|_| refuse())?))
}

fn origin_form(request: Request<Bytes>, authority: &Authority) -> Result<Request<Full<Bytes>>, Failed> {
    let refuse = |_| Failed::Url(authority.to_string());
    let (mut head, body) = request.into_parts();
    let host = head.uri.authority().map_or("", hyper::http::uri::Authority::as_str);
    head.headers.insert(HOST, HeaderValue::from_str(host).map_err(|_| Failed::Url(authority.to_string()))?);
    let path = head.uri.path_and_query().map_or("/", hyper::http::uri::PathAndQuery::as_str);
    head.uri = path.parse().map_err(refuse)?;
    Ok(Request::from_parts(head, Full::new(body)))
}
