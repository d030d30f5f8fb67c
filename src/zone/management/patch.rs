//! A field of a change: left alone, cleared by null, or set.

use serde::Deserialize;
use serde::Deserializer;

use crate::zone::management::refused::Refused;

/// One field of a merge. With `#[serde(default)]`, a field that was not sent is left alone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Patch<T> {
    /// Not sent.
    #[default]
    Keep,
    /// Sent as null.
    Clear,
    /// Sent.
    Set(T),
}

impl<T> Patch<T> {
    /// What it becomes, where null empties it.
    pub(super) fn apply(self, old: Option<T>) -> Option<T> {
        match self {
            Self::Keep => old,
            Self::Clear => None,
            Self::Set(new) => Some(new),
        }
    }

    /// What it becomes, where null means the default.
    pub(super) fn or_default(self, old: T, default: T) -> T {
        match self {
            Self::Keep => old,
            Self::Clear => default,
            Self::Set(new) => new,
        }
    }

    /// What it becomes, where null is not legal.
    pub(super) fn required(self, field: &str, old: T) -> Result<T, Refused> {
        match self {
            Self::Keep => Ok(old),
            Self::Clear => Err(Refused::bad(field, "can't be null")),
            Self::Set(new) => Ok(new),
        }
    }

    /// The same of another type.
    pub(super) fn try_map<U>(self, change: impl FnOnce(T) -> Result<U, Refused>) -> Result<Patch<U>, Refused> {
        Ok(match self {
            Self::Keep => Patch::Keep,
            Self::Clear => Patch::Clear,
            Self::Set(value) => Patch::Set(change(value)?),
        })
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Patch<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Option::<T>::deserialize(deserializer)?.map_or(Self::Clear, Self::Set))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    struct Body {
        #[serde(default)]
        name: Patch<String>,
    }

    #[test]
    fn absent_null_and_a_value_are_three_things() {
        let read = |text: &str| serde_json::from_str::<Body>(text).unwrap().name;
        assert_eq!(read("{}").apply(Some("old".to_owned())).as_deref(), Some("old"));
        assert_eq!(read(r#"{"name": null}"#).apply(Some("old".to_owned())), None);
        assert_eq!(read(r#"{"name": "new"}"#).apply(None).as_deref(), Some("new"));
        assert!(read(r#"{"name": null}"#).required("name", String::new()).is_err());
    }
}
