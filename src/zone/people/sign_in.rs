//! Signing in: name and password first, then the second factor, where the person has one.

use crate::limits::ZONE_ADDRESS_ATTEMPTS_MAX;
use crate::limits::ZONE_SIGN_IN_ATTEMPTS_MAX;
use crate::limits::ZONE_SIGN_IN_WINDOW;
use crate::model::Secret;
use crate::zone::issuer::Issuer;
use crate::zone::opaque::Hash;
use crate::zone::peer::Peer;
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
        from: Option<Peer>,
    ) -> Result<Attempt, StoreFailed> {
        let now = self.clock.now();
        // The address first: who tries everybody's name is not to lock everybody out.
        let place = from.map(place);
        if self.is_flooded(place.as_ref()).await? {
            return Ok(Attempt::TooMany);
        }
        let mut found = self.store.password_of(identifier).await?;
        if found.is_none() && identifier.contains('@') {
            found = self.store.password_by_address(identifier).await?;
        }
        let (user, phc) = match found {
            Some((user, phc)) => (Some(user), phc),
            None => (None, None),
        };
        // By what was typed, whoever it is: what is counted tells nobody who has an account. And by who it is, for some
        // go by two names.
        let counted = |whom: &str| Hash::of(&Secret::new(format!("sign-in\n{whom}")));
        let mut all = vec![counted(&identifier.to_lowercase())];
        all.extend(user.as_ref().map(|user| counted(&format!("\n{user}"))));
        for one in &all {
            if self.store.attempt(one, ZONE_SIGN_IN_WINDOW, now).await? > ZONE_SIGN_IN_ATTEMPTS_MAX {
                return Ok(Attempt::TooMany);
            }
        }
        // Compared even when there is no such person: the time must not tell.
        let same = self.people.is_password(password, phc).await;
        let Some(user) = user.filter(|_| same) else { return Ok(Attempt::Refused) };
        let Some(user) = self.store.user(&user).await? else { return Ok(Attempt::Refused) };
        for one in &all {
            self.store.forget_attempts(one).await?;
        }
        self.was_right(place.as_ref()).await?;
        match self.has_second_factor(&user).await? {
            true => Ok(Attempt::SecondFactorNeeded(user)),
            false => Ok(Attempt::SignedIn(user)),
        }
    }

    /// Counts an attempt from a place; whether there are too many.
    pub(in crate::zone) async fn is_flooded(&self, place: Option<&Hash>) -> Result<bool, StoreFailed> {
        let Some(place) = place else { return Ok(false) };
        let attempts = self.store.attempt(place, ZONE_SIGN_IN_WINDOW, self.clock.now()).await?;
        Ok(attempts > ZONE_ADDRESS_ATTEMPTS_MAX)
    }

    /// Takes the last attempt from a place back. Those before it stay: one's own account is no way to go on guessing.
    pub(in crate::zone) async fn was_right(&self, place: Option<&Hash>) -> Result<(), StoreFailed> {
        match place {
            Some(place) => self.store.take_attempt_back(place).await,
            None => Ok(()),
        }
    }
}

/// What attempts from an address are counted by.
pub(in crate::zone) fn place(from: Peer) -> Hash {
    Hash::of(&Secret::new(format!("address\n{}", from.place())))
}
