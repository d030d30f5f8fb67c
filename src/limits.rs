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

// --- jose: what a token or a key set may cost ----------------------------------------------------

/// An access token travels in a header; nothing near the usual header limits is one of ours.
pub const JWT_BYTES_MAX: usize = 16 * 1024;

/// How far two clocks may differ before `exp`, `nbf` and `iat` count.
pub const JWT_LEEWAY: Duration = Duration::from_secs(60);

/// More keys than any issuer publishes; the rest of a larger set is not looked at.
pub const JWKS_KEYS_MAX: usize = 64;
