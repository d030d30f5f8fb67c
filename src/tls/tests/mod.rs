//! The authority as clients see it, on certificates really made; told against a small world.

mod clients;
mod generations;
mod leaves;

use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use rustls::ClientConfig;
use rustls::ClientConnection;
use rustls::ServerConfig;
use rustls::ServerConnection;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::ServerName;
use x509_parser::prelude::FromDer as _;
use x509_parser::prelude::X509Certificate;

use super::*;
use crate::model::Clock;
use crate::model::Host;
use crate::model::Timestamp;
use crate::os::SystemClock;
use crate::tls::generation::Generation;

/// Begins at the machine's time, because rustls and OpenSSL ask that one, and is wound by hand.
struct HandWound(Mutex<Timestamp>);

impl HandWound {
    fn wind(&self, by: Duration) {
        let mut now = self.0.lock().unwrap();
        *now = now.after(by);
    }
}

impl Clock for HandWound {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }

    fn monotonic(&self) -> Duration {
        Duration::ZERO
    }
}

struct World {
    home: tempfile::TempDir,
    clock: Arc<HandWound>,
    authority: CertificateAuthority,
}

impl World {
    fn new(permitted: &[&str]) -> Self {
        let home = tempfile::tempdir().unwrap();
        let clock = Arc::new(HandWound(Mutex::new(SystemClock::new().now())));
        let folder = home.path().join("ca");
        let authority =
            CertificateAuthority::open(&folder, &hosts(permitted), Arc::clone(&clock) as Arc<dyn Clock>).unwrap();
        Self { home, clock, authority }
    }

    fn folder(&self) -> PathBuf {
        self.home.path().join("ca")
    }

    fn reopened(&self, permitted: &[&str]) -> Result<CertificateAuthority, CaError> {
        CertificateAuthority::open(&self.folder(), &hosts(permitted), Arc::clone(&self.clock) as Arc<dyn Clock>)
    }

    fn server(&self, name: &str) -> Arc<ServerConfig> {
        self.authority.server_config(&host(name), Alpn::Http2AndHttp1).unwrap()
    }

    fn trust(&self) -> Roots {
        Roots::new(self.authority.roots(), Vec::new())
    }

    /// The only generation's file, read again with its key.
    fn generation(&self) -> Generation {
        let [file] = generation_files(&self.folder()).try_into().unwrap();
        Generation::parse("x".to_owned(), &std::fs::read(file).unwrap()).unwrap()
    }
}

fn host(name: &str) -> Host {
    Host::parse(name).unwrap()
}

fn hosts(names: &[&str]) -> Vec<Host> {
    names.iter().copied().map(host).collect()
}

fn generation_files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.to_str().unwrap().ends_with(".generation.pem"));
    files.sort();
    files
}

/// A handshake in memory; the client's side of it when both are content.
fn handshake(
    server: &Arc<ServerConfig>,
    client: &Arc<ClientConfig>,
    name: &str,
) -> Result<ClientConnection, rustls::Error> {
    let mut client = ClientConnection::new(Arc::clone(client), ServerName::try_from(name.to_owned()).unwrap()).unwrap();
    let mut server = ServerConnection::new(Arc::clone(server)).unwrap();
    for _ in 0..20 {
        let mut wire = Vec::new();
        client.write_tls(&mut wire).unwrap();
        server.read_tls(&mut wire.as_slice()).unwrap();
        server.process_new_packets()?;
        let mut wire = Vec::new();
        while server.wants_write() {
            server.write_tls(&mut wire).unwrap();
        }
        let mut wire = wire.as_slice();
        while !wire.is_empty() {
            client.read_tls(&mut wire).unwrap();
            client.process_new_packets()?;
        }
        if !client.is_handshaking() && !server.is_handshaking() && !client.wants_write() {
            return Ok(client);
        }
    }
    panic!("no end of the handshake");
}

fn client(roots: &Roots) -> Arc<ClientConfig> {
    client_config(roots, &[], &[b"h2", b"http/1.1"]).unwrap()
}

fn chain_of(server: &Arc<ServerConfig>, roots: &Roots, name: &str) -> Vec<CertificateDer<'static>> {
    let client = handshake(server, &client(roots), name).unwrap();
    client.peer_certificates().unwrap().iter().map(|certificate| certificate.clone().into_owned()).collect()
}

fn parsed<'a>(certificate: &'a CertificateDer<'a>) -> X509Certificate<'a> {
    X509Certificate::from_der(certificate).unwrap().1
}

fn openssl_verify(
    folder: &Path,
    roots: &[CertificateDer<'static>],
    chain: &[CertificateDer<'static>],
    extra: &[&str],
) -> (bool, String) {
    let file = |name: &str, certificates: &[CertificateDer<'static>]| {
        let path = folder.join(name);
        std::fs::write(&path, to_pem(certificates)).unwrap();
        path
    };
    let answer = std::process::Command::new("openssl")
        .args(["verify", "-x509_strict", "-no-CApath", "-no-CAstore", "-purpose", "sslserver"])
        .args(extra)
        .arg("-CAfile")
        .arg(file("roots.pem", roots))
        .arg("-untrusted")
        .arg(file("untrusted.pem", &chain[1..]))
        .arg(file("leaf.pem", &chain[..1]))
        .output()
        .expect("openssl is installed");
    (answer.status.success(), String::from_utf8_lossy(&[answer.stdout, answer.stderr].concat()).into_owned())
}
