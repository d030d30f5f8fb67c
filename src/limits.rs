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

// --- config: what one file may be ---------------------------------------------------------------

/// A configuration file, or a file of certificates that it names; a larger one is a mistake.
pub const CONFIG_BYTES_MAX: u64 = 1024 * 1024;

/// A file of the ledger is closed at this size by default, so that one busy day stays easy to read and to copy.
pub const LEDGER_ROTATE_BYTES: u64 = 256 * 1024 * 1024;

/// The ledger's head is signed after this many records by default: an Ed25519 signature costs microseconds.
pub const LEDGER_SIGN_EVERY: u32 = 1024;
