//! The commands: one file each. stdout is data, stderr is talk.

pub mod audit;
mod failure;
mod output;
mod since;
mod table;

pub use failure::Exit;
pub use failure::Failure;
pub use output::Output;
