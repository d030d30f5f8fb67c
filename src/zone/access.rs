//! What an application may be given a token for: the question, and who answers it.
//!
//! The default is the one of the management API's `default-zone-policies`: an application acts for a user who granted
//! it, has what it depends on in its own name, and never becomes a user. Never: an answer that allows because nobody
//! was asked.

use crate::model::ResourceId;
use crate::model::Scopes;

/// One question.
#[derive(Clone, Debug)]
pub struct AccessRequest<'a> {
    /// The application that asks.
    pub client_id: &'a str,
    /// What it is called.
    pub client_name: &'a str,
    /// Whether the resource is among the application's dependencies.
    pub is_dependency: bool,
    /// In whose name.
    pub on_behalf: OnBehalf<'a>,
    /// For which API.
    pub resource: &'a ResourceId,
    /// The scopes that it would have.
    pub scopes: &'a Scopes,
}

/// In whose name an application asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnBehalf<'a> {
    /// Its own.
    Itself,
    /// A user's who is signed in and granted it.
    User(&'a str),
    /// A user's who is not here: the application names them, and nobody else does.
    Impersonated(&'a str),
}

/// The answer.
#[must_use]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccessDecision {
    /// With these scopes; those that are not in the request are not given.
    Permit(Scopes),
    /// No token.
    Deny,
}

/// Whoever decides. Asked for each token, so that it answers from memory.
pub trait AccessPolicy: Send + Sync {
    /// The answer to one question.
    fn decide(&self, request: &AccessRequest<'_>) -> AccessDecision;
}

/// What holds where nobody wrote a policy.
#[derive(Clone, Copy, Debug, Default)]
pub struct DefaultAccess;

impl AccessPolicy for DefaultAccess {
    fn decide(&self, request: &AccessRequest<'_>) -> AccessDecision {
        match request.on_behalf {
            OnBehalf::User(_) => AccessDecision::Permit(request.scopes.clone()),
            OnBehalf::Itself if request.is_dependency => AccessDecision::Permit(request.scopes.clone()),
            OnBehalf::Itself | OnBehalf::Impersonated(_) => AccessDecision::Deny,
        }
    }
}
