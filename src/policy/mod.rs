//! Step 3, decide: the only maker of a [`Permit`].

mod permit;

pub use permit::Action;
pub use permit::Permit;
pub use permit::PolicySetHash;
