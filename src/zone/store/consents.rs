//! Delegated grants: that a person lets a client use a resource for them, with which scopes, until they take it back or
//! it ends. The same rows are on the account page and in the management API.

use sqlx::Any;
use sqlx::Transaction;

use crate::limits::ZONE_GRANT_LIFETIME;
use crate::model::Scopes;
use crate::model::Timestamp;
use crate::zone::id::ApplicationId;
use crate::zone::id::RowId;
use crate::zone::id::UserId;
use crate::zone::store::Change;
use crate::zone::store::Store;
use crate::zone::store::StoreFailed;
use crate::zone::store::sessions::end;

/// What a person lets a client have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::zone) enum Granted<'a> {
    /// To know who they are.
    SignIn,
    /// The use of the resource that bears this identifier.
    Resource(&'a str),
}

/// A grant as its person sees it.
#[derive(Clone, Debug)]
pub(in crate::zone) struct GrantLine {
    pub(in crate::zone) id: String,
    pub(in crate::zone) client_name: String,
    /// None for a bare sign-in.
    pub(in crate::zone) resource: Option<String>,
    pub(in crate::zone) scopes: String,
}

impl Granted<'_> {
    fn resource(&self) -> Option<&str> {
        match self {
            Self::SignIn => None,
            Self::Resource(identifier) => Some(identifier),
        }
    }
}

impl Store {
    /// Remembers that the user lets the client have this with these scopes, beside those of before. A resource that is
    /// gone is granted to nobody.
    pub(in crate::zone) async fn consent(
        &self,
        user: &UserId,
        client: &ApplicationId,
        granted: Granted<'_>,
        scopes: &Scopes,
        now: Timestamp,
    ) -> Result<(), StoreFailed> {
        let before = self.consented(user, client, granted, now).await?.unwrap_or_default();
        let all = Scopes::collect(before.iter().chain(scopes.iter())).unwrap_or_default();
        let statement = match granted {
            Granted::SignIn => SIGN_IN,
            Granted::Resource(_) => RESOURCE,
        };
        sqlx::query(statement)
            .bind(RowId::random().as_str())
            .bind(client.as_str())
            .bind(all.to_string())
            .bind(now.after(ZONE_GRANT_LIFETIME).as_millis())
            .bind(now.as_millis())
            .bind(user.as_str())
            .bind(self.zone.as_str())
            .bind(granted.resource())
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// The scopes that the user granted the client; none without a grant that holds.
    pub(in crate::zone) async fn consented(
        &self,
        user: &UserId,
        client: &ApplicationId,
        granted: Granted<'_>,
        now: Timestamp,
    ) -> Result<Option<Scopes>, StoreFailed> {
        let query = match granted {
            Granted::SignIn => sqlx::query_scalar::<_, String>(
                "SELECT scopes FROM grants WHERE user_id = $1 AND client_id = $2 AND zone_id = $3
                 AND revoked_at IS NULL AND expires_at > $4 AND resource_id IS NULL",
            ),
            Granted::Resource(_) => sqlx::query_scalar(
                "SELECT g.scopes FROM grants g JOIN resources r ON r.id = g.resource_id
                 WHERE g.user_id = $1 AND g.client_id = $2 AND g.zone_id = $3
                 AND g.revoked_at IS NULL AND g.expires_at > $4 AND r.identifier = $5",
            ),
        };
        let query = query.bind(user.as_str()).bind(client.as_str()).bind(self.zone.as_str()).bind(now.as_millis());
        let query = match granted {
            Granted::SignIn => query,
            Granted::Resource(identifier) => query.bind(identifier.to_owned()),
        };
        let scopes = query.fetch_optional(&self.pool).await?;
        Ok(scopes.and_then(|scopes| Scopes::parse(&scopes).ok()))
    }

    /// Whether the user ever granted anyone the resource, and the grant holds.
    pub(in crate::zone) async fn is_delegated(
        &self,
        user: &UserId,
        resource: &str,
        now: Timestamp,
    ) -> Result<bool, StoreFailed> {
        let found: Option<String> = sqlx::query_scalar(
            "SELECT g.id FROM grants g JOIN resources r ON r.id = g.resource_id
             WHERE g.user_id = $1 AND g.zone_id = $2 AND r.identifier = $3 AND g.revoked_at IS NULL
             AND g.expires_at > $4 LIMIT 1",
        )
        .bind(user.as_str())
        .bind(self.zone.as_str())
        .bind(resource)
        .bind(now.as_millis())
        .fetch_optional(&self.pool)
        .await?;
        Ok(found.is_some())
    }

    /// Takes a grant back, and ends the sessions that rest on it. Only `user`'s, where one is named; only as it was at
    /// `expected`, where something is expected.
    pub(in crate::zone) async fn revoke_grant(
        &self,
        id: &str,
        user: Option<&UserId>,
        expected: Option<i64>,
        now: Timestamp,
    ) -> Result<Change, StoreFailed> {
        let mut change = self.pool.begin().await?;
        let revoked = sqlx::query(
            "UPDATE grants SET revoked_at = $1, updated_at = CASE WHEN updated_at < $1 THEN $1 ELSE updated_at + 1 END
             WHERE id = $2 AND zone_id = $3 AND revoked_at IS NULL AND ($4 = '' OR user_id = $4)
             AND ($5 < 0 OR updated_at = $5)",
        )
        .bind(now.as_millis())
        .bind(id)
        .bind(self.zone.as_str())
        .bind(user.map_or("", UserId::as_str))
        .bind(expected.unwrap_or(-1))
        .execute(&mut *change)
        .await?;
        if revoked.rows_affected() == 0 {
            return Ok(if expected.is_some() { Change::Stale } else { Change::Missing });
        }
        self.end_resting_on(&mut change, id, now).await?;
        change.commit().await?;
        Ok(Change::Done)
    }

    /// Forgets a grant, as if it had never been, and ends the sessions that rest on it.
    pub(in crate::zone) async fn remove_grant(&self, id: &str, now: Timestamp) -> Result<Change, StoreFailed> {
        let mut change = self.pool.begin().await?;
        let removed = sqlx::query("UPDATE grants SET revoked_at = $1 WHERE id = $2 AND zone_id = $3")
            .bind(now.as_millis())
            .bind(id)
            .bind(self.zone.as_str())
            .execute(&mut *change)
            .await?;
        if removed.rows_affected() == 0 {
            return Ok(Change::Missing);
        }
        self.end_resting_on(&mut change, id, now).await?;
        sqlx::query("DELETE FROM grants WHERE id = $1 AND zone_id = $2")
            .bind(id)
            .bind(self.zone.as_str())
            .execute(&mut *change)
            .await?;
        change.commit().await?;
        Ok(Change::Done)
    }

    /// The client's sessions of this user that were begun for the resource; all of them where the sign-in itself is
    /// taken back.
    async fn end_resting_on(
        &self,
        change: &mut Transaction<'_, Any>,
        grant: &str,
        now: Timestamp,
    ) -> Result<(), StoreFailed> {
        let sessions: Vec<(String, String, Option<String>)> = sqlx::query_as(
            "SELECT s.id, s.resources, r.identifier FROM grants g
             JOIN sessions s ON s.user_id = g.user_id AND s.client_id = g.client_id AND s.zone_id = g.zone_id
             LEFT JOIN resources r ON r.id = g.resource_id
             WHERE g.id = $1 AND s.ended_at IS NULL",
        )
        .bind(grant)
        .fetch_all(&mut **change)
        .await?;
        for (session, resources, resource) in sessions {
            let resources: Vec<String> = serde_json::from_str(&resources).unwrap_or_default();
            if resource.is_none_or(|resource| resources.contains(&resource)) {
                end(change, &self.zone, &session, now).await?;
            }
        }
        Ok(())
    }

    /// The user's grants that hold, the newest first.
    pub(in crate::zone) async fn consents_of(
        &self,
        user: &UserId,
        now: Timestamp,
    ) -> Result<Vec<GrantLine>, StoreFailed> {
        let rows: Vec<(String, String, Option<String>, String)> = sqlx::query_as(
            "SELECT g.id, COALESCE(a.name, u.name, g.client_id), r.identifier, g.scopes FROM grants g
             LEFT JOIN resources r ON r.id = g.resource_id
             LEFT JOIN applications a ON a.id = g.client_id
             LEFT JOIN user_agents u ON u.identifier = g.client_id AND u.zone_id = g.zone_id
             WHERE g.user_id = $1 AND g.zone_id = $2 AND g.revoked_at IS NULL AND g.expires_at > $3
             ORDER BY g.updated_at DESC, g.id LIMIT 200",
        )
        .bind(user.as_str())
        .bind(self.zone.as_str())
        .bind(now.as_millis())
        .fetch_all(&self.pool)
        .await?;
        let read = |(id, client_name, resource, scopes)| GrantLine { id, client_name, resource, scopes };
        Ok(rows.into_iter().map(read).collect())
    }
}

// The zone's own provider issued it. $8 is null for a sign-in, and not looked at but for its type.
const SIGN_IN: &str = "INSERT INTO grants
    (id, zone_id, user_id, client_id, provider_id, scopes, expires_at, created_at, updated_at)
    SELECT $1, u.zone_id, u.id, $2, p.id, $3, $4, $5, $5 FROM users u
    JOIN providers p ON p.zone_id = u.zone_id AND p.type = 'keycard-sts'
    WHERE u.id = $6 AND u.zone_id = $7 AND $8 IS NULL
    ON CONFLICT (user_id, client_id) WHERE resource_id IS NULL DO UPDATE SET scopes = excluded.scopes,
    expires_at = excluded.expires_at, updated_at = excluded.updated_at, revoked_at = NULL";

const RESOURCE: &str = "INSERT INTO grants
    (id, zone_id, user_id, client_id, resource_id, provider_id, scopes, expires_at, created_at, updated_at)
    SELECT $1, u.zone_id, u.id, $2, r.id, p.id, $3, $4, $5, $5 FROM users u
    JOIN resources r ON r.zone_id = u.zone_id
    JOIN providers p ON p.zone_id = u.zone_id AND p.type = 'keycard-sts'
    WHERE u.id = $6 AND u.zone_id = $7 AND r.identifier = $8
    ON CONFLICT (user_id, client_id, resource_id) WHERE resource_id IS NOT NULL DO UPDATE SET scopes = excluded.scopes,
    expires_at = excluded.expires_at, updated_at = excluded.updated_at, revoked_at = NULL";
