//! Sessions of people through clients, and the rotation of their refresh tokens (RFC 9700 §4.14).
//!
//! A refresh token is good once. A second use ends the session, but for one case: a client that proves who it is may
//! ask again within [`ZONE_REFRESH_RETRY_WINDOW`](crate::limits::ZONE_REFRESH_RETRY_WINDOW) while the successor was
//! never used, for its answer may have been lost. A public client has no such grace: a thief needs nothing more.

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
use crate::zone::store::codes::end;

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

/// A session as its person sees it.
#[derive(Clone, Debug)]
pub(in crate::zone) struct SessionLine {
    pub(in crate::zone) id: String,
    pub(in crate::zone) client_name: String,
    pub(in crate::zone) resources: Vec<String>,
    pub(in crate::zone) created_at: Timestamp,
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
        let claimed = sqlx::query(
            "UPDATE oauth_refresh_tokens SET used_at = $1
             WHERE hash = $2 AND used_at IS NULL AND replaced_at IS NULL",
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
            end(&mut change, &family.session, now).await?;
            change.commit().await?;
            return Ok(Renewed::Reused(family.session));
        }
        sqlx::query("INSERT INTO oauth_refresh_tokens (hash, session_id, expires_at) VALUES ($1, $2, $3)")
            .bind(successor.as_str())
            .bind(family.session.as_str())
            .bind(now.after(ZONE_REFRESH_TOKEN_LIFETIME).as_millis())
            .execute(&mut *change)
            .await?;
        sqlx::query("UPDATE oauth_refresh_tokens SET successor = $1 WHERE hash = $2")
            .bind(successor.as_str())
            .bind(presented.as_str())
            .execute(&mut *change)
            .await?;
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

    /// Whether the session exists, is this user's and has not ended.
    pub(in crate::zone) async fn is_in_session(&self, id: &SignInId, user: &UserId) -> Result<bool, StoreFailed> {
        let found: Option<i64> = sqlx::query_scalar(
            "SELECT created_at FROM oauth_sessions WHERE id = $1 AND user_id = $2 AND ended_at IS NULL",
        )
        .bind(id.as_str())
        .bind(user.as_str())
        .fetch_optional(&self.pool)
        .await?;
        Ok(found.is_some())
    }

    /// Ends one session.
    pub(in crate::zone) async fn end_oauth_session(&self, id: &SignInId, now: Timestamp) -> Result<(), StoreFailed> {
        let mut change = self.pool.begin().await?;
        end(&mut change, id, now).await?;
        Ok(change.commit().await?)
    }

    /// Ends one session, if it is this user's.
    pub(in crate::zone) async fn end_oauth_session_of(
        &self,
        user: &UserId,
        id: &str,
        now: Timestamp,
    ) -> Result<(), StoreFailed> {
        sqlx::query("UPDATE oauth_sessions SET ended_at = $1 WHERE id = $2 AND user_id = $3 AND ended_at IS NULL")
            .bind(now.as_millis())
            .bind(id)
            .bind(user.as_str())
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// The user's sessions that have not ended, the newest first.
    pub(in crate::zone) async fn sessions_of(&self, user: &UserId) -> Result<Vec<SessionLine>, StoreFailed> {
        let rows: Vec<(String, String, String, i64)> = sqlx::query_as(
            "SELECT s.id, COALESCE(a.name, u.name, s.client_id), s.resources, s.created_at FROM oauth_sessions s
             LEFT JOIN applications a ON a.id = s.client_id
             LEFT JOIN user_agents u ON u.identifier = s.client_id AND u.zone_id = $2
             WHERE s.user_id = $1 AND s.ended_at IS NULL ORDER BY s.created_at DESC, s.id LIMIT 200",
        )
        .bind(user.as_str())
        .bind(self.zone.as_str())
        .fetch_all(&self.pool)
        .await?;
        let read = |(id, client_name, resources, at): (String, String, String, i64)| SessionLine {
            id,
            client_name,
            resources: serde_json::from_str(&resources).unwrap_or_default(),
            created_at: Timestamp::from_millis(at),
        };
        Ok(rows.into_iter().map(read).collect())
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
    type Row = (String, String, Option<String>, String, String, Option<String>, i64, Option<i64>, Option<i64>);
    let tokens: Option<Tokens> = sqlx::query_as(
        "SELECT session_id, expires_at, used_at, replaced_at, successor FROM oauth_refresh_tokens WHERE hash = $1",
    )
    .bind(token.as_str())
    .fetch_optional(&mut **change)
    .await?;
    let Some((session, expires_at, used_at, replaced_at, successor)) = tokens else { return Ok(None) };
    let row: Option<Row> = sqlx::query_as(
        "SELECT user_id, client_id, browser_session_id, resources, scopes, key_thumbprint, authenticated_at,
         second_factor_at, ended_at FROM oauth_sessions
         WHERE id = $1 AND user_id IN (SELECT id FROM users WHERE zone_id = $2)",
    )
    .bind(&session)
    .bind(zone.as_str())
    .fetch_optional(&mut **change)
    .await?;
    let Some((user, client, browser, resources, scopes, key, at, second, ended_at)) = row else { return Ok(None) };
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
        ended: ended_at.is_some(),
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
        "UPDATE oauth_refresh_tokens SET replaced_at = $1
         WHERE hash = $2 AND used_at IS NULL AND replaced_at IS NULL",
    )
    .bind(now.as_millis())
    .bind(successor)
    .execute(&mut **change)
    .await?;
    Ok(retracted.rows_affected() == 1)
}
