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

// --- audit: the ledger -----------------------------------------------------------------------------

/// A file of the ledger is closed with a signed head when it has grown to this, so that none outgrows a reader.
pub const LEDGER_ROTATE_BYTES: u64 = 64 * 1024 * 1024;

/// The head is signed at least once in so many lines: what an attacker could cut off the end unseen.
pub const LEDGER_SIGN_EVERY: u64 = 1024;

/// A ledger that has been quiet for this long is vouched for to its last line, so that no line can be cut off.
pub const LEDGER_VOUCH_AFTER: Duration = Duration::from_secs(1);

/// A completion that no other line takes along is written after this time; a killed daemon loses no more.
pub const LEDGER_GATHER: Duration = Duration::from_millis(2);

/// Completions that wait for each other are written at once when they have grown to this.
pub const LEDGER_GATHER_BYTES: usize = 64 * 1024;

/// Completions that can't be written (a full disk) are kept up to this; what is beyond is counted.
pub const LEDGER_QUEUE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// How often a ledger that can't be written tries again by itself.
pub const LEDGER_RETRY: Duration = Duration::from_millis(250);

/// A request waits no longer than this for its line to reach the disk.
pub const LEDGER_SYNC_TIMEOUT: Duration = Duration::from_secs(10);

/// A new daemon waits this long for an old one, or a reader, to let go of the ledger.
pub const LEDGER_LOCK_TIMEOUT: Duration = Duration::from_millis(500);

/// No line that the ledger writes is longer; a reader takes longer ones for damage.
pub const LEDGER_LINE_BYTES_MAX: usize = 64 * 1024;

/// More of a path is not recorded; its hash is.
pub const LEDGER_PATH_BYTES_MAX: usize = 2048;

/// More of any other text that comes from outside (method, program, issuer, scopes) is not recorded.
pub const LEDGER_TEXT_BYTES_MAX: usize = 1024;

/// More policy ids than this are counted, not named.
pub const LEDGER_POLICIES_MAX: usize = 32;

/// How far a start looks back for decisions whose completion is missing.
pub const LEDGER_LOOK_BACK_BYTES_MAX: u64 = 512 * 1024 * 1024;

/// How much of the chain a start follows after an orderly stop, when there is nothing to mark.
pub const LEDGER_LOOK_BACK_BYTES: u64 = 4 * 1024 * 1024;

/// `valetkey audit` shows so many records at most, the newest.
pub const LEDGER_ROWS_MAX: usize = 100_000;

/// Decisions that a reader holds while their completion is outstanding.
pub const LEDGER_OPEN_ROWS_MAX: usize = 100_000;

/// `valetkey audit -f` looks for new lines this often.
pub const LEDGER_FOLLOW_POLL: Duration = Duration::from_millis(200);
