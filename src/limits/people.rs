//! The zone's people and their clients: how long, how many, how often.

use std::time::Duration;

/// From the redirect to the token request takes seconds (RFC 6749 §4.1.2 permits ten minutes).
pub const ZONE_CODE_LIFETIME: Duration = Duration::from_secs(60);

/// A person walks to another device, signs in and types a code.
pub const ZONE_DEVICE_CODE_LIFETIME: Duration = Duration::from_secs(600);

/// How often a waiting device may ask (RFC 8628 §3.2).
pub const ZONE_DEVICE_INTERVAL: Duration = Duration::from_secs(5);

/// A device that asks too often waits this much longer from then on (RFC 8628 §3.5).
pub const ZONE_DEVICE_SLOWER_BY: Duration = Duration::from_secs(5);

/// A browser asks for the password again after a working day.
pub const ZONE_BROWSER_SESSION_LIFETIME: Duration = Duration::from_secs(12 * 3600);

/// A person is asked again a year after they allowed something last.
pub const ZONE_GRANT_LIFETIME: Duration = Duration::from_secs(365 * 24 * 3600);

/// An application's session ends when it asks for no token for a day.
pub const ZONE_APPLICATION_SESSION_LIFETIME: Duration = Duration::from_secs(24 * 3600);

/// That an application came back is written down at most this often.
pub const ZONE_APPLICATION_SESSION_STEP: Duration = Duration::from_secs(3600);

/// An assertion is made for one request; one that lives longer is a mistake of its maker.
pub const ZONE_ASSERTION_LIFETIME_MAX: Duration = Duration::from_secs(3600);

/// A proof of possession may be this old (RFC 9449 §11.1).
pub const ZONE_PROOF_AGE_MAX: Duration = Duration::from_secs(60);

/// The keys of a client or of a workload's issuer are fetched again after this time.
pub const ZONE_FOREIGN_KEYS_LIFETIME: Duration = Duration::from_secs(300);

/// An unknown key id, or a failure, leads to no fetch of the same keys within this time.
pub const ZONE_FOREIGN_KEYS_REST: Duration = Duration::from_secs(10);

/// Key sets of others in memory at one time.
pub const ZONE_FOREIGN_KEYS_MAX: u64 = 1000;

/// Fetches of others' keys at one time.
pub const ZONE_FOREIGN_FETCHES_MAX: usize = 8;

/// A client's metadata document is read again after this time.
pub const ZONE_CLIENT_DOCUMENT_LIFETIME: Duration = Duration::from_secs(300);

/// The largest metadata document of a client; its draft has five kilobytes for a good measure.
pub const ZONE_CLIENT_DOCUMENT_BYTES_MAX: usize = 32 * 1024;

/// Metadata documents in memory at one time.
pub const ZONE_CLIENT_DOCUMENTS_MAX: u64 = 1000;

/// Clients that registered themselves; more are refused until somebody looks.
pub const ZONE_REGISTERED_CLIENTS_MAX: i64 = 10_000;

/// Redirect addresses of one client.
pub const ZONE_REDIRECT_URIS_MAX: usize = 32;

/// One redirect address, state or nonce.
pub const ZONE_PARAMETER_BYTES_MAX: usize = 2048;

/// Resources in one authorization request.
pub const ZONE_RESOURCES_MAX: usize = 16;

/// Attempts to sign in as one person, or to guess a one-time password or a user code, within the window.
pub const ZONE_SIGN_IN_ATTEMPTS_MAX: i64 = 10;

/// The window in which such attempts are counted.
pub const ZONE_SIGN_IN_WINDOW: Duration = Duration::from_secs(15 * 60);

/// Wrong attempts from one address within that window, whomever they are about: an office has one address.
pub const ZONE_ADDRESS_ATTEMPTS_MAX: i64 = 100;

/// A person signs in at the zone's provider and comes back within this time.
pub const ZONE_EXTERNAL_SIGN_IN_LIFETIME: Duration = Duration::from_secs(600);

/// What a browser carries meanwhile, name and value together: it keeps no longer cookie (RFC 6265 §6.1).
pub const ZONE_CARRIED_COOKIE_BYTES_MAX: usize = 4096;

/// How many such cookies a browser has at one time: two tabs seldom meet, and all of them fit into a request's head.
pub const ZONE_CARRIED_COOKIES_MAX: usize = 8;

/// Methods of a sign-in that a provider names (RFC 8176 has some twenty); more are not kept.
pub const ZONE_METHODS_MAX: usize = 16;

/// One of those methods, or the class of a sign-in, in bytes.
pub const ZONE_METHOD_BYTES_MAX: usize = 128;

/// The link of the first administrator is good for this long.
pub const ZONE_WELCOME_LIFETIME: Duration = Duration::from_secs(24 * 3600);

/// What has expired is removed this often while a zone runs.
pub const ZONE_PRUNING_INTERVAL: Duration = Duration::from_secs(600);

/// Passwords that are checked at one time: each takes 19 MiB and some twenty milliseconds of a core.
pub const ZONE_PASSWORD_CHECKS_MAX: usize = 2;

/// The shortest and the longest password, in bytes (NIST SP 800-63B has at least 8 and at least 64).
pub const ZONE_PASSWORD_BYTES_MIN: usize = 10;

/// See [`ZONE_PASSWORD_BYTES_MIN`].
pub const ZONE_PASSWORD_BYTES_MAX: usize = 256;

/// Recovery codes that a person gets with an authenticator.
pub const ZONE_RECOVERY_CODES: usize = 10;

/// A second factor shown within this time is fresh.
pub const ZONE_SECOND_FACTOR_FRESH: Duration = Duration::from_secs(15 * 60);
