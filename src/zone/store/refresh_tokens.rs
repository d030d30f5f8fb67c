//! Refresh tokens and their rotation (RFC 9700 §4.14).
//!
//! A token is good once. Its use makes a successor; a second use is a theft or a retry, and which of the two it is
//! decides whether the family ends:
//! - *Retry*: the same client, within [`ZONE_REFRESH_RETRY_WINDOW`] of the first use, while the successor was never
//!   used. The answer was lost on its way (a crash, a broken connection). The unused successor is put out of use and
//!   another takes its place, so that there is still only one good token.
//! - *Theft*: anything else: later, or after the successor was used, or a successor that was put out of use. The whole
//!   sign-in ends, whoever holds what.
//!
//! A thief who replays within the window gains one successor, and the sign-in ends as soon as the owner uses theirs.
//! The thief would also need the client's secret.

use sqlx::Any;
use sqlx::Transaction;

use crate::limits::ZONE_REFRESH_RETRY_WINDOW;
use crate::limits::ZONE_REFRESH_TOKEN_LIFETIME;
use crate::model::Timestamp;
use crate::zone::id::ApplicationId;
use crate::zone::id::SignInId;
use crate::zone::id::UserId;
use crate::zone::id::ZoneId;
use crate::zone::opaque::Hash;
use crate::zone::store::Store;
use crate::zone::store::StoreFailed;

/// What became of a presented refresh token.
#[must_use]
#[derive(Debug)]
pub(in crate::zone) enum Rotation {
    /// The successor is good now.
    Done {
        /// Whose sign-in it is.
        user: UserId,
        /// Which.
        sign_in: SignInId,
    },
    /// Unknown, expired, another client's, or of a sign-in that has ended.
    Invalid,
    /// Used a second time: the sign-in was ended.
    Reused {
        /// Which.
        sign_in: SignInId,
    },
}

impl Store {
    /// Exchanges `presented` for `successor`, if it is good and `application`'s own.
    pub(in crate::zone) async fn rotate(
        &self,
        presented: &Hash,
        successor: &Hash,
        application: &ApplicationId,
        now: Timestamp,
    ) -> Result<Rotation, StoreFailed> {
        let mut change = self.pool.begin().await?;
        let fresh = claim(&mut change, presented, now).await?;
        let Some(family) = find(&mut change, presented, application, &self.zone).await? else {
            return Ok(Rotation::Invalid);
        };
        if family.ended || family.expires_at <= now {
            return Ok(Rotation::Invalid);
        }
        if !fresh && !retract_successor(&mut change, &family, now).await? {
            end(&mut change, &family.sign_in, now).await?;
            change.commit().await?;
            return Ok(Rotation::Reused { sign_in: family.sign_in });
        }
        succeed(&mut change, presented, successor, &family, now).await?;
        change.commit().await?;
        Ok(Rotation::Done { user: family.user, sign_in: family.sign_in })
    }
}

struct Family {
    user: UserId,
    sign_in: SignInId,
    ended: bool,
    expires_at: Timestamp,
    used_at: Option<Timestamp>,
    replaced: bool,
    successor: Option<String>,
}

/// Marks the token used; whether it was good until now. The first statement of the change writes, so that two
/// rotations of one token can't both find it unused. Undone with the change when the token proves not to be valid.
async fn claim(change: &mut Transaction<'_, Any>, token: &Hash, now: Timestamp) -> Result<bool, StoreFailed> {
    let claimed = sqlx::query(
        "UPDATE refresh_tokens SET used_at = $1 WHERE hash = $2 AND used_at IS NULL AND replaced_at IS NULL",
    )
    .bind(now.as_millis())
    .bind(token.as_str())
    .execute(&mut **change)
    .await?;
    Ok(claimed.rows_affected() == 1)
}

async fn find(
    change: &mut Transaction<'_, Any>,
    token: &Hash,
    application: &ApplicationId,
    zone: &ZoneId,
) -> Result<Option<Family>, StoreFailed> {
    type Row = (String, String, Option<i64>, i64, Option<i64>, Option<i64>, Option<String>);
    let row: Option<Row> = sqlx::query_as(
        "SELECT s.user_id, s.id, s.ended_at, t.expires_at, t.used_at, t.replaced_at, t.successor
         FROM refresh_tokens t JOIN sessions s ON s.id = t.session_id
         WHERE t.hash = $1 AND s.application_id = $2 AND s.zone_id = $3",
    )
    .bind(token.as_str())
    .bind(application.as_str())
    .bind(zone.as_str())
    .fetch_optional(&mut **change)
    .await?;
    Ok(row.map(|(user, sign_in, ended_at, expires_at, used_at, replaced_at, successor)| Family {
        user: UserId::known(user),
        sign_in: SignInId::known(sign_in),
        ended: ended_at.is_some(),
        expires_at: Timestamp::from_millis(expires_at),
        used_at: used_at.map(Timestamp::from_millis),
        replaced: replaced_at.is_some(),
        successor,
    }))
}

/// Puts the unused successor of a retried token out of use; false when this is no retry.
async fn retract_successor(
    change: &mut Transaction<'_, Any>,
    family: &Family,
    now: Timestamp,
) -> Result<bool, StoreFailed> {
    let (Some(used_at), Some(successor), false) = (family.used_at, &family.successor, family.replaced) else {
        return Ok(false);
    };
    if now.since(used_at) > ZONE_REFRESH_RETRY_WINDOW {
        return Ok(false);
    }
    let retracted = sqlx::query(
        "UPDATE refresh_tokens SET replaced_at = $1 WHERE hash = $2 AND used_at IS NULL AND replaced_at IS NULL",
    )
    .bind(now.as_millis())
    .bind(successor)
    .execute(&mut **change)
    .await?;
    Ok(retracted.rows_affected() == 1)
}

async fn succeed(
    change: &mut Transaction<'_, Any>,
    token: &Hash,
    successor: &Hash,
    family: &Family,
    now: Timestamp,
) -> Result<(), StoreFailed> {
    sqlx::query("INSERT INTO refresh_tokens (hash, session_id, expires_at) VALUES ($1, $2, $3)")
        .bind(successor.as_str())
        .bind(family.sign_in.as_str())
        .bind(now.after(ZONE_REFRESH_TOKEN_LIFETIME).as_millis())
        .execute(&mut **change)
        .await?;
    sqlx::query("UPDATE refresh_tokens SET successor = $1 WHERE hash = $2")
        .bind(successor.as_str())
        .bind(token.as_str())
        .execute(&mut **change)
        .await?;
    // A sign-in lives as long as its last refresh token.
    sqlx::query("UPDATE sessions SET expires_at = $1, updated_at = $2 WHERE id = $3")
        .bind(now.after(ZONE_REFRESH_TOKEN_LIFETIME).as_millis())
        .bind(now.as_millis())
        .bind(family.sign_in.as_str())
        .execute(&mut **change)
        .await?;
    Ok(())
}

async fn end(change: &mut Transaction<'_, Any>, sign_in: &SignInId, now: Timestamp) -> Result<(), StoreFailed> {
    sqlx::query("UPDATE sessions SET ended_at = $1, updated_at = $1 WHERE id = $2")
        .bind(now.as_millis())
        .bind(sign_in.as_str())
        .execute(&mut **change)
        .await?;
    Ok(())
}
