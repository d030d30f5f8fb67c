//! Browsers in which a person is signed in.

use crate::limits::ZONE_BROWSER_SESSION_LIFETIME;
use crate::model::Timestamp;
use crate::zone::id::SignInId;
use crate::zone::id::UserId;
use crate::zone::opaque::Hash;
use crate::zone::store::Store;
use crate::zone::store::StoreFailed;

/// A signed-in browser.
#[derive(Clone, Debug)]
pub(in crate::zone) struct BrowserSession {
    pub(in crate::zone) id: String,
    pub(in crate::zone) user: UserId,
    pub(in crate::zone) browser: String,
    pub(in crate::zone) authenticated_at: Timestamp,
    pub(in crate::zone) second_factor_at: Option<Timestamp>,
}

type Row = (String, String, String, i64, Option<i64>);

fn read((id, user, browser, at, second): Row) -> BrowserSession {
    BrowserSession {
        id,
        user: UserId::known(user),
        browser,
        authenticated_at: Timestamp::from_millis(at),
        second_factor_at: second.map(Timestamp::from_millis),
    }
}

impl Store {
    /// Signs the user in, in the browser that holds the cookie with this hash.
    pub(in crate::zone) async fn add_browser(
        &self,
        cookie: &Hash,
        user: &UserId,
        browser: &str,
        second_factor_at: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<(), StoreFailed> {
        sqlx::query(
            "INSERT INTO browser_sessions (id, hash, user_id, browser, authenticated_at, second_factor_at, expires_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
        )
        .bind(SignInId::random().as_str())
        .bind(cookie.as_str())
        .bind(user.as_str())
        .bind(browser)
        .bind(now.as_millis())
        .bind(second_factor_at.map(Timestamp::as_millis))
        .bind(now.after(ZONE_BROWSER_SESSION_LIFETIME).as_millis())
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Who is signed in with this cookie.
    pub(in crate::zone) async fn browser(
        &self,
        cookie: &Hash,
        now: Timestamp,
    ) -> Result<Option<BrowserSession>, StoreFailed> {
        let row: Option<Row> = sqlx::query_as(
            "SELECT id, user_id, browser, authenticated_at, second_factor_at FROM browser_sessions
             WHERE hash = $1 AND ended_at IS NULL AND expires_at > $2
             AND user_id IN (SELECT id FROM users WHERE zone_id = $3)",
        )
        .bind(cookie.as_str())
        .bind(now.as_millis())
        .bind(self.zone.as_str())
        .fetch_optional(&self.pool)
        .await?;
        Ok(row.map(read))
    }

    /// The user's browsers, the newest first.
    pub(in crate::zone) async fn browsers_of(
        &self,
        user: &UserId,
        now: Timestamp,
    ) -> Result<Vec<BrowserSession>, StoreFailed> {
        let rows: Vec<Row> = sqlx::query_as(
            "SELECT id, user_id, browser, authenticated_at, second_factor_at FROM browser_sessions
             WHERE user_id = $1 AND ended_at IS NULL AND expires_at > $2 ORDER BY authenticated_at DESC, id LIMIT 200",
        )
        .bind(user.as_str())
        .bind(now.as_millis())
        .fetch_all(&self.pool)
        .await?;
        Ok(rows.into_iter().map(read).collect())
    }

    /// Signs one browser of the user out, and ends the sessions that were begun in it.
    pub(in crate::zone) async fn end_browser(
        &self,
        user: &UserId,
        id: &str,
        now: Timestamp,
    ) -> Result<(), StoreFailed> {
        let mut change = self.pool.begin().await?;
        sqlx::query("UPDATE browser_sessions SET ended_at = $1 WHERE id = $2 AND user_id = $3 AND ended_at IS NULL")
            .bind(now.as_millis())
            .bind(id)
            .bind(user.as_str())
            .execute(&mut *change)
            .await?;
        sqlx::query(
            "UPDATE oauth_sessions SET ended_at = $1
             WHERE browser_session_id = $2 AND user_id = $3 AND ended_at IS NULL",
        )
        .bind(now.as_millis())
        .bind(id)
        .bind(user.as_str())
        .execute(&mut *change)
        .await?;
        Ok(change.commit().await?)
    }

    /// Notes that the person in this browser showed a second factor.
    pub(in crate::zone) async fn second_factor_shown(&self, id: &str, now: Timestamp) -> Result<(), StoreFailed> {
        sqlx::query("UPDATE browser_sessions SET second_factor_at = $1 WHERE id = $2")
            .bind(now.as_millis())
            .bind(id)
            .execute(&self.pool)
            .await?;
        Ok(())
    }
}
