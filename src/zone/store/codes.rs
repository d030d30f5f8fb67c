//! Authorization codes: good once, within a minute; a second use ends what the first one began (RFC 6749 §4.1.2).

use crate::limits::ZONE_CODE_LIFETIME;
use crate::model::Scopes;
use crate::model::Timestamp;
use crate::zone::id::ApplicationId;
use crate::zone::id::SignInId;
use crate::zone::id::UserId;
use crate::zone::opaque::Hash;
use crate::zone::store::Store;
use crate::zone::store::StoreFailed;
use crate::zone::store::sessions::begin;
use crate::zone::store::sessions::end;

/// What a person allowed a client: the content of a code, a device code and a session.
#[derive(Clone, Debug)]
pub(in crate::zone) struct Allowed {
    pub(in crate::zone) user: UserId,
    pub(in crate::zone) client: ApplicationId,
    /// The browser session in which it was allowed; none when there was no browser.
    pub(in crate::zone) browser: Option<String>,
    pub(in crate::zone) resources: Vec<String>,
    pub(in crate::zone) scopes: Scopes,
    /// The thumbprint of the key that tokens are bound to.
    pub(in crate::zone) key: Option<String>,
    pub(in crate::zone) authenticated_at: Timestamp,
    pub(in crate::zone) second_factor_at: Option<Timestamp>,
}

/// A code, and what its redemption must match.
#[derive(Clone, Debug)]
pub(in crate::zone) struct Code {
    pub(in crate::zone) allowed: Allowed,
    pub(in crate::zone) redirect_uri: String,
    /// S256 (RFC 7636); empty where the client may go without.
    pub(in crate::zone) challenge: String,
    pub(in crate::zone) nonce: Option<String>,
}

/// What became of a presented code.
#[must_use]
#[derive(Debug)]
pub(in crate::zone) enum Redeemed {
    /// A session began.
    Done(Box<Code>, SignInId),
    /// Unknown, expired, another client's, or shown with the wrong words. It is spent.
    Invalid,
    /// Shown a second time: what the first time began has ended.
    Reused,
}

impl Store {
    /// Remembers a new code.
    pub(in crate::zone) async fn add_code(&self, hash: &Hash, code: &Code, now: Timestamp) -> Result<(), StoreFailed> {
        let allowed = &code.allowed;
        sqlx::query(
            "INSERT INTO oauth_codes (hash, client_id, user_id, browser_session_id, redirect_uri, challenge,
             resources, scopes, nonce, key_thumbprint, authenticated_at, second_factor_at, expires_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
        )
        .bind(hash.as_str())
        .bind(allowed.client.as_str())
        .bind(allowed.user.as_str())
        .bind(allowed.browser.as_deref())
        .bind(&code.redirect_uri)
        .bind(&code.challenge)
        .bind(list(&allowed.resources))
        .bind(allowed.scopes.to_string())
        .bind(code.nonce.as_deref())
        .bind(allowed.key.as_deref())
        .bind(allowed.authenticated_at.as_millis())
        .bind(allowed.second_factor_at.map(Timestamp::as_millis))
        .bind(now.after(ZONE_CODE_LIFETIME).as_millis())
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Exchanges the code for a session with `refresh` as its first refresh token, where `fits` agrees. A code that
    /// does not fit is spent all the same: whoever guesses has one try.
    pub(in crate::zone) async fn redeem_code(
        &self,
        hash: &Hash,
        client: &ApplicationId,
        refresh: &Hash,
        now: Timestamp,
        fits: impl FnOnce(&mut Code) -> bool,
    ) -> Result<Redeemed, StoreFailed> {
        let mut change = self.pool.begin().await?;
        // The first statement writes, so that of two redemptions only one finds the code unused.
        let claimed = sqlx::query(
            "UPDATE oauth_codes SET used_at = $1 WHERE hash = $2 AND used_at IS NULL
             AND user_id IN (SELECT id FROM users WHERE zone_id = $3)",
        )
        .bind(now.as_millis())
        .bind(hash.as_str())
        .bind(self.zone.as_str())
        .execute(&mut *change)
        .await?;
        let row: Option<Row> = sqlx::query_as(
            "SELECT client_id, user_id, browser_session_id, redirect_uri, challenge, resources, scopes, nonce,
             key_thumbprint, authenticated_at, second_factor_at, expires_at, session_id
             FROM oauth_codes WHERE hash = $1 AND client_id = $2
             AND user_id IN (SELECT id FROM users WHERE zone_id = $3)",
        )
        .bind(hash.as_str())
        .bind(client.as_str())
        .bind(self.zone.as_str())
        .fetch_optional(&mut *change)
        .await?;
        // Another client's attempt, or one at another zone, leaves the code as it was.
        let Some((mut code, expires_at, begun)) = row.and_then(read) else { return Ok(Redeemed::Invalid) };
        if claimed.rows_affected() != 1 {
            if let Some(session) = begun {
                end(&mut change, &self.zone, session.as_str(), now).await?;
                change.commit().await?;
            }
            return Ok(Redeemed::Reused);
        }
        if expires_at <= now || !fits(&mut code) {
            change.commit().await?;
            return Ok(Redeemed::Invalid);
        }
        let Some(session) = begin(&mut change, &self.zone, &code.allowed, refresh, now).await? else {
            change.commit().await?;
            return Ok(Redeemed::Invalid);
        };
        sqlx::query("UPDATE oauth_codes SET session_id = $1 WHERE hash = $2")
            .bind(session.as_str())
            .bind(hash.as_str())
            .execute(&mut *change)
            .await?;
        change.commit().await?;
        Ok(Redeemed::Done(Box::new(code), session))
    }
}

type Row = (
    String,
    String,
    Option<String>,
    String,
    String,
    String,
    String,
    Option<String>,
    Option<String>,
    i64,
    Option<i64>,
    i64,
    Option<String>,
);

fn read(row: Row) -> Option<(Code, Timestamp, Option<SignInId>)> {
    let (client, user, browser, redirect_uri, challenge, resources, scopes, nonce, key, at, second, expires, session) =
        row;
    let allowed = Allowed {
        user: UserId::known(user),
        client: ApplicationId::known(client),
        browser,
        resources: serde_json::from_str(&resources).ok()?,
        scopes: Scopes::parse(&scopes).ok()?,
        key,
        authenticated_at: Timestamp::from_millis(at),
        second_factor_at: second.map(Timestamp::from_millis),
    };
    let code = Code { allowed, redirect_uri, challenge, nonce };
    Some((code, Timestamp::from_millis(expires), session.map(SignInId::known)))
}

/// A JSON array of strings.
pub(super) fn list(items: &[String]) -> String {
    serde_json::Value::from(items.to_vec()).to_string()
}
