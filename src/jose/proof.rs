//! Proofs of possession (RFC 9449): the one kind of token that brings its key along.
//!
//! A proof shows only that its sender holds the private half of the key in it. Whose key that is, is for the caller to
//! say: by the key's thumbprint, which stands in the token that is used with it.

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;

use crate::jose::Jwk;
use crate::jose::Refused;
use crate::jose::key_set::PublicKey;
use crate::jose::verifier::decode;
use crate::limits::JWT_BYTES_MAX;

/// A proof whose signature is good. Its time, method and address are still to be judged.
#[derive(Clone, Debug, Deserialize)]
pub struct Proof {
    /// The proof's own name, good once.
    pub jti: String,
    /// The method of the request that it was made for.
    pub htm: String,
    /// The address of that request, without query and fragment.
    pub htu: String,
    /// When it was made, in seconds.
    pub iat: i64,
    /// The hash of the access token that it goes with.
    pub ath: Option<String>,
    /// The RFC 7638 thumbprint of the key that signed it.
    #[serde(skip)]
    pub thumbprint: String,
}

impl Proof {
    /// Reads a proof and checks it against the key in its own header.
    pub fn read(token: &str) -> Result<Self, Refused> {
        if token.len() > JWT_BYTES_MAX {
            return Err(Refused::Malformed);
        }
        let (message, signature) = token.rsplit_once('.').ok_or(Refused::Malformed)?;
        let (header, claims) = message.split_once('.').ok_or(Refused::Malformed)?;
        let header: Header = decode(header)?;
        if !header.typ.eq_ignore_ascii_case("dpop+jwt") {
            return Err(Refused::Type);
        }
        // RFC 9449 §4.3: a private or a shared key has no place here.
        if PRIVATE.iter().any(|member| header.jwk.get(member).is_some()) {
            return Err(Refused::Malformed);
        }
        let jwk: Jwk = serde_json::from_value(header.jwk).map_err(|_| Refused::Malformed)?;
        let key = PublicKey::of(&jwk).ok_or(Refused::Algorithm)?;
        if key.algorithm_name() != header.alg {
            return Err(Refused::Algorithm);
        }
        if !key.verifies(message.as_bytes(), signature) {
            return Err(Refused::Signature);
        }
        let thumbprint = jwk.thumbprint().ok_or(Refused::Malformed)?;
        Ok(Self { thumbprint, ..decode(claims)? })
    }
}

/// The SHA-256 of `text` in base64url: how a proof names its access token (`ath`), and PKCE its verifier.
pub fn hash_of(text: &str) -> String {
    URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, text.as_bytes()))
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    typ: String,
    jwk: serde_json::Value,
}

const PRIVATE: [&str; 7] = ["d", "p", "q", "dp", "dq", "qi", "k"];
