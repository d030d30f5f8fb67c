//! What applications need, and how many things they are.

use sqlx::Any;
use sqlx::Transaction;

use crate::model::Timestamp;
use crate::zone::store::Change;
use crate::zone::store::Store;
use crate::zone::store::StoreFailed;

impl Store {
    /// The application needs the resource, from now on under these conditions.
    pub(in crate::zone) async fn depend(
        &self,
        application: &str,
        resource: &str,
        when_accessing: Option<String>,
        now: Timestamp,
    ) -> Result<(), StoreFailed> {
        let mut change = self.pool.begin().await?;
        sqlx::query(
            "INSERT INTO dependencies (application_id, resource_id, when_accessing, created_at)
             VALUES ($1, $2, $3, $4)
             ON CONFLICT (application_id, resource_id) DO UPDATE SET when_accessing = excluded.when_accessing",
        )
        .bind(application)
        .bind(resource)
        .bind(when_accessing)
        .bind(now.as_millis())
        .execute(&mut *change)
        .await?;
        recount(&mut change, application).await?;
        change.commit().await?;
        Ok(())
    }

    /// The application needs it no more.
    pub(in crate::zone) async fn undepend(&self, application: &str, resource: &str) -> Result<Change, StoreFailed> {
        let mut change = self.pool.begin().await?;
        let removed = sqlx::query("DELETE FROM dependencies WHERE application_id = $1 AND resource_id = $2")
            .bind(application)
            .bind(resource)
            .execute(&mut *change)
            .await?;
        if removed.rows_affected() == 0 {
            return Ok(Change::Missing);
        }
        recount(&mut change, application).await?;
        change.commit().await?;
        Ok(Change::Done)
    }

    /// Removes a resource of this zone, and that anything depends on it.
    pub(in crate::zone) async fn remove_resource(&self, id: &str) -> Result<(), StoreFailed> {
        let mut change = self.pool.begin().await?;
        sqlx::query(
            "UPDATE applications SET dependencies_count = dependencies_count - 1
             WHERE id IN (SELECT application_id FROM dependencies WHERE resource_id = $1)",
        )
        .bind(id)
        .execute(&mut *change)
        .await?;
        sqlx::query("DELETE FROM resources WHERE id = $1 AND zone_id = $2")
            .bind(id)
            .bind(self.zone.as_str())
            .execute(&mut *change)
            .await?;
        change.commit().await?;
        Ok(())
    }
}

async fn recount(change: &mut Transaction<'_, Any>, application: &str) -> Result<(), StoreFailed> {
    sqlx::query(
        "UPDATE applications SET dependencies_count =
         (SELECT count(*) FROM dependencies WHERE application_id = $1) WHERE id = $1",
    )
    .bind(application)
    .execute(&mut **change)
    .await?;
    Ok(())
}
