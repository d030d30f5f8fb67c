//! Where a stored secret lies, and how it is read.

use std::ffi::OsString;
use std::io::Read as _;
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;

use crate::model::Secret;

/// One `[[secret]]`: the place, never the secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretSource {
    /// An environment variable of the daemon.
    Environment(String),
    /// A file that only its owner may read.
    File(PathBuf),
    /// The keychain of the operating system.
    Keychain {
        /// The entry's service.
        service: String,
        /// The entry's account.
        account: String,
    },
}

/// Why a secret can't be had. Says nothing of what was read.
#[derive(Debug, thiserror::Error)]
pub enum SecretUnreadable {
    /// No such variable.
    #[error("the environment variable `{0}` is not set")]
    NotSet(String),
    /// Nothing in it.
    #[error("it is empty")]
    Empty,
    /// The file system said no.
    #[error("`{}` can't be opened or read", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A folder, a pipe, or somebody else's.
    #[error("`{}` is not a regular file of ours", .0.display())]
    NotOurs(PathBuf),
    /// Others may read it.
    #[error("`{}` can be read by others", .0.display())]
    Open(PathBuf),
    /// No keychain here.
    #[error("this build has no keychain")]
    NoKeychain,
}

impl SecretSource {
    /// Reads it, without a line break at its end.
    pub fn read(&self, environment: &dyn Fn(&str) -> Option<OsString>) -> Result<Secret, SecretUnreadable> {
        let bytes = match self {
            Self::Environment(name) => {
                environment(name).ok_or_else(|| SecretUnreadable::NotSet(name.clone()))?.into_vec()
            }
            Self::File(path) => read_file(path)?,
            Self::Keychain { .. } => return Err(SecretUnreadable::NoKeychain),
        };
        let secret = Secret::new(bytes);
        let trimmed = Secret::new(secret.expose().trim_ascii_end());
        if trimmed.is_empty() { Err(SecretUnreadable::Empty) } else { Ok(trimmed) }
    }
}

fn read_file(path: &PathBuf) -> Result<Vec<u8>, SecretUnreadable> {
    let unreadable = |source| SecretUnreadable::File { path: path.clone(), source };
    let file = std::fs::File::open(path).map_err(unreadable)?;
    let metadata = file.metadata().map_err(unreadable)?;
    if !metadata.is_file() || metadata.uid() != rustix::process::geteuid().as_raw() {
        return Err(SecretUnreadable::NotOurs(path.clone()));
    }
    if metadata.mode() & 0o077 != 0 {
        return Err(SecretUnreadable::Open(path.clone()));
    }
    let mut bytes = Vec::new();
    file.take(crate::limits::CONFIG_BYTES_MAX).read_to_end(&mut bytes).map_err(unreadable)?;
    Ok(bytes)
}
