//! The OS keychain, for what this program itself keeps there.
//!
//! Each call has a thread of its own and a bound: the keychain speaks D-Bus with an executor of its own, and may wait
//! for a person. Never: says anything of what is in an entry.

use std::sync::mpsc;

use crate::limits::KEYCHAIN_TIMEOUT;
use crate::model::Secret;

/// There is no keychain here, or it does not open.
#[derive(Debug, thiserror::Error)]
#[error("the keychain can't be used")]
pub struct NoKeychain;

/// One entry.
#[derive(Clone, Debug)]
pub struct KeychainEntry {
    /// The entry's service.
    pub service: String,
    /// The entry's account.
    pub account: String,
}

impl KeychainEntry {
    /// What is in it; none when there is no such entry.
    pub fn read(&self) -> Result<Option<Secret>, NoKeychain> {
        self.ask(|entry| match entry.get_secret() {
            Ok(bytes) => Ok(Some(Secret::new(bytes))),
            Err(keyring::Error::NoEntry) => Ok(None),
            Err(_) => Err(NoKeychain),
        })
    }

    /// Writes it, in the place of what was there.
    pub fn write(&self, secret: &Secret) -> Result<(), NoKeychain> {
        let secret = secret.clone();
        self.ask(move |entry| entry.set_secret(secret.expose()).map_err(|_| NoKeychain))
    }

    /// Removes it, if it is there.
    pub fn remove(&self) -> Result<(), NoKeychain> {
        self.ask(|entry| match entry.delete_credential() {
            Ok(()) | Err(keyring::Error::NoEntry) => Ok(()),
            Err(_) => Err(NoKeychain),
        })
    }

    fn ask<T: Send + 'static>(
        &self,
        ask: impl FnOnce(&keyring::Entry) -> Result<T, NoKeychain> + Send + 'static,
    ) -> Result<T, NoKeychain> {
        let (sender, answer) = mpsc::sync_channel(1);
        let Self { service, account } = self.clone();
        let work = move || {
            let entry = match keyring::Entry::store_status() {
                Ok(_) => keyring::Entry::new(&service, &account).map_err(|_| NoKeychain),
                Err(_) => Err(NoKeychain),
            };
            let _ = sender.send(entry.and_then(|entry| ask(&entry)));
        };
        std::thread::Builder::new().name("keychain".to_owned()).spawn(work).map_err(|_| NoKeychain)?;
        answer.recv_timeout(KEYCHAIN_TIMEOUT).unwrap_or(Err(NoKeychain))
    }
}
