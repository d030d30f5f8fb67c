//! Why a zone does not open, or does not take what it is told, and what to do about it.

use std::io;
use std::path::PathBuf;

use crate::model::ResourceId;
use crate::zone::keyring::KeyringFailed;
use crate::zone::seal::SealFailed;
use crate::zone::store::StoreFailed;

/// Why the zone did not open or did not take a declaration.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The issuer is not `http(s)://host[:port]`.
    #[error("`{0}` is no issuer: it is a URL of scheme, host and port, without path, query and fragment")]
    Issuer(String),
    /// The database file can't be made or is open to others.
    #[error("can't use the zone's database `{}`", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The sealing key can't be made or read.
    #[error(transparent)]
    Seal(#[from] SealFailed),
    /// The signing key can't be made, read or kept.
    #[error(transparent)]
    Key(#[from] KeyringFailed),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreFailed),
    /// A token that lives so long or so short.
    #[error("a token for `{0}` must live between a minute and a day")]
    Lifetime(ResourceId),
    /// Too short or too long.
    #[error("a password has between 10 and 256 characters")]
    Password,
    /// No such zone in this database.
    #[error("there is no zone `{0}`")]
    NoZone(String),
    /// There is no such person, or no zone yet.
    #[error("there is no `{0}` in this zone")]
    Nobody(String),
    /// A token for the issuer itself is a user's session; no resource may take that audience.
    #[error("`{0}` is the zone's own address and can't be a resource")]
    OwnAddress(ResourceId),
}

impl Error {
    /// What to do about it, where there is something.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Issuer(_) => Some("write it like http://127.0.0.1:7980"),
            Self::File { .. } => Some("make it a file of your own: chmod 600, in a folder that you may write"),
            Self::Seal(failed) => failed.hint(),
            Self::Key(failed) => failed.hint(),
            Self::Store(StoreFailed::Migration(_)) => Some("a newer valetkey may have written this database"),
            Self::Store(StoreFailed::Unavailable(_)) => Some("is the database running, and is its address right?"),
            Self::Store(StoreFailed::Query(_) | StoreFailed::Conflict(_) | StoreFailed::Damaged(_)) => {
                Some("if the file is damaged, move it away: agents are registered again by themselves")
            }
            Self::Lifetime(_) | Self::Password | Self::Nobody(_) | Self::NoZone(_) => None,
            Self::OwnAddress(_) => Some("give the resource another identifier"),
        }
    }
}
