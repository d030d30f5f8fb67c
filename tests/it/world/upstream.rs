//! An upstream that remembers: what came, byte for byte as far as a server can tell.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use hyper::Version;
use hyper::server::conn::http1;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::TokioExecutor;
use hyper_util::rt::TokioIo;
use tokio::io::AsyncReadExt as _;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use super::TestCa;
use super::UP;
use super::routes;

/// One request as it arrived.
#[derive(Clone, Debug)]
pub struct Remembered {
    /// The method.
    pub method: String,
    /// Path and query, as they came.
    pub target: String,
    /// `:authority`, or the Host field.
    pub authority: String,
    /// The protocol.
    pub version: Version,
    /// Every field, in order.
    pub headers: Vec<(String, String)>,
    /// Which connection it came on.
    pub connection: usize,
    /// Bytes of the body so far.
    pub body_bytes: u64,
}

/// What the routes share with the test.
pub struct Memory {
    pub requests: Mutex<Vec<Remembered>>,
    pub refused_token: Mutex<Option<String>>,
    pub pages: Mutex<HashMap<String, (String, Bytes)>>,
    pub git_root: Mutex<Option<std::path::PathBuf>>,
    pub gate: Semaphore,
    pub door: Semaphore,
    pub connections: AtomicUsize,
}

/// A server on loopback; ends when dropped.
pub struct Upstream {
    address: SocketAddr,
    memory: Arc<Memory>,
    task: JoinHandle<()>,
}

#[derive(Clone, Copy)]
enum Speech {
    Http,
    Script(&'static [u8]),
}

impl Upstream {
    /// HTTP/1.1 over TLS, for [`UP`].
    pub async fn h1() -> Self {
        Self::tls(&[UP], &[b"http/1.1"]).await
    }

    /// HTTP/2 over TLS only.
    pub async fn h2() -> Self {
        Self::tls(&[UP], &[b"h2"]).await
    }

    /// Whichever the client prefers.
    pub async fn both() -> Self {
        Self::tls(&[UP], &[b"h2", b"http/1.1"]).await
    }

    /// TLS for `names`, with `alpn`.
    pub async fn tls(names: &[&str], alpn: &[&[u8]]) -> Self {
        Self::start(Some(TlsAcceptor::from(TestCa::shared().server(names, alpn))), Speech::Http).await
    }

    /// No TLS.
    pub async fn plain() -> Self {
        Self::start(None, Speech::Http).await
    }

    /// HTTP/1.1 over TLS that answers every head with these bytes and closes.
    pub async fn script(bytes: &'static [u8]) -> Self {
        let tls = TestCa::shared().server(&[UP], &[b"http/1.1"]);
        Self::start(Some(TlsAcceptor::from(tls)), Speech::Script(bytes)).await
    }

    async fn start(tls: Option<TlsAcceptor>, speech: Speech) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let memory = Arc::new(Memory {
            requests: Mutex::default(),
            refused_token: Mutex::default(),
            pages: Mutex::default(),
            git_root: Mutex::default(),
            gate: Semaphore::new(0),
            door: Semaphore::new(Semaphore::MAX_PERMITS),
            connections: AtomicUsize::new(0),
        });
        let task = tokio::spawn(accept(listener, tls, speech, Arc::clone(&memory)));
        Self { address, memory, task }
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// What came so far.
    pub fn requests(&self) -> Vec<Remembered> {
        self.memory.requests.lock().unwrap().clone()
    }

    /// How many connections came so far, whether or not a request came on them.
    pub fn connections(&self) -> usize {
        self.memory.connections.load(Ordering::SeqCst)
    }

    /// The only request so far.
    #[track_caller]
    pub fn only_request(&self) -> Remembered {
        let mut requests = self.requests();
        assert_eq!(requests.len(), 1, "{requests:#?}");
        requests.remove(0)
    }

    /// Lets `/sse` send so many more events, and `/slow` answer so many more requests.
    pub fn release(&self, count: usize) {
        self.memory.gate.add_permits(count);
    }

    /// From now on connections wait before their handshake.
    pub fn close_the_door(&self) {
        self.memory.door.forget_permits(Semaphore::MAX_PERMITS);
    }

    /// Those that wait, and all others, come in.
    pub fn open_the_door(&self) {
        self.memory.door.add_permits(Semaphore::MAX_PERMITS);
    }

    /// Serves `bytes` at `path`.
    pub fn page(&self, path: &str, content_type: &str, bytes: impl Into<Bytes>) {
        self.memory.pages.lock().unwrap().insert(path.to_owned(), (content_type.to_owned(), bytes.into()));
    }

    /// Serves the git repositories below a folder at `/git/`.
    pub fn git(&self, root: &std::path::Path) {
        *self.memory.git_root.lock().unwrap() = Some(root.to_owned());
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Remembered {
    /// The value of a field that came at most once.
    #[track_caller]
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.iter().filter(|(other, _)| other == name).map(|(_, value)| value.as_str());
        let first = values.next();
        assert_eq!(values.next(), None, "two `{name}` in {self:#?}");
        first
    }
}

async fn accept(listener: TcpListener, tls: Option<TlsAcceptor>, speech: Speech, memory: Arc<Memory>) {
    // Aborted with the task: connections are its children.
    let mut connections = tokio::task::JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else { return };
        let _ = stream.set_nodelay(true);
        let number = memory.connections.fetch_add(1, Ordering::SeqCst);
        let memory = Arc::clone(&memory);
        let tls = tls.clone();
        connections.spawn(async move { serve(stream, tls, speech, memory, number).await });
    }
}

async fn serve(stream: TcpStream, tls: Option<TlsAcceptor>, speech: Speech, memory: Arc<Memory>, number: usize) {
    drop(memory.door.acquire().await);
    let service = service_fn(move |request| routes::answer(Arc::clone(&memory), number, request));
    let Some(tls) = tls else {
        let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).with_upgrades().await;
        return;
    };
    let Ok(mut stream) = tls.accept(stream).await else { return };
    let is_h2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
    match speech {
        Speech::Script(bytes) => {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                let Ok(byte) = stream.read_u8().await else { return };
                head.push(byte);
            }
            let _ = stream.write_all(bytes).await;
            let _ = stream.shutdown().await;
        }
        Speech::Http if is_h2 => {
            let _ = http2::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
        }
        Speech::Http => {
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).with_upgrades().await;
        }
    }
}
