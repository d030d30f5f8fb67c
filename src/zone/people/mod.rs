//! People: how one shows who they are, and how often one may try.
//!
//! Promises: a wrong name and a wrong password look alike and take as long; attempts are counted in the database, so
//! that replicas know of each other's; a password is kept as an argon2id hash, a one-time password is good once.

mod password;
mod second_factor;
mod sign_in;
mod ticket;

use std::sync::Arc;

use tokio::sync::Semaphore;

#[cfg(test)]
pub(in crate::zone) use self::second_factor::one_time_password;
pub(in crate::zone) use self::sign_in::Attempt;
pub(in crate::zone) use self::ticket::Ticket;

use crate::limits::ZONE_PASSWORD_CHECKS_MAX;
use crate::zone::seal::Seal;

/// What is needed to know people.
pub(in crate::zone) struct People {
    pub(in crate::zone) seal: Arc<Seal>,
    /// Each check takes a core and much memory: more at once would starve everybody else.
    checks: Semaphore,
}

impl People {
    /// `seal` is the zone's own.
    pub(in crate::zone) fn new(seal: Arc<Seal>) -> Self {
        Self { seal, checks: Semaphore::new(ZONE_PASSWORD_CHECKS_MAX) }
    }
}
