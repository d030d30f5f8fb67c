//! Sign-ins of users: each is a session of the zone and the family of its refresh tokens.

use crate::limits::ZONE_REFRESH_TOKEN_LIFETIME;
use crate::model::Timestamp;
use crate::zone::id::ApplicationId;
use crate::zone::id::SignInId;
use crate::zone::id::UserId;
use crate::zone::opaque::Hash;
use crate::zone::store::Store;
use crate::zone::store::StoreFailed;

impl Store {
    /// Signs the user in through the application, with `refresh` as the first refresh token. Ends every earlier
    /// sign-in through the same application.
    pub(in crate::zone) async fn sign_in(
        &self,
        user: &UserId,
        application: &ApplicationId,
        refresh: &Hash,
        now: Timestamp,
    ) -> Result<SignInId, StoreFailed> {
        let id = SignInId::random();
        let mut change = self.pool.begin().await?;
        sqlx::query(
            "UPDATE sessions SET ended_at = $1, updated_at = $1
             WHERE user_id = $2 AND application_id = $3 AND ended_at IS NULL",
        )
        .bind(now.as_millis())
        .bind(user.as_str())
        .bind(application.as_str())
        .execute(&mut *change)
        .await?;
        sqlx::query(
            "INSERT INTO sessions
             (id, zone_id, user_id, application_id, authenticated_at, expires_at, created_at, updated_at)
             VALUES ($1, $2, $3, $4, $5, $6, $5, $5)",
        )
        .bind(id.as_str())
        .bind(self.zone.as_str())
        .bind(user.as_str())
        .bind(application.as_str())
        .bind(now.as_millis())
        .bind(now.after(ZONE_REFRESH_TOKEN_LIFETIME).as_millis())
        .execute(&mut *change)
        .await?;
        sqlx::query("INSERT INTO refresh_tokens (hash, session_id, expires_at) VALUES ($1, $2, $3)")
            .bind(refresh.as_str())
            .bind(id.as_str())
            .bind(now.after(ZONE_REFRESH_TOKEN_LIFETIME).as_millis())
            .execute(&mut *change)
            .await?;
        change.commit().await?;
        Ok(id)
    }

    /// Whether the sign-in exists, is this user's and has not ended.
    pub(in crate::zone) async fn is_signed_in(&self, id: &SignInId, user: &UserId) -> Result<bool, StoreFailed> {
        let found: Option<i64> = sqlx::query_scalar(
            "SELECT created_at FROM sessions WHERE id = $1 AND user_id = $2 AND zone_id = $3 AND ended_at IS NULL",
        )
        .bind(id.as_str())
        .bind(user.as_str())
        .bind(self.zone.as_str())
        .fetch_optional(&self.pool)
        .await?;
        Ok(found.is_some())
    }

    /// Ends the session and those below it. Tokens that were issued live on; no more are.
    pub(in crate::zone) async fn end_session(&self, id: &str, now: Timestamp) -> Result<(), StoreFailed> {
        sqlx::query(
            "WITH RECURSIVE family (id) AS (
                 SELECT id FROM sessions WHERE id = $1 AND zone_id = $2
                 UNION SELECT s.id FROM sessions s JOIN family f ON s.parent_id = f.id
             )
             UPDATE sessions SET ended_at = $3, updated_at = $3
             WHERE ended_at IS NULL AND id IN (SELECT id FROM family)",
        )
        .bind(id)
        .bind(self.zone.as_str())
        .bind(now.as_millis())
        .execute(&self.pool)
        .await?;
        Ok(())
    }
}
