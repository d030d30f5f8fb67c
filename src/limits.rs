//! Every timeout, queue, cache and body bound, with its unit and why it is what it is.
//!
//! One section per room; a number that bounds something stands here and nowhere else.

use std::time::Duration;

// --- proxy: what an agent may cost ---------------------------------------------------------------

/// A request head must be complete within this time; a half-sent head would otherwise be held for ever.
pub const HEAD_READ_TIMEOUT: Duration = Duration::from_secs(10);

/// Bytes of one request head; servers of good name stop at 8 to 64 KiB.
pub const HEAD_BYTES_MAX: usize = 64 * 1024;

/// Field lines of one request head, on HTTP/1 and HTTP/2 alike.
pub const HEADERS_MAX: usize = 100;

// --- http: the daemon's own requests ---------------------------------------------------------------

/// A token endpoint, a discovery document or a key set answers within this time or counts as down.
pub const OUTBOUND_TIMEOUT: Duration = Duration::from_secs(10);

/// No token answer or key set needs more.
pub const OUTBOUND_ANSWER_BYTES_MAX: usize = 256 * 1024;

// --- policy ------------------------------------------------------------------------------------------

/// No policy file written by a person is larger.
pub const POLICY_FILE_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// Agent and user pairs whose entities are kept ready.
pub const POLICY_PRINCIPALS_MAX: u64 = 1024;

/// Verdicts kept under everything they depend on; the least recently used give way.
pub const POLICY_VERDICTS_MAX: u64 = 16 * 1024;
