//! Guests: people who were asked to come and choose their first password.
//!
//! Whoever invites sees the invitation's token, for the zone sends no mail, and may use it themselves. So an account that
//! is made from an invitation proves nothing about the address: the address is kept as what somebody claimed, and the
//! guest has a name of their own that could be nobody's address. Whoever the address belongs to comes in later with it,
//! by an invitation of their own or through a provider that verified it, and finds their name free.

use crate::model::Timestamp;
use crate::zone::id::UserId;
use crate::zone::opaque::Hash;
use crate::zone::slug;
use crate::zone::store::EmailStanding;
use crate::zone::store::Store;
use crate::zone::store::StoreFailed;
use crate::zone::store::User;

/// An invitation that is still open.
#[derive(Clone, Debug)]
pub(in crate::zone) struct OpenInvitation {
    pub(in crate::zone) id: String,
    pub(in crate::zone) organization: String,
    pub(in crate::zone) organization_name: String,
    pub(in crate::zone) email: String,
    pub(in crate::zone) role: String,
}

impl OpenInvitation {
    /// What the guest is called here: never an address, always the same, and as good as never anybody else's name.
    pub(in crate::zone) fn guest_name(&self) -> String {
        let name = self.email.split('@').next().unwrap_or_default();
        let name: String = slug::of(name).chars().take(NAME_CHARS).collect();
        let end: String = self.id.chars().take(END_CHARS).collect();
        format!("{}-{end}", name.trim_end_matches('-'))
    }
}

impl Store {
    /// The invitation with this token, while it is open. Members are people of the home zone: at any other it is nobody's.
    pub(in crate::zone) async fn open_invitation(
        &self,
        token: &Hash,
        now: Timestamp,
    ) -> Result<Option<OpenInvitation>, StoreFailed> {
        let row: Option<(String, String, String, String, String)> = sqlx::query_as(
            "SELECT i.id, o.id, o.name, i.email, i.role
             FROM invitations i JOIN organizations o ON o.id = i.organization_id
             WHERE i.hash = $1 AND i.accepted_at IS NULL AND i.revoked_at IS NULL AND i.expires_at > $2
             AND EXISTS (SELECT 1 FROM zones z WHERE z.id = $3 AND z.home = 1)",
        )
        .bind(token.as_str())
        .bind(now.as_millis())
        .bind(self.zone.as_str())
        .fetch_optional(&self.pool)
        .await?;
        Ok(row.map(|(id, organization, organization_name, email, role)| OpenInvitation {
            id,
            organization,
            organization_name,
            email,
            role,
        }))
    }

    /// Makes the guest a user with this password and a member, and spends the invitation: all of it or nothing. None when
    /// the invitation is not open any more, or somebody bears the guest's name.
    pub(in crate::zone) async fn accept_as_new(
        &self,
        invitation: &OpenInvitation,
        phc: &str,
        now: Timestamp,
    ) -> Result<Option<User>, StoreFailed> {
        let (user, identifier) = (UserId::random(), invitation.guest_name());
        let mut change = self.pool.begin().await?;
        let spent = sqlx::query(
            "UPDATE invitations SET accepted_at = $1, updated_at = $1
             WHERE id = $2 AND accepted_at IS NULL AND revoked_at IS NULL AND expires_at > $1",
        )
        .bind(now.as_millis())
        .bind(&invitation.id)
        .execute(&mut *change)
        .await?;
        let made = sqlx::query(
            "INSERT INTO users (id, zone_id, identifier, email, created_at, updated_at)
             VALUES ($1, $2, $3, $4, $5, $5) ON CONFLICT DO NOTHING",
        )
        .bind(user.as_str())
        .bind(self.zone.as_str())
        .bind(&identifier)
        .bind(&invitation.email)
        .bind(now.as_millis())
        .execute(&mut *change)
        .await?;
        if spent.rows_affected() != 1 || made.rows_affected() != 1 {
            return Ok(None);
        }
        sqlx::query("INSERT INTO people_passwords (user_id, phc, changed_at) VALUES ($1, $2, $3)")
            .bind(user.as_str())
            .bind(phc)
            .bind(now.as_millis())
            .execute(&mut *change)
            .await?;
        sqlx::query(
            "INSERT INTO organization_members (organization_id, user_id, role, created_at) VALUES ($1, $2, $3, $4)",
        )
        .bind(&invitation.organization)
        .bind(user.as_str())
        .bind(&invitation.role)
        .bind(now.as_millis())
        .execute(&mut *change)
        .await?;
        change.commit().await?;
        let email = invitation.email.clone();
        Ok(Some(User { id: user, identifier, email, email_standing: EmailStanding::Claimed }))
    }

    /// Gives the user their first password; false when they have one.
    pub(in crate::zone) async fn set_first_password(
        &self,
        user: &UserId,
        phc: &str,
        now: Timestamp,
    ) -> Result<bool, StoreFailed> {
        let set = sqlx::query(
            "INSERT INTO people_passwords (user_id, phc, changed_at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
        )
        .bind(user.as_str())
        .bind(phc)
        .bind(now.as_millis())
        .execute(&self.pool)
        .await?;
        Ok(set.rows_affected() == 1)
    }
}

/// Of the part of the address before its `@`.
const NAME_CHARS: usize = 40;

/// Of the invitation's id, which is 26 random characters of 36.
const END_CHARS: usize = 6;
