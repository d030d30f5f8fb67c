//! What this zone permits: a person's own on a laptop, or a team's.

use std::fmt;
use std::sync::Arc;

use crate::http::Client;
use crate::zone::events::Events;
use crate::zone::events::NoEvents;

/// The zone's rules. The default is the one of a personal zone.
#[derive(Clone)]
pub struct Rules {
    /// Who may register a client.
    pub registration: Registration,
    /// Who must prove that a code is its own (RFC 7636).
    pub proof_key: ProofKey,
    /// How documents of keys are fetched; without it, no client has keys elsewhere.
    pub outbound: Option<Client>,
    /// Who keeps what an auditor wants to know.
    pub events: Arc<dyn Events>,
}

/// Who may register a client (RFC 7591).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Registration {
    /// Whoever holds an initial access token: the daemon of this machine.
    ByToken,
    /// Anybody. Such a client gets nothing but by a person's consent.
    Open,
}

/// Who must send a challenge with an authorization request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProofKey {
    /// Every client.
    Required,
    /// Public clients; those with a secret or a key may go without.
    ForPublicClients,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            registration: Registration::ByToken,
            proof_key: ProofKey::Required,
            outbound: None,
            events: Arc::new(NoEvents),
        }
    }
}

impl fmt::Debug for Rules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rules").field("registration", &self.registration).finish_non_exhaustive()
    }
}
