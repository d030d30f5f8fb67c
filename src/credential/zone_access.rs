//! What is needed to speak to a zone: its URL, and as whom. Never what kind of server it is.

use std::fmt;
use std::io;
use std::sync::Arc;

use crate::model::Secret;
use crate::model::UserName;

/// What is needed to speak to a zone: its URL, and who speaks.
#[derive(Clone, Debug)]
pub struct ZoneAccess {
    /// The issuer's URL, exactly as in its metadata; a trailing slash is ignored.
    pub issuer: String,
    /// Whose sign-in the refresh token is. Nobody else's session gets a token for it.
    pub user: UserName,
    /// As whom.
    pub client: ZoneClient,
}

/// As which client the vault speaks to the zone.
#[derive(Clone, Debug)]
pub enum ZoneClient {
    /// The daemon's own client, which refreshes the user's token and registers one application for each agent.
    SignedIn {
        /// The daemon's client id.
        client_id: String,
        /// Its secret.
        client_secret: Secret,
        /// The user's session at the zone.
        refresh_token: Secret,
        /// The initial access token for registrations (RFC 7591 §3).
        registration_token: Secret,
    },
    /// One client, made by hand at the zone, for all agents.
    Client {
        /// Its id.
        client_id: String,
        /// Its secret.
        client_secret: Secret,
        /// The user's session at the zone; without one there are no exchanges, only client credentials.
        refresh_token: Option<Secret>,
        /// Keeps a refresh token that the zone replaced.
        persist: Persist,
    },
}

/// Stores a rotated refresh token; called from a thread that may block.
#[derive(Clone)]
pub struct Persist(Arc<Keep>);

type Keep = dyn Fn(&Secret) -> io::Result<()> + Send + Sync;

impl Persist {
    /// `keep` is called with each new refresh token, before it is used.
    pub fn new(keep: impl Fn(&Secret) -> io::Result<()> + Send + Sync + 'static) -> Self {
        Self(Arc::new(keep))
    }

    pub(super) fn keep(&self, refresh_token: &Secret) -> io::Result<()> {
        (self.0)(refresh_token)
    }

    /// In memory only: after a restart the first token is used again.
    pub fn nowhere() -> Self {
        Self::new(|_| Ok(()))
    }
}

impl fmt::Debug for Persist {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Persist(…)")
    }
}
