//! OAuth clients and their secrets.

use crate::model::Timestamp;
use crate::zone::id::ApplicationId;
use crate::zone::id::RowId;
use crate::zone::id::UserId;
use crate::zone::opaque::Hash;
use crate::zone::slug;
use crate::zone::store::Store;
use crate::zone::store::StoreFailed;

/// A client of this zone: an agent, the daemon itself, or software that the management API made.
#[derive(Clone, Debug)]
pub(in crate::zone) struct Application {
    pub(in crate::zone) id: ApplicationId,
    /// The client id that it showed: the identifier of one of its credentials.
    pub(in crate::zone) client_id: String,
    pub(in crate::zone) name: String,
}

/// What an application is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::zone) enum Kind {
    /// Acts for a user, by the user's grant.
    Agent,
    /// The daemon's own client, through which the user is signed in.
    Daemon,
}

impl Kind {
    fn as_str(self) -> &'static str {
        match self {
            Self::Agent => "agent",
            Self::Daemon => "daemon",
        }
    }
}

impl Store {
    /// The owner's application of this name, made now if there is none, granted by its owner, and with `secret` as
    /// its only secret: earlier ones are dropped.
    pub(in crate::zone) async fn enrol(
        &self,
        owner: &UserId,
        kind: Kind,
        name: &str,
        secret: &Hash,
        now: Timestamp,
    ) -> Result<Application, StoreFailed> {
        // Whose it is and what it is for, so that no two meet under one name.
        let identifier = format!("urn:valetkey:{}:{owner}:{name}", kind.as_str());
        let mut change = self.pool.begin().await?;
        sqlx::query(
            "INSERT INTO applications
             (id, zone_id, owner_id, kind, slug, identifier, name, consent, created_at, updated_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, 'implicit', $8, $8) ON CONFLICT (zone_id, identifier) DO NOTHING",
        )
        .bind(ApplicationId::random().as_str())
        .bind(self.zone.as_str())
        .bind(owner.as_str())
        .bind(kind.as_str())
        .bind(slug::unique(name))
        .bind(&identifier)
        .bind(name)
        .bind(now.as_millis())
        .execute(&mut *change)
        .await?;
        let id: String = sqlx::query_scalar("SELECT id FROM applications WHERE zone_id = $1 AND identifier = $2")
            .bind(self.zone.as_str())
            .bind(&identifier)
            .fetch_one(&mut *change)
            .await?;
        sqlx::query("DELETE FROM application_credentials WHERE application_id = $1")
            .bind(&id)
            .execute(&mut *change)
            .await?;
        // Its client id is the application's own.
        sqlx::query(
            "INSERT INTO application_credentials
             (id, zone_id, application_id, type, slug, identifier, secret_hash, created_at, updated_at)
             VALUES ($1, $2, $3, 'password', $4, $3, $5, $6, $6)",
        )
        .bind(RowId::random().as_str())
        .bind(self.zone.as_str())
        .bind(&id)
        .bind(slug::unique(name))
        .bind(secret.as_str())
        .bind(now.as_millis())
        .execute(&mut *change)
        .await?;
        sqlx::query(
            "INSERT INTO application_grants (zone_id, user_id, application_id, created_at) VALUES ($1, $2, $3, $4)
             ON CONFLICT (user_id, application_id) DO NOTHING",
        )
        .bind(self.zone.as_str())
        .bind(owner.as_str())
        .bind(&id)
        .bind(now.as_millis())
        .execute(&mut *change)
        .await?;
        change.commit().await?;
        Ok(Application { client_id: id.clone(), id: ApplicationId::known(id), name: name.to_owned() })
    }

    /// Whether this is the client id of the daemon, through which the owner of a personal zone is signed in.
    pub(in crate::zone) async fn is_daemon(&self, client_id: &str) -> Result<bool, StoreFailed> {
        let found: Option<String> =
            // by whose credential it is: an identifier that is free can be chosen for any application
            sqlx::query_scalar(
                "SELECT a.id FROM application_credentials c JOIN applications a ON a.id = c.application_id
                 WHERE c.zone_id = $1 AND c.identifier = $2 AND c.type = 'password' AND a.kind = 'daemon'",
            )
            .bind(self.zone.as_str())
            .bind(client_id)
            .fetch_optional(&self.pool)
            .await?;
        Ok(found.is_some())
    }

    /// The personal zone's own application that the client id `client_id` belongs to, if `presented` is the hash of its secret.
    pub(in crate::zone) async fn application_with(
        &self,
        client_id: &str,
        presented: &Hash,
    ) -> Result<Option<Application>, StoreFailed> {
        let row: Option<(String, String, Option<String>)> = sqlx::query_as(
            "SELECT a.id, a.name, c.secret_hash
             FROM application_credentials c JOIN applications a ON a.id = c.application_id
             WHERE c.zone_id = $1 AND c.identifier = $2 AND c.type = 'password' AND a.kind <> 'software'",
        )
        .bind(self.zone.as_str())
        .bind(client_id)
        .fetch_optional(&self.pool)
        .await?;
        let Some((id, name, Some(hash))) = row else { return Ok(None) };
        if !Hash::known(hash).matches(presented) {
            return Ok(None);
        }
        Ok(Some(Application { id: ApplicationId::known(id), client_id: client_id.to_owned(), name }))
    }
}
