//! Random bytes from the operating system, through the provider that also does the TLS.

use aws_lc_rs::rand::SecureRandom as _;
use aws_lc_rs::rand::SystemRandom;

/// `N` unpredictable bytes.
///
/// # Panics
/// When the operating system gives no randomness: nothing here would be safe without it.
#[allow(clippy::expect_used, reason = "without randomness nothing may go on")]
pub fn bytes<const N: usize>() -> [u8; N] {
    let mut buffer = [0; N];
    SystemRandom::new().fill(&mut buffer).expect("the operating system gives random bytes");
    buffer
}
