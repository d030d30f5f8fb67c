//! What the daemon does to itself before it reads a secret.
//!
//! Afterwards no process of the same user can read its memory, environment or file descriptors through
//! `/proc` or ptrace, it leaves no core, and what it creates is its own. An exec undoes the first of these,
//! so it comes after the last one.

use rustix::process::Resource;
use rustix::process::Rlimit;

/// What could not be done. The daemon does not start then.
#[derive(Debug, thiserror::Error)]
pub enum NotHardened {
    /// `PR_SET_DUMPABLE`.
    #[error("the kernel does not let the process make itself undumpable")]
    Dumpable(#[source] std::io::Error),
    /// `RLIMIT_CORE`.
    #[error("the kernel does not let the process forbid core dumps")]
    Core(#[source] std::io::Error),
}

/// No dumps, no ptrace by the same user, no cores, and a umask of 077.
pub fn harden() -> Result<(), NotHardened> {
    rustix::process::umask(rustix::fs::Mode::RWXG | rustix::fs::Mode::RWXO);
    forbid_dumps()?;
    raise_descriptors();
    let nothing = Rlimit { current: Some(0), maximum: Some(0) };
    if rustix::process::getrlimit(Resource::Core) == nothing {
        return Ok(());
    }
    rustix::process::setrlimit(Resource::Core, nothing).map_err(|error| NotHardened::Core(error.into()))
}

/// How many files and sockets this process may have open.
pub fn descriptors() -> u64 {
    rustix::process::getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

/// A shell's soft limit of 1024 is for programs that use select(2). Where it can't be raised the daemon serves
/// fewer connections.
fn raise_descriptors() {
    let limit = rustix::process::getrlimit(Resource::Nofile);
    let _ = rustix::process::setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
}

#[cfg(target_os = "linux")]
fn forbid_dumps() -> Result<(), NotHardened> {
    rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable)
        .map_err(|error| NotHardened::Dumpable(error.into()))
}

/// Elsewhere `RLIMIT_CORE` and the code signature's hardened runtime do this.
#[cfg(not(target_os = "linux"))]
fn forbid_dumps() -> Result<(), NotHardened> {
    Ok(())
}
