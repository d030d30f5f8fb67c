//! API tokens: kept as hashes, revoked for good, their last use known to the minute.

use sqlx::FromRow;

use crate::limits::ZONE_LAST_USE_STEP;
use crate::model::Timestamp;
use crate::zone::api_token::ApiToken;
use crate::zone::id::RowId;
use crate::zone::store::Conditions;
use crate::zone::store::Store;
use crate::zone::store::StoreFailed;

/// A token without its hash.
#[derive(FromRow)]
pub(in crate::zone) struct ApiTokenRow {
    pub(in crate::zone) id: String,
    pub(in crate::zone) name: String,
    pub(in crate::zone) hint: String,
    pub(in crate::zone) scopes: String,
    pub(in crate::zone) created_at: i64,
    pub(in crate::zone) expires_at: Option<i64>,
    pub(in crate::zone) revoked_at: Option<i64>,
    pub(in crate::zone) last_used_at: Option<i64>,
}

impl ApiTokenRow {
    /// What is read of a table that is called `t`.
    pub(in crate::zone) const COLUMNS: &'static str =
        "t.id, t.name, t.hint, t.scopes, t.created_at, t.expires_at, t.revoked_at, t.last_used_at";
}

impl Store {
    /// A new token of the organisation; its id.
    pub(in crate::zone) async fn add_api_token(
        &self,
        organization: &str,
        token: &ApiToken,
        name: &str,
        scopes: &str,
        expires_at: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<String, StoreFailed> {
        let id = format!("tok_{}", RowId::random());
        sqlx::query(
            "INSERT INTO api_tokens (id, organization_id, hash, hint, name, scopes, created_at, expires_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        )
        .bind(&id)
        .bind(organization)
        .bind(token.hash.as_str())
        .bind(&token.hint)
        .bind(name)
        .bind(scopes)
        .bind(now.as_millis())
        .bind(expires_at.map(Timestamp::as_millis))
        .execute(&self.pool)
        .await?;
        Ok(id)
    }

    /// All of the organisation.
    pub(in crate::zone) async fn api_tokens(&self, organization: &str) -> Result<Vec<ApiTokenRow>, StoreFailed> {
        let own = Conditions::default().equals("t.organization_id", organization);
        self.find_all(ApiTokenRow::COLUMNS, "api_tokens t", own).await
    }

    /// Whether the organisation had an active token of this id, which is revoked now.
    pub(in crate::zone) async fn revoke_api_token(
        &self,
        organization: &str,
        id: &str,
        now: Timestamp,
    ) -> Result<bool, StoreFailed> {
        let revoked = sqlx::query(REVOKE).bind(now.as_millis()).bind(id).bind(organization);
        let revoked = revoked.execute(&self.pool).await?;
        Ok(revoked.rows_affected() > 0)
    }

    /// Revokes an active token and makes its successor in one change; the successor's id.
    pub(in crate::zone) async fn rotate_api_token(
        &self,
        organization: &str,
        id: &str,
        token: &ApiToken,
        now: Timestamp,
    ) -> Result<Option<String>, StoreFailed> {
        let successor = format!("tok_{}", RowId::random());
        let mut change = self.pool.begin().await?;
        let revoked = sqlx::query(REVOKE).bind(now.as_millis()).bind(id).bind(organization);
        let revoked = revoked.execute(&mut *change).await?;
        if revoked.rows_affected() == 0 {
            return Ok(None);
        }
        sqlx::query(
            "INSERT INTO api_tokens (id, organization_id, hash, hint, name, scopes, created_at, expires_at)
             SELECT $1, organization_id, $2, $3, name, scopes, $4, expires_at FROM api_tokens WHERE id = $5",
        )
        .bind(&successor)
        .bind(token.hash.as_str())
        .bind(&token.hint)
        .bind(now.as_millis())
        .bind(id)
        .execute(&mut *change)
        .await?;
        change.commit().await?;
        Ok(Some(successor))
    }

    /// Remembers that the token was used, unless that is known well enough.
    pub(in crate::zone) async fn note_api_token_use(
        &self,
        id: &str,
        last_used_at: Option<i64>,
        now: Timestamp,
    ) -> Result<(), StoreFailed> {
        self.note_use("UPDATE api_tokens SET last_used_at = $1 WHERE id = $2", id, last_used_at, now).await
    }

    /// Notes a use by `statement`, unless the last one is known well enough.
    pub(super) async fn note_use(
        &self,
        statement: &'static str,
        id: &str,
        last_used_at: Option<i64>,
        now: Timestamp,
    ) -> Result<(), StoreFailed> {
        if last_used_at.is_some_and(|last| now.since(Timestamp::from_millis(last)) < ZONE_LAST_USE_STEP) {
            return Ok(());
        }
        sqlx::query(statement).bind(now.as_millis()).bind(id).execute(&self.pool).await?;
        Ok(())
    }
}

const REVOKE: &str = "UPDATE api_tokens SET revoked_at = $1
    WHERE id = $2 AND organization_id = $3 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > $1)";
