//! The words of the house, as types. Pure: no I/O, no async, no clock, no randomness.
//!
//! Parse once at the edge; inside, the type is the check.

mod decimal;
mod destination;
mod header;
mod ids;
mod path;
mod scopes;
mod secret;
mod time;

pub use decimal::push_decimal;
pub use destination::Authority;
pub use destination::Destination;
pub use destination::Host;
pub use destination::NotAnAuthority;
pub use destination::Scheme;
pub use header::CredentialHeader;
pub use header::HeaderNotLegal;
pub use ids::AgentName;
pub use ids::IdNotLegal;
pub use ids::PolicyId;
pub use ids::RecordId;
pub use ids::ResourceId;
pub use ids::SessionId;
pub use ids::UserName;
pub use path::AmbiguousPath;
pub use path::Path;
pub use path::PathForms;
pub use scopes::ScopeNotLegal;
pub use scopes::Scopes;
pub use secret::Fingerprint;
pub use secret::Secret;
pub use time::Clock;
pub use time::Timestamp;
