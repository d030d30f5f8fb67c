//! Sessions of applications that ask in their own name. Each has one for every way in which it shows who it is, and it
//! goes on as long as the application comes back in time.
//!
//! A token costs a look at the session; it is written at its beginning and at most once in
//! [`ZONE_APPLICATION_SESSION_STEP`], so that tokens of one application wait for no row.

use crate::limits::ZONE_APPLICATION_SESSION_LIFETIME;
use crate::limits::ZONE_APPLICATION_SESSION_STEP;
use crate::model::Timestamp;
use crate::zone::id::RowId;
use crate::zone::store::Application;
use crate::zone::store::Store;
use crate::zone::store::StoreFailed;

impl Store {
    /// The application's session, begun now if there is none that lasts; none for a client that is no application.
    /// `issuer` vouches for it where no other platform does.
    pub(in crate::zone) async fn application_session(
        &self,
        application: &Application,
        issuer: &str,
        now: Timestamp,
    ) -> Result<Option<String>, StoreFailed> {
        let living: Option<(String, i64)> = sqlx::query_as(
            "SELECT id, expires_at FROM sessions
             WHERE application_id = $1 AND client_id = $2 AND session_type = 'application' AND ended_at IS NULL",
        )
        .bind(application.id.as_str())
        .bind(&application.client_id)
        .fetch_optional(&self.pool)
        .await?;
        let until = now.after(ZONE_APPLICATION_SESSION_LIFETIME);
        match living {
            Some((id, expires_at)) if expires_at > until.before(ZONE_APPLICATION_SESSION_STEP).as_millis() => {
                Ok(Some(id))
            }
            Some((id, expires_at)) if expires_at > now.as_millis() => {
                sqlx::query("UPDATE sessions SET expires_at = $1, updated_at = $2 WHERE id = $3")
                    .bind(until.as_millis())
                    .bind(now.as_millis())
                    .bind(&id)
                    .execute(&self.pool)
                    .await?;
                Ok(Some(id))
            }
            living => self.begin_application_session(application, issuer, living, until, now).await,
        }
    }

    async fn begin_application_session(
        &self,
        application: &Application,
        issuer: &str,
        expired: Option<(String, i64)>,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<Option<String>, StoreFailed> {
        let mut change = self.pool.begin().await?;
        if let Some((id, expires_at)) = expired {
            // It ended when nobody came back.
            sqlx::query("UPDATE sessions SET ended_at = $1, updated_at = $2 WHERE id = $3 AND ended_at IS NULL")
                .bind(expires_at)
                .bind(now.as_millis())
                .bind(id)
                .execute(&mut *change)
                .await?;
        }
        // Of two replicas that begin it at once, one does, and both go on with it.
        sqlx::query(
            "INSERT INTO sessions
             (id, zone_id, session_type, application_id, client_id, provider_id, issuer, subject, authenticated_at,
              expires_at, created_at, updated_at)
             SELECT $1, a.zone_id, 'application', a.id, $2, COALESCE(p.id, own.id), COALESCE(p.issuer, $3),
                 COALESCE(c.subject, a.id), $4, $5, $4, $4
             FROM applications a
             JOIN providers own ON own.zone_id = a.zone_id AND own.type = 'keycard-sts'
             LEFT JOIN application_credentials c ON c.id = $2 AND c.application_id = a.id AND c.type = 'token'
             LEFT JOIN providers p ON p.id = c.provider_id
             WHERE a.id = $6 AND a.zone_id = $7
             ON CONFLICT (application_id, client_id) WHERE session_type = 'application' AND ended_at IS NULL
             DO NOTHING",
        )
        .bind(RowId::random().as_str())
        .bind(&application.client_id)
        .bind(issuer)
        .bind(now.as_millis())
        .bind(until.as_millis())
        .bind(application.id.as_str())
        .bind(self.zone.as_str())
        .execute(&mut *change)
        .await?;
        let id: Option<String> = sqlx::query_scalar(
            "SELECT id FROM sessions
             WHERE application_id = $1 AND client_id = $2 AND session_type = 'application' AND ended_at IS NULL",
        )
        .bind(application.id.as_str())
        .bind(&application.client_id)
        .fetch_optional(&mut *change)
        .await?;
        change.commit().await?;
        Ok(id)
    }

    /// Whether a session of this id has ended. One that was never here, such as a run of an agent that its own client
    /// named, has not.
    pub(in crate::zone) async fn has_ended(&self, id: &str) -> Result<bool, StoreFailed> {
        let ended: Option<i64> =
            sqlx::query_scalar("SELECT ended_at FROM sessions WHERE id = $1 AND zone_id = $2 AND ended_at IS NOT NULL")
                .bind(id)
                .bind(self.zone.as_str())
                .fetch_optional(&self.pool)
                .await?;
        Ok(ended.is_some())
    }
}
