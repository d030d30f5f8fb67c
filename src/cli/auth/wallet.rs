//! The tokens of this person: in the OS keychain, and where there is none in a file (0600) of the state folder.

use std::path::PathBuf;

use serde::Deserialize;
use serde::Serialize;

use crate::cli::Exit;
use crate::cli::Failure;
use crate::model::Secret;
use crate::os;
use crate::os::KeychainEntry;
use crate::os::Paths;

/// Where tokens are kept.
pub(super) struct Wallet {
    folder: PathBuf,
}

/// What is held for one zone. Written as JSON into the keychain or the file, and nowhere else.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Held {
    pub(super) issuer: String,
    pub(super) client_id: String,
    pub(super) access_token: String,
    pub(super) expires_at: i64,
    pub(super) refresh_token: Option<String>,
    pub(super) scope: Option<String>,
}

impl Wallet {
    pub(super) fn new(paths: &Paths) -> Self {
        Self { folder: paths.state_folder().join("auth") }
    }

    /// What is held for the zone.
    pub(super) fn held(&self, issuer: &str) -> Result<Option<Held>, Failure> {
        if let Ok(Some(secret)) = self.entry(issuer).read() {
            return Ok(serde_json::from_slice(secret.expose()).ok());
        }
        match std::fs::read(self.file(issuer)) {
            Ok(bytes) => Ok(serde_json::from_slice(&bytes).ok()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(unusable(&error)),
        }
    }

    /// Keeps it, in the place of what was held before.
    pub(super) fn keep(&self, held: &Held) -> Result<(), Failure> {
        let text = Secret::new(serde_json::to_vec(held).map_err(|error| unusable(&error))?);
        if self.entry(&held.issuer).write(&text).is_ok() {
            let _ = std::fs::remove_file(self.file(&held.issuer));
            return Ok(());
        }
        os::private_folder(&self.folder).map_err(|error| unusable(&error))?;
        os::replace_private(&self.file(&held.issuer), text.expose()).map_err(|error| unusable(&error))
    }

    /// Removes it, wherever it is.
    pub(super) fn forget(&self, issuer: &str) -> Result<(), Failure> {
        let _ = self.entry(issuer).remove();
        match std::fs::remove_file(self.file(issuer)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(unusable(&error)),
            _ => Ok(()),
        }
    }

    /// Of this home folder only: a second one, as tests have, is somebody else.
    fn entry(&self, issuer: &str) -> KeychainEntry {
        let account = format!("{issuer} ({})", self.folder.display());
        KeychainEntry { service: "valetkey".to_owned(), account }
    }

    fn file(&self, issuer: &str) -> PathBuf {
        self.folder.join(format!("{}.json", Secret::new(issuer).fingerprint()))
    }
}

fn unusable(error: &dyn std::error::Error) -> Failure {
    Failure::new(Exit::NotPermitted, "the tokens can't be kept").caused_by(error)
}
