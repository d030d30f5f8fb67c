//! Initial access tokens (RFC 7591 §3): with one, a user's own daemon registers agents in the user's name.

use crate::model::Timestamp;
use crate::zone::id::UserId;
use crate::zone::opaque::Hash;
use crate::zone::store::Store;
use crate::zone::store::StoreFailed;

impl Store {
    /// Makes `token` the user's only registration token.
    pub(in crate::zone) async fn replace_registration_token(
        &self,
        user: &UserId,
        token: &Hash,
        now: Timestamp,
    ) -> Result<(), StoreFailed> {
        let mut change = self.pool.begin().await?;
        sqlx::query("DELETE FROM registration_tokens WHERE user_id = $1")
            .bind(user.as_str())
            .execute(&mut *change)
            .await?;
        sqlx::query("INSERT INTO registration_tokens (hash, zone_id, user_id, created_at) VALUES ($1, $2, $3, $4)")
            .bind(token.as_str())
            .bind(self.zone.as_str())
            .bind(user.as_str())
            .bind(now.as_millis())
            .execute(&mut *change)
            .await?;
        change.commit().await?;
        Ok(())
    }

    /// Whose registration token this is. Looked up by its hash: how far a guess agrees with a hash says nothing
    /// about the 256 random bits behind it.
    pub(in crate::zone) async fn registrar(&self, token: &Hash) -> Result<Option<UserId>, StoreFailed> {
        let user: Option<String> =
            sqlx::query_scalar("SELECT user_id FROM registration_tokens WHERE hash = $1 AND zone_id = $2")
                .bind(token.as_str())
                .bind(self.zone.as_str())
                .fetch_optional(&self.pool)
                .await?;
        Ok(user.map(UserId::known))
    }
}
