//! Step 4, obtain: from a [`Permit`](crate::policy::Permit) to a [`Credential`].

mod answer;
mod cache;
#[allow(clippy::module_inception, reason = "the noun of this room")]
mod credential;
mod discovery;
mod endpoint;
mod not_obtained;
mod provenance;
mod secret_source;
mod secrets;
mod slot;
mod vault;
mod zone;
mod zone_access;

#[cfg(test)]
mod tests;

pub use credential::Credential;
pub use credential::Refused;
pub use not_obtained::Fault;
pub use not_obtained::NotObtained;
pub use provenance::Provenance;
pub use provenance::SourceKind;
pub use secret_source::SecretSource;
pub use secret_source::SecretUnreadable;
pub use secrets::Secrets;
pub use vault::Settings;
pub use vault::Vault;
pub use zone_access::Persist;
pub use zone_access::ZoneAccess;
pub use zone_access::ZoneClient;
