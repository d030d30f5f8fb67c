//! Whom we trust upstream: the platform's roots, loaded once, plus what a resource brings.
//!
//! There is no way to turn verification off.

use std::path::Path;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::RootCertStore;
use rustls::client::Resumption;
use rustls_pki_types::CertificateDer;

use crate::limits::UPSTREAM_TLS_SERVERS_MAX;
use crate::tls::provider;

/// Trusted certificates, and what could not be read on the way.
#[derive(Clone, Debug)]
pub struct Roots {
    /// Each root as it was found.
    pub certs: Vec<CertificateDer<'static>>,
    /// What was passed over, as sentences: a warning for the log, as long as some roots were found.
    pub errors: Vec<String>,
    store: Arc<RootCertStore>,
}

/// An extra root that is no certificate authority's certificate.
#[derive(Debug, thiserror::Error)]
#[error("an extra root certificate is not usable")]
pub struct RootNotUsable(#[from] rustls::Error);

impl Roots {
    /// From certificates in hand; what does not parse is passed over and told.
    pub fn new(certs: Vec<CertificateDer<'static>>, mut errors: Vec<String>) -> Self {
        let mut store = RootCertStore::empty();
        let (_, passed_over) = store.add_parsable_certificates(certs.iter().cloned());
        if passed_over > 0 {
            errors.push(format!("{passed_over} root certificates could not be parsed"));
        }
        Self { certs, errors, store: Arc::new(store) }
    }
}

/// The platform's roots, or those in `file` alone. Reads the disk: some milliseconds.
///
/// On Linux and BSD the environment is not asked. On macOS `SSL_CERT_FILE` and `SSL_CERT_DIR` would be, so that
/// the daemon removes them from its own environment first.
pub fn platform_roots(file: Option<&Path>) -> Roots {
    let found = match file.or(well_known_file()) {
        Some(file) => rustls_native_certs::load_certs_from_paths(Some(file), None),
        None if cfg!(target_os = "macos") => rustls_native_certs::load_native_certs(),
        None => rustls_native_certs::load_certs_from_paths(None, well_known_folder()),
    };
    Roots::new(found.certs, found.errors.iter().map(ToString::to_string).collect())
}

/// How we speak TLS to upstreams: verified against `roots` and `extra`, TLS 1.2 and 1.3, post-quantum hybrid key
/// exchange first, sessions resumed, no early data. `alpn` in order of preference.
pub fn client_config(
    roots: &Roots,
    extra: &[CertificateDer<'static>],
    alpn: &[&[u8]],
) -> Result<Arc<ClientConfig>, RootNotUsable> {
    let mut store = Arc::clone(&roots.store);
    for certificate in extra {
        Arc::make_mut(&mut store).add(certificate.clone())?;
    }
    let mut config = ClientConfig::builder_with_provider(Arc::new(provider::for_networks()))
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?
        .with_root_certificates(store)
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    config.resumption = Resumption::in_memory_sessions(UPSTREAM_TLS_SERVERS_MAX);
    Ok(Arc::new(config))
}

/// One file is read in a fraction of the time that a folder of links takes.
fn well_known_file() -> Option<&'static Path> {
    if cfg!(target_os = "macos") {
        return None;
    }
    WELL_KNOWN_FILES.iter().map(Path::new).find(|path| path.is_file())
}

fn well_known_folder() -> Option<&'static Path> {
    WELL_KNOWN_FOLDERS.iter().map(Path::new).find(|path| path.is_dir())
}

/// Debian, Red Hat, older Red Hat, openSUSE, Alpine and BSD, FreeBSD ports.
const WELL_KNOWN_FILES: [&str; 6] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
    "/usr/local/share/certs/ca-root-nss.crt",
];

const WELL_KNOWN_FOLDERS: [&str; 3] = ["/etc/ssl/certs", "/etc/pki/tls/certs", "/system/etc/security/cacerts"];
