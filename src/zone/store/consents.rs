//! Delegated grants: that a person lets a client use a resource for them, with which scopes, until they take it back.

use crate::model::Scopes;
use crate::model::Timestamp;
use crate::zone::id::ApplicationId;
use crate::zone::id::UserId;
use crate::zone::store::Store;
use crate::zone::store::StoreFailed;

/// A grant as its person sees it.
#[derive(Clone, Debug)]
pub(in crate::zone) struct GrantLine {
    pub(in crate::zone) client_id: String,
    pub(in crate::zone) client_name: String,
    pub(in crate::zone) resource: String,
    pub(in crate::zone) scopes: String,
}

impl Store {
    /// Remembers that the user lets the client use the resource with these scopes, beside those of before.
    pub(in crate::zone) async fn consent(
        &self,
        user: &UserId,
        client: &ApplicationId,
        resource: &str,
        scopes: &Scopes,
        now: Timestamp,
    ) -> Result<(), StoreFailed> {
        let before = self.consented(user, client, resource).await?.unwrap_or_default();
        let all = Scopes::collect(before.iter().chain(scopes.iter())).unwrap_or_default();
        sqlx::query(
            "INSERT INTO oauth_grants (user_id, client_id, resource, scopes, created_at, updated_at)
             VALUES ($1, $2, $3, $4, $5, $5) ON CONFLICT (user_id, client_id, resource) DO UPDATE SET
             scopes = excluded.scopes, updated_at = excluded.updated_at, revoked_at = NULL",
        )
        .bind(user.as_str())
        .bind(client.as_str())
        .bind(resource)
        .bind(all.to_string())
        .bind(now.as_millis())
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// The scopes that the user granted the client for the resource; none without a grant.
    pub(in crate::zone) async fn consented(
        &self,
        user: &UserId,
        client: &ApplicationId,
        resource: &str,
    ) -> Result<Option<Scopes>, StoreFailed> {
        let scopes: Option<String> = sqlx::query_scalar(
            "SELECT scopes FROM oauth_grants
             WHERE user_id = $1 AND client_id = $2 AND resource = $3 AND revoked_at IS NULL",
        )
        .bind(user.as_str())
        .bind(client.as_str())
        .bind(resource)
        .fetch_optional(&self.pool)
        .await?;
        Ok(scopes.and_then(|scopes| Scopes::parse(&scopes).ok()))
    }

    /// Whether the user ever granted anyone the resource, and has not taken it back.
    pub(in crate::zone) async fn is_delegated(&self, user: &UserId, resource: &str) -> Result<bool, StoreFailed> {
        let found: Option<String> = sqlx::query_scalar(
            "SELECT client_id FROM oauth_grants WHERE user_id = $1 AND resource = $2 AND revoked_at IS NULL LIMIT 1",
        )
        .bind(user.as_str())
        .bind(resource)
        .fetch_optional(&self.pool)
        .await?;
        Ok(found.is_some())
    }

    /// Takes a grant back, and ends the client's sessions of this user: they rest on it.
    pub(in crate::zone) async fn revoke_consent(
        &self,
        user: &UserId,
        client: &str,
        resource: &str,
        now: Timestamp,
    ) -> Result<(), StoreFailed> {
        let mut change = self.pool.begin().await?;
        sqlx::query(
            "UPDATE oauth_grants SET revoked_at = $1
             WHERE user_id = $2 AND client_id = $3 AND resource = $4 AND revoked_at IS NULL",
        )
        .bind(now.as_millis())
        .bind(user.as_str())
        .bind(client)
        .bind(resource)
        .execute(&mut *change)
        .await?;
        sqlx::query(
            "UPDATE oauth_sessions SET ended_at = $1 WHERE user_id = $2 AND client_id = $3 AND ended_at IS NULL",
        )
        .bind(now.as_millis())
        .bind(user.as_str())
        .bind(client)
        .execute(&mut *change)
        .await?;
        Ok(change.commit().await?)
    }

    /// The user's grants, the newest first.
    pub(in crate::zone) async fn consents_of(&self, user: &UserId) -> Result<Vec<GrantLine>, StoreFailed> {
        let rows: Vec<(String, String, String, String)> = sqlx::query_as(
            "SELECT g.client_id, COALESCE(a.name, u.name, g.client_id), g.resource, g.scopes FROM oauth_grants g
             LEFT JOIN applications a ON a.id = g.client_id
             LEFT JOIN user_agents u ON u.identifier = g.client_id AND u.zone_id = $2
             WHERE g.user_id = $1 AND g.revoked_at IS NULL ORDER BY g.updated_at DESC, g.client_id, g.resource LIMIT 200",
        )
        .bind(user.as_str())
        .bind(self.zone.as_str())
        .fetch_all(&self.pool)
        .await?;
        let read = |(client_id, client_name, resource, scopes)| GrantLine { client_id, client_name, resource, scopes };
        Ok(rows.into_iter().map(read).collect())
    }
}
