//! The way of a person who signs in elsewhere: what their own browser carries, sealed, until they are back.
//!
//! Anybody may set out, and as often as they like, so that the zone writes nothing down when they do. What the browser
//! carries is sealed for this zone, this browser and this state: it opens nowhere else, and says nothing to whoever
//! reads it, for an invitation's token may be in it. Never: a way that is too long for a cookie, which the browser would
//! lose without a word.

use serde::Deserialize;
use serde::Serialize;

use crate::limits::ZONE_EXTERNAL_SIGN_IN_LIFETIME;
use crate::model::Secret;
use crate::model::Timestamp;
use crate::zone::issuer::Issuer;
use crate::zone::opaque::Hash;

/// With whom somebody left, and what for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Way {
    /// The id of the provider.
    pub(super) provider: String,
    /// The page of ours where they go on.
    pub(super) going_on: String,
    /// The provider must have asked them since then; in milliseconds.
    pub(super) asked_since: Option<i64>,
    expires_at: i64,
}

impl Way {
    /// One that begins now.
    pub(super) fn new(provider: String, going_on: String, asked_since: Option<Timestamp>, now: Timestamp) -> Self {
        let expires_at = now.after(ZONE_EXTERNAL_SIGN_IN_LIFETIME).as_millis();
        Self { provider, going_on, asked_since: asked_since.map(Timestamp::as_millis), expires_at }
    }

    /// For this browser to carry, with this state.
    pub(super) fn seal(&self, issuer: &Issuer, browser: &Hash, state: &str) -> Option<String> {
        let text = Secret::new(serde_json::to_vec(self).ok()?);
        let sealed = issuer.people.seal.seal(&purpose(issuer, browser, state), &text).ok()?;
        Some(sealed.replace('+', "-").replace('/', "_").trim_end_matches('=').to_owned())
    }

    /// What this browser carries with this state, as long as it is good.
    pub(super) fn open(issuer: &Issuer, browser: &Hash, state: &str, sealed: &str) -> Option<Self> {
        let padding = "=".repeat((4 - sealed.len() % 4) % 4);
        let sealed = format!("{}{padding}", sealed.replace('-', "+").replace('_', "/"));
        let opened = issuer.people.seal.unseal(&purpose(issuer, browser, state), &sealed).ok()?;
        let way: Self = serde_json::from_slice(opened.expose()).ok()?;
        (way.expires_at > issuer.clock.now().as_millis()).then_some(way)
    }

    /// When it is good no more.
    pub(super) fn expires_at(&self) -> Timestamp {
        Timestamp::from_millis(self.expires_at)
    }
}

fn purpose(issuer: &Issuer, browser: &Hash, state: &str) -> String {
    format!("external way\n{}\n{}\n{state}", issuer.store.zone(), browser.as_str())
}
