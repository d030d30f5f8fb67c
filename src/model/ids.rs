//! One newtype for each thing that has a name.

use std::fmt;
use std::sync::Arc;

/// A name that may not be used: empty, too long, or with a character that could mislead a reader of a
/// log, a policy or a header.
#[derive(Debug, thiserror::Error)]
#[error("`{value}` is not a legal {what}: {rule}")]
pub struct IdNotLegal {
    /// What it was meant to name.
    pub what: &'static str,
    /// The offending value, escaped.
    pub value: String,
    /// What is permitted.
    pub rule: &'static str,
}

macro_rules! name {
    ($(#[$doc:meta])* $type:ident, $what:literal, $max:literal, $legal:expr, $rule:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $type(Arc<str>);

        impl $type {
            /// Checks the characters and the length.
            pub fn parse(value: &str) -> Result<Self, IdNotLegal> {
                let legal: fn(char) -> bool = $legal;
                if value.is_empty() || value.len() > $max || !value.chars().all(legal) {
                    let value = value.chars().take(64).flat_map(char::escape_debug).collect();
                    return Err(IdNotLegal { what: $what, value, rule: $rule });
                }
                Ok(Self(value.into()))
            }

            /// As text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&*self.0, f)
            }
        }

        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
                Self::parse(&text).map_err(serde::de::Error::custom)
            }
        }
    };
}

name!(
    /// Which agent: `curl`, `claude`, `ci-deploy`. By default the program's file name.
    AgentName, "agent name", 64,
    |c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '+'),
    "letters, digits, `.`, `_`, `-` and `+`, at most 64"
);
name!(
    /// For whom: an e-mail address or a login.
    UserName, "user name", 254,
    |c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '+' | '@'),
    "letters, digits, `.`, `_`, `-`, `+` and `@`, at most 254"
);
name!(
    /// A resource's identifier (RFC 8707 §2): an absolute URI without fragment, compared exactly.
    ResourceId, "resource identifier", 2048,
    |c| c.is_ascii_graphic() && !matches!(c, '"' | '\\' | '<' | '>' | '#' | '`'),
    "a URI in printable ASCII without fragment, at most 2048"
);
name!(
    /// A policy's id: its `@id` annotation, else file and position.
    PolicyId, "policy id", 255,
    |c| c.is_ascii_graphic(),
    "printable ASCII without space, at most 255"
);
name!(
    /// One run of one agent: `ses_` and 26 characters. It is a name, not a secret.
    SessionId, "session id", 64,
    |c| c.is_ascii_alphanumeric() || c == '_',
    "letters, digits and `_`, at most 64"
);

impl SessionId {
    /// From 16 random bytes.
    pub fn from_random(bytes: [u8; 16]) -> Self {
        Self(format!("ses_{}", base32(u128::from_be_bytes(bytes))).into())
    }
}

/// Ties the lines of one request: 48 bits of milliseconds and 80 random bits, so that ids sort by time.
/// Shown as `rec_` and 26 characters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordId(u128);

impl RecordId {
    /// From the moment in milliseconds and 80 random bits (the upper 48 of `random` are not used).
    pub fn new(millis: i64, random: u128) -> Self {
        Self((u128::from(millis.unsigned_abs()) << 80) | (random & ((1 << 80) - 1)))
    }

    /// Reads what `Display` writes.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix("rec_").filter(|digits| digits.len() == 26)?;
        let value = digits.bytes().try_fold(0_u128, |value, digit| {
            let place = BASE32.iter().position(|known| *known == digit)?;
            value.checked_mul(32)?.checked_add(u128::try_from(place).ok()?)
        })?;
        Some(Self(value))
    }
}

impl RecordId {
    /// Appends what `Display` writes.
    pub fn push_to(self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(b"rec_");
        bytes.extend_from_slice(&base32(self.0).0);
    }
}

impl fmt::Display for RecordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("rec_")?;
        fmt::Display::fmt(&base32(self.0), f)
    }
}

impl fmt::Debug for RecordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl serde::Serialize for RecordId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for RecordId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom("not a record id"))
    }
}

/// Crockford's alphabet in lower case: no `i`, `l`, `o`, `u`.
const BASE32: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// 26 digits, the first of which is at most 7, so that text order is number order.
#[derive(Clone, Copy)]
struct Base32([u8; 26]);

fn base32(mut value: u128) -> Base32 {
    let mut digits = [b'0'; 26];
    for digit in digits.iter_mut().rev() {
        *digit = usize::try_from(value & 31).ok().and_then(|place| BASE32.get(place)).map_or(b'0', |digit| *digit);
        value >>= 5;
    }
    Base32(digits)
}

impl fmt::Display for Base32 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::str::from_utf8(&self.0).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn record_ids_sort_by_time_and_read_back() {
        let (early, late) = (RecordId::new(1_000, u128::MAX), RecordId::new(1_001, 0));
        assert!(early.to_string() < late.to_string());
        assert_eq!(RecordId::parse(&early.to_string()), Some(early));
        assert_eq!(RecordId::parse("rec_zzzzzzzzzzzzzzzzzzzzzzzzzz"), None);
    }

    #[test]
    fn names_that_could_mislead_are_refused() {
        for bad in ["", "a b", "a\nb", "a\"b", "ünï", "\u{202e}evil"] {
            assert!(AgentName::parse(bad).is_err(), "{bad:?}");
        }
        assert!(AgentName::parse("claude-code_2.1").is_ok());
        assert!(ResourceId::parse("https://api.example.com/v1").is_ok());
        assert!(ResourceId::parse("https://api.example.com/#x").is_err());
    }
}
