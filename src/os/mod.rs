//! The machine: the only module that asks the operating system for time, randomness and identity.

mod clock;
mod paths;
pub mod random;

pub use clock::SystemClock;
pub use paths::Paths;
