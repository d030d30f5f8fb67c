//! Where the last signed head is kept: beside the ledger, for whoever verifies a copy of it, and beside the key.
//!
//! Whoever may only write the ledger's folder can cut it back to an earlier signature, or remove it whole; the
//! second place still tells how far it went. Each ledger has a file of its own there, named by its folder.

use std::io;
use std::path::Path;
use std::path::PathBuf;

use crate::audit::PublicKey;
use crate::audit::chain;
use crate::audit::chain::Head;
use crate::audit::signing::SignedHead;

/// The two places of one ledger.
#[derive(Clone, Debug)]
pub(super) struct HeadFiles {
    ledger: PathBuf,
    keys: PathBuf,
    name: String,
}

/// What a place has.
#[derive(Debug)]
pub(super) enum Kept {
    /// No file.
    Nothing,
    /// A head for which the key vouches.
    Vouched(Head),
    /// A head for which it does not.
    Foreign,
    /// A file that can't be read.
    Unreadable,
}

impl HeadFiles {
    /// Of the ledger in a folder that exists.
    pub fn of(ledger: &Path, keys: &Path) -> io::Result<Self> {
        let hash = chain::sha256_hex(ledger.canonicalize()?.as_os_str().as_encoded_bytes());
        let short: String = hash.iter().take(16).map(|digit| char::from(*digit)).collect();
        Ok(Self { ledger: ledger.to_owned(), keys: keys.to_owned(), name: format!("ledger-head-{short}.json") })
    }

    /// Puts `head` in the place of the one before. The ledger must have its line already.
    pub fn write(&self, head: &SignedHead) -> io::Result<()> {
        head.write(&self.ledger, BESIDE_THE_LEDGER).and_then(|()| head.write_soon(&self.keys, &self.name))
    }

    /// What stands beside the ledger.
    pub fn beside_the_ledger(&self, key: &PublicKey) -> Kept {
        Kept::read(&self.ledger, BESIDE_THE_LEDGER, key)
    }

    /// What stands beside the key.
    pub fn beside_the_key(&self, key: &PublicKey) -> Kept {
        Kept::read(&self.keys, &self.name, key)
    }
}

impl Kept {
    /// The head that the key vouches for.
    pub fn head(&self) -> Option<Head> {
        match self {
            Self::Vouched(head) => Some(*head),
            Self::Nothing | Self::Foreign | Self::Unreadable => None,
        }
    }

    fn read(folder: &Path, name: &str, key: &PublicKey) -> Self {
        match SignedHead::read(folder, name) {
            Ok(None) => Self::Nothing,
            // as a power cut leaves it; whoever could empty it could remove it
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof && name != BESIDE_THE_LEDGER => Self::Nothing,
            Ok(Some(signed)) => signed.vouched(key).map_or(Self::Foreign, Self::Vouched),
            Err(_) => Self::Unreadable,
        }
    }
}

const BESIDE_THE_LEDGER: &str = "head.json";
