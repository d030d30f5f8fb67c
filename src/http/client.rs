//! The one client for the daemon's own requests: to token endpoints, discovery documents, key sets.
//!
//! Small answers only, read whole within a bound; never follows a redirect; one connection per request.

use std::pin::Pin;
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
    dial: Option<Arc<dyn Dial>>,
    tls: Arc<ClientConfig>,
    timeout: Duration,
    answer_bytes_max: usize,
}

/// Another way to a server than a plain connection, such as a proxy that the network requires.
pub trait Dial: Send + Sync {
    /// A connected stream.
    fn dial<'a>(
        &'a self,
        authority: &'a Authority,
    ) -> Pin<Box<dyn Future<Output = std::io::Result<TcpStream>> + Send + 'a>>;
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
        Self { dial: None, tls, timeout, answer_bytes_max }
    }

    /// The same client, which reaches servers by `dial`.
    pub fn through(self, dial: Arc<dyn Dial>) -> Self {
        Self { dial: Some(dial), ..self }
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
        let tcp = match &self.dial {
            Some(dial) => dial.dial(authority).await,
            // Names below `localhost` mean this machine, known to DNS or not (RFC 6761 §6.3).
            None if host.ends_with(".localhost") => TcpStream::connect(("localhost", authority.port)).await,
            None => TcpStream::connect((host, authority.port)).await,
        };
        let tcp = tcp.map_err(|source| Failed::Connect { authority: name(), source })?;
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

#[cfg(test)]
mod tests {
    use rustls::RootCertStore;
    use rustls::ServerConfig;
    use rustls::pki_types::CertificateDer;
    use tokio::io::AsyncReadExt as _;
    use tokio::io::AsyncWriteExt as _;
    use tokio::net::TcpListener;
    use tokio_rustls::TlsAcceptor;

    use super::*;

    fn client(roots: &[CertificateDer<'static>]) -> Client {
        let mut store = RootCertStore::empty();
        store.add_parsable_certificates(roots.to_vec());
        let tls = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(store)
            .with_no_client_auth();
        Client::new(Arc::new(tls), Duration::from_secs(2), 1000)
    }

    fn provider() -> Arc<rustls::crypto::CryptoProvider> {
        Arc::new(rustls::crypto::aws_lc_rs::default_provider())
    }

    fn get(url: &str) -> Request<Bytes> {
        Request::get(url).body(Bytes::new()).unwrap()
    }

    /// Answers each connection's first bytes with `bytes`, then closes.
    async fn answering(bytes: String) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let _ = stream.read(&mut [0; 1024]).await;
                let _ = stream.write_all(bytes.as_bytes()).await;
            }
        });
        url
    }

    #[tokio::test]
    async fn an_answer_is_whole_and_small_or_none() {
        let client = client(&[]);
        let of = |size: usize, body: &str| format!("HTTP/1.1 200 OK\r\ncontent-length: {size}\r\n\r\n{body}");
        let whole = client.send(get(&answering(of(2, "ok")).await)).await.unwrap();
        assert_eq!((whole.status().as_u16(), whole.body().as_ref()), (200, b"ok".as_slice()));
        let large = client.send(get(&answering(of(1001, &"x".repeat(1001))).await)).await;
        assert!(matches!(large, Err(Failed::TooLarge(_))), "{large:?}");
        let cut = client.send(get(&answering(of(20, "half")).await)).await;
        assert!(matches!(cut, Err(Failed::CutShort(_))), "{cut:?}");
        let other = client.send(get(&answering("220 smtp.example ESMTP\r\n".to_owned()).await)).await;
        assert!(matches!(other, Err(Failed::Http { .. })), "{other:?}");
    }

    #[tokio::test]
    async fn a_redirect_is_an_answer_and_not_followed() {
        let url = answering("HTTP/1.1 302 Found\r\nlocation: /elsewhere\r\ncontent-length: 0\r\n\r\n".to_owned()).await;
        assert_eq!(client(&[]).send(get(&url)).await.unwrap().status(), 302);
    }

    #[tokio::test]
    async fn only_a_trusted_certificate_is_spoken_to() {
        let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        let certificate = made.cert.der().clone();
        let key = rustls::pki_types::PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
        let tls = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.clone()], key.into())
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(tls));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://{}/", listener.local_addr().unwrap());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let Ok(mut stream) = acceptor.accept(stream).await else { continue };
                let _ = stream.read(&mut [0; 1024]).await;
                let _ = stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await;
                let _ = stream.shutdown().await;
            }
        });
        let stranger = client(&[]).send(get(&url)).await;
        assert!(matches!(stranger, Err(Failed::Tls { .. })), "{stranger:?}");
        assert_eq!(client(&[certificate]).send(get(&url)).await.unwrap().status(), 204);
    }

    #[tokio::test]
    async fn what_is_no_http_url_is_not_dialled() {
        for url in ["/relative", "ftp://127.0.0.1/", "http://user@127.0.0.1/", "http://127.1/", "http://a:99999/"] {
            let Ok(request) = Request::get(url).body(Bytes::new()) else { continue };
            assert!(matches!(client(&[]).send(request).await, Err(Failed::Url(_))), "{url}");
        }
    }
}
