//! PEM (RFC 7468): writing it, with the key material wiped; reading is `rustls_pki_types`' work.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls_pki_types::CertificateDer;
use zeroize::Zeroizing;

/// Certificates as PEM, one after the other.
pub fn to_pem(certificates: &[CertificateDer<'_>]) -> String {
    let mut text = String::new();
    certificates.iter().for_each(|certificate| write(&mut text, "CERTIFICATE", certificate));
    text
}

/// Appends one section, in lines of 64 characters.
pub(super) fn write(text: &mut String, label: &str, der: &[u8]) {
    let encoded = Zeroizing::new(STANDARD.encode(der));
    // at most one growth, and before the first byte of a key is in it
    text.reserve(encoded.len() + encoded.len() / 64 + 2 * label.len() + 40);
    text.extend(["-----BEGIN ", label, "-----\n"]);
    let mut rest = encoded.as_str();
    while let Some((line, after)) = rest.split_at_checked(64) {
        text.extend([line, "\n"]);
        rest = after;
    }
    if !rest.is_empty() {
        text.extend([rest, "\n"]);
    }
    text.extend(["-----END ", label, "-----\n"]);
}
