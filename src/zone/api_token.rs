//! Tokens for programs that call the management API: `vk_live_`, 260 random bits, and a checksum.
//!
//! The prefix lets a secret scanner find one in a leak, the checksum lets it tell one from a text that only looks so,
//! and lets the zone refuse rubbish without asking the database.

use aws_lc_rs::digest;

use crate::model::Secret;
use crate::zone::id::RowId;
use crate::zone::opaque::Hash;

/// A new token.
pub(in crate::zone) struct ApiToken {
    pub(in crate::zone) secret: Secret,
    pub(in crate::zone) hash: Hash,
    /// Its first characters, by which people tell their tokens apart.
    pub(in crate::zone) hint: String,
}

/// One that was never used before.
pub(in crate::zone) fn generate() -> ApiToken {
    let random = format!("{}{}", RowId::random(), RowId::random());
    let text = format!("{PREFIX}{random}{}", checksum(&random));
    let hint = text.chars().take(PREFIX.len() + HINT).collect();
    let secret = Secret::new(text);
    ApiToken { hash: Hash::of(&secret), secret, hint }
}

/// Whether the text can be a token at all.
pub(in crate::zone) fn is_well_formed(text: &str) -> bool {
    let Some(rest) = text.strip_prefix(PREFIX) else { return false };
    let Some((random, end)) = rest.split_at_checked(RANDOM) else { return false };
    checksum(random) == end
}

fn checksum(random: &str) -> String {
    let digest = digest::digest(&digest::SHA256, random.as_bytes());
    digest.as_ref().iter().take(CHECKSUM).filter_map(|byte| char::from_digit(u32::from(byte & 31), 32)).collect()
}

/// What every token begins with.
pub(in crate::zone) const PREFIX: &str = "vk_live_";
const RANDOM: usize = 52;
const CHECKSUM: usize = 6;
const HINT: usize = 6;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_told_from_rubbish_by_itself() {
        let token = generate();
        let text = token.secret.expose_str().unwrap();
        assert!(is_well_formed(text) && text.starts_with(&token.hint) && text.len() == 66);
        let mut changed = text.to_owned();
        let last = if changed.pop() == Some('0') { '1' } else { '0' };
        changed.push(last);
        for rubbish in ["", "vk_live_", "vk_test_abc", &changed, text.get(..60).unwrap(), &format!("{text}x")] {
            assert!(!is_well_formed(rubbish), "{rubbish}");
        }
    }
}
