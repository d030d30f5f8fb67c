//! API tokens as an operator holds them: whoever may open the database may make them. The management API makes them by
//! the same rules, and by some more of its own.

use std::fmt;
use std::sync::Arc;

use serde::Deserialize;
use serde::Serialize;

use crate::model::Clock;
use crate::model::Secret;
use crate::model::Timestamp;
use crate::zone::api_token;
use crate::zone::store::ApiTokenRow;
use crate::zone::store::Database;
use crate::zone::store::Store;
use crate::zone::store::StoreFailed;

/// The API tokens of an organisation; for an operator, of the one that the database was made with.
pub struct ApiTokens {
    store: Store,
    clock: Arc<dyn Clock>,
    organization: String,
}

/// A token that was just made. The secret is shown this once.
#[derive(Debug)]
pub struct NewToken {
    /// What it is called by in `revoke` and `rotate`.
    pub id: String,
    /// The token.
    pub secret: Secret,
}

/// A token, as a list shows it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ListedToken {
    /// What it is called by.
    pub id: String,
    /// What its maker called it.
    pub name: String,
    /// Its first characters.
    pub hint: String,
    /// What it may do.
    pub scopes: Vec<String>,
    /// Whether it is good for anything.
    pub status: TokenStatus,
    /// Since when.
    pub created_at: Timestamp,
    /// Until when, if not for ever.
    pub expires_at: Option<Timestamp>,
    /// To the minute.
    pub last_used_at: Option<Timestamp>,
}

/// Whether a token is good for anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TokenStatus {
    /// It is.
    Active,
    /// Its end has come.
    Expired,
    /// It was put out of use.
    Revoked,
}

impl fmt::Display for TokenStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Active => "active",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
        })
    }
}

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub enum TokenFailed {
    /// A scope is not `things:read`, `things:write` or `admin`.
    #[error("`{0}` is no scope")]
    Scope(String),
    /// A name of no or too many characters.
    #[error("a token's name has 1 to 255 characters")]
    Name,
    /// Revoked, expired, or never there.
    #[error("there is no active token `{0}`")]
    Missing(String),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreFailed),
}

impl TokenFailed {
    /// What to do about it.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Scope(_) => Some("write scopes like applications:read,zones:write or *:read; admin is all of them"),
            Self::Missing(_) => Some("valetkey token list shows those that there are"),
            Self::Name => None,
            Self::Store(_) => Some("is the database there, and yours?"),
        }
    }
}

impl ApiTokens {
    /// Those of this database, brought up to date if it has to be.
    ///
    /// # Errors
    /// When the database can't be opened.
    pub async fn open(database: &Database, clock: Arc<dyn Clock>) -> Result<Self, StoreFailed> {
        let store = Store::open(database, clock.now()).await?;
        let organization = store.home_organization().await?;
        Ok(Self { store, clock, organization })
    }

    /// Those of one organisation.
    pub(in crate::zone) fn of(store: &Store, clock: &Arc<dyn Clock>, organization: String) -> Self {
        Self { store: store.clone(), clock: Arc::clone(clock), organization }
    }

    /// A new one.
    ///
    /// # Errors
    /// When name or scopes are not legal, or the database fails.
    pub async fn create(
        &self,
        name: &str,
        scopes: &[String],
        expires_at: Option<Timestamp>,
    ) -> Result<NewToken, TokenFailed> {
        if !(1..=255).contains(&name.chars().count()) || name.contains('\0') {
            return Err(TokenFailed::Name);
        }
        if scopes.is_empty() {
            return Err(TokenFailed::Scope(String::new()));
        }
        if let Some(wrong) = scopes.iter().find(|scope| !is_scope(scope)) {
            return Err(TokenFailed::Scope(wrong.escape_debug().to_string()));
        }
        let token = api_token::generate();
        let (scopes, now) = (scopes.join(" "), self.clock.now());
        let id = self.store.add_api_token(&self.organization, &token, name, &scopes, expires_at, now).await?;
        Ok(NewToken { id, secret: token.secret })
    }

    /// All, the oldest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn list(&self) -> Result<Vec<ListedToken>, TokenFailed> {
        let now = self.clock.now();
        Ok(self.store.api_tokens(&self.organization).await?.into_iter().map(|row| ListedToken::of(row, now)).collect())
    }

    /// Puts one out of use, for good.
    ///
    /// # Errors
    /// When there is no such active token, or the database fails.
    pub async fn revoke(&self, id: &str) -> Result<(), TokenFailed> {
        match self.store.revoke_api_token(&self.organization, id, self.clock.now()).await? {
            true => Ok(()),
            false => Err(TokenFailed::Missing(id.escape_debug().to_string())),
        }
    }

    /// Another one with the same name, scopes and end. The old one stops at the moment the new one is there.
    ///
    /// # Errors
    /// When there is no such active token, or the database fails.
    pub async fn rotate(&self, id: &str) -> Result<NewToken, TokenFailed> {
        let token = api_token::generate();
        match self.store.rotate_api_token(&self.organization, id, &token, self.clock.now()).await? {
            Some(id) => Ok(NewToken { id, secret: token.secret }),
            None => Err(TokenFailed::Missing(id.escape_debug().to_string())),
        }
    }

    /// Closes the connections.
    pub async fn close(&self) {
        self.store.close().await;
    }
}

impl ListedToken {
    pub(in crate::zone) fn of(row: ApiTokenRow, now: Timestamp) -> Self {
        let status = match (row.revoked_at, row.expires_at) {
            (Some(_), _) => TokenStatus::Revoked,
            (None, Some(expires_at)) if expires_at <= now.as_millis() => TokenStatus::Expired,
            (None, _) => TokenStatus::Active,
        };
        Self {
            id: row.id,
            name: row.name,
            hint: row.hint,
            scopes: row.scopes.split(' ').map(str::to_owned).collect(),
            status,
            created_at: Timestamp::from_millis(row.created_at),
            expires_at: row.expires_at.map(Timestamp::from_millis),
            last_used_at: row.last_used_at.map(Timestamp::from_millis),
        }
    }
}

fn is_scope(scope: &str) -> bool {
    let is_name =
        |name: &str| name == "*" || (!name.is_empty() && name.bytes().all(|c| c.is_ascii_lowercase() || c == b'-'));
    match scope.split_once(':') {
        None => scope == "admin",
        Some((name, verb)) => is_name(name) && matches!(verb, "read" | "write"),
    }
}
