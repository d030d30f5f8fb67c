//! The APIs that tokens are for.

use std::time::Duration;

use crate::model::ResourceId;
use crate::model::Scopes;
use crate::zone::DeclaredResource;
use crate::zone::store::Store;
use crate::zone::store::StoreFailed;

/// An API, and what a token for it may be.
#[derive(Clone, Debug)]
pub(in crate::zone) struct Resource {
    pub(in crate::zone) identifier: ResourceId,
    pub(in crate::zone) scopes: Scopes,
    pub(in crate::zone) lifetime: Duration,
}

impl Store {
    /// Makes the declared resources exactly these; resources of another origin stay as they are.
    pub(in crate::zone) async fn declare(&self, declared: &[(DeclaredResource, Duration)]) -> Result<(), StoreFailed> {
        let mut change = self.pool.begin().await?;
        sqlx::query("DELETE FROM resources WHERE origin = $1").bind(DECLARED).execute(&mut *change).await?;
        for (resource, lifetime) in declared {
            sqlx::query(
                "INSERT INTO resources (identifier, origin, name, scopes, lifetime_seconds)
                 VALUES ($1, $2, $3, $4, $5) ON CONFLICT (identifier) DO UPDATE SET
                 origin = excluded.origin, name = excluded.name, scopes = excluded.scopes,
                 lifetime_seconds = excluded.lifetime_seconds",
            )
            .bind(resource.identifier.as_str())
            .bind(DECLARED)
            .bind(&resource.name)
            .bind(resource.scopes.to_string())
            .bind(i64::try_from(lifetime.as_secs()).unwrap_or(i64::MAX))
            .execute(&mut *change)
            .await?;
        }
        change.commit().await?;
        Ok(())
    }

    /// The resource that bears exactly this identifier.
    pub(in crate::zone) async fn resource(&self, identifier: &ResourceId) -> Result<Option<Resource>, StoreFailed> {
        let found: Option<(String, i64)> =
            sqlx::query_as("SELECT scopes, lifetime_seconds FROM resources WHERE identifier = $1")
                .bind(identifier.as_str())
                .fetch_optional(&self.pool)
                .await?;
        let Some((scopes, seconds)) = found else { return Ok(None) };
        // A damaged row is an unknown resource, never one with other scopes.
        let (Ok(scopes), Ok(seconds)) = (Scopes::parse(&scopes), u64::try_from(seconds)) else { return Ok(None) };
        Ok(Some(Resource { identifier: identifier.clone(), scopes, lifetime: Duration::from_secs(seconds) }))
    }
}

/// The origin of what the configuration declares.
const DECLARED: &str = "declared";
