//! The zone's own ids: 26 random characters of `[a-z0-9]`, an application's after `app_`.

use std::fmt;

use aws_lc_rs::digest;

use crate::model::Timestamp;
use crate::os::random;
use crate::zone::opaque;

macro_rules! id {
    ($(#[$doc:meta])* $type:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash)]
        pub(in crate::zone) struct $type(String);

        impl $type {
            /// One that was never used before.
            pub(in crate::zone) fn random() -> Self {
                Self(format!(concat!($prefix, "{}"), random_word()))
            }

            /// From the store, or from a token that this zone signed.
            pub(in crate::zone) fn known(text: String) -> Self {
                Self(text)
            }

            /// As text.
            pub(in crate::zone) fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

id!(
    /// A person.
    UserId, ""
);
id!(
    /// An OAuth client.
    ApplicationId, "app_"
);
id!(
    /// A sign-in of a user; the family of its refresh tokens.
    SignInId, ""
);
id!(
    /// A zone.
    ZoneId, ""
);
id!(
    /// Whatever has no type of its own: a row that only the management API speaks of.
    RowId, ""
);

impl RowId {
    /// The one that always goes with `seed`.
    pub(in crate::zone) fn derived(seed: &str) -> Self {
        Self(word(digest::digest(&digest::SHA256, seed.as_bytes()).as_ref().iter().take(26)))
    }
}

impl ApplicationId {
    /// One for a client that registered itself: `ua:` and a SHA-256 in hex, of nothing but chance.
    pub(in crate::zone) fn random_user_agent() -> Self {
        let (_, hash) = opaque::generate("");
        Self(format!("ua:{}", hash.as_str()))
    }
}

/// A token's own id: a UUID of version 7 (RFC 9562 §5.7), which sorts by time.
pub(in crate::zone) fn token_id(now: Timestamp) -> String {
    let millis = u128::from(now.as_millis().unsigned_abs()) & ((1 << 48) - 1);
    let random = u128::from_be_bytes(random::bytes());
    let upper = (millis << 80) | (0x7 << 76) | ((random >> 64) & 0xfff) << 64;
    let lower = (0b10 << 62) | (random & ((1 << 62) - 1));
    let value = upper | lower;
    let part = |shift: u32, digits: u32| (value >> shift) & ((1_u128 << (digits * 4)) - 1);
    format!("{:08x}-{:04x}-{:04x}-{:04x}-{:012x}", part(96, 8), part(80, 4), part(64, 4), part(48, 4), part(0, 12))
}

/// 26 characters of 5 random bits each; 256 is a multiple of 32, so that none is likelier than another.
fn random_word() -> String {
    word(random::bytes::<26>().iter())
}

fn word<'a>(bytes: impl Iterator<Item = &'a u8>) -> String {
    bytes.filter_map(|byte| ALPHABET.get(usize::from(byte & 31))).map(|letter| char::from(*letter)).collect()
}

const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_have_the_shape_that_clients_know() {
        assert_eq!(UserId::random().as_str().len(), 26);
        let application = ApplicationId::random();
        assert!(application.as_str().starts_with("app_") && application.as_str().len() == 30);
        assert_ne!(ApplicationId::random(), application);
    }

    #[test]
    fn a_token_id_is_a_uuid_of_version_seven_that_sorts_by_time() {
        let id = token_id(Timestamp::from_millis(0x0123_4567_89ab));
        assert!(id.starts_with("01234567-89ab-7"), "{id}");
        assert_eq!(id.len(), 36);
        assert!(matches!(id.as_bytes()[19], b'8' | b'9' | b'a' | b'b'), "{id}");
        assert!(id < token_id(Timestamp::from_millis(0x0123_4567_89ac)));
    }
}
