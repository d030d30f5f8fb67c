//! The cryptography of both legs: rustls's own defaults, in an order of ours.
//!
//! AES-128 goes before AES-256, as in browsers and in Go: its hash is SHA-256, for which processors have instructions,
//! so that a handshake costs a tenth less and each record a little.

use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs;
use rustls::crypto::aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256;
use rustls::crypto::aws_lc_rs::kx_group;

/// For what leaves this machine: the post-quantum hybrid key exchange first.
pub(super) fn for_networks() -> CryptoProvider {
    let mut provider = aws_lc_rs::default_provider();
    provider.cipher_suites.retain(|suite| *suite != TLS13_AES_128_GCM_SHA256);
    provider.cipher_suites.insert(0, TLS13_AES_128_GCM_SHA256);
    provider
}

/// For what never leaves this machine: plain X25519 first.
pub(super) fn for_loopback() -> CryptoProvider {
    CryptoProvider {
        kx_groups: vec![kx_group::X25519, kx_group::SECP256R1, kx_group::SECP384R1, kx_group::X25519MLKEM768],
        ..for_networks()
    }
}
