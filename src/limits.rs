//! Every timeout, queue, cache and body bound, with its unit and why it is what it is.
//!
//! One section per room; a number that bounds something stands here and nowhere else.

use std::time::Duration;

// --- proxy: what an agent may cost ---------------------------------------------------------------

/// A request head must be complete within this time; a half-sent head would otherwise be held for ever.
pub const HEAD_READ_TIMEOUT: Duration = Duration::from_secs(10);
