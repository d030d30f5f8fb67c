//! The commands: one file each. stdout is data, stderr is talk.

pub mod config;
mod failure;
pub mod init;
mod output;

pub use failure::Exit;
pub use failure::Failure;
pub use output::Output;
