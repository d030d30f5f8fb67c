//! Every timeout, queue, cache and body bound, with its unit and why it is what it is.
//!
//! One section per room; a number that bounds something stands here and nowhere else.

use std::time::Duration;

// --- proxy: what an agent may cost ---------------------------------------------------------------

/// A request head must be complete within this time; a half-sent head would otherwise be held for ever.
pub const HEAD_READ_TIMEOUT: Duration = Duration::from_secs(10);

// --- http: the daemon's own requests ---------------------------------------------------------------

/// A token endpoint, a discovery document or a key set answers within this time or counts as down.
pub const OUTBOUND_TIMEOUT: Duration = Duration::from_secs(10);

/// No token answer or key set needs more.
pub const OUTBOUND_ANSWER_BYTES_MAX: usize = 256 * 1024;

// --- credential: what a token endpoint may cost, and what one may cost us ---------------------------

/// A credential is there within this time or the request is refused, whatever had to be fetched for it.
pub const OBTAIN_TIMEOUT: Duration = Duration::from_secs(10);

/// Credentials in memory; past it the least recently used goes. One session with one resource is one entry.
pub const CREDENTIALS_MAX: usize = 4096;

/// Agents whose application at the zone is in memory; past it the least recently used is registered anew.
pub const APPLICATIONS_MAX: usize = 1024;

/// A failed fetch is answered from memory for at least this long, so that a dead endpoint is not hammered…
pub const FAILURE_PAUSE_MIN: Duration = Duration::from_secs(1);

/// … and at most this long: short enough that nobody waits for a recovered endpoint.
pub const FAILURE_PAUSE_MAX: Duration = Duration::from_secs(3);

/// An upstream that refuses token after token has a fresh one at most this often.
pub const REFUSAL_PAUSE: Duration = Duration::from_secs(5);

/// A token is no longer used this long before it expires: it still has to travel, and clocks differ.
/// For a token of less than 40 s it is a quarter of its life.
pub const EXPIRY_SKEW: Duration = Duration::from_secs(10);

/// A wall clock may step back this far behind a token's issue (NTP does) before the token is dropped.
pub const CLOCK_BACK_LEEWAY: Duration = Duration::from_secs(5);

/// A fresh token is fetched at most this long (and half of it, by chance) before the old one expires.
pub const REFRESH_MARGIN_MAX: Duration = Duration::from_secs(120);

/// A token whose server does not say how long it lives (RFC 6749 §5.1 only recommends it) is held this long.
pub const TOKEN_LIFETIME_UNSTATED: Duration = Duration::from_secs(300);

/// No token is held longer, whatever its server says.
pub const TOKEN_LIFETIME_MAX: Duration = Duration::from_secs(24 * 3600);

/// The longest token taken: more does not fit into the header limits of common servers.
pub const TOKEN_BYTES_MAX: usize = 16 * 1024;

/// Discovery documents are read again after this time.
pub const DISCOVERY_LIFETIME: Duration = Duration::from_secs(3600);

/// What is kept of a server's own words about an error, in characters.
pub const SERVER_WORDS_CHARS_MAX: usize = 200;

/// A secret in a file, an environment variable or the keychain: room for a private key, not for a wrong file.
pub const SECRET_BYTES_MAX: usize = 64 * 1024;

/// The keychain may have to ask a person to unlock it; after this time it counts as locked.
pub const KEYCHAIN_TIMEOUT: Duration = Duration::from_secs(30);
