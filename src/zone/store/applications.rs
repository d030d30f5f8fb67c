//! OAuth clients and their secrets.

use crate::model::Timestamp;
use crate::zone::id::ApplicationId;
use crate::zone::id::UserId;
use crate::zone::opaque::Hash;
use crate::zone::store::Store;
use crate::zone::store::StoreFailed;

/// A client of this zone: an agent, or the daemon itself.
#[derive(Clone, Debug)]
pub(in crate::zone) struct Application {
    pub(in crate::zone) id: ApplicationId,
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
        let mut change = self.pool.begin().await?;
        sqlx::query(
            "INSERT INTO applications (id, owner_id, kind, name, created_at) VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT (owner_id, kind, name) DO NOTHING",
        )
        .bind(ApplicationId::random().as_str())
        .bind(owner.as_str())
        .bind(kind.as_str())
        .bind(name)
        .bind(now.as_millis())
        .execute(&mut *change)
        .await?;
        let id: String =
            sqlx::query_scalar("SELECT id FROM applications WHERE owner_id = $1 AND kind = $2 AND name = $3")
                .bind(owner.as_str())
                .bind(kind.as_str())
                .bind(name)
                .fetch_one(&mut *change)
                .await?;
        sqlx::query("DELETE FROM application_secrets WHERE application_id = $1")
            .bind(&id)
            .execute(&mut *change)
            .await?;
        sqlx::query("INSERT INTO application_secrets (hash, application_id, created_at) VALUES ($1, $2, $3)")
            .bind(secret.as_str())
            .bind(&id)
            .bind(now.as_millis())
            .execute(&mut *change)
            .await?;
        sqlx::query(
            "INSERT INTO grants (user_id, application_id, created_at) VALUES ($1, $2, $3)
             ON CONFLICT (user_id, application_id) DO NOTHING",
        )
        .bind(owner.as_str())
        .bind(&id)
        .bind(now.as_millis())
        .execute(&mut *change)
        .await?;
        change.commit().await?;
        Ok(Application { id: ApplicationId::known(id), name: name.to_owned() })
    }

    /// The application that bears `id` and knows a secret with this hash.
    pub(in crate::zone) async fn application_with(
        &self,
        id: &str,
        presented: &Hash,
    ) -> Result<Option<Application>, StoreFailed> {
        let rows: Vec<(String, String)> = sqlx::query_as(
            "SELECT a.name, s.hash FROM applications a JOIN application_secrets s ON s.application_id = a.id
             WHERE a.id = $1",
        )
        .bind(id)
        .fetch_all(&self.pool)
        .await?;
        let known = rows.into_iter().find(|(_, hash)| Hash::known(hash.clone()).matches(presented));
        Ok(known.map(|(name, _)| Application { id: ApplicationId::known(id.to_owned()), name }))
    }
}
