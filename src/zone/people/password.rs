//! Passwords, as argon2id hashes (RFC 9106 §4, with the parameters of the OWASP cheat sheet).

use argon2::Algorithm;
use argon2::Argon2;
use argon2::Params;
use argon2::PasswordHasher as _;
use argon2::PasswordVerifier as _;
use argon2::Version;
use argon2::password_hash::phc::PasswordHash;
use tokio::task::spawn_blocking;

use crate::limits::ZONE_PASSWORD_BYTES_MAX;
use crate::limits::ZONE_PASSWORD_BYTES_MIN;
use crate::model::Secret;
use crate::zone::people::People;

/// Why a password is not taken.
#[derive(Debug, thiserror::Error)]
pub(in crate::zone) enum NotTaken {
    /// Too short, or too long to be one.
    #[error("a password has between {ZONE_PASSWORD_BYTES_MIN} and {ZONE_PASSWORD_BYTES_MAX} characters")]
    Length,
    /// No hash could be made.
    #[error("the password could not be kept")]
    NotHashed,
}

impl People {
    /// The PHC string of a new password.
    pub(in crate::zone) async fn hash_password(&self, password: Secret) -> Result<String, NotTaken> {
        if !(ZONE_PASSWORD_BYTES_MIN..=ZONE_PASSWORD_BYTES_MAX).contains(&password.expose().len()) {
            return Err(NotTaken::Length);
        }
        let _turn = self.checks.acquire().await.map_err(|_| NotTaken::NotHashed)?;
        let hashed =
            spawn_blocking(move || hasher()?.hash_password(password.expose()).ok().map(|hash| hash.to_string()));
        hashed.await.ok().flatten().ok_or(NotTaken::NotHashed)
    }

    /// Whether this is the password of `phc`. Without one the answer is no, and takes as long.
    pub(in crate::zone) async fn is_password(&self, password: Secret, phc: Option<String>) -> bool {
        if password.expose().len() > ZONE_PASSWORD_BYTES_MAX {
            return false;
        }
        let Ok(_turn) = self.checks.acquire().await else { return false };
        let checked = spawn_blocking(move || {
            let known = phc.is_some();
            let phc = phc.unwrap_or_else(|| NOBODYS.to_owned());
            let hash = PasswordHash::new(&phc).ok()?;
            let same = hasher()?.verify_password(password.expose(), &hash).is_ok();
            Some(same && known)
        });
        checked.await.ok().flatten().unwrap_or(false)
    }
}

fn hasher() -> Option<Argon2<'static>> {
    Some(Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::new(MEMORY_KIB, PASSES, LANES, None).ok()?))
}

const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;

/// Compared with when nobody bears the name; of the same cost.
const NOBODYS: &str = "$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5J3Mgc2FsdA$Zm9yIG5vYm9keSBrbm93cyB0aGlzIHBhc3N3b3Jk";

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::zone::seal::Seal;

    #[tokio::test]
    async fn only_the_password_is_the_password() {
        let folder = tempfile::tempdir().unwrap();
        let people = People::new(Arc::new(Seal::open(&folder.path().join("zone.seal")).unwrap()));
        let phc = people.hash_password(Secret::new("correct horse")).await.unwrap();
        assert!(phc.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{phc}");
        assert!(people.is_password(Secret::new("correct horse"), Some(phc.clone())).await);
        assert!(!people.is_password(Secret::new("correct house"), Some(phc)).await);
        assert!(!people.is_password(Secret::new("correct horse"), None).await);
        assert!(!people.is_password(Secret::new("x".repeat(257)), None).await);
        assert!(people.hash_password(Secret::new("short")).await.is_err());
        // The hash that stands for nobody is a legal one, or it would be quicker than a person's.
        assert!(PasswordHash::new(NOBODYS).is_ok());
    }
}
