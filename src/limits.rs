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

// --- agent: sessions ---------------------------------------------------------------------------------

/// More agents at one time than a person runs; a loop that opens sessions stops here.
pub const SESSIONS_OPEN_MAX: usize = 1024;

/// So many ended sessions are remembered, so that a caller that goes on hears `ended` and not `unknown`.
pub const SESSIONS_ENDED_REMEMBERED: usize = 256;

/// A session's id and secret are 30 and 43 characters; proxy credentials that are longer are not ours.
pub const PROXY_CREDENTIALS_BYTES_MAX: usize = 192;

// --- control: the daemon's own API ---------------------------------------------------------------------

/// Each open session holds one connection; the rest is for commands.
pub const CONTROL_CONNECTIONS_MAX: usize = SESSIONS_OPEN_MAX + 64;

/// A wish for a session is a few hundred bytes.
pub const CONTROL_REQUEST_BYTES_MAX: usize = 64 * 1024;

/// A list of all sessions stays below this.
pub const CONTROL_ANSWER_BYTES_MAX: usize = 4 * 1024 * 1024;

/// The daemon answers a command within this time; a reload reads files and asks the zone.
pub const CONTROL_ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// After the stop, answers that are under way may still leave for this long.
pub const CONTROL_DRAIN_TIMEOUT: Duration = Duration::from_secs(1);

/// Out of file descriptors: others get this long to close some before the next connection is taken.
pub const CONTROL_ACCEPT_BACK_OFF: Duration = Duration::from_millis(100);

// --- os and cli: starting and stopping the daemon --------------------------------------------------------

/// A daemon in the background answers within this time: the first start makes keys and a database.
pub const DAEMON_START_TIMEOUT: Duration = Duration::from_secs(20);

/// Between two looks whether the daemon answers, or is gone.
pub const DAEMON_POLL_INTERVAL: Duration = Duration::from_millis(20);

/// When our daemon gave way to one that another `run` started a moment ago, that one answers within this time.
pub const DAEMON_RIVAL_GRACE: Duration = Duration::from_millis(500);

/// `stop` waits this long: the drain has a bound of its own, which is shorter.
pub const DAEMON_STOP_TIMEOUT: Duration = Duration::from_secs(20);

/// The log of a daemon in the background is set aside at its start when it is larger than this.
pub const DAEMON_LOG_BYTES_MAX: u64 = 8 * 1024 * 1024;

/// So much of the log's end is read for its last lines.
pub const DAEMON_LOG_TAIL_BYTES: u64 = 1024 * 1024;

/// So many of its last lines are shown when a daemon ends as it starts.
pub const DAEMON_LAST_WORDS_LINES: usize = 20;

/// `logs -f` looks for new lines this often.
pub const DAEMON_LOG_POLL_INTERVAL: Duration = Duration::from_millis(200);
