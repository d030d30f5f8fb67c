//! Organisations and their zones.

use sqlx::AnyPool;

use crate::model::Timestamp;
use crate::zone::id::RowId;
use crate::zone::id::ZoneId;
use crate::zone::store::StoreFailed;

/// The zone that is served at the address itself, made now with its organisation if there is none. Several replicas
/// may do so at once: one makes it, all find it.
pub(super) async fn welcome_home(pool: &AnyPool, now: Timestamp) -> Result<ZoneId, StoreFailed> {
    let mut change = pool.begin().await?;
    sqlx::query(
        "INSERT INTO organizations (id, name, label, home, created_at, updated_at) VALUES ($1, $2, $3, 1, $4, $4)
         ON CONFLICT DO NOTHING",
    )
    .bind(RowId::random().as_str())
    .bind("Home")
    .bind("home")
    .bind(now.as_millis())
    .execute(&mut *change)
    .await?;
    let organization: String =
        sqlx::query_scalar("SELECT id FROM organizations WHERE home = 1").fetch_one(&mut *change).await?;
    sqlx::query(
        "INSERT INTO zones (id, organization_id, home, slug, name, created_at, updated_at)
         VALUES ($1, $2, 1, $3, $4, $5, $5) ON CONFLICT DO NOTHING",
    )
    .bind(ZoneId::random().as_str())
    .bind(&organization)
    .bind("home")
    .bind("Home")
    .bind(now.as_millis())
    .execute(&mut *change)
    .await?;
    let zone: String = sqlx::query_scalar("SELECT id FROM zones WHERE home = 1").fetch_one(&mut *change).await?;
    let zone = ZoneId::known(zone);
    equip(&mut change, &zone, now).await?;
    change.commit().await?;
    Ok(zone)
}

/// What each zone has from its first moment: the provider of its own tokens.
pub(super) async fn equip(
    change: &mut sqlx::Transaction<'_, sqlx::Any>,
    zone: &ZoneId,
    now: Timestamp,
) -> Result<(), StoreFailed> {
    sqlx::query(
        "INSERT INTO providers (id, zone_id, slug, identifier, name, owner_type, type, created_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, 'platform', 'keycard-sts', $6, $6) ON CONFLICT DO NOTHING",
    )
    .bind(RowId::random().as_str())
    .bind(zone.as_str())
    .bind("zone-provider")
    .bind(format!("urn:valetkey:zone:{zone}"))
    .bind("Zone Provider")
    .bind(now.as_millis())
    .execute(&mut **change)
    .await?;
    Ok(())
}
