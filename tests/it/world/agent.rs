//! An agent of our own that speaks to the proxy itself: byte by byte, or through hyper.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::path::PathBuf;
use std::process::Stdio;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http_body_util::BodyExt;
use http_body_util::Full;
use hyper::HeaderMap;
use hyper::Method;
use hyper::Request;
use hyper::Response;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::client::conn::http2;
use hyper_util::rt::TokioExecutor;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::io::AsyncBufReadExt as _;
use tokio::io::AsyncRead;
use tokio::io::AsyncReadExt as _;
use tokio::io::AsyncWriteExt as _;
use tokio::io::BufReader;
use tokio::net::TcpStream;
use tokio::process::Child;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::Body;
use super::client_config;
use super::daemon::command;
use super::within;

/// An open session: a `valetkey run` whose child waits, and its environment.
pub struct Session {
    /// What `run` gave its child.
    pub environment: BTreeMap<String, String>,
    ca_file: PathBuf,
    child: Child,
}

/// A response, read whole.
#[derive(Debug)]
pub struct Answer {
    /// The status line's number; 0 when the connection was closed without an answer.
    pub status: u16,
    /// The header fields.
    pub headers: HeaderMap,
    /// The body; raw exchanges keep what follows the head as it came.
    pub body: Bytes,
    /// The fields behind the body.
    pub trailers: HeaderMap,
}

impl Session {
    /// Opens one by `valetkey run --agent AGENT`.
    pub async fn open(home: &Path, agent: &str) -> Self {
        let mut child = tokio::process::Command::from(command(home))
            .args(["run", "--agent", agent, "--", "sh", "-c", "env; echo END-OF-ENV; cat"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut environment = BTreeMap::new();
        within("the session's environment", async {
            loop {
                let line = lines.next_line().await.unwrap().expect("`run` ended before its child spoke");
                if line == "END-OF-ENV" {
                    break;
                }
                if let Some((name, value)) = line.split_once('=') {
                    environment.insert(name.to_owned(), value.to_owned());
                }
            }
        })
        .await;
        Self { environment, ca_file: home.join("state/ca/ca.pem"), child }
    }

    /// A variable that `run` must have set.
    #[track_caller]
    pub fn variable(&self, name: &str) -> &str {
        self.environment.get(name).unwrap_or_else(|| panic!("`run` sets no {name}: {:?}", self.environment))
    }

    /// The session's id.
    pub fn id(&self) -> &str {
        self.variable("VALETKEY_SESSION_ID")
    }

    /// `(user-info, host:port)` of the proxy URL.
    pub fn proxy(&self) -> (&str, &str) {
        let url = self.variable("HTTPS_PROXY").trim_start_matches("http://").trim_end_matches('/');
        url.rsplit_once('@').expect("the proxy URL has user-info")
    }

    /// The value of `Proxy-Authorization`.
    pub fn basic(&self) -> String {
        format!("Basic {}", STANDARD.encode(self.proxy().0))
    }

    /// Closes stdin of the child, so that it ends, and waits for `run`.
    pub async fn close(mut self) -> Option<i32> {
        drop(self.child.stdin.take());
        within("`run` to end", self.child.wait()).await.unwrap().code()
    }

    /// Ends `run` so that it can tell nobody.
    pub async fn kill(mut self) {
        self.child.start_kill().unwrap();
        self.child.wait().await.unwrap();
    }

    /// A TCP connection to the proxy.
    pub async fn dial(&self) -> TcpStream {
        let stream = TcpStream::connect(self.proxy().1).await.unwrap();
        stream.set_nodelay(true).unwrap();
        stream
    }

    /// Writes `bytes` to the proxy and reads one answer's head, and its body when its length is told.
    pub async fn raw(&self, bytes: &[u8]) -> Answer {
        let mut stream = self.dial().await;
        stream.write_all(bytes).await.unwrap();
        read_answer(&mut stream).await
    }

    /// `CONNECT authority`, with credentials. The answer when it is not 200.
    pub async fn connect(&self, authority: &str) -> Result<TcpStream, Answer> {
        let mut stream = self.dial().await;
        let head = format!(
            "CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\nProxy-Authorization: {}\r\n\r\n",
            self.basic()
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        let answer = read_answer(&mut stream).await;
        if answer.status == 200 { Ok(stream) } else { Err(answer) }
    }

    /// TLS with `sni` inside `CONNECT authority`, trusting valetkey's CA.
    pub async fn tls_as(&self, authority: &str, sni: &str, alpn: &[&str]) -> io::Result<TlsStream<TcpStream>> {
        self.tls_trusting(&self.ca_file, authority, sni, alpn).await
    }

    /// TLS inside a tunnel, trusting the certificates of a file.
    pub async fn tls_trusting(
        &self,
        ca_file: &Path,
        authority: &str,
        sni: &str,
        alpn: &[&str],
    ) -> io::Result<TlsStream<TcpStream>> {
        let tcp = self.connect(authority).await.unwrap_or_else(|answer| panic!("no tunnel: {answer:?}"));
        let name = ServerName::try_from(sni.to_owned()).unwrap();
        let connector = TlsConnector::from(client_config(ca_file, alpn));
        within("the TLS handshake", connector.connect(name, tcp)).await
    }

    /// TLS over a tunnel that is already open.
    pub async fn tls_over(&self, tcp: TcpStream, sni: &str, alpn: &[&str]) -> io::Result<TlsStream<TcpStream>> {
        let name = ServerName::try_from(sni.to_owned()).unwrap();
        let connector = TlsConnector::from(client_config(&self.ca_file, alpn));
        within("the TLS handshake", connector.connect(name, tcp)).await
    }

    /// TLS with `host:443`.
    pub async fn tls(&self, host: &str, alpn: &[&str]) -> TlsStream<TcpStream> {
        self.tls_as(&format!("{host}:443"), host, alpn).await.unwrap()
    }

    /// Writes `bytes` inside TLS with `host:443` and reads one answer.
    pub async fn raw_inside(&self, host: &str, bytes: &[u8]) -> Answer {
        let mut stream = self.tls(host, &["http/1.1"]).await;
        stream.write_all(bytes).await.unwrap();
        stream.flush().await.unwrap();
        read_answer(&mut stream).await
    }

    /// An HTTP/1.1 connection with `host:443`.
    pub async fn h1(&self, host: &str) -> http1::SendRequest<Body> {
        let stream = self.tls(host, &["http/1.1"]).await;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection.with_upgrades());
        sender
    }

    /// An HTTP/2 connection with `host:443`.
    pub async fn h2(&self, host: &str) -> http2::SendRequest<Body> {
        let stream = self.tls(host, &["h2"]).await;
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
        let (sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        sender
    }

    /// One request over HTTP/1.1 on a connection of its own.
    pub async fn send(&self, request: Request<Body>) -> Answer {
        let host = request.headers()["host"].to_str().unwrap().to_owned();
        let mut sender = self.h1(&host).await;
        Answer::read(within("an answer", sender.send_request(request)).await.unwrap()).await
    }

    /// `GET https://host/path`.
    pub async fn get(&self, host: &str, path: &str) -> Answer {
        self.send(Self::request(Method::GET, host, path, empty())).await
    }

    /// `POST https://host/path`.
    pub async fn post(&self, host: &str, path: &str, body: impl Into<Bytes>) -> Answer {
        self.send(Self::request(Method::POST, host, path, full(body))).await
    }

    /// A request for an HTTP/1.1 connection.
    pub fn request(method: Method, host: &str, path: &str, body: Body) -> Request<Body> {
        Request::builder().method(method).uri(path).header("host", host).body(body).unwrap()
    }
}

impl Answer {
    /// Reads a response to its end.
    pub async fn read(response: Response<Incoming>) -> Self {
        let (head, body) = response.into_parts();
        let body = within("the body's end", body.collect()).await.unwrap();
        let trailers = body.trailers().cloned().unwrap_or_default();
        Self { status: head.status.as_u16(), headers: head.headers, body: body.to_bytes(), trailers }
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error} in {self:?}"))
    }

    /// A header's value, or nothing.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The refusal in the body: checks its form and gives it.
    #[track_caller]
    pub fn problem(&self, status: u16) -> serde_json::Value {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(self.header("content-type"), "application/problem+json", "{self:?}");
        let problem = self.json();
        assert_eq!(problem["status"], status, "{problem:#}");
        for field in ["type", "title", "code", "detail", "hint", "record"] {
            assert!(problem[field].as_str().is_some_and(|text| !text.is_empty()), "no `{field}` in {problem:#}");
        }
        problem
    }
}

/// Reads a head, then as much body as it announces (all that comes when it announces nothing and closes).
pub async fn read_answer(stream: &mut (impl AsyncRead + Unpin)) -> Answer {
    within("an answer", async {
        let mut head = Vec::new();
        let closed = Answer { status: 0, headers: HeaderMap::new(), body: Bytes::new(), trailers: HeaderMap::new() };
        while !head.ends_with(b"\r\n\r\n") {
            match stream.read_u8().await {
                Ok(byte) => head.push(byte),
                Err(_) => return Answer { body: head.into(), ..closed },
            }
        }
        let text = String::from_utf8(head).unwrap();
        let mut lines = text.split("\r\n");
        let first = lines.next().unwrap();
        let status: u16 = first.split(' ').nth(1).unwrap_or_default().parse().unwrap_or_default();
        let mut headers = HeaderMap::new();
        for (name, value) in lines.filter_map(|line| line.split_once(':')) {
            headers
                .append(hyper::header::HeaderName::from_bytes(name.as_bytes()).unwrap(), value.trim().parse().unwrap());
        }
        let length = headers.get("content-length").map_or(0, |value| value.to_str().unwrap().parse().unwrap());
        let mut body = vec![0; length];
        let _ = stream.read_exact(&mut body).await;
        Answer { status, headers, body: body.into(), ..closed }
    })
    .await
}

/// No body.
pub fn empty() -> Body {
    full(Bytes::new())
}

/// A body that is there as a whole.
pub fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed_unsync()
}

/// A body whose parts come one by one.
pub fn body_of<S>(parts: S) -> Body
where
    S: futures_util::Stream<Item = io::Result<hyper::body::Frame<Bytes>>> + Send + 'static,
{
    BodyExt::boxed_unsync(http_body_util::StreamBody::new(parts))
}
