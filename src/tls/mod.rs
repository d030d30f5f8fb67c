//! TLS with agents and with upstreams: our own authority, the leaves it signs, the roots we trust, and the
//! files and variables by which an agent comes to trust ours.
//!
//! Promises: the root's key never touches a disk and is gone once it has signed; the intermediate can sign
//! only for configured hosts and for no address; what others could read or write is refused, not repaired.
//! Never: a switch that turns verification off, or a domain word (who asks and why is not known here).

mod authority;
mod bundle;
mod certificate;
mod environment;
mod folder;
mod generation;
mod key;
mod leaf;
mod own_server;
mod pem;
mod provider;
mod roots;
mod state;

pub use authority::CaError;
pub use authority::CertificateAuthority;
pub use authority::Change;
pub use authority::own_roots;
pub use authority::rotate;
pub use bundle::Bundle;
pub use environment::AgentEnvironment;
pub use environment::AgentFiles;
pub use environment::AgentProxy;
pub use environment::LISTS;
pub use environment::agent_environment;
pub use folder::FolderError;
pub use generation::NotAGeneration;
pub use leaf::Alpn;
pub use leaf::LeafError;
pub use own_server::OwnServerError;
pub use own_server::own_server;
pub use pem::to_pem;
pub use roots::RootNotUsable;
pub use roots::Roots;
pub use roots::client_config;
pub use roots::platform_roots;

#[cfg(test)]
mod tests;
