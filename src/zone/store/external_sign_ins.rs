//! The provider through which a zone's people sign in, and whom it vouched for.

use crate::model::Timestamp;
use crate::zone::id::UserId;
use crate::zone::store::Store;
use crate::zone::store::StoreFailed;
use crate::zone::store::User;
use crate::zone::store::users;

/// The provider through which a zone's people sign in.
#[derive(Clone, Debug)]
pub(in crate::zone) struct SignInProvider {
    pub(in crate::zone) id: String,
    pub(in crate::zone) name: String,
    /// Whose tokens are the provider's.
    pub(in crate::zone) issuer: String,
    /// Who this zone is to it; none when nobody said.
    pub(in crate::zone) client_id: Option<String>,
    pub(in crate::zone) client_secret_sealed: Option<String>,
    /// What an administrator said about its endpoints, as JSON.
    pub(in crate::zone) protocols: Option<String>,
}

/// Somebody whom a provider vouches for.
#[derive(Clone, Debug)]
pub(in crate::zone) struct Vouched<'a> {
    pub(in crate::zone) provider: &'a str,
    pub(in crate::zone) issuer: &'a str,
    pub(in crate::zone) subject: &'a str,
    pub(in crate::zone) email: Option<&'a str>,
    /// Whether the provider says that the address is theirs.
    pub(in crate::zone) email_verified: bool,
    /// What they may be called here, the best first.
    pub(in crate::zone) names: &'a [String],
}

impl Store {
    /// The provider of this zone's people; none where they sign in here.
    pub(in crate::zone) async fn sign_in_provider(&self) -> Result<Option<SignInProvider>, StoreFailed> {
        type Row = (String, String, String, Option<String>, Option<String>, Option<String>, Option<String>);
        let row: Option<Row> = sqlx::query_as(
            "SELECT p.id, p.name, p.identifier, p.issuer, p.client_id, p.client_secret_sealed, p.protocols
             FROM zones z JOIN providers p ON p.id = z.user_identity_provider_id AND p.zone_id = z.id
             WHERE z.id = $1",
        )
        .bind(self.zone.as_str())
        .fetch_optional(&self.pool)
        .await?;
        Ok(row.map(|(id, name, identifier, issuer, client_id, client_secret_sealed, protocols)| SignInProvider {
            id,
            name,
            issuer: issuer.unwrap_or(identifier),
            client_id,
            client_secret_sealed,
            protocols,
        }))
    }

    /// The user whom the provider vouches for: known by issuer and subject and by nothing else, made now if there is none
    /// and the zone is open to anybody. None for who is disabled here or would have to be invited.
    pub(in crate::zone) async fn welcome_vouched(
        &self,
        vouched: &Vouched<'_>,
        now: Timestamp,
    ) -> Result<Option<User>, StoreFailed> {
        if !self.knows(vouched).await? {
            let closed: Option<i64> = sqlx::query_scalar("SELECT requires_invitation FROM zones WHERE id = $1")
                .bind(self.zone.as_str())
                .fetch_optional(&self.pool)
                .await?;
            if closed != Some(0) {
                return Ok(None);
            }
            for name in vouched.names {
                self.make_vouched(vouched, name, now).await?;
                if self.knows(vouched).await? {
                    break;
                }
            }
        }
        let row: Option<users::Row> = sqlx::query_as(
            "UPDATE users SET provider_id = $1, email = CASE WHEN $2 = '' THEN email ELSE $2 END,
             email_verified = CASE WHEN $2 = '' THEN 0 ELSE $3 END, authenticated_at = $4
             WHERE zone_id = $5 AND issuer = $6 AND subject = $7 AND status = 'active'
             RETURNING id, identifier, email, email_verified",
        )
        .bind(vouched.provider)
        .bind(vouched.email.unwrap_or_default())
        .bind(i64::from(vouched.email_verified))
        .bind(now.as_millis())
        .bind(self.zone.as_str())
        .bind(vouched.issuer)
        .bind(vouched.subject)
        .fetch_optional(&self.pool)
        .await?;
        Ok(row.map(users::read))
    }

    async fn knows(&self, vouched: &Vouched<'_>) -> Result<bool, StoreFailed> {
        let found: Option<String> =
            sqlx::query_scalar("SELECT id FROM users WHERE zone_id = $1 AND issuer = $2 AND subject = $3")
                .bind(self.zone.as_str())
                .bind(vouched.issuer)
                .bind(vouched.subject)
                .fetch_optional(&self.pool)
                .await?;
        Ok(found.is_some())
    }

    /// Nothing happens when the name is taken, or another replica made the same person at the same moment.
    async fn make_vouched(&self, vouched: &Vouched<'_>, name: &str, now: Timestamp) -> Result<(), StoreFailed> {
        sqlx::query(
            "INSERT INTO users
             (id, zone_id, identifier, email, email_verified, provider_id, issuer, subject, created_at, updated_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9) ON CONFLICT DO NOTHING",
        )
        .bind(UserId::random().as_str())
        .bind(self.zone.as_str())
        .bind(name)
        .bind(vouched.email.unwrap_or_default())
        .bind(i64::from(vouched.email_verified))
        .bind(vouched.provider)
        .bind(vouched.issuer)
        .bind(vouched.subject)
        .bind(now.as_millis())
        .execute(&self.pool)
        .await?;
        Ok(())
    }
}
