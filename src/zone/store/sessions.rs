//! Sessions: of people in browsers and through clients, and of applications. One table for all.
//!
//! A browser's session stands at the top. A session through a client is the family of all tokens that descend from one
//! code, device code or sign-in of the daemon; its parent is the browser in which the person allowed it, where there
//! was one. Whoever ends a session ends those below it: they hold no more, whatever their own rows say.

use sqlx::Any;
use sqlx::Transaction;

use crate::limits::ZONE_REFRESH_TOKEN_LIFETIME;
use crate::model::Timestamp;
use crate::zone::id::ApplicationId;
use crate::zone::id::SignInId;
use crate::zone::id::UserId;
use crate::zone::id::ZoneId;
use crate::zone::opaque::Hash;
use crate::zone::store::Allowed;
use crate::zone::store::Store;
use crate::zone::store::StoreFailed;
use crate::zone::store::codes::list;

/// A session as its person sees it.
#[derive(Clone, Debug)]
pub(in crate::zone) struct SessionLine {
    pub(in crate::zone) id: String,
    pub(in crate::zone) client_name: String,
    pub(in crate::zone) resources: Vec<String>,
    pub(in crate::zone) created_at: Timestamp,
}

/// A session of a user that holds.
#[derive(Clone, Copy, Debug)]
pub(in crate::zone) struct Standing {
    /// When its person showed a second factor, where they did.
    pub(in crate::zone) second_factor_at: Option<Timestamp>,
}

impl Store {
    /// The session, as long as it exists, is this user's and neither it nor the one above it has ended.
    pub(in crate::zone) async fn standing(
        &self,
        id: &SignInId,
        user: &UserId,
    ) -> Result<Option<Standing>, StoreFailed> {
        let found: Option<(i64, Option<i64>)> = sqlx::query_as(
            "SELECT s.created_at, s.second_factor_at FROM sessions s LEFT JOIN sessions p ON p.id = s.parent_id
             WHERE s.id = $1 AND s.user_id = $2 AND s.zone_id = $3 AND s.ended_at IS NULL AND p.ended_at IS NULL",
        )
        .bind(id.as_str())
        .bind(user.as_str())
        .bind(self.zone.as_str())
        .fetch_optional(&self.pool)
        .await?;
        Ok(found.map(|(_, second)| Standing { second_factor_at: second.map(Timestamp::from_millis) }))
    }

    /// Signs the user in through the daemon's own client, with `refresh` as the first refresh token. Ends every earlier
    /// session through the same client.
    pub(in crate::zone) async fn sign_in(
        &self,
        user: &UserId,
        application: &ApplicationId,
        refresh: &Hash,
        now: Timestamp,
    ) -> Result<(), StoreFailed> {
        let mut change = self.pool.begin().await?;
        sqlx::query(
            "UPDATE sessions SET ended_at = $1, updated_at = $1
             WHERE user_id = $2 AND client_id = $3 AND ended_at IS NULL",
        )
        .bind(now.as_millis())
        .bind(user.as_str())
        .bind(application.as_str())
        .execute(&mut *change)
        .await?;
        let allowed = Allowed {
            user: user.clone(),
            client: application.clone(),
            browser: None,
            resources: Vec::new(),
            scopes: crate::model::Scopes::default(),
            key: None,
            authenticated_at: now,
            second_factor_at: None,
        };
        begin(&mut change, &self.zone, &allowed, refresh, now).await?;
        Ok(change.commit().await?)
    }

    /// Ends the session and those below it. Tokens that were issued live on; no more are.
    pub(in crate::zone) async fn end_session(&self, id: &str, now: Timestamp) -> Result<(), StoreFailed> {
        let mut change = self.pool.begin().await?;
        end(&mut change, &self.zone, id, now).await?;
        Ok(change.commit().await?)
    }

    /// The same, if it is this user's.
    pub(in crate::zone) async fn end_session_of(
        &self,
        user: &UserId,
        id: &str,
        now: Timestamp,
    ) -> Result<(), StoreFailed> {
        let own: Option<String> =
            sqlx::query_scalar("SELECT id FROM sessions WHERE id = $1 AND user_id = $2 AND zone_id = $3")
                .bind(id)
                .bind(user.as_str())
                .bind(self.zone.as_str())
                .fetch_optional(&self.pool)
                .await?;
        match own {
            Some(id) => self.end_session(&id, now).await,
            None => Ok(()),
        }
    }

    /// The user's living sessions through clients, the newest first.
    pub(in crate::zone) async fn sessions_of(
        &self,
        user: &UserId,
        now: Timestamp,
    ) -> Result<Vec<SessionLine>, StoreFailed> {
        let rows: Vec<(String, String, String, i64)> = sqlx::query_as(
            "SELECT s.id, COALESCE(a.name, g.name, s.client_id), s.resources, s.created_at FROM sessions s
             LEFT JOIN applications a ON a.id = s.application_id
             LEFT JOIN user_agents g ON g.id = s.user_agent_id
             WHERE s.user_id = $1 AND s.zone_id = $2 AND s.client_id IS NOT NULL AND s.ended_at IS NULL
             AND s.expires_at > $3 ORDER BY s.created_at DESC, s.id LIMIT 200",
        )
        .bind(user.as_str())
        .bind(self.zone.as_str())
        .bind(now.as_millis())
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

/// A session of a user through a client, and its first refresh token. None when the user is gone, or the browser in
/// which it was allowed is signed out.
pub(super) async fn begin(
    change: &mut Transaction<'_, Any>,
    zone: &ZoneId,
    allowed: &Allowed,
    refresh: &Hash,
    now: Timestamp,
) -> Result<Option<SignInId>, StoreFailed> {
    let id = SignInId::random();
    let begun = sqlx::query(
        "INSERT INTO sessions
         (id, zone_id, session_type, parent_id, user_id, application_id, user_agent_id, client_id, provider_id, issuer,
          subject, resources, scopes, key_thumbprint, authenticated_at, second_factor_at, expires_at, created_at,
          updated_at, amr, acr)
         SELECT $1, u.zone_id, 'user', p.id, u.id,
             (SELECT a.id FROM applications a WHERE a.id = $2 AND a.zone_id = u.zone_id),
             (SELECT g.id FROM user_agents g WHERE g.identifier = $2 AND g.zone_id = u.zone_id),
             $2, u.provider_id, u.issuer, u.subject, $3, $4, $5, $6, $7, $8, $9, $9, COALESCE(p.amr, '[]'), p.acr
         FROM users u LEFT JOIN sessions p ON p.id = $10 AND p.user_id = u.id AND p.ended_at IS NULL
         WHERE u.id = $11 AND u.zone_id = $12 AND ($13 = 0 OR p.id IS NOT NULL)",
    )
    .bind(id.as_str())
    .bind(allowed.client.as_str())
    .bind(list(&allowed.resources))
    .bind(allowed.scopes.to_string())
    .bind(allowed.key.as_deref())
    .bind(allowed.authenticated_at.as_millis())
    .bind(allowed.second_factor_at.map(Timestamp::as_millis))
    .bind(now.after(ZONE_REFRESH_TOKEN_LIFETIME).as_millis())
    .bind(now.as_millis())
    .bind(allowed.browser.as_deref())
    .bind(allowed.user.as_str())
    .bind(zone.as_str())
    .bind(i64::from(allowed.browser.is_some()))
    .execute(&mut **change)
    .await?;
    if begun.rows_affected() != 1 {
        return Ok(None);
    }
    sqlx::query("INSERT INTO refresh_tokens (hash, session_id, expires_at) VALUES ($1, $2, $3)")
        .bind(refresh.as_str())
        .bind(id.as_str())
        .bind(now.after(ZONE_REFRESH_TOKEN_LIFETIME).as_millis())
        .execute(&mut **change)
        .await?;
    Ok(Some(id))
}

/// Ends a session and those below it, and with them their refresh tokens.
pub(super) async fn end(
    change: &mut Transaction<'_, Any>,
    zone: &ZoneId,
    id: &str,
    now: Timestamp,
) -> Result<(), StoreFailed> {
    sqlx::query(
        "WITH RECURSIVE family (id) AS (
             SELECT id FROM sessions WHERE id = $1 AND zone_id = $2
             UNION SELECT s.id FROM sessions s JOIN family f ON s.parent_id = f.id
         )
         UPDATE sessions SET ended_at = $3, updated_at = $3
         WHERE ended_at IS NULL AND id IN (SELECT id FROM family)",
    )
    .bind(id)
    .bind(zone.as_str())
    .bind(now.as_millis())
    .execute(&mut **change)
    .await?;
    Ok(())
}
