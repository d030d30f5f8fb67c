//! JSON Web Signatures, and the only door to the `jsonwebtoken` crate.
//!
//! Promises: a key fixes its algorithm, a token never chooses one; the time is the given clock's; a refusal
//! names its reason and never holds a piece of the token. Never: fetches a key (`jku`, `x5u` and `jwk` headers
//! are not even read, but for a proof of possession, which is nothing else), verifies with a shared secret, or knows
//! what a claim means to anyone.

mod jws;
mod key_set;
mod proof;
mod signing_key;
mod unverified;
mod verifier;

pub use jws::Jws;
pub use key_set::Jwk;
pub use key_set::Jwks;
pub use key_set::KeySet;
pub use proof::Proof;
pub use proof::hash_of;
pub use signing_key::Algorithm;
pub use signing_key::KeyNotUsable;
pub use signing_key::NotSigned;
pub use signing_key::SigningKey;
pub use unverified::Unverified;
pub use verifier::Refused;
pub use verifier::Verifier;
