//! A certificate for one of the daemon's own services, which only the daemon itself is told to trust.

use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::PrivatePkcs8KeyDer;

use crate::limits::OWN_SERVER_CERTIFICATE_LIFETIME;
use crate::model::Host;
use crate::model::Timestamp;
use crate::tls::certificate::leaf_params;
use crate::tls::key::Key;
use crate::tls::provider;

/// Why there is none.
#[derive(Debug, thiserror::Error)]
pub enum OwnServerError {
    /// The certificate could not be made.
    #[error("the certificate of an own service could not be made")]
    Make(#[from] rcgen::Error),
    /// The key could not be made.
    #[error("the key of an own service could not be made")]
    Key(#[from] aws_lc_rs::error::Unspecified),
    /// TLS refuses it.
    #[error("TLS refuses the certificate of an own service")]
    Tls(#[from] rustls::Error),
}

/// A self-signed certificate for `host`; the key is in memory only and is never used again.
///
/// # Errors
/// The cryptography library refused; this does not happen on a working machine.
pub fn own_server(host: &Host, now: Timestamp) -> Result<(Arc<ServerConfig>, CertificateDer<'static>), OwnServerError> {
    let from = now.before(OWN_SERVER_CERTIFICATE_LIFETIME);
    let mut params = leaf_params(host, from, now.after(OWN_SERVER_CERTIFICATE_LIFETIME))?;
    params.use_authority_key_identifier_extension = false;
    let key = Key::generate()?;
    let certificate = params.self_signed(&key)?.der().clone();
    let private = PrivatePkcs8KeyDer::from(key.to_pkcs8()?.as_ref().to_vec());
    let provider = Arc::new(provider::for_loopback());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], private.into())?;
    Ok((Arc::new(config), certificate))
}
