//! Device codes (RFC 8628): a client without a browser waits while its person allows it elsewhere.

use std::time::Duration;

use crate::limits::ZONE_DEVICE_CODE_LIFETIME;
use crate::limits::ZONE_DEVICE_INTERVAL;
use crate::limits::ZONE_DEVICE_SLOWER_BY;
use crate::model::Scopes;
use crate::model::Timestamp;
use crate::zone::id::ApplicationId;
use crate::zone::id::SignInId;
use crate::zone::id::UserId;
use crate::zone::opaque::Hash;
use crate::zone::store::Allowed;
use crate::zone::store::Store;
use crate::zone::store::StoreFailed;
use crate::zone::store::codes::list;
use crate::zone::store::sessions::begin;

/// A device that waits, as its person sees it.
#[derive(Clone, Debug)]
pub(in crate::zone) struct Waiting {
    pub(in crate::zone) client: ApplicationId,
    pub(in crate::zone) resources: Vec<String>,
    pub(in crate::zone) scopes: Scopes,
}

/// What a poll finds.
#[must_use]
#[derive(Debug)]
pub(in crate::zone) enum Polled {
    /// A session began.
    Done(Allowed, SignInId),
    /// Nobody has said anything yet.
    Pending,
    /// The same, and the client asks too often: it is to wait longer from now on.
    SlowDown,
    /// The person said no.
    Denied,
    /// Too late, or taken before.
    Expired,
    /// No such code of this client.
    Invalid,
}

impl Store {
    /// Remembers a device that waits; false when another waits under this user code.
    pub(in crate::zone) async fn add_device_code(
        &self,
        hash: &Hash,
        user_code: &str,
        waiting: &Waiting,
        now: Timestamp,
    ) -> Result<bool, StoreFailed> {
        let added = sqlx::query(
            "INSERT INTO oauth_device_codes (hash, user_code, client_id, resources, scopes, status, interval_ms,
             expires_at, zone_id) VALUES ($1, $2, $3, $4, $5, 'pending', $6, $7, $8) ON CONFLICT (user_code) DO NOTHING",
        )
        .bind(hash.as_str())
        .bind(user_code)
        .bind(waiting.client.as_str())
        .bind(list(&waiting.resources))
        .bind(waiting.scopes.to_string())
        .bind(millis(ZONE_DEVICE_INTERVAL))
        .bind(now.after(ZONE_DEVICE_CODE_LIFETIME).as_millis())
        .bind(self.zone.as_str())
        .execute(&self.pool)
        .await?;
        Ok(added.rows_affected() == 1)
    }

    /// The device that waits under this user code.
    pub(in crate::zone) async fn waiting_device(
        &self,
        user_code: &str,
        now: Timestamp,
    ) -> Result<Option<Waiting>, StoreFailed> {
        let row: Option<(String, String, String)> = sqlx::query_as(
            "SELECT client_id, resources, scopes FROM oauth_device_codes
             WHERE user_code = $1 AND status = 'pending' AND expires_at > $2 AND zone_id = $3",
        )
        .bind(user_code)
        .bind(now.as_millis())
        .bind(self.zone.as_str())
        .fetch_optional(&self.pool)
        .await?;
        Ok(row.and_then(|(client, resources, scopes)| {
            Some(Waiting {
                client: ApplicationId::known(client),
                resources: serde_json::from_str(&resources).ok()?,
                scopes: Scopes::parse(&scopes).ok()?,
            })
        }))
    }

    /// Lets the device in, in the name of whoever says so; false when it waits no more.
    pub(in crate::zone) async fn allow_device(
        &self,
        user_code: &str,
        allowed: &Allowed,
        now: Timestamp,
    ) -> Result<bool, StoreFailed> {
        let decided = sqlx::query(
            "UPDATE oauth_device_codes SET status = 'allowed', user_id = $1, browser_session_id = $2,
             authenticated_at = $3, second_factor_at = $4, scopes = $5
             WHERE user_code = $6 AND status = 'pending' AND expires_at > $7 AND zone_id = $8",
        )
        .bind(allowed.user.as_str())
        .bind(allowed.browser.as_deref())
        .bind(allowed.authenticated_at.as_millis())
        .bind(allowed.second_factor_at.map(Timestamp::as_millis))
        .bind(allowed.scopes.to_string())
        .bind(user_code)
        .bind(now.as_millis())
        .bind(self.zone.as_str())
        .execute(&self.pool)
        .await?;
        Ok(decided.rows_affected() == 1)
    }

    /// Turns the device away.
    pub(in crate::zone) async fn deny_device(&self, user_code: &str, now: Timestamp) -> Result<(), StoreFailed> {
        sqlx::query(
            "UPDATE oauth_device_codes SET status = 'denied'
             WHERE user_code = $1 AND status = 'pending' AND expires_at > $2 AND zone_id = $3",
        )
        .bind(user_code)
        .bind(now.as_millis())
        .bind(self.zone.as_str())
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Asks what became of a device code; of an allowed one a session begins, once.
    pub(in crate::zone) async fn poll_device(
        &self,
        hash: &Hash,
        client: &ApplicationId,
        key: Option<&str>,
        refresh: &Hash,
        now: Timestamp,
    ) -> Result<Polled, StoreFailed> {
        type Row =
            (String, String, String, Option<String>, Option<String>, Option<i64>, Option<i64>, i64, Option<i64>, i64);
        let mut change = self.pool.begin().await?;
        // The first statement writes, so that of two polls only one finds the code untaken.
        let claimed = sqlx::query(
            "UPDATE oauth_device_codes SET used_at = $1
             WHERE hash = $2 AND client_id = $3 AND zone_id = $4 AND status = 'allowed' AND used_at IS NULL
             AND expires_at > $1",
        )
        .bind(now.as_millis())
        .bind(hash.as_str())
        .bind(client.as_str())
        .bind(self.zone.as_str())
        .execute(&mut *change)
        .await?;
        let row: Option<Row> = sqlx::query_as(
            "SELECT status, resources, scopes, user_id, browser_session_id, authenticated_at, second_factor_at,
             interval_ms, polled_at, expires_at FROM oauth_device_codes
             WHERE hash = $1 AND client_id = $2 AND zone_id = $3",
        )
        .bind(hash.as_str())
        .bind(client.as_str())
        .bind(self.zone.as_str())
        .fetch_optional(&mut *change)
        .await?;
        let Some((status, resources, scopes, user, browser, at, second, interval, polled, expires)) = row else {
            return Ok(Polled::Invalid);
        };
        if claimed.rows_affected() == 1 {
            let (Some(user), Some(at), Ok(resources), Ok(scopes)) =
                (user, at, serde_json::from_str(&resources), Scopes::parse(&scopes))
            else {
                return Ok(Polled::Invalid);
            };
            let allowed = Allowed {
                user: UserId::known(user),
                client: client.clone(),
                browser,
                resources,
                scopes,
                key: key.map(str::to_owned),
                authenticated_at: Timestamp::from_millis(at),
                second_factor_at: second.map(Timestamp::from_millis),
            };
            let session = begin(&mut change, &self.zone, &allowed, refresh, now).await?;
            change.commit().await?;
            // The browser in which it was allowed is signed out.
            return Ok(session.map_or(Polled::Expired, |session| Polled::Done(allowed, session)));
        }
        if status == "denied" {
            return Ok(Polled::Denied);
        }
        if status == "allowed" || expires <= now.as_millis() {
            return Ok(Polled::Expired);
        }
        let too_soon = polled.is_some_and(|polled| now.as_millis().saturating_sub(polled) < interval);
        let slower = if too_soon { interval.saturating_add(millis(ZONE_DEVICE_SLOWER_BY)) } else { interval };
        sqlx::query("UPDATE oauth_device_codes SET polled_at = $1, interval_ms = $2 WHERE hash = $3")
            .bind(now.as_millis())
            .bind(slower)
            .bind(hash.as_str())
            .execute(&mut *change)
            .await?;
        change.commit().await?;
        Ok(if too_soon { Polled::SlowDown } else { Polled::Pending })
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
