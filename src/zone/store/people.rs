//! How a person shows who they are: password, authenticator, recovery codes.

use crate::model::Timestamp;
use crate::zone::id::UserId;
use crate::zone::opaque::Hash;
use crate::zone::store::Store;
use crate::zone::store::StoreFailed;

impl Store {
    /// The user with this identifier, and the PHC string of their password, where they have one.
    pub(in crate::zone) async fn password_of(
        &self,
        identifier: &str,
    ) -> Result<Option<(UserId, Option<String>)>, StoreFailed> {
        let row: Option<(String, Option<String>)> = sqlx::query_as(
            "SELECT u.id, p.phc FROM users u LEFT JOIN people_passwords p ON p.user_id = u.id
             WHERE u.identifier = $1 AND u.zone_id = $2 AND u.status = 'active'",
        )
        .bind(identifier)
        .bind(self.zone.as_str())
        .fetch_optional(&self.pool)
        .await?;
        Ok(row.map(|(id, phc)| (UserId::known(id), phc)))
    }

    /// The one user with this address who has a password, and its PHC string. Nobody where several have it: an address
    /// that is merely claimed is as good as another.
    pub(in crate::zone) async fn password_by_address(
        &self,
        address: &str,
    ) -> Result<Option<(UserId, Option<String>)>, StoreFailed> {
        let rows: Vec<(String, String)> = sqlx::query_as(
            "SELECT u.id, p.phc FROM users u JOIN people_passwords p ON p.user_id = u.id
             WHERE u.zone_id = $1 AND u.email = $2 AND u.status = 'active' LIMIT 2",
        )
        .bind(self.zone.as_str())
        .bind(address)
        .fetch_all(&self.pool)
        .await?;
        let one = <[(String, String); 1]>::try_from(rows).ok();
        Ok(one.map(|[(id, phc)]| (UserId::known(id), Some(phc))))
    }

    /// Gives the user a password, in the place of any before it.
    pub(in crate::zone) async fn set_password(
        &self,
        user: &UserId,
        phc: &str,
        now: Timestamp,
    ) -> Result<(), StoreFailed> {
        sqlx::query(
            "INSERT INTO people_passwords (user_id, phc, changed_at) VALUES ($1, $2, $3)
             ON CONFLICT (user_id) DO UPDATE SET phc = excluded.phc, changed_at = excluded.changed_at",
        )
        .bind(user.as_str())
        .bind(phc)
        .bind(now.as_millis())
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Gives the user an authenticator that is still to be confirmed; false when one counts already.
    pub(in crate::zone) async fn set_authenticator(
        &self,
        user: &UserId,
        sealed: &str,
        now: Timestamp,
    ) -> Result<bool, StoreFailed> {
        // INVARIANT: what counts is never replaced, only removed by whoever shows it.
        let set = sqlx::query(
            "INSERT INTO people_authenticators (user_id, sealed, created_at) VALUES ($1, $2, $3)
             ON CONFLICT (user_id) DO UPDATE SET sealed = excluded.sealed, created_at = excluded.created_at
             WHERE people_authenticators.confirmed_at IS NULL",
        )
        .bind(user.as_str())
        .bind(sealed)
        .bind(now.as_millis())
        .execute(&self.pool)
        .await?;
        Ok(set.rows_affected() == 1)
    }

    /// The user's authenticator, sealed, and whether it was confirmed.
    pub(in crate::zone) async fn authenticator(&self, user: &UserId) -> Result<Option<(String, bool)>, StoreFailed> {
        let row: Option<(String, Option<i64>)> =
            sqlx::query_as("SELECT sealed, confirmed_at FROM people_authenticators WHERE user_id = $1")
                .bind(user.as_str())
                .fetch_optional(&self.pool)
                .await?;
        Ok(row.map(|(sealed, confirmed_at)| (sealed, confirmed_at.is_some())))
    }

    /// From now on this authenticator is asked for. These recovery codes take the place of any before them. False when
    /// it is no more the one to be confirmed.
    pub(in crate::zone) async fn confirm_authenticator(
        &self,
        user: &UserId,
        sealed: &str,
        recovery: &[Hash],
        now: Timestamp,
    ) -> Result<bool, StoreFailed> {
        let mut change = self.pool.begin().await?;
        let confirmed = sqlx::query(
            "UPDATE people_authenticators SET confirmed_at = $1
             WHERE user_id = $2 AND sealed = $3 AND confirmed_at IS NULL",
        )
        .bind(now.as_millis())
        .bind(user.as_str())
        .bind(sealed)
        .execute(&mut *change)
        .await?;
        if confirmed.rows_affected() == 0 {
            return Ok(false);
        }
        sqlx::query("DELETE FROM people_recovery_codes WHERE user_id = $1")
            .bind(user.as_str())
            .execute(&mut *change)
            .await?;
        for hash in recovery {
            sqlx::query("INSERT INTO people_recovery_codes (hash, user_id) VALUES ($1, $2)")
                .bind(hash.as_str())
                .bind(user.as_str())
                .execute(&mut *change)
                .await?;
        }
        change.commit().await?;
        Ok(true)
    }

    /// Takes the authenticator and the recovery codes away.
    pub(in crate::zone) async fn remove_authenticator(&self, user: &UserId) -> Result<(), StoreFailed> {
        let mut change = self.pool.begin().await?;
        sqlx::query("DELETE FROM people_authenticators WHERE user_id = $1")
            .bind(user.as_str())
            .execute(&mut *change)
            .await?;
        sqlx::query("DELETE FROM people_recovery_codes WHERE user_id = $1")
            .bind(user.as_str())
            .execute(&mut *change)
            .await?;
        Ok(change.commit().await?)
    }

    /// Uses a recovery code up; false when it is none, or was used.
    pub(in crate::zone) async fn use_recovery_code(
        &self,
        user: &UserId,
        code: &Hash,
        now: Timestamp,
    ) -> Result<bool, StoreFailed> {
        let used = sqlx::query(
            "UPDATE people_recovery_codes SET used_at = $1 WHERE hash = $2 AND user_id = $3 AND used_at IS NULL",
        )
        .bind(now.as_millis())
        .bind(code.as_str())
        .bind(user.as_str())
        .execute(&self.pool)
        .await?;
        Ok(used.rows_affected() == 1)
    }

    /// How many recovery codes are left.
    pub(in crate::zone) async fn recovery_codes_left(&self, user: &UserId) -> Result<i64, StoreFailed> {
        let left =
            sqlx::query_scalar("SELECT COUNT(*) FROM people_recovery_codes WHERE user_id = $1 AND used_at IS NULL");
        Ok(left.bind(user.as_str()).fetch_one(&self.pool).await?)
    }
}
