//! People: how one shows who they are, and how often one may try.
//!
//! Promises: a wrong name and a wrong password look alike and take as long; attempts are counted in the database, so
//! that replicas know of each other's; a password is kept as an argon2id hash, a one-time password is good once.

mod external;
mod first_step;
mod password;
mod second_factor;
mod sign_in;
mod ticket;
mod way;

use std::sync::Arc;

use tokio::sync::Semaphore;

pub(in crate::zone) use self::external::Arrived;
pub(in crate::zone) use self::external::Asking;
pub(in crate::zone) use self::external::Departure;
pub(in crate::zone) use self::external::NotSignedIn;
pub(in crate::zone) use self::external::REDIRECT;
pub(in crate::zone) use self::first_step::FirstStep;
#[cfg(test)]
pub(in crate::zone) use self::second_factor::one_time_password;
pub(in crate::zone) use self::sign_in::Attempt;
pub(in crate::zone) use self::sign_in::place;
pub(in crate::zone) use self::ticket::Ticket;

use crate::limits::ZONE_PASSWORD_CHECKS_MAX;
use crate::zone::seal::Seal;

/// What is needed to know people; the zones of a process share it.
#[derive(Clone)]
pub(in crate::zone) struct People {
    pub(in crate::zone) seal: Arc<Seal>,
    /// Each check takes a core and much memory: more at once would starve everybody else.
    checks: Arc<Semaphore>,
}

impl People {
    /// `seal` is the database's own.
    pub(in crate::zone) fn new(seal: Arc<Seal>) -> Self {
        Self { seal, checks: Arc::new(Semaphore::new(ZONE_PASSWORD_CHECKS_MAX)) }
    }
}
