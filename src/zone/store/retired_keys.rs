//! Public keys that sign no more, kept until the last token of theirs is dead.

use crate::jose::Jwk;
use crate::model::Timestamp;
use crate::zone::store::Store;
use crate::zone::store::StoreFailed;

impl Store {
    /// Keeps `key` until `dies_at`.
    pub(in crate::zone) async fn retire_key(&self, key: &Jwk, dies_at: Timestamp) -> Result<(), StoreFailed> {
        let (Some(kid), Ok(jwk)) = (key.kid(), serde_json::to_string(key)) else { return Ok(()) };
        sqlx::query(
            "INSERT INTO retired_keys (kid, jwk, dies_at) VALUES ($1, $2, $3)
             ON CONFLICT (kid) DO UPDATE SET dies_at = excluded.dies_at",
        )
        .bind(kid)
        .bind(jwk)
        .bind(dies_at.as_millis())
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Those whose tokens may still live.
    pub(in crate::zone) async fn retired_keys(&self, now: Timestamp) -> Result<Vec<(Jwk, Timestamp)>, StoreFailed> {
        let rows: Vec<(String, i64)> =
            sqlx::query_as("SELECT jwk, dies_at FROM retired_keys WHERE dies_at > $1 ORDER BY dies_at")
                .bind(now.as_millis())
                .fetch_all(&self.pool)
                .await?;
        let read =
            |(jwk, dies_at): (String, i64)| Some((serde_json::from_str(&jwk).ok()?, Timestamp::from_millis(dies_at)));
        Ok(rows.into_iter().filter_map(read).collect())
    }
}
