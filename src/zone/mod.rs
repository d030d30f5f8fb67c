//! The embedded zone: a small OAuth 2.0 authorization server of one person's own, on a loopback address.
//!
//! It promises what any other would: RFC 8414 metadata, a JWKS, a token endpoint with client credentials
//! (RFC 6749 §4.4), token exchange (RFC 8693) and refresh with rotation, registration with an initial access token
//! (RFC 7591), and short-lived RFC 9068 access tokens for one exact audience each (RFC 8707).
//!
//! Never: it knows nothing of the broker, which speaks to it by HTTP as to a stranger; it keeps no secret in clear;
//! it issues no token for a resource or a scope that was not declared, none in a user's name without the user's grant,
//! and none that the access policies of the zone, which are Cedar, do not permit.

mod access;
mod address;
mod api_token;
mod bundle;
mod canonical;
mod catalog;
mod claims;
mod client_documents;
mod client_name;
mod error;
mod events;
mod foreign_issuers;
mod foreign_keys;
mod front;
mod id;
mod id_token;
mod issuer;
mod keyring;
mod management;
mod names;
mod oauth;
mod opaque;
mod own_client;
mod pages;
mod peer;
mod people;
mod private_file;
mod renewal;
mod rotation;
mod rules;
mod seal;
mod server;
mod slug;
mod store;
mod tokens;
#[allow(clippy::module_inception, reason = "the folder's noun has a file of its own")]
mod zone;

pub use self::error::Error;
pub use self::events::Event;
pub use self::events::Events;
pub use self::events::Field;
pub use self::events::NoEvents;
pub use self::keyring::KeyringFailed;
pub use self::own_client::OWN_CLIENT;
pub use self::own_client::OWN_REDIRECT;
pub use self::own_client::code_for_owner;
pub use self::own_client::sign_in_link;
pub use self::peer::NoNetwork;
pub use self::peer::TrustedProxies;
pub use self::rotation::rotate_key;
pub use self::rules::Registration;
pub use self::rules::Rules;
pub use self::seal::SealFailed;
pub use self::store::Database;
pub use self::store::NoDatabase;
pub use self::store::StoreFailed;
pub use self::tokens::ApiTokens;
pub use self::tokens::ListedToken;
pub use self::tokens::NewToken;
pub use self::tokens::TokenFailed;
pub use self::tokens::TokenStatus;
pub use self::zone::DeclaredResource;
pub use self::zone::Settings;
pub use self::zone::SignIn;
pub use self::zone::Zone;

#[cfg(test)]
#[allow(clippy::duplicate_mod, reason = "every test runs on both databases")]
#[path = "tests/mod.rs"]
mod on_postgres;
#[cfg(test)]
#[path = "tests/mod.rs"]
mod on_sqlite;
