//! Organisations: made with a zone of their own, joined by invitation.

use crate::model::Timestamp;
use crate::zone::id::RowId;
use crate::zone::id::ZoneId;
use crate::zone::slug;
use crate::zone::store::NewKey;
use crate::zone::store::Store;
use crate::zone::store::StoreFailed;
use crate::zone::store::signing_keys::add_key;
use crate::zone::store::tables::insert_within;
use crate::zone::store::zones::equip;

impl Store {
    /// A new organisation with a zone and the key that signs the zone's tokens, administered by the user; its id.
    pub(in crate::zone) async fn make_organization(
        &self,
        name: &str,
        user: &str,
        keys: &[NewKey],
        now: Timestamp,
    ) -> Result<String, StoreFailed> {
        let (id, zone) = (RowId::random(), ZoneId::random());
        let mut change = self.pool.begin().await?;
        let organization = vec![
            ("id", id.as_str().into()),
            ("name", name.into()),
            ("label", slug::unique(name).into()),
            ("created_at", now.as_millis().into()),
            ("updated_at", now.as_millis().into()),
        ];
        insert_within(&mut change, "organizations", organization).await?;
        let first = vec![
            ("id", zone.as_str().into()),
            ("organization_id", id.as_str().into()),
            ("slug", slug::of(name).into()),
            ("name", name.into()),
            ("created_at", now.as_millis().into()),
            ("updated_at", now.as_millis().into()),
        ];
        insert_within(&mut change, "zones", first).await?;
        equip(&mut change, &zone, now).await?;
        for key in keys {
            add_key(&mut change, &zone, key, now).await?;
        }
        let admin = vec![
            ("organization_id", id.as_str().into()),
            ("user_id", user.into()),
            ("role", "org_admin".into()),
            ("created_at", now.as_millis().into()),
        ];
        insert_within(&mut change, "organization_members", admin).await?;
        change.commit().await?;
        Ok(id.to_string())
    }

    /// Spends the invitation on the user; false when it was spent or revoked meanwhile. Who is a member already keeps
    /// the role.
    pub(in crate::zone) async fn join_organization(
        &self,
        invitation: &str,
        organization: &str,
        user: &str,
        role: &str,
        now: Timestamp,
    ) -> Result<bool, StoreFailed> {
        let mut change = self.pool.begin().await?;
        let spent = sqlx::query(
            "UPDATE invitations SET accepted_at = $1, updated_at = $1
             WHERE id = $2 AND accepted_at IS NULL AND revoked_at IS NULL",
        )
        .bind(now.as_millis())
        .bind(invitation)
        .execute(&mut *change)
        .await?;
        if spent.rows_affected() == 0 {
            return Ok(false);
        }
        sqlx::query(
            "INSERT INTO organization_members (organization_id, user_id, role, created_at) VALUES ($1, $2, $3, $4)
             ON CONFLICT DO NOTHING",
        )
        .bind(organization)
        .bind(user)
        .bind(role)
        .bind(now.as_millis())
        .execute(&mut *change)
        .await?;
        change.commit().await?;
        Ok(true)
    }

    /// Remembers that a service account's credential was used, unless that is known well enough.
    pub(in crate::zone) async fn note_service_account_use(
        &self,
        id: &str,
        last_used_at: Option<i64>,
        now: Timestamp,
    ) -> Result<(), StoreFailed> {
        self.note_use("UPDATE service_account_credentials SET last_used_at = $1 WHERE id = $2", id, last_used_at, now)
            .await
    }
}
