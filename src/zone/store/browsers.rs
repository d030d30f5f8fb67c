//! Browsers in which a person is signed in: their sessions stand above those of clients.

use crate::limits::ZONE_BROWSER_SESSION_LIFETIME;
use crate::model::Timestamp;
use crate::zone::id::SignInId;
use crate::zone::id::UserId;
use crate::zone::opaque::Hash;
use crate::zone::store::Means;
use crate::zone::store::Store;
use crate::zone::store::StoreFailed;
use crate::zone::store::codes::list;

/// A signed-in browser.
#[derive(Clone, Debug)]
pub(in crate::zone) struct BrowserSession {
    pub(in crate::zone) id: String,
    pub(in crate::zone) user: UserId,
    pub(in crate::zone) browser: String,
    pub(in crate::zone) authenticated_at: Timestamp,
    pub(in crate::zone) second_factor_at: Option<Timestamp>,
}

/// A browser in which somebody signs in.
pub(in crate::zone) struct NewBrowser<'a> {
    /// Of its cookie.
    pub(in crate::zone) cookie: &'a Hash,
    pub(in crate::zone) user: &'a UserId,
    /// Its kind, in words.
    pub(in crate::zone) name: &'a str,
    /// When the person showed who they are: now, or earlier at a provider.
    pub(in crate::zone) authenticated_at: Timestamp,
    pub(in crate::zone) second_factor_at: Option<Timestamp>,
    pub(in crate::zone) means: &'a Means,
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
    /// Signs the user in, in the browser that holds the cookie.
    pub(in crate::zone) async fn add_browser(
        &self,
        browser: &NewBrowser<'_>,
        now: Timestamp,
    ) -> Result<(), StoreFailed> {
        sqlx::query(
            "INSERT INTO sessions
             (id, zone_id, session_type, user_id, provider_id, issuer, subject, name, cookie_hash, authenticated_at,
              second_factor_at, amr, acr, expires_at, created_at, updated_at)
             SELECT $1, zone_id, 'user', id, provider_id, issuer, subject, $2, $3, $4, $5, $6, $7, $8, $9, $9
             FROM users WHERE id = $10 AND zone_id = $11",
        )
        .bind(SignInId::random().as_str())
        .bind(browser.name)
        .bind(browser.cookie.as_str())
        .bind(browser.authenticated_at.as_millis())
        .bind(browser.second_factor_at.map(Timestamp::as_millis))
        .bind(list(&browser.means.methods))
        .bind(browser.means.class.as_deref())
        .bind(now.after(ZONE_BROWSER_SESSION_LIFETIME).as_millis())
        .bind(now.as_millis())
        .bind(browser.user.as_str())
        .bind(self.zone.as_str())
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
            "SELECT id, user_id, name, authenticated_at, second_factor_at FROM sessions
             WHERE cookie_hash = $1 AND ended_at IS NULL AND expires_at > $2 AND zone_id = $3",
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
            "SELECT id, user_id, name, authenticated_at, second_factor_at FROM sessions
             WHERE user_id = $1 AND cookie_hash IS NOT NULL AND ended_at IS NULL AND expires_at > $2 AND zone_id = $3
             ORDER BY authenticated_at DESC, id LIMIT 200",
        )
        .bind(user.as_str())
        .bind(now.as_millis())
        .bind(self.zone.as_str())
        .fetch_all(&self.pool)
        .await?;
        Ok(rows.into_iter().map(read).collect())
    }

    /// Notes that the person in this browser showed a second factor.
    pub(in crate::zone) async fn second_factor_shown(&self, id: &str, now: Timestamp) -> Result<(), StoreFailed> {
        sqlx::query("UPDATE sessions SET second_factor_at = $1, updated_at = $1 WHERE id = $2")
            .bind(now.as_millis())
            .bind(id)
            .execute(&self.pool)
            .await?;
        Ok(())
    }
}
