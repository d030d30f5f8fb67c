//! What may be said of a credential: all of it safe to print.

use crate::model::Fingerprint;
use crate::model::Scopes;
use crate::model::Timestamp;

/// Where a credential came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SourceKind {
    /// RFC 8693.
    TokenExchange,
    /// RFC 6749 §4.4.
    ClientCredentials,
    /// A stored secret.
    Stored,
}

impl SourceKind {
    /// As in the configuration and the ledger.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TokenExchange => "token-exchange",
            Self::ClientCredentials => "client-credentials",
            Self::Stored => "stored",
        }
    }
}

/// The record's view of a credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Provenance {
    /// Which kind of source.
    pub source: SourceKind,
    /// The issuer's URL; none for a stored secret.
    pub issuer: Option<String>,
    /// What the server granted; empty where it said nothing.
    pub scopes: Scopes,
    /// Which credential it was, without telling it.
    pub fingerprint: Fingerprint,
    /// Until when it is good; none for a stored secret.
    pub expires_at: Option<Timestamp>,
    /// Whether it was at hand already.
    pub cached: bool,
}
