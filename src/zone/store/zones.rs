//! Organisations and their zones.

use sqlx::AnyPool;
use sqlx::FromRow;

use crate::model::Timestamp;
use crate::zone::id::RowId;
use crate::zone::id::UserId;
use crate::zone::id::ZoneId;
use crate::zone::slug;
use crate::zone::store::Column;
use crate::zone::store::Conditions;
use crate::zone::store::NewKey;
use crate::zone::store::Store;
use crate::zone::store::StoreFailed;
use crate::zone::store::managed_policies::equip_with_policies;
use crate::zone::store::signing_keys::add_key;
use crate::zone::store::tables::insert_within;

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

/// What each zone has from its first moment: the provider of its own tokens, and the managed policies.
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
    equip_with_policies(change, zone, now).await
}

/// The zones that were made before there were policies.
pub(super) async fn equip_earlier(pool: &AnyPool, now: Timestamp) -> Result<(), StoreFailed> {
    let bare: Vec<String> =
        sqlx::query_scalar("SELECT id FROM zones WHERE id NOT IN (SELECT zone_id FROM policy_bindings)")
            .fetch_all(pool)
            .await?;
    for zone in bare {
        let mut change = pool.begin().await?;
        equip_with_policies(&mut change, &ZoneId::known(zone), now).await?;
        change.commit().await?;
    }
    Ok(())
}

#[derive(FromRow)]
struct Slug {
    #[allow(dead_code, reason = "only whether there is one")]
    slug: String,
}

impl Store {
    /// The organisation that this database was made with.
    pub(in crate::zone) async fn home_organization(&self) -> Result<String, StoreFailed> {
        Ok(sqlx::query_scalar("SELECT id FROM organizations WHERE home = 1").fetch_one(&self.pool).await?)
    }

    /// Makes the user an administrator of the home organisation.
    pub(in crate::zone) async fn admit_admin(&self, user: &UserId, now: Timestamp) -> Result<(), StoreFailed> {
        sqlx::query(
            "INSERT INTO organization_members (organization_id, user_id, role, created_at)
             SELECT id, $1, 'org_admin', $2 FROM organizations WHERE home = 1 ON CONFLICT DO NOTHING",
        )
        .bind(user.as_str())
        .bind(now.as_millis())
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Whether there is such a zone.
    pub(in crate::zone) async fn is_zone(&self, id: &ZoneId) -> Result<bool, StoreFailed> {
        let found: Option<i64> = sqlx::query_scalar("SELECT home FROM zones WHERE id = $1")
            .bind(id.as_str())
            .fetch_optional(&self.pool)
            .await?;
        Ok(found.is_some())
    }

    /// A new zone, with what each zone has from its first moment and the key that signs its tokens.
    pub(in crate::zone) async fn make_zone(
        &self,
        id: &ZoneId,
        columns: Vec<Column>,
        keys: &[NewKey],
        now: Timestamp,
    ) -> Result<(), StoreFailed> {
        let mut change = self.pool.begin().await?;
        insert_within(&mut change, "zones", columns).await?;
        equip(&mut change, id, now).await?;
        for key in keys {
            add_key(&mut change, id, key, now).await?;
        }
        change.commit().await?;
        Ok(())
    }

    /// The name as a slug if it is free in this zone, else with an end that nobody has.
    pub(in crate::zone) async fn free_slug(&self, table: &'static str, name: &str) -> Result<String, StoreFailed> {
        let plain = slug::of(name);
        let conditions = Conditions::default().equals("t.zone_id", self.zone.as_str()).equals("t.slug", &plain);
        let taken: Option<Slug> = self.find("t.slug", table, conditions).await?;
        Ok(if taken.is_some() { slug::unique(name) } else { plain })
    }
}
