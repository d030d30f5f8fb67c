//! People.

use crate::model::Timestamp;
use crate::zone::access::Person;
use crate::zone::access::SubjectClaims;
use crate::zone::id::UserId;
use crate::zone::store::Store;
use crate::zone::store::StoreFailed;

/// A person of this zone.
#[derive(Clone, Debug)]
pub(in crate::zone) struct User {
    pub(in crate::zone) id: UserId,
    /// The e-mail address or login that others know them by.
    pub(in crate::zone) identifier: String,
    pub(in crate::zone) email: String,
}

impl User {
    /// As access policies see them, with what the token says that is exchanged for the next.
    pub(in crate::zone) fn for_policies<'a>(&'a self, claims: Option<SubjectClaims<'a>>) -> Person<'a> {
        Person { id: self.id.as_str(), identifier: &self.identifier, email: &self.email, claims }
    }
}

impl Store {
    /// The user with this identifier, made now if there is none.
    pub(in crate::zone) async fn welcome_user(&self, identifier: &str, now: Timestamp) -> Result<User, StoreFailed> {
        sqlx::query(
            "INSERT INTO users (id, zone_id, identifier, email, created_at, updated_at)
             VALUES ($1, $2, $3, $3, $4, $4) ON CONFLICT (zone_id, identifier) DO NOTHING",
        )
        .bind(UserId::random().as_str())
        .bind(self.zone.as_str())
        .bind(identifier)
        .bind(now.as_millis())
        .execute(&self.pool)
        .await?;
        let (id, email): (String, String) =
            sqlx::query_as("SELECT id, email FROM users WHERE zone_id = $1 AND identifier = $2")
                .bind(self.zone.as_str())
                .bind(identifier)
                .fetch_one(&self.pool)
                .await?;
        Ok(User { id: UserId::known(id), identifier: identifier.to_owned(), email })
    }

    /// The user with this identifier, unless they are disabled.
    pub(in crate::zone) async fn user_named(&self, identifier: &str) -> Result<Option<User>, StoreFailed> {
        let row: Option<(String, String)> =
            sqlx::query_as("SELECT id, email FROM users WHERE identifier = $1 AND zone_id = $2 AND status = 'active'")
                .bind(identifier)
                .bind(self.zone.as_str())
                .fetch_optional(&self.pool)
                .await?;
        Ok(row.map(|(id, email)| User { id: UserId::known(id), identifier: identifier.to_owned(), email }))
    }

    /// The user with this id, unless they are disabled.
    pub(in crate::zone) async fn user(&self, id: &UserId) -> Result<Option<User>, StoreFailed> {
        let row: Option<(String, String)> =
            sqlx::query_as("SELECT identifier, email FROM users WHERE id = $1 AND zone_id = $2 AND status = 'active'")
                .bind(id.as_str())
                .bind(self.zone.as_str())
                .fetch_optional(&self.pool)
                .await?;
        Ok(row.map(|(identifier, email)| User { id: id.clone(), identifier, email }))
    }
}
