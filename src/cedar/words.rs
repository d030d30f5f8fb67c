//! What a question is made of: entities, their attributes, and the facts of the moment.

use std::collections::HashMap;
use std::collections::HashSet;
use std::str::FromStr as _;

use cedar_policy::EntityId;
use cedar_policy::EntityTypeName;
use cedar_policy::EntityUid;
use cedar_policy::RestrictedExpression;

use crate::cedar::Fault;

/// A type of entity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kind(pub(super) EntityTypeName);

/// One entity's name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Uid(pub(super) EntityUid);

/// The value of an attribute or a fact.
#[derive(Clone, Debug)]
pub struct Value(RestrictedExpression);

/// An entity with its attributes and its parents.
pub struct Thing(cedar_policy::Entity);

/// All entities of a question.
pub struct Entities(pub(super) cedar_policy::Entities);

/// The context of a question.
pub struct Facts(pub(super) cedar_policy::Context);

impl Kind {
    /// Like `User` or `Space::User`.
    ///
    /// # Errors
    /// When it is no name.
    pub fn parse(name: &str) -> Result<Self, Fault> {
        EntityTypeName::from_str(name).map(Self).map_err(|error| Fault::words(&error.to_string()))
    }

    /// The one of this id.
    pub fn uid(&self, id: &str) -> Uid {
        Uid(EntityUid::from_type_name_and_id(self.0.clone(), EntityId::new(id)))
    }
}

impl Value {
    /// A `String`.
    pub fn text(text: &str) -> Self {
        Self(RestrictedExpression::new_string(text.to_owned()))
    }

    /// A `Long`.
    pub fn number(number: i64) -> Self {
        Self(RestrictedExpression::new_long(number))
    }

    /// A `Bool`.
    pub fn flag(yes: bool) -> Self {
        Self(RestrictedExpression::new_bool(yes))
    }

    /// A `datetime`, from its RFC 3339 text.
    pub fn moment(text: &str) -> Self {
        Self(RestrictedExpression::new_datetime(text))
    }

    /// An entity.
    pub fn uid(uid: &Uid) -> Self {
        Self(RestrictedExpression::new_entity_uid(uid.0.clone()))
    }

    /// A `Set`.
    pub fn set(values: impl IntoIterator<Item = Self>) -> Self {
        Self(RestrictedExpression::new_set(values.into_iter().map(|value| value.0)))
    }

    /// A record; none when a name comes twice.
    pub fn record<'a>(fields: impl IntoIterator<Item = (&'a str, Self)>) -> Option<Self> {
        let fields = fields.into_iter().map(|(name, value)| (name.to_owned(), value.0));
        RestrictedExpression::new_record(fields).ok().map(Self)
    }
}

impl Thing {
    /// One that has nothing but its name.
    pub fn plain(uid: &Uid) -> Self {
        Self(cedar_policy::Entity::new_no_attrs(uid.0.clone(), HashSet::new()))
    }

    /// One in a group.
    pub fn within(uid: &Uid, parent: &Uid) -> Self {
        Self(cedar_policy::Entity::new_no_attrs(uid.0.clone(), HashSet::from([parent.0.clone()])))
    }

    /// One with attributes; none when Cedar can't evaluate one of them.
    pub fn with<'a>(uid: &Uid, attributes: impl IntoIterator<Item = (&'a str, Value)>) -> Option<Self> {
        let attributes: HashMap<String, RestrictedExpression> =
            attributes.into_iter().map(|(name, value)| (name.to_owned(), value.0)).collect();
        cedar_policy::Entity::new(uid.0.clone(), attributes, HashSet::new()).ok().map(Self)
    }
}

impl Entities {
    /// Of these; none when two have one name.
    pub fn of(things: impl IntoIterator<Item = Thing>) -> Option<Self> {
        cedar_policy::Entities::from_entities(things.into_iter().map(|thing| thing.0), None).ok().map(Self)
    }
}

impl Facts {
    /// Of these; none when two have one name.
    pub fn of<'a>(facts: impl IntoIterator<Item = (&'a str, Value)>) -> Option<Self> {
        let facts = facts.into_iter().map(|(name, value)| (name.to_owned(), value.0));
        cedar_policy::Context::from_pairs(facts).ok().map(Self)
    }
}
