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

// --- zone: the embedded authorization server -----------------------------------------------------

/// A whole request at the zone, body and database included; the slowest takes milliseconds.
pub const ZONE_REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// A token request is a few kilobytes with the longest subject token.
pub const ZONE_BODY_BYTES_MAX: usize = 64 * 1024;

/// A query waits this long for the one connection, or for another process that holds the database.
pub const ZONE_STORE_WAIT: Duration = Duration::from_secs(5);

/// How long a token for a resource lives when the resource does not say.
pub const ZONE_TOKEN_LIFETIME: Duration = Duration::from_secs(600);

/// A shorter life would be spent on clock differences.
pub const ZONE_TOKEN_LIFETIME_MIN: Duration = Duration::from_secs(60);

/// A token can't be called back; a day is the most that one may live.
pub const ZONE_TOKEN_LIFETIME_MAX: Duration = Duration::from_secs(24 * 3600);

/// A user's session token; the daemon refreshes it.
pub const ZONE_SESSION_TOKEN_LIFETIME: Duration = Duration::from_secs(3600);

/// A sign-in that nobody refreshed for this long is over.
pub const ZONE_REFRESH_TOKEN_LIFETIME: Duration = Duration::from_secs(30 * 24 * 3600);

/// Within this time a second use of a refresh token is a retry after a lost answer, not a theft. Longer than the
/// client's own time-out, so that its retry falls within.
pub const ZONE_REFRESH_RETRY_WINDOW: Duration = Duration::from_secs(15);

// --- whoami: the issuer's keys -------------------------------------------------------------------

/// Keys are fetched again after this time, as resource servers commonly do.
pub const WHOAMI_KEYS_LIFETIME: Duration = Duration::from_secs(300);

/// An unknown key id makes us look again no more often than this, however many are invented.
pub const WHOAMI_KEYS_LOOK_INTERVAL: Duration = Duration::from_secs(10);

/// An issuer that failed is not asked again for this long; short, because it may only be starting.
pub const WHOAMI_ISSUER_REST: Duration = Duration::from_secs(1);
