//! What goes wrong with a ledger: at a start, and while it is written.

use std::io;
use std::path::PathBuf;

use crate::audit::FolderNotUsable;
use crate::audit::KeyNotUsable;

/// The ledger can't be opened: without it the daemon does not start.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// Not private, not there, or another daemon's.
    #[error(transparent)]
    Folder(#[from] FolderNotUsable),
    /// No signatures without it.
    #[error(transparent)]
    Key(#[from] KeyNotUsable),
    /// A file can't be read, repaired or written.
    #[error("the ledger in `{}` can't be read or written", folder.display())]
    Files {
        /// Which folder.
        folder: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// The decision is not in the ledger: nothing may be obtained or sent.
#[derive(Debug, thiserror::Error)]
pub enum Unrecorded {
    /// A full disk, most likely.
    #[error("the ledger could not be written")]
    Write(#[source] io::Error),
    /// It was written, but did not reach the disk, or not in time.
    #[error("the ledger's line did not reach the disk")]
    NotDurable,
    /// This request was unrecorded already.
    #[error("the ledger could not be written for this request before")]
    Before,
    /// The writer thread has ended before its time: completions and signatures would be lost.
    #[error("the ledger's writer thread has ended")]
    NoWriter,
    /// The daemon is stopping.
    #[error("the ledger is closed")]
    Closed,
}
