//! Step 1, identify: from what a caller presents to the [`Session`] it belongs to.

mod session;

pub use session::Caller;
pub use session::Session;
