//! Step 4, obtain: from a [`Permit`](crate::policy::Permit) to a [`Credential`].

mod provenance;
mod source;

pub use provenance::Provenance;
pub use provenance::SourceKind;
pub use source::SecretSource;
pub use source::SecretUnreadable;
