//! Cedar, and the only door to the `cedar_policy` crate: texts become policies, policies a set, and a set answers.
//!
//! Promises: what is read is static and checked strictly against a schema before anybody asks it; an answer says which
//! policies it rests on, and whether one of them could not be evaluated. Never: it knows what an agent, a user or a
//! resource is, and it never turns a failed evaluation into an answer: whoever asks sees the failure and denies.

mod fault;
mod policy;
mod schema;
mod set;
mod words;

pub use fault::Fault;
pub use policy::Canonical;
pub use policy::Policy;
pub use policy::read_policies;
pub use schema::Schema;
pub use set::Answer;
pub use set::NameTaken;
pub use set::Set;
pub use words::Entities;
pub use words::Facts;
pub use words::Kind;
pub use words::Thing;
pub use words::Uid;
pub use words::Value;
