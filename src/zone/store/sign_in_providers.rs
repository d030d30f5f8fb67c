//! The provider through which a zone's people sign in: chosen and made in one step, let go of in one step.

use sqlx::Any;
use sqlx::Transaction;

use crate::model::Timestamp;
use crate::zone::id::ZoneId;
use crate::zone::store::Change;
use crate::zone::store::Column;
use crate::zone::store::Store;
use crate::zone::store::StoreFailed;
use crate::zone::store::tables::insert_within;

impl Store {
    /// The zone that an organisation's people sign in to: its first. None when it has none any more.
    pub(in crate::zone) async fn zone_of_organization(&self, id: &str) -> Result<Option<ZoneId>, StoreFailed> {
        let zone: Option<String> =
            sqlx::query_scalar("SELECT id FROM zones WHERE organization_id = $1 ORDER BY created_at, id LIMIT 1")
                .bind(id)
                .fetch_optional(&self.pool)
                .await?;
        Ok(zone.map(ZoneId::known))
    }

    /// Makes the provider of these columns, by which people sign in from now on; false when they do by another one.
    pub(in crate::zone) async fn begin_to_sign_in_by(
        &self,
        provider: &str,
        columns: Vec<Column>,
        now: Timestamp,
    ) -> Result<bool, StoreFailed> {
        let mut change = self.pool.begin().await?;
        // The row is held before it is looked at: PostgreSQL would look for the provider as it was before the wait.
        sqlx::query("UPDATE zones SET updated_at = updated_at WHERE id = $1")
            .bind(self.zone.as_str())
            .execute(&mut *change)
            .await?;
        let chosen = sqlx::query(
            "UPDATE zones SET user_identity_provider_id = $1,
             updated_at = CASE WHEN updated_at < $2 THEN $2 ELSE updated_at + 1 END
             WHERE id = $3 AND NOT EXISTS (SELECT 1 FROM providers p
                 WHERE p.id = zones.user_identity_provider_id AND p.zone_id = zones.id)",
        )
        .bind(provider)
        .bind(now.as_millis())
        .bind(self.zone.as_str())
        .execute(&mut *change)
        .await?;
        if chosen.rows_affected() == 0 {
            return Ok(false);
        }
        insert_within(&mut change, "providers", columns).await?;
        change.commit().await?;
        Ok(true)
    }

    /// People sign in at the zone itself from now on. The provider goes too, unless something else of the zone uses it.
    /// Missing when they sign in by another one meanwhile.
    pub(in crate::zone) async fn cease_to_sign_in_by(
        &self,
        provider: &str,
        now: Timestamp,
    ) -> Result<Change, StoreFailed> {
        let mut change = self.pool.begin().await?;
        if !self.let_go(&mut change, provider, now).await? {
            return Ok(Change::Missing);
        }
        sqlx::query(
            "DELETE FROM providers WHERE id = $1 AND zone_id = $2
             AND NOT EXISTS (SELECT 1 FROM resources r WHERE r.credential_provider_id = providers.id)
             AND NOT EXISTS (SELECT 1 FROM application_credentials c WHERE c.provider_id = providers.id)",
        )
        .bind(provider)
        .bind(self.zone.as_str())
        .execute(&mut *change)
        .await?;
        change.commit().await?;
        Ok(Change::Done)
    }

    /// Removes a provider with all that rests on it. A zone whose people signed in by it is their own door again, and
    /// names nobody who is gone.
    pub(in crate::zone) async fn remove_provider(&self, id: &str, now: Timestamp) -> Result<Change, StoreFailed> {
        let mut change = self.pool.begin().await?;
        self.let_go(&mut change, id, now).await?;
        let removed = sqlx::query("DELETE FROM providers WHERE id = $1 AND zone_id = $2")
            .bind(id)
            .bind(self.zone.as_str())
            .execute(&mut *change)
            .await?;
        change.commit().await?;
        Ok(if removed.rows_affected() > 0 { Change::Done } else { Change::Missing })
    }

    /// Whether people signed in by it until now.
    async fn let_go(
        &self,
        change: &mut Transaction<'_, Any>,
        provider: &str,
        now: Timestamp,
    ) -> Result<bool, StoreFailed> {
        let left = sqlx::query(
            "UPDATE zones SET user_identity_provider_id = NULL,
             updated_at = CASE WHEN updated_at < $1 THEN $1 ELSE updated_at + 1 END
             WHERE id = $2 AND user_identity_provider_id = $3",
        )
        .bind(now.as_millis())
        .bind(self.zone.as_str())
        .bind(provider)
        .execute(&mut **change)
        .await?;
        Ok(left.rows_affected() > 0)
    }
}
