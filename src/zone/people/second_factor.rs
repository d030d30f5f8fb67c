//! The second factor: one-time passwords of an authenticator (RFC 6238), and recovery codes for who lost it.

use std::time::Duration;

use totp_rs::Builder;
use totp_rs::Totp;

use crate::limits::ZONE_RECOVERY_CODES;
use crate::limits::ZONE_SIGN_IN_ATTEMPTS_MAX;
use crate::limits::ZONE_SIGN_IN_WINDOW;
use crate::model::Secret;
use crate::os::random;
use crate::zone::issuer::Issuer;
use crate::zone::opaque::Hash;
use crate::zone::people::Attempt;
use crate::zone::store::Seen;
use crate::zone::store::StoreFailed;
use crate::zone::store::User;

/// What a person types into their authenticator. Shown once.
pub(in crate::zone) struct Enrolment {
    /// In base32, for typing.
    pub(in crate::zone) secret: String,
    /// For a click or a code of squares.
    pub(in crate::zone) url: String,
}

impl Issuer {
    /// Gives the user a new authenticator, which counts once a one-time password of it was shown. None when one counts
    /// already.
    pub(in crate::zone) async fn begin_enrolment(&self, user: &User) -> Result<Option<Enrolment>, StoreFailed> {
        let secret: [u8; 20] = random::bytes();
        let Ok(sealed) = self.people.seal.seal(&row(user), &Secret::new(secret)) else { return Ok(None) };
        if !self.store.set_authenticator(&user.id, &sealed, self.clock.now()).await? {
            return Ok(None);
        }
        let secret = totp_rs::Secret::from(secret).to_base32();
        let account = percent_encoding::utf8_percent_encode(&user.identifier, percent_encoding::NON_ALPHANUMERIC);
        let url = format!("otpauth://totp/valetkey:{account}?secret={secret}&issuer=valetkey");
        Ok(Some(Enrolment { secret, url }))
    }

    /// Takes the new authenticator into use; the recovery codes, shown once. None when the one-time password is wrong.
    pub(in crate::zone) async fn confirm_enrolment(
        &self,
        user: &User,
        one_time: &str,
    ) -> Result<Option<Vec<Secret>>, StoreFailed> {
        let Some((sealed, false)) = self.store.authenticator(&user.id).await? else { return Ok(None) };
        if !self.is_one_time_password(user, &sealed, one_time).await? {
            return Ok(None);
        }
        let codes: Vec<Secret> = (0..ZONE_RECOVERY_CODES).map(|_| recovery_code()).collect();
        let hashes: Vec<Hash> = codes.iter().map(Hash::of).collect();
        let confirmed = self.store.confirm_authenticator(&user.id, &sealed, &hashes, self.clock.now()).await?;
        Ok(confirmed.then_some(codes))
    }

    /// Whether the user is asked for a second factor.
    pub(in crate::zone) async fn has_second_factor(&self, user: &User) -> Result<bool, StoreFailed> {
        Ok(self.store.authenticator(&user.id).await?.is_some_and(|(_, confirmed)| confirmed))
    }

    /// Judges a one-time password or a recovery code.
    pub(in crate::zone) async fn show_second_factor(&self, user: &User, shown: &str) -> Result<Attempt, StoreFailed> {
        let now = self.clock.now();
        let counted = Hash::of(&Secret::new(format!("second factor\n{}", user.id)));
        if self.store.attempt(&counted, ZONE_SIGN_IN_WINDOW, now).await? > ZONE_SIGN_IN_ATTEMPTS_MAX {
            return Ok(Attempt::TooMany);
        }
        let Some((sealed, true)) = self.store.authenticator(&user.id).await? else { return Ok(Attempt::Refused) };
        let digits: String = shown.chars().filter(|c| !c.is_whitespace() && *c != '-').collect();
        let good = match digits.len() == 6 && digits.bytes().all(|byte| byte.is_ascii_digit()) {
            true => self.is_one_time_password(user, &sealed, &digits).await?,
            false => {
                let code = Secret::new(digits.to_ascii_lowercase());
                self.store.use_recovery_code(&user.id, &Hash::of(&code), now).await?
            }
        };
        if !good {
            return Ok(Attempt::Refused);
        }
        self.store.forget_attempts(&counted).await?;
        Ok(Attempt::SignedIn(user.clone()))
    }

    /// Each is good once: who looks over a shoulder comes too late.
    async fn is_one_time_password(&self, user: &User, sealed: &str, shown: &str) -> Result<bool, StoreFailed> {
        let Ok(secret) = self.people.seal.unseal(&row(user), sealed) else {
            tracing::error!(user = user.id.as_str(), "an authenticator can't be opened with the zone's key");
            return Ok(false);
        };
        let now = self.clock.now();
        let seconds = u64::try_from(now.as_seconds()).unwrap_or(0);
        let Some(step) = totp(&secret).and_then(|totp| totp.check(shown, seconds)) else { return Ok(false) };
        let used = Hash::of(&Secret::new(format!("one-time password\n{}\n{step}", user.id)));
        Ok(self.store.see(&used, now.after(STEP_REMEMBERED)).await? == Seen::First)
    }
}

/// The one-time password of a secret at a moment; for tests, which hold no authenticator.
#[cfg(test)]
pub(in crate::zone) fn one_time_password(secret: &Secret, now: crate::model::Timestamp) -> String {
    totp(secret).unwrap().generate(u64::try_from(now.as_seconds()).unwrap()).to_string()
}

/// SHA-1, six digits, thirty seconds, and one step to either side: what every authenticator understands.
fn totp(secret: &Secret) -> Option<Totp> {
    Builder::new().with_secret(secret.expose().to_vec()).with_skew(1).build().ok()
}

/// Where the secret belongs.
fn row(user: &User) -> String {
    format!("people_authenticators/{}", user.id)
}

/// Sixteen characters of five random bits: as good as a password that nobody can guess.
fn recovery_code() -> Secret {
    let bytes: [u8; 16] = random::bytes();
    let letters = bytes.iter().filter_map(|byte| LETTERS.get(usize::from(byte & 31)));
    Secret::new(letters.copied().collect::<Vec<u8>>())
}

/// Without those that look alike.
const LETTERS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// Longer than a step can be accepted.
const STEP_REMEMBERED: Duration = Duration::from_secs(300);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Timestamp;

    #[test]
    fn one_time_passwords_are_those_of_rfc_6238() {
        let secret = Secret::new("12345678901234567890");
        assert_eq!(one_time_password(&secret, Timestamp::from_seconds(59)), "287082");
        assert_eq!(one_time_password(&secret, Timestamp::from_seconds(1_111_111_109)), "081804");
    }

    #[test]
    fn recovery_codes_are_long_and_never_the_same() {
        let (one, other) = (recovery_code(), recovery_code());
        assert_eq!(one.expose().len(), 16);
        assert_ne!(one.expose(), other.expose());
    }
}
