//! Every timeout, queue, cache and body bound, with its unit and why it is what it is.
//!
//! One section per room; a number that bounds something stands here and nowhere else.

mod people;

use std::time::Duration;

pub use self::people::*;

// --- proxy: what an agent may cost ---------------------------------------------------------------

/// A request head must be complete within this time; a half-sent head would otherwise be held for ever.
pub const HEAD_READ_TIMEOUT: Duration = Duration::from_secs(10);

/// Bytes of one request head; servers of good name stop at 8 to 64 KiB.
pub const HEAD_BYTES_MAX: usize = 32 * 1024;

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

// --- upstream ----------------------------------------------------------------------------------------

/// Name, TCP and TLS together.
pub const UPSTREAM_CONNECT_TIMEOUT: Duration = Duration::from_secs(15);

/// One address of several; the next is tried then.
pub const DIAL_ONE_ADDRESS_TIMEOUT: Duration = Duration::from_secs(5);

/// Addresses of one name that are tried.
pub const DIAL_ADDRESSES_MAX: usize = 6;

/// Until the head of an answer, from the last byte of the request: a model may think for minutes before its first.
pub const UPSTREAM_HEAD_TIMEOUT: Duration = Duration::from_secs(15 * 60);

/// An answer that says nothing for this long is over; event streams send comments more often.
pub const UPSTREAM_BODY_IDLE_TIMEOUT: Duration = Duration::from_secs(60 * 60);

/// An agent's body that says nothing for this long is over.
pub const AGENT_BODY_IDLE_TIMEOUT: Duration = Duration::from_secs(5 * 60);

/// Fresh connections after an idle one turned out closed before it took the request.
pub const UPSTREAM_RETRIES_UNSENT: usize = 2;

/// Idle HTTP/1 connections for one session, resource and host: what one busy agent opens at once.
pub const UPSTREAM_IDLE_PER_KEY_MAX: usize = 256;

/// Idle connections of all sessions together, far below the file descriptors of a process; the oldest goes.
pub const UPSTREAM_IDLE_MAX: usize = 1024;

/// An idle connection is used again within this time: load balancers and NATs forget one after 1 to 6 minutes.
pub const UPSTREAM_IDLE_AGE_MAX: Duration = Duration::from_secs(90);

/// Streams of ours on one HTTP/2 connection, where its server permits as many; the next gets another connection.
pub const UPSTREAM_STREAMS_MAX: usize = 100;

/// An HTTP/2 connection with open streams is asked for a sign of life so often…
pub const HTTP2_PING_INTERVAL: Duration = Duration::from_secs(20);

/// … and is dead without one after this time.
pub const HTTP2_PING_TIMEOUT: Duration = Duration::from_secs(15);

/// A dialled socket that was silent for this long is asked for a sign of life…
pub const TCP_KEEPALIVE_IDLE: Duration = Duration::from_secs(30);

/// … again after this time…
pub const TCP_KEEPALIVE_INTERVAL: Duration = Duration::from_secs(15);

/// … and so often.
pub const TCP_KEEPALIVE_PROBES: u32 = 4;

/// What was sent is acknowledged within this time, or the connection is dead (Linux). It ends one whose reader
/// takes nothing for so long, too: longer than any API digests what it has.
pub const TCP_USER_TIMEOUT: Duration = Duration::from_secs(120);

/// HTTP/2 flow control: large enough for a fast download, small enough that 100 streams fit in memory.
pub const HTTP2_STREAM_WINDOW_BYTES: u32 = 1024 * 1024;

/// All streams of one connection together.
pub const HTTP2_CONNECTION_WINDOW_BYTES: u32 = 4 * 1024 * 1024;

/// Streams that an agent may have open on one connection.
pub const HTTP2_STREAMS_MAX: u32 = 100;

/// A body up to this size is held, so that it can be sent once more when the API refuses a token.
pub const REPLAY_BYTES_MAX: u64 = 64 * 1024;
// --- tls: our certificates ------------------------------------------------------------------------

/// A clock that is behind ours by less than this still finds a new root and intermediate valid.
pub const CA_BACKDATED: Duration = Duration::from_hours(24);

/// A root lives ten years at most; its key is gone after its first minute, so that nothing renews it.
pub const CA_ROOT_LIFETIME: Duration = Duration::from_hours(24 * 3_650);

/// An intermediate, whose key lies on the disk, lives a year; a new generation follows it.
pub const CA_INTERMEDIATE_LIFETIME: Duration = Duration::from_hours(24 * 365);

/// A generation with less than this left is followed by a new one, in time for agents to learn to trust it.
pub const CA_RENEWED_BEFORE: Duration = Duration::from_hours(24 * 30);

/// A generation that another has followed goes after this time: no agent is expected to run for longer.
pub const CA_RETIRED_AFTER: Duration = Duration::from_hours(24 * 7);

/// Living generations at most; the bundle grows by one root with each.
pub const CA_GENERATIONS_MAX: usize = 32;

/// Names in one intermediate at most. It is sent in each handshake and clients stop reading at 64 KiB; a larger
/// configuration gets several intermediates below one root.
pub const CA_INTERMEDIATE_NAMES_MAX: usize = 200;

/// No file of certificates and keys is larger: 10,000 hosts fill about 1 MiB, a system's bundle about 0.3 MiB.
pub const CA_FILE_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// How often a process asks for its turn to change the certificates…
pub const CA_LOCK_ATTEMPTS: usize = 100;

/// … and how long it waits in between: 2 s in all, where a change takes a few milliseconds.
pub const CA_LOCK_PAUSE: Duration = Duration::from_millis(20);

/// A leaf is valid from this long ago: a container's or a phone's clock may be behind.
pub const LEAF_BACKDATED: Duration = Duration::from_hours(1);

/// A leaf is valid for this long from its making: with the hour before, 24 h in all.
pub const LEAF_LIFETIME: Duration = Duration::from_hours(23);

/// Leaves kept; the least recently used one goes first. Making one anew costs microseconds.
pub const LEAVES_MAX: u64 = 1024;

/// TLS 1.2 sessions kept for resumption with agents (TLS 1.3 has stateless tickets).
pub const AGENT_TLS_SESSIONS_MAX: usize = 1024;

/// Upstream servers whose TLS sessions are kept for resumption.
pub const UPSTREAM_TLS_SERVERS_MAX: usize = 512;
// --- audit: the ledger -----------------------------------------------------------------------------

/// A file of the ledger is closed with a signed head when it has grown to this, so that none outgrows a reader.
pub const LEDGER_ROTATE_BYTES: u64 = 256 * 1024 * 1024;

/// The head is signed after so many lines, as soon as the writer thread comes to it: what an attacker could cut
/// off the end unseen.
pub const LEDGER_SIGN_EVERY: u32 = 1024;

/// A signature stands at most so many lines behind the last line that it vouches for: more than ever wait.
pub const LEDGER_SIGNED_BEHIND_MAX: usize = 1 << 16;

/// A ledger that has been quiet for this long is vouched for to its last line, so that no line can be cut off.
pub const LEDGER_VOUCH_AFTER: Duration = Duration::from_secs(1);

/// A completion that no other line takes along is written after this time; a killed daemon loses no more.
pub const LEDGER_GATHER: Duration = Duration::from_millis(2);

/// Completions that wait for each other are written at once when they have grown to this.
pub const LEDGER_GATHER_BYTES: usize = 64 * 1024;

/// Completions that can't be written (a full disk) are kept up to this; what is beyond is counted.
pub const LEDGER_QUEUE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Who writes the ledger for others goes on after so many groups, and one of those who wait takes over.
pub const LEDGER_GROUPS_MAX: usize = 8;

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

/// `valetkey audit -f` begins with so many of the last records.
pub const LEDGER_FOLLOW_ROWS: usize = 20;

/// `valetkey audit -f` looks for new lines this often.
pub const LEDGER_FOLLOW_POLL: Duration = Duration::from_millis(200);
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

/// Between two looks whether the daemon answers, or is gone: short beside what its start takes.
pub const DAEMON_POLL_INTERVAL: Duration = Duration::from_millis(2);

/// When our daemon gave way to one that another `run` started a moment ago, that one answers within this time.
pub const DAEMON_RIVAL_GRACE: Duration = Duration::from_millis(500);

/// `stop` says what it waits for when it waits longer than this.
pub const DAEMON_STOP_QUIET: Duration = Duration::from_millis(300);

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

// --- proxy: connections ------------------------------------------------------------------------------

/// Connections of agents at one time; the next one waits in the kernel's queue.
pub const CONNECTIONS_MAX: usize = 16 * 1024;

/// Descriptors that connections of agents leave to the ledger, the zone, the control socket and policies.
pub const DESCRIPTORS_RESERVED: u64 = 256;

/// Refusals of callers that nobody knows, each second, that are answered at once: clients that must be challenged
/// (git) and mistakes. More than these would fill the ledger, and wait.
pub const STRANGERS_PER_SECOND: u32 = 100;

/// How long those wait for their answer.
pub const STRANGER_DELAY: Duration = Duration::from_secs(5);

/// Rest after an accept that failed, such as for want of file descriptors.
pub const ACCEPT_BACK_OFF: Duration = Duration::from_millis(50);

/// An agent's TLS handshake, from CONNECT's answer to its end.
pub const AGENT_TLS_TIMEOUT: Duration = Duration::from_secs(10);

/// A read of HTTP/1 has this much room, and this much at most where more is known to come.
pub const HTTP1_READ_BYTES: usize = 8 * 1024;

/// See [`HTTP1_READ_BYTES`].
pub const HTTP1_READ_BYTES_MAX: usize = 64 * 1024;

/// A part of a body up to this is copied behind its head, so that both leave in one write.
pub const HTTP1_COPY_BYTES_MAX: usize = 4 * 1024;

/// Parts of a body that are ready are gathered up to this before they are written.
pub const HTTP1_GATHER_BYTES: usize = 16 * 1024;

/// Answers of 1xx before the one that counts.
pub const INTERIM_ANSWERS_MAX: usize = 32;

/// Each direction of a tunnel; larger buffers pay on big bodies.
pub const TUNNEL_BUFFER_BYTES: usize = 32 * 1024;

/// Between the requests of a connection that is kept alive; its end may come as late as after twice that.
pub const KEPT_ALIVE_IDLE_TIMEOUT: Duration = Duration::from_secs(15 * 60);

/// At the end of a connection: the last word, the end of TLS, and what the client still sends. A client that has
/// sent its whole body hears why it was refused.
pub const LEAVE_TIMEOUT: Duration = Duration::from_secs(2);

/// More of what a client still sends is not read.
pub const LEAVE_BYTES_MAX: u64 = 64 * 1024 * 1024;
// --- config: what one file may be ---------------------------------------------------------------

/// A configuration file, or a file of certificates that it names; a larger one is a mistake.
pub const CONFIG_BYTES_MAX: u64 = 1024 * 1024;
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

/// Zones beside the home zone that are kept in memory, each with its keys.
pub const ZONE_ISSUERS_MAX: u64 = 1000;

/// A query waits this long for the one connection, or for another process that holds the database.
pub const ZONE_STORE_WAIT: Duration = Duration::from_secs(5);

/// Connections to a zone that runs alone; more are closed at once.
pub const ZONE_CONNECTIONS_MAX: usize = 4096;

/// How often a replica looks whether another one rotated the signing key.
pub const ZONE_KEYS_LOOK: Duration = Duration::from_secs(30);

/// A signing key's life: a quarter of a year, after which its successor is shown.
pub const ZONE_KEY_LIFETIME: Duration = Duration::from_secs(90 * 24 * 3600);

/// The successor is shown for this long before it signs: a verifier that fetches the keys once a day knows it by then.
pub const ZONE_KEY_SHOWN_BEFORE: Duration = Duration::from_secs(24 * 3600);

/// What a page of a list has when nothing is said.
pub const ZONE_PAGE_DEFAULT: u32 = 100;

/// The most that a page of a list may have.
pub const ZONE_PAGE_MAX: u32 = 1000;

/// A body of the management API; the largest holds a policy or a secret.
pub const ZONE_MANAGEMENT_BODY_BYTES_MAX: usize = 1024 * 1024;

/// Policies of one version of a set; a team's have some dozens.
pub const ZONE_POLICY_SET_ENTRIES_MAX: usize = 500;

/// One policy's text; a thousandth part of it is usual.
pub const ZONE_POLICY_BYTES_MAX: usize = 256 * 1024;

/// Brackets within brackets, `if` within `else`, and dots after dots in a policy: Cedar reads them by recursion.
pub const ZONE_POLICY_DEPTH_MAX: usize = 24;

/// Operator signs of a policy, two to each `&&`: a chain of them is a tree as deep as it is long. What would be longer
/// is a set and `contains`.
pub const ZONE_POLICY_OPERATORS_MAX: usize = 100;

/// The stack of the thread that reads a policy: its JSON may be as deep as a body's JSON can be.
pub const ZONE_POLICY_STACK_BYTES: usize = 32 * 1024 * 1024;

/// A policy bundle when it is unpacked; packed, it is bound as every body is. A user's policies are some kilobytes.
pub const ZONE_POLICY_BUNDLE_UNPACKED_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Compiled policy sets that are kept: two per zone are in use at a time.
pub const ZONE_POLICY_SETS_KEPT_MAX: u64 = 64;

/// How exactly the last use of an API token is known: to write it down at each would cost a write per request.
pub const ZONE_LAST_USE_STEP: Duration = Duration::from_secs(60);

/// An invitation that nobody accepted for this long is void.
pub const ZONE_INVITATION_LIFETIME: Duration = Duration::from_secs(7 * 24 * 3600);

/// A service account's token. Clients ask for one per run.
pub const ZONE_SERVICE_ACCOUNT_TOKEN_LIFETIME: Duration = Duration::from_secs(3600);

/// Connections to PostgreSQL. A query takes a millisecond and a server has a hundred to give to all its replicas.
pub const ZONE_POSTGRES_CONNECTIONS_MAX: u32 = 16;

/// A connection to PostgreSQL that lay still for longer is asked whether it is alive before it is used.
pub const ZONE_POSTGRES_IDLE_UNCHECKED: Duration = Duration::from_secs(1);

/// What a client is told to wait, in seconds, when the database is away.
pub const ZONE_RETRY_AFTER_S: &str = "5";

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

// --- the daemon's own services: zone and whoami --------------------------------------------------------

/// Connections to one of them at one time.
pub const OWN_SERVER_CONNECTIONS_MAX: usize = 2048;

/// A connection that says nothing for this long is closed: silent ones must not keep others out.
pub const OWN_SERVER_IDLE_TIMEOUT: Duration = Duration::from_secs(5);

/// Requests under way have this long to finish when the daemon stops.
pub const OWN_SERVER_DRAIN_TIMEOUT: Duration = Duration::from_secs(2);

/// The certificate of an own service is good for longer than any daemon runs.
pub const OWN_SERVER_CERTIFICATE_LIFETIME: Duration = Duration::from_hours(24 * 3_650);

/// `run` waits this long for the daemon's word that its session has ended.
pub const SESSION_CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

// --- daemon ---------------------------------------------------------------------------------------------

/// Requests and tunnels under way have this long to finish when the daemon stops.
pub const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);

/// Several changes of one file in an editor's save are one reload.
pub const RELOAD_GATHER: Duration = Duration::from_millis(15);

/// How often idle upstream connections that the other side has closed are swept, and certificates looked after.
pub const HOUSEKEEPING_INTERVAL: Duration = Duration::from_secs(60);

/// Threads that carry requests: more than this many bring nothing to one person's machine.
pub const WORKER_THREADS_MAX: usize = 8;
