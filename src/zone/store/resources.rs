//! The APIs that tokens are for.

use std::time::Duration;

use crate::jose::Algorithm;
use crate::limits::ZONE_TOKEN_LIFETIME;
use crate::model::ResourceId;
use crate::model::Scopes;
use crate::model::Timestamp;
use crate::zone::DeclaredResource;
use crate::zone::id::RowId;
use crate::zone::slug;
use crate::zone::store::Store;
use crate::zone::store::StoreFailed;

/// An API, and what a token for it may be.
#[derive(Clone, Debug)]
pub(in crate::zone) struct Resource {
    pub(in crate::zone) id: RowId,
    pub(in crate::zone) identifier: ResourceId,
    pub(in crate::zone) name: String,
    pub(in crate::zone) scopes: Scopes,
    pub(in crate::zone) lifetime: Duration,
    /// What its tokens are signed with.
    pub(in crate::zone) signing: Algorithm,
}

impl Store {
    /// Makes the declared resources exactly these; resources of another origin stay as they are.
    pub(in crate::zone) async fn declare(
        &self,
        declared: &[(DeclaredResource, Duration)],
        now: Timestamp,
    ) -> Result<(), StoreFailed> {
        let mut change = self.pool.begin().await?;
        for (resource, lifetime) in declared {
            sqlx::query(
                "INSERT INTO resources
                 (id, zone_id, origin, owner_type, slug, identifier, name, scopes, credential_lifetime_seconds,
                  created_at, updated_at)
                 VALUES ($1, $2, $3, 'platform', $4, $5, $6, $7, $8, $9, $9)
                 ON CONFLICT (zone_id, identifier) DO UPDATE SET
                 origin = excluded.origin, owner_type = excluded.owner_type, name = excluded.name,
                 scopes = excluded.scopes, credential_lifetime_seconds = excluded.credential_lifetime_seconds,
                 updated_at = excluded.updated_at",
            )
            .bind(RowId::random().as_str())
            .bind(self.zone.as_str())
            .bind(DECLARED)
            .bind(slug::unique(&resource.name))
            .bind(resource.identifier.as_str())
            .bind(&resource.name)
            .bind(resource.scopes.to_string())
            .bind(i64::try_from(lifetime.as_secs()).unwrap_or(i64::MAX))
            .bind(now.as_millis())
            .execute(&mut *change)
            .await?;
        }
        // Those that are declared no more go, with the grants for them.
        let known: Vec<(String, String)> =
            sqlx::query_as("SELECT id, identifier FROM resources WHERE zone_id = $1 AND origin = $2")
                .bind(self.zone.as_str())
                .bind(DECLARED)
                .fetch_all(&mut *change)
                .await?;
        for (id, identifier) in known {
            if declared.iter().any(|(resource, _)| resource.identifier.as_str() == identifier) {
                continue;
            }
            sqlx::query("DELETE FROM resources WHERE id = $1").bind(id).execute(&mut *change).await?;
        }
        change.commit().await?;
        Ok(())
    }

    /// The resource that bears exactly this identifier.
    pub(in crate::zone) async fn resource(&self, identifier: &ResourceId) -> Result<Option<Resource>, StoreFailed> {
        type Row = (String, String, Option<String>, Option<i64>, String);
        let found: Option<Row> = sqlx::query_as(
            "SELECT id, name, scopes, credential_lifetime_seconds, access_token_signing_alg
             FROM resources WHERE zone_id = $1 AND identifier = $2",
        )
        .bind(self.zone.as_str())
        .bind(identifier.as_str())
        .fetch_optional(&self.pool)
        .await?;
        let Some((id, name, scopes, seconds, signing)) = found else { return Ok(None) };
        // A damaged row is an unknown resource, never one with other scopes.
        let Ok(scopes) = Scopes::parse(&scopes.unwrap_or_default()) else { return Ok(None) };
        let Some(signing) = Algorithm::parse(&signing) else { return Ok(None) };
        let lifetime = match seconds.map(u64::try_from) {
            None => ZONE_TOKEN_LIFETIME,
            Some(Ok(seconds)) => Duration::from_secs(seconds),
            Some(Err(_)) => return Ok(None),
        };
        Ok(Some(Resource { id: RowId::known(id), identifier: identifier.clone(), name, scopes, lifetime, signing }))
    }
}

/// The origin of what the configuration declares.
const DECLARED: &str = "declared";
