//! What a token says about itself before anyone verified it. Good for one thing: to find the keys that may verify it.

use serde::Deserialize;

use crate::jose::Refused;
use crate::jose::verifier::decode;
use crate::limits::JWT_BYTES_MAX;

/// Claims that nobody vouches for.
#[derive(Debug, Deserialize)]
pub struct Unverified {
    /// Who it says made it.
    pub iss: Option<String>,
    /// Whom it says it is about.
    pub sub: Option<String>,
    /// Where it says it may be used.
    #[serde(default)]
    pub aud: serde_json::Value,
    /// Its kind, `typ` of the header.
    #[serde(skip)]
    pub typ: Option<String>,
    /// How it says it is signed, `alg` of the header.
    #[serde(skip)]
    pub alg: String,
    /// Whether there is a signature at all.
    #[serde(skip)]
    pub signed: bool,
}

impl Unverified {
    /// Reads header and claims.
    pub fn read(token: &str) -> Result<Self, Refused> {
        if token.len() > JWT_BYTES_MAX {
            return Err(Refused::Malformed);
        }
        let (message, signature) = token.rsplit_once('.').ok_or(Refused::Malformed)?;
        let (header, claims) = message.split_once('.').ok_or(Refused::Malformed)?;
        let Header { alg, typ } = decode(header)?;
        Ok(Self { typ, alg: alg.unwrap_or_default(), signed: !signature.is_empty(), ..decode(claims)? })
    }

    /// The name of the key that it says signed it.
    pub fn key_id(token: &str) -> Option<String> {
        let (header, _) = token.split_once('.')?;
        decode::<KeyName>(header).ok()?.kid
    }

    /// The one audience, or the first of several.
    pub fn audience(&self) -> Option<&str> {
        self.aud.as_str().or_else(|| self.aud.get(0)?.as_str())
    }
}

#[derive(Deserialize)]
struct KeyName {
    kid: Option<String>,
}

#[derive(Deserialize)]
struct Header {
    alg: Option<String>,
    typ: Option<String>,
}
