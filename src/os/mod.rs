//! The machine: the only module that asks the operating system for time, randomness and identity.

mod clock;
pub mod random;

pub use clock::SystemClock;
