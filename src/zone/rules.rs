//! What this zone permits: a person's own on a laptop, or a team's.

use std::fmt;
use std::sync::Arc;

use crate::http::Client;
use crate::zone::events::Events;
use crate::zone::events::NoEvents;
use crate::zone::peer::TrustedProxies;

/// The zone's rules. The default is the one of a personal zone.
#[derive(Clone)]
pub struct Rules {
    /// Who may register a client.
    pub registration: Registration,
    /// How documents of keys are fetched; without it, no client has keys elsewhere.
    pub outbound: Option<Client>,
    /// Whose word on where a request comes from is believed.
    pub trusted_proxies: TrustedProxies,
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

impl Default for Rules {
    fn default() -> Self {
        Self {
            registration: Registration::ByToken,
            outbound: None,
            trusted_proxies: TrustedProxies::default(),
            events: Arc::new(NoEvents),
        }
    }
}

impl fmt::Debug for Rules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rules").field("registration", &self.registration).finish_non_exhaustive()
    }
}
