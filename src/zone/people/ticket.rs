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
use crate::zone::people::FirstStep;
use crate::zone::seal::Seal;
use crate::zone::store::Means;
use crate::zone::store::User;

/// What is sealed.
#[derive(Serialize, Deserialize)]
pub(in crate::zone) struct Ticket {
    user: String,
    expires_at: i64,
    word: String,
    /// Of a ticket for the second step.
    #[serde(skip_serializing_if = "Option::is_none")]
    first_step: Option<SealedStep>,
}

#[derive(Serialize, Deserialize)]
struct SealedStep {
    at: i64,
    amr: Vec<String>,
    acr: Option<String>,
}

impl Ticket {
    /// That this user took the first step.
    pub(in crate::zone) fn for_second_factor(issuer: &Issuer, user: &User, first: &FirstStep) -> String {
        let FirstStep { at, means } = first;
        let step = SealedStep { at: at.as_millis(), amr: means.methods.clone(), acr: means.class.clone() };
        let ticket = Self { first_step: Some(step), ..Self::new(user, issuer.clock.now().after(LIFETIME)) };
        ticket.seal(&issuer.people.seal, SECOND_FACTOR).unwrap_or_default()
    }

    /// Who took the first step, not long ago.
    pub(in crate::zone) fn open_second_factor(issuer: &Issuer, ticket: &str) -> Option<(UserId, FirstStep)> {
        let ticket = Self::open(issuer, SECOND_FACTOR, ticket)?;
        let SealedStep { at, amr, acr } = ticket.first_step?;
        let means = Means { methods: amr, class: acr };
        Some((UserId::known(ticket.user), FirstStep { at: Timestamp::from_millis(at), means }))
    }

    /// That whoever holds the zone's key lets this user in.
    pub(in crate::zone) fn for_link(seal: &Seal, user: &User, now: Timestamp) -> Option<Secret> {
        Self::new(user, now.after(LIFETIME)).seal(seal, LINK).map(Secret::new)
    }

    /// That this user may choose their first password.
    pub(in crate::zone) fn for_welcome(issuer: &Issuer, user: &User) -> Option<Secret> {
        let expires_at = issuer.clock.now().after(ZONE_WELCOME_LIFETIME);
        Self::new(user, expires_at).seal(&issuer.people.seal, WELCOME).map(Secret::new)
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

    fn new(user: &User, expires_at: Timestamp) -> Self {
        let word = random::bytes::<16>().iter().map(|byte| format!("{byte:02x}")).collect();
        Self { user: user.id.to_string(), expires_at: expires_at.as_millis(), word, first_step: None }
    }

    fn seal(&self, seal: &Seal, purpose: &str) -> Option<String> {
        let text = Secret::new(serde_json::to_vec(self).ok()?);
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
