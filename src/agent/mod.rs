//! Step 1, identify: from what a caller presents to the [`Session`] it belongs to.

mod basic;
mod held;
mod registry;
mod session;
mod strangers;

pub use registry::ANONYMOUS;
pub use registry::Ending;
pub use registry::NotOpened;
pub use registry::Opened;
pub use registry::Opening;
pub use registry::Registry;
pub use registry::Unidentified;
pub use session::Caller;
pub use session::Session;
pub use strangers::Strangers;
