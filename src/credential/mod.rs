//! Step 4, obtain: from a [`Permit`](crate::policy::Permit) to a [`Credential`].

mod cache;
mod discovery;
mod endpoint;
mod not_obtained;
mod provenance;
mod secret_source;
mod secrets;
mod vault;
mod zone;

#[cfg(test)]
mod tests;

pub use not_obtained::Fault;
pub use not_obtained::NotObtained;
pub use provenance::Provenance;
pub use provenance::SourceKind;
pub use secret_source::SecretSource;
pub use secret_source::SecretUnreadable;
pub use secrets::Secrets;
pub use vault::Credential;
pub use vault::Refused;
pub use vault::Settings;
pub use vault::Vault;
pub use zone::Persist;
pub use zone::ZoneAccess;
pub use zone::ZoneClient;
