//! Where a ledger lives and how it is kept.

use std::path::PathBuf;

use crate::limits::LEDGER_ROTATE_BYTES;
use crate::limits::LEDGER_SIGN_EVERY;

/// What a decision's line must have reached before anything is sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// The kernel: outlives the daemon, not a power cut.
    #[default]
    Os,
    /// The disk.
    Disk,
}

/// Where a ledger lives and how it is kept.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The files; made with mode 0700.
    pub folder: PathBuf,
    /// Where `ledger.key` lives; another folder, made with mode 0700.
    pub key_folder: PathBuf,
    /// `os` or `disk`.
    pub durability: Durability,
    /// A file that has grown to this is followed by a new one.
    pub rotate_bytes: u64,
    /// The head is signed at least once in so many lines.
    pub sign_every: u64,
}

impl Settings {
    /// The usual bounds, and [`Durability::Os`].
    pub fn new(folder: impl Into<PathBuf>, key_folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
            key_folder: key_folder.into(),
            durability: Durability::Os,
            rotate_bytes: LEDGER_ROTATE_BYTES,
            sign_every: LEDGER_SIGN_EVERY.into(),
        }
    }
}
