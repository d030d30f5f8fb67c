//! JSON in the one form that everybody hashes and signs alike (RFC 8785), and SHA-256 in hex.

use std::fmt::Write as _;

use aws_lc_rs::digest;
use serde::Serialize;
use serde_json::Value;

/// The canonical text. Only integers are numbers here: none of our documents has another, and RFC 8785 §3.2.2.3 wants
/// those written as ECMAScript does. None when there is one.
pub(in crate::zone) fn json(document: &impl Serialize) -> Option<String> {
    let mut text = String::new();
    write(&serde_json::to_value(document).ok()?, &mut text)?;
    Some(text)
}

/// SHA-256 in lower-case hex.
pub(in crate::zone) fn sha256(bytes: &[u8]) -> String {
    digest::digest(&digest::SHA256, bytes).as_ref().iter().fold(String::with_capacity(64), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

fn write(value: &Value, text: &mut String) -> Option<()> {
    match value {
        Value::Number(number) if number.is_f64() => return None,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => text.push_str(&value.to_string()),
        Value::Array(items) => {
            text.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    text.push(',');
                }
                write(item, text)?;
            }
            text.push(']');
        }
        Value::Object(members) => {
            // RFC 8785 §3.2.3: by UTF-16 code units, which is not the order of UTF-8.
            let mut members: Vec<_> = members.iter().collect();
            members.sort_by_cached_key(|(name, _)| name.encode_utf16().collect::<Vec<_>>());
            text.push('{');
            for (index, (name, value)) in members.into_iter().enumerate() {
                if index > 0 {
                    text.push(',');
                }
                text.push_str(&Value::from(name.as_str()).to_string());
                text.push(':');
                write(value, text)?;
            }
            text.push('}');
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_sorted_as_rfc_8785_sorts_them() {
        let document = serde_json::json!({
            "\u{20ac}": "Euro Sign", "\r": "Carriage Return", "\u{fb33}": "Hebrew Letter Dalet With Dagesh", "1": "One",
            "\u{1f600}": "Emoji: Grinning Face", "\u{80}": "Control", "\u{f6}": "Latin Small Letter O With Diaeresis",
        });
        let expected = "{\"\\r\":\"Carriage Return\",\"1\":\"One\",\"\u{80}\":\"Control\",\"ö\":\"Latin Small Letter O With \
            Diaeresis\",\"€\":\"Euro Sign\",\"\u{1f600}\":\"Emoji: Grinning Face\",\"\u{fb33}\":\"Hebrew Letter Dalet With \
            Dagesh\"}";
        assert_eq!(json(&document).unwrap(), expected);
        assert_eq!(
            json(&serde_json::json!({"b": [1, -2, null], "a": "\u{1}\"\\/"})).unwrap(),
            r#"{"a":"\u0001\"\\/","b":[1,-2,null]}"#
        );
        assert_eq!(json(&1.5), None);
    }

    #[test]
    fn a_hash_is_hex() {
        assert_eq!(sha256(b"abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }
}
