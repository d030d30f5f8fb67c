//! Step 4, obtain: from a [`Permit`](crate::policy::Permit) to a [`Credential`].

mod provenance;

pub use provenance::Provenance;
pub use provenance::SourceKind;
