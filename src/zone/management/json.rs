//! JSON in a column of text.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::zone::management::patch::Patch;
use crate::zone::management::refused::Refused;

/// Onto its way into a column.
pub(super) fn write<T: Serialize>(value: Option<T>) -> Result<Option<String>, Refused> {
    value.map(|value| serde_json::to_string(&value)).transpose().map_err(|_| Refused::failed())
}

/// Out of a column; a damaged one counts as empty.
pub(super) fn read<T: DeserializeOwned>(column: Option<String>) -> Option<T> {
    column.and_then(|text| serde_json::from_str(&text).ok())
}

/// What a column becomes.
pub(super) fn patched<T: Serialize>(patch: Patch<T>, old: Option<String>) -> Result<Option<String>, Refused> {
    match patch {
        Patch::Keep => Ok(old),
        Patch::Clear => Ok(None),
        Patch::Set(value) => write(Some(value)),
    }
}

/// Merges an object into the one of a column: nulls take fields away (RFC 7396).
pub(super) fn merged(patch: Patch<serde_json::Value>, old: Option<String>) -> Result<Option<String>, Refused> {
    match patch {
        Patch::Keep => Ok(old),
        Patch::Clear => Ok(None),
        Patch::Set(change) => {
            let mut value = read(old).unwrap_or_else(|| serde_json::Value::Object(serde_json::Map::new()));
            merge(&mut value, change);
            write(Some(value).filter(|value| value.as_object().is_none_or(|fields| !fields.is_empty())))
        }
    }
}

fn merge(into: &mut serde_json::Value, change: serde_json::Value) {
    let serde_json::Value::Object(fields) = change else {
        *into = change;
        return;
    };
    if !into.is_object() {
        *into = serde_json::Value::Object(serde_json::Map::new());
    }
    let Some(target) = into.as_object_mut() else { return };
    for (name, value) in fields {
        match value {
            serde_json::Value::Null => {
                target.remove(&name);
            }
            value => merge(target.entry(name).or_insert(serde_json::Value::Null), value),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_merge_sets_clears_and_leaves_alone() {
        let old = Some(r#"{"a":1,"b":{"c":2,"d":3}}"#.to_owned());
        let change = serde_json::json!({"a": null, "b": {"c": 4, "e": null}, "f": [1]});
        let new = merged(Patch::Set(change), old.clone()).unwrap().unwrap();
        let new: serde_json::Value = serde_json::from_str(&new).unwrap();
        assert_eq!(new, serde_json::json!({"b": {"c": 4, "d": 3}, "f": [1]}));
        assert_eq!(merged(Patch::Keep, old.clone()).unwrap(), old);
        assert_eq!(merged(Patch::Clear, old).unwrap(), None);
    }
}
