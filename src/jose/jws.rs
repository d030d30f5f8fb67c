//! A signature that is shown with what it signs, and is no secret.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde::Serialize;

/// A JWS in flattened JSON (RFC 7515 §7.2.2); each part in base64url.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Jws {
    /// What was signed.
    pub payload: String,
    /// The header.
    pub protected: String,
    /// The signature over the header, a dot and the payload.
    pub signature: String,
}

impl Jws {
    /// The key that its header names; not verified.
    pub fn kid(&self) -> Option<String> {
        #[derive(Deserialize)]
        struct Header {
            kid: String,
        }
        let header = URL_SAFE_NO_PAD.decode(&self.protected).ok()?;
        serde_json::from_slice::<Header>(&header).ok().map(|header| header.kid)
    }
}
