//! Refresh tokens and their rotation (RFC 9700 §4.14).
//!
//! A token is good once. Its use makes a successor; a second use is a theft or a retry, and which of the two it is
//! decides whether the family ends:
//! - *Retry*: a client that proves who it is asks again within
//!   [`ZONE_REFRESH_RETRY_WINDOW`](crate::limits::ZONE_REFRESH_RETRY_WINDOW) of the first use, while the successor was
//!   never used. The answer was lost on its way (a crash, a broken connection). The unused successor is put out of use
//!   and another takes its place, so that there is still only one good token.
//! - *Theft*: anything else: later, or after the successor was used, or a successor that was put out of use. The whole
//!   session ends, whoever holds what. A public client has no such grace: a thief needs nothing more than the token.
//!
//! A thief who replays within the window gains one successor, and the session ends as soon as the owner uses theirs.
//! The thief would also need the client's secret.

use std::time::Duration;

use sqlx::Any;
use sqlx::Transaction;

use crate::limits::ZONE_REFRESH_TOKEN_LIFETIME;
use crate::model::Scopes;
use crate::model::Timestamp;
use crate::zone::id::ApplicationId;
use crate::zone::id::SignInId;
use crate::zone::id::UserId;
use crate::zone::id::ZoneId;
use crate::zone::opaque::Hash;
use crate::zone::store::Allowed;
use crate::zone::store::Store;
use crate::zone::store::StoreFailed;
use crate::zone::store::sessions::end;

/// What became of a presented refresh token.
#[must_use]
#[derive(Debug)]
pub(in crate::zone) enum Renewed {
    /// The successor is good now.
    Done(Allowed, SignInId),
    /// Unknown, expired, another client's, bound to another key, or of a session that has ended.
    Invalid,
    /// Used a second time: the session has ended.
    Reused(SignInId),
}

impl Store {
    /// Exchanges `presented` for `successor`, if it is good, `client`'s own and bound to no other key than `key`.
    pub(in crate::zone) async fn renew(
        &self,
        presented: &Hash,
        successor: &Hash,
        client: &ApplicationId,
        key: Option<&str>,
        grace: Duration,
        now: Timestamp,
    ) -> Result<Renewed, StoreFailed> {
        let mut change = self.pool.begin().await?;
        // The first statement writes, so that two rotations of one token can't both find it unused. Undone with the
        // change when the token proves not to be valid.
        let claimed = sqlx::query(
            "UPDATE refresh_tokens SET used_at = $1 WHERE hash = $2 AND used_at IS NULL AND replaced_at IS NULL",
        )
        .bind(now.as_millis())
        .bind(presented.as_str())
        .execute(&mut *change)
        .await?;
        let Some(family) = find(&mut change, presented, &self.zone).await? else { return Ok(Renewed::Invalid) };
        let bound_elsewhere = family.allowed.key.as_deref().is_some_and(|bound| Some(bound) != key);
        if &family.allowed.client != client || family.ended || family.expires_at <= now || bound_elsewhere {
            return Ok(Renewed::Invalid);
        }
        if claimed.rows_affected() != 1 && !retract(&mut change, &family, grace, now).await? {
            end(&mut change, &self.zone, family.session.as_str(), now).await?;
            change.commit().await?;
            return Ok(Renewed::Reused(family.session));
        }
        succeed(&mut change, presented, successor, &family.session, now).await?;
        change.commit().await?;
        Ok(Renewed::Done(family.allowed, family.session))
    }

    /// The session that a refresh token belongs to, as long as the token is good.
    pub(in crate::zone) async fn session_of_refresh_token(
        &self,
        presented: &Hash,
        now: Timestamp,
    ) -> Result<Option<(Allowed, SignInId, Timestamp)>, StoreFailed> {
        let mut change = self.pool.begin().await?;
        let family = find(&mut change, presented, &self.zone).await?;
        let good =
            |family: &Family| !family.ended && family.expires_at > now && family.used_at.is_none() && !family.replaced;
        Ok(family.filter(good).map(|family| (family.allowed, family.session, family.expires_at)))
    }
}

struct Family {
    session: SignInId,
    allowed: Allowed,
    ended: bool,
    expires_at: Timestamp,
    used_at: Option<Timestamp>,
    replaced: bool,
    successor: Option<String>,
}

async fn find(change: &mut Transaction<'_, Any>, token: &Hash, zone: &ZoneId) -> Result<Option<Family>, StoreFailed> {
    type Tokens = (String, i64, Option<i64>, Option<i64>, Option<String>);
    type Row = (String, String, Option<String>, String, String, Option<String>, i64, Option<i64>, i64);
    let tokens: Option<Tokens> = sqlx::query_as(
        "SELECT session_id, expires_at, used_at, replaced_at, successor FROM refresh_tokens WHERE hash = $1",
    )
    .bind(token.as_str())
    .fetch_optional(&mut **change)
    .await?;
    let Some((session, expires_at, used_at, replaced_at, successor)) = tokens else { return Ok(None) };
    let row: Option<Row> = sqlx::query_as(
        "SELECT s.user_id, s.client_id, s.parent_id, s.resources, s.scopes, s.key_thumbprint, s.authenticated_at,
         s.second_factor_at, CASE WHEN s.ended_at IS NULL AND p.ended_at IS NULL THEN 0 ELSE 1 END
         FROM sessions s LEFT JOIN sessions p ON p.id = s.parent_id
         WHERE s.id = $1 AND s.zone_id = $2 AND s.session_type = 'user' AND s.client_id IS NOT NULL
         AND s.authenticated_at IS NOT NULL",
    )
    .bind(&session)
    .bind(zone.as_str())
    .fetch_optional(&mut **change)
    .await?;
    let Some((user, client, browser, resources, scopes, key, at, second, ended)) = row else { return Ok(None) };
    // A damaged row is no session, never one with other rights.
    let (Ok(resources), Ok(scopes)) = (serde_json::from_str(&resources), Scopes::parse(&scopes)) else {
        return Ok(None);
    };
    Ok(Some(Family {
        session: SignInId::known(session),
        allowed: Allowed {
            user: UserId::known(user),
            client: ApplicationId::known(client),
            browser,
            resources,
            scopes,
            key,
            authenticated_at: Timestamp::from_millis(at),
            second_factor_at: second.map(Timestamp::from_millis),
        },
        ended: ended != 0,
        expires_at: Timestamp::from_millis(expires_at),
        used_at: used_at.map(Timestamp::from_millis),
        replaced: replaced_at.is_some(),
        successor,
    }))
}

/// Puts the unused successor of a retried token out of use; false when this is no retry.
async fn retract(
    change: &mut Transaction<'_, Any>,
    family: &Family,
    grace: Duration,
    now: Timestamp,
) -> Result<bool, StoreFailed> {
    let (Some(used_at), Some(successor), false) = (family.used_at, &family.successor, family.replaced) else {
        return Ok(false);
    };
    if grace.is_zero() || now.since(used_at) > grace {
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
    session: &SignInId,
    now: Timestamp,
) -> Result<(), StoreFailed> {
    let expires_at = now.after(ZONE_REFRESH_TOKEN_LIFETIME).as_millis();
    sqlx::query("INSERT INTO refresh_tokens (hash, session_id, expires_at) VALUES ($1, $2, $3)")
        .bind(successor.as_str())
        .bind(session.as_str())
        .bind(expires_at)
        .execute(&mut **change)
        .await?;
    sqlx::query("UPDATE refresh_tokens SET successor = $1 WHERE hash = $2")
        .bind(successor.as_str())
        .bind(token.as_str())
        .execute(&mut **change)
        .await?;
    // A session lives as long as its last refresh token.
    sqlx::query("UPDATE sessions SET expires_at = $1, updated_at = $2 WHERE id = $3")
        .bind(expires_at)
        .bind(now.as_millis())
        .bind(session.as_str())
        .execute(&mut **change)
        .await?;
    Ok(())
}
