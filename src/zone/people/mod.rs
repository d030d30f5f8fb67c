//! People: how one shows who they are, and how often one may try.
//!
//! Promises: a wrong name and a wrong password look alike and take as long; attempts are counted in the database, so
//! that replicas know of each other's; a password is kept as an argon2id hash, a one-time password is good once.

mod password;
mod seal;
mod second_factor;
mod sign_in;
mod ticket;

use std::path::Path;

use tokio::sync::Semaphore;

#[cfg(test)]
pub(in crate::zone) use self::second_factor::one_time_password;
pub(in crate::zone) use self::sign_in::Attempt;
pub(in crate::zone) use self::ticket::Ticket;

pub(in crate::zone) use self::seal::Seal;
use crate::limits::ZONE_PASSWORD_CHECKS_MAX;

/// What is needed to know people.
pub(in crate::zone) struct People {
    pub(in crate::zone) seal: Seal,
    /// Each check takes a core and much memory: more at once would starve everybody else.
    checks: Semaphore,
}

impl People {
    /// The sealing key lies in `file`, and is made on first start.
    pub(in crate::zone) fn open(file: &Path) -> std::io::Result<Self> {
        Ok(Self { seal: Seal::open(file)?, checks: Semaphore::new(ZONE_PASSWORD_CHECKS_MAX) })
    }
}
