//! Signing in: name and password first, then the second factor, where the person has one.

use crate::limits::ZONE_SIGN_IN_ATTEMPTS_MAX;
use crate::limits::ZONE_SIGN_IN_WINDOW;
use crate::model::Secret;
use crate::zone::issuer::Issuer;
use crate::zone::opaque::Hash;
use crate::zone::store::StoreFailed;
use crate::zone::store::User;

/// What an attempt leads to.
#[must_use]
#[derive(Debug)]
pub(in crate::zone) enum Attempt {
    /// It is this person.
    SignedIn(User),
    /// It may be this person; a one-time password will tell.
    SecondFactorNeeded(User),
    /// Wrong, and nobody learns in what.
    Refused,
    /// Too many in too short a time.
    TooMany,
}

impl Issuer {
    /// Judges a name and a password.
    pub(in crate::zone) async fn show_password(
        &self,
        identifier: &str,
        password: Secret,
    ) -> Result<Attempt, StoreFailed> {
        let now = self.clock.now();
        let counted = Hash::of(&Secret::new(format!("sign-in\n{}", identifier.to_lowercase())));
        if self.store.attempt(&counted, ZONE_SIGN_IN_WINDOW, now).await? > ZONE_SIGN_IN_ATTEMPTS_MAX {
            return Ok(Attempt::TooMany);
        }
        let (user, phc) = match self.store.password_of(identifier).await? {
            Some((user, phc)) => (Some(user), phc),
            None => (None, None),
        };
        // Compared even when there is no such person: the time must not tell.
        let same = self.people.is_password(password, phc).await;
        let Some(user) = user.filter(|_| same) else { return Ok(Attempt::Refused) };
        let Some(user) = self.store.user(&user).await? else { return Ok(Attempt::Refused) };
        self.store.forget_attempts(&counted).await?;
        match self.has_second_factor(&user).await? {
            true => Ok(Attempt::SecondFactorNeeded(user)),
            false => Ok(Attempt::SignedIn(user)),
        }
    }
}
