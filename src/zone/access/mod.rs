//! What an application may be given a token for: the question, the zone's Cedar policies that answer it, and the set
//! that each zone begins with.
//!
//! Default deny. In a user's name both the user and the application must be permitted; in a user's place (impersonation)
//! only by a policy that speaks of it. A policy that can't be evaluated denies. Never: an answer that allows because
//! nobody was asked, and never a write.

mod compiled;
mod library;
mod managed;
mod schemas;
mod text;

pub(in crate::zone) use self::compiled::Compiled;
pub(in crate::zone) use self::library::Library;
pub(in crate::zone) use self::managed::MANAGED;
pub(in crate::zone) use self::managed::MANAGED_SET;
pub(in crate::zone) use self::managed::ManagedPolicy;
pub(in crate::zone) use self::managed::ManagedSet;
pub(in crate::zone) use self::schemas::DEFAULT_SCHEMA;
pub(in crate::zone) use self::schemas::SCHEMAS;
pub(in crate::zone) use self::schemas::SchemaVersion;
pub(in crate::zone) use self::text::PolicyText;

use crate::model::Scopes;
use crate::zone::store::Resource;

/// One question.
#[derive(Clone, Debug)]
pub(in crate::zone) struct AccessRequest<'a> {
    /// Who asks.
    pub(in crate::zone) applicant: Applicant<'a>,
    /// In whose name.
    pub(in crate::zone) on_behalf: OnBehalf<'a>,
    /// For which API.
    pub(in crate::zone) resource: &'a Resource,
    /// The scopes that it would have.
    pub(in crate::zone) scopes: &'a Scopes,
}

/// An application, as policies see it.
#[derive(Clone, Debug)]
pub(in crate::zone) struct Applicant<'a> {
    pub(in crate::zone) id: &'a str,
    /// The client id that it showed.
    pub(in crate::zone) client_id: &'a str,
    pub(in crate::zone) identifier: String,
    pub(in crate::zone) name: &'a str,
    pub(in crate::zone) traits: Vec<String>,
    /// The ids of the resources that it needs.
    pub(in crate::zone) dependencies: Vec<String>,
}

/// In whose name an application asks.
#[derive(Clone, Copy, Debug)]
pub(in crate::zone) enum OnBehalf<'a> {
    /// Its own.
    Itself,
    /// A user's who is signed in and granted it.
    User(Person<'a>),
    /// A user's who is not here: the application names them, and nobody else does.
    Impersonated(Person<'a>),
}

/// A user, as policies see them.
#[derive(Clone, Copy, Debug)]
pub(in crate::zone) struct Person<'a> {
    /// Empty where the zone knows nobody of this name.
    pub(in crate::zone) id: &'a str,
    pub(in crate::zone) identifier: &'a str,
    pub(in crate::zone) email: &'a str,
    /// What the token says that is exchanged, where one is.
    pub(in crate::zone) claims: Option<SubjectClaims<'a>>,
}

/// A subject token, as policies see it.
#[derive(Clone, Copy, Debug)]
pub(in crate::zone) struct SubjectClaims<'a> {
    pub(in crate::zone) client_id: &'a str,
    pub(in crate::zone) scope: Option<&'a str>,
    pub(in crate::zone) session: &'a str,
}

/// The answer.
#[must_use]
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::zone) enum AccessDecision {
    /// With these scopes; those that are not in the request are not given.
    Permit(Scopes),
    /// No token.
    Deny(Denial),
}

/// Why not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::zone) enum Denial {
    /// No policy permits it.
    NotPermitted,
    /// The policy of this id forbids it.
    Forbidden(String),
    /// A policy could not be evaluated.
    Failed,
}

/// The answer, and what it rests on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::zone) struct Verdict {
    pub(in crate::zone) decision: AccessDecision,
    /// The ids of the policies that decided.
    pub(in crate::zone) policies: Vec<String>,
}

#[cfg(test)]
mod tests;
