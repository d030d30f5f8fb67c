//! Which applications may act for which users. An enrolment makes the grant; see `applications`.

use crate::zone::id::ApplicationId;
use crate::zone::id::UserId;
use crate::zone::store::Store;
use crate::zone::store::StoreFailed;

impl Store {
    /// Whether the user lets the application act for them.
    pub(in crate::zone) async fn is_granted(
        &self,
        user: &UserId,
        application: &ApplicationId,
    ) -> Result<bool, StoreFailed> {
        let found: Option<i64> = sqlx::query_scalar(
            "SELECT created_at FROM application_grants
                 WHERE user_id = $1 AND application_id = $2 AND zone_id = $3",
        )
        .bind(user.as_str())
        .bind(application.as_str())
        .bind(self.zone.as_str())
        .fetch_optional(&self.pool)
        .await?;
        Ok(found.is_some())
    }
}
