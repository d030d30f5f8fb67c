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
    pub(in crate::zone) email_standing: EmailStanding,
}

/// What is known of a person's address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::zone) enum EmailStanding {
    /// That it is theirs: their provider says so, or whoever may write the zone's database does.
    Verified,
    /// That somebody said so. No policy goes by it, and no name is made of it.
    Claimed,
}

impl EmailStanding {
    /// As the column has it.
    pub(super) fn known(verified: i64) -> Self {
        if verified == 0 { Self::Claimed } else { Self::Verified }
    }
}

impl User {
    /// The address that clients are told, and whether it is known to be theirs (OpenID Connect Core §5.1).
    pub(in crate::zone) fn stated_email(&self) -> Option<(&str, bool)> {
        self.email.contains('@').then_some((&*self.email, self.email_standing == EmailStanding::Verified))
    }

    /// As access policies see them, with what the token says that is exchanged for the next.
    pub(in crate::zone) fn for_policies<'a>(&'a self, claims: Option<SubjectClaims<'a>>) -> Person<'a> {
        // Whoever invited themselves under somebody's address would be let in by a policy about that somebody.
        let email = match self.email_standing {
            EmailStanding::Verified => &self.email,
            EmailStanding::Claimed => "",
        };
        Person { id: self.id.as_str(), identifier: &self.identifier, email, claims }
    }
}

impl Store {
    /// The user with this identifier, made now if there is none. Whoever may write the database says who they are, so that
    /// an address for a name is theirs.
    pub(in crate::zone) async fn welcome_user(&self, identifier: &str, now: Timestamp) -> Result<User, StoreFailed> {
        sqlx::query(
            "INSERT INTO users (id, zone_id, identifier, email, email_verified, created_at, updated_at)
             VALUES ($1, $2, $3, $3, $4, $5, $5) ON CONFLICT (zone_id, identifier) DO NOTHING",
        )
        .bind(UserId::random().as_str())
        .bind(self.zone.as_str())
        .bind(identifier)
        .bind(i64::from(identifier.contains('@')))
        .bind(now.as_millis())
        .execute(&self.pool)
        .await?;
        let row: Row = sqlx::query_as(
            "SELECT id, identifier, email, email_verified FROM users WHERE zone_id = $1 AND identifier = $2",
        )
        .bind(self.zone.as_str())
        .bind(identifier)
        .fetch_one(&self.pool)
        .await?;
        Ok(read(row))
    }

    /// The user with this identifier, unless they are disabled.
    pub(in crate::zone) async fn user_named(&self, identifier: &str) -> Result<Option<User>, StoreFailed> {
        let row: Option<Row> = sqlx::query_as(
            "SELECT id, identifier, email, email_verified FROM users
             WHERE identifier = $1 AND zone_id = $2 AND status = 'active'",
        )
        .bind(identifier)
        .bind(self.zone.as_str())
        .fetch_optional(&self.pool)
        .await?;
        Ok(row.map(read))
    }

    /// The user with this id, unless they are disabled.
    pub(in crate::zone) async fn user(&self, id: &UserId) -> Result<Option<User>, StoreFailed> {
        let row: Option<Row> = sqlx::query_as(
            "SELECT id, identifier, email, email_verified FROM users
             WHERE id = $1 AND zone_id = $2 AND status = 'active'",
        )
        .bind(id.as_str())
        .bind(self.zone.as_str())
        .fetch_optional(&self.pool)
        .await?;
        Ok(row.map(read))
    }
}

/// Id, identifier, address, and whether that is known to be theirs.
pub(super) type Row = (String, String, String, i64);

pub(super) fn read((id, identifier, email, verified): Row) -> User {
    User { id: UserId::known(id), identifier, email, email_standing: EmailStanding::known(verified) }
}
