//! Tickets: sealed words that a browser carries from one page to the next, or from this machine's owner to a browser.

use std::time::Duration;

use serde::Deserialize;
use serde::Serialize;

use crate::limits::ZONE_WELCOME_LIFETIME;
use crate::model::Secret;
use crate::model::Timestamp;
use crate::os::random;
use crate::zone::id::UserId;
use crate::zone::issuer::Issuer;
use crate::zone::seal::Seal;
use crate::zone::store::User;

/// What is sealed.
#[derive(Serialize, Deserialize)]
pub(in crate::zone) struct Ticket {
    user: String,
    expires_at: i64,
    word: String,
}

impl Ticket {
    /// That this user showed their password.
    pub(in crate::zone) fn for_second_factor(issuer: &Issuer, user: &User) -> String {
        let now = issuer.clock.now();
        Self::seal(&issuer.people.seal, SECOND_FACTOR, user, now.after(LIFETIME)).unwrap_or_default()
    }

    /// Who showed their password, not long ago.
    pub(in crate::zone) fn open_second_factor(issuer: &Issuer, ticket: &str) -> Option<UserId> {
        Self::open(issuer, SECOND_FACTOR, ticket).map(|ticket| UserId::known(ticket.user))
    }

    /// That whoever holds the zone's key lets this user in.
    pub(in crate::zone) fn for_link(seal: &Seal, user: &User, now: Timestamp) -> Option<Secret> {
        Self::seal(seal, LINK, user, now.after(LIFETIME)).map(Secret::new)
    }

    /// That this user may choose their first password.
    pub(in crate::zone) fn for_welcome(issuer: &Issuer, user: &User) -> Option<Secret> {
        let expires_at = issuer.clock.now().after(ZONE_WELCOME_LIFETIME);
        Self::seal(&issuer.people.seal, WELCOME, user, expires_at).map(Secret::new)
    }

    /// Who may choose their first password.
    pub(in crate::zone) fn open_welcome(issuer: &Issuer, ticket: &str) -> Option<UserId> {
        Self::open(issuer, WELCOME, ticket).map(|ticket| UserId::known(ticket.user))
    }

    /// Who is let in, the word by which the link is known, and when it dies.
    pub(in crate::zone) fn open_link(issuer: &Issuer, ticket: &str) -> Option<(UserId, String, Timestamp)> {
        let ticket = Self::open(issuer, LINK, ticket)?;
        Some((UserId::known(ticket.user), ticket.word, Timestamp::from_millis(ticket.expires_at)))
    }

    fn seal(seal: &Seal, purpose: &str, user: &User, expires_at: Timestamp) -> Option<String> {
        let word = random::bytes::<16>().iter().map(|byte| format!("{byte:02x}")).collect();
        let ticket = Self { user: user.id.to_string(), expires_at: expires_at.as_millis(), word };
        let text = Secret::new(serde_json::to_vec(&ticket).ok()?);
        // In a URL and in a form: without the letters that mean something there.
        Some(seal.seal(purpose, &text).ok()?.replace('+', "-").replace('/', "_"))
    }

    fn open(issuer: &Issuer, purpose: &str, ticket: &str) -> Option<Self> {
        let opened = issuer.people.seal.unseal(purpose, &ticket.replace('-', "+").replace('_', "/")).ok()?;
        let ticket: Self = serde_json::from_slice(opened.expose()).ok()?;
        (ticket.expires_at > issuer.clock.now().as_millis()).then_some(ticket)
    }
}

const LIFETIME: Duration = Duration::from_secs(300);
const SECOND_FACTOR: &str = "second factor";
const LINK: &str = "sign-in link";
const WELCOME: &str = "first password";
