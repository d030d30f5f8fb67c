//! What an auditor of the zone wants to know: tokens issued and denied, what the shadow policies would have said, and
//! which policies were bound or renewed. Told to whoever keeps them; the zone itself keeps none.

/// Something that happened.
#[derive(Clone, Copy, Debug)]
pub struct Event<'a> {
    /// What it is, like `credentials:issue`.
    pub name: &'static str,
    /// What is to be known of it. No secret is ever among it.
    pub fields: &'a [(&'static str, Field<'a>)],
}

/// One thing to be known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field<'a> {
    /// An id, a name, an address.
    Text(&'a str),
    /// Several.
    Texts(&'a [String]),
    /// A count, or a duration in the unit that the name ends in.
    Number(u64),
    /// Yes or no.
    Flag(bool),
}

/// Whoever keeps events. Told on the path of each token, so that it must not wait.
pub trait Events: Send + Sync {
    /// Takes one along.
    fn record(&self, event: &Event<'_>);
}

/// Keeps none.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoEvents;

impl Events for NoEvents {
    fn record(&self, _: &Event<'_>) {}
}

/// A token was issued.
pub(in crate::zone) const CREDENTIALS_ISSUE: &str = "credentials:issue";
/// A token was denied by policy.
pub(in crate::zone) const CREDENTIALS_DENY: &str = "credentials:deny";
/// The shadow policies were asked, and nothing came of it.
pub(in crate::zone) const POLICIES_SHADOW: &str = "policies:shadow";
/// A zone got the policies of a newer release.
pub(in crate::zone) const POLICIES_RENEW: &str = "policies:renew";
/// A version of a policy set was bound, or its shadow was lifted.
pub(in crate::zone) const POLICIES_BIND: &str = "policies:bind";
