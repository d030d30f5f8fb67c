//! What may be shown once, and how often something may be tried. In the database, so that replicas know of each other.

use std::time::Duration;

use crate::model::Timestamp;
use crate::zone::opaque::Hash;
use crate::zone::store::Store;
use crate::zone::store::StoreFailed;

/// Whether something was seen before.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::zone) enum Seen {
    /// Never: it is remembered now.
    First,
    /// It was.
    Again,
}

impl Store {
    /// Remembers `id` until `expires_at`.
    pub(in crate::zone) async fn see(&self, id: &Hash, expires_at: Timestamp) -> Result<Seen, StoreFailed> {
        let remembered =
            sqlx::query("INSERT INTO oauth_replays (id, expires_at) VALUES ($1, $2) ON CONFLICT (id) DO NOTHING")
                .bind(self.of_this_zone(id))
                .bind(expires_at.as_millis())
                .execute(&self.pool)
                .await?;
        Ok(if remembered.rows_affected() == 1 { Seen::First } else { Seen::Again })
    }

    /// Counts an attempt at `id`; how many there were in this window, this one among them.
    pub(in crate::zone) async fn attempt(
        &self,
        id: &Hash,
        window: Duration,
        now: Timestamp,
    ) -> Result<i64, StoreFailed> {
        let attempts = sqlx::query_scalar(
            "INSERT INTO people_attempts (id, window_ends_at, attempts) VALUES ($1, $2, 1)
             ON CONFLICT (id) DO UPDATE SET
             attempts = CASE WHEN people_attempts.window_ends_at <= $3 THEN 1 ELSE people_attempts.attempts + 1 END,
             window_ends_at = CASE WHEN people_attempts.window_ends_at <= $3 THEN $2 ELSE people_attempts.window_ends_at END
             RETURNING attempts",
        )
        .bind(self.of_this_zone(id))
        .bind(now.after(window).as_millis())
        .bind(now.as_millis());
        Ok(attempts.fetch_one(&self.pool).await?)
    }

    /// Forgets the attempts at `id`, for one succeeded.
    pub(in crate::zone) async fn forget_attempts(&self, id: &Hash) -> Result<(), StoreFailed> {
        sqlx::query("DELETE FROM people_attempts WHERE id = $1")
            .bind(self.of_this_zone(id))
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// Takes one attempt at `id` back, for it was no wrong one.
    pub(in crate::zone) async fn take_attempt_back(&self, id: &Hash) -> Result<(), StoreFailed> {
        sqlx::query("UPDATE people_attempts SET attempts = attempts - 1 WHERE id = $1 AND attempts > 0")
            .bind(self.of_this_zone(id))
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// Calls the access token of this id back.
    pub(in crate::zone) async fn revoke_token(&self, id: &str, expires_at: Timestamp) -> Result<(), StoreFailed> {
        sqlx::query("INSERT INTO oauth_revoked_tokens (id, expires_at) VALUES ($1, $2) ON CONFLICT (id) DO NOTHING")
            .bind(id)
            .bind(expires_at.as_millis())
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// Whether the access token of this id was called back.
    pub(in crate::zone) async fn is_revoked(&self, id: &str) -> Result<bool, StoreFailed> {
        let found: Option<i64> = sqlx::query_scalar("SELECT expires_at FROM oauth_revoked_tokens WHERE id = $1")
            .bind(id)
            .fetch_optional(&self.pool)
            .await?;
        Ok(found.is_some())
    }

    /// What is one zone's is not another's.
    fn of_this_zone(&self, id: &Hash) -> String {
        format!("{}/{}", self.zone, id.as_str())
    }
}
