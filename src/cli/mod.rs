//! The commands: one file each. stdout is data, stderr is talk.

pub mod ca;
mod failure;
mod output;

pub use failure::Exit;
pub use failure::Failure;
pub use output::Output;
