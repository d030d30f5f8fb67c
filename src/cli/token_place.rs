//! Where API tokens are made and kept: in a database that is ours to open, or at a zone that is asked over HTTP.

use std::sync::Arc;

use hyper::Method;
use serde::Deserialize;
use serde_json::Value;
use serde_json::json;

use crate::cli::Exit;
use crate::cli::Failure;
use crate::cli::Output;
use crate::cli::Surroundings;
use crate::cli::api::Api;
use crate::cli::zone::DatabaseArgs;
use crate::model::Secret;
use crate::model::Timestamp;
use crate::os::SystemClock;
use crate::zone::ApiTokens;
use crate::zone::Database;
use crate::zone::ListedToken;
use crate::zone::NewToken;
use crate::zone::TokenFailed;

/// One of the two.
pub(in crate::cli) enum TokenPlace {
    /// Opened by us.
    Database(ApiTokens),
    /// Asked with a token.
    Zone(Api),
}

/// What a zone answers when it made a token.
#[derive(Deserialize)]
struct Made {
    id: String,
    token: String,
}

#[derive(Deserialize)]
struct Page {
    items: Vec<ListedToken>,
    pagination: Pagination,
}

#[derive(Deserialize)]
struct Pagination {
    after_cursor: Option<String>,
}

impl TokenPlace {
    /// The database that was named; else the zone that the environment names; else the usual database.
    ///
    /// # Errors
    /// When there is no such database, or it can't be opened.
    pub(in crate::cli) async fn find(
        args: &DatabaseArgs,
        surroundings: &Surroundings,
        output: &mut Output,
    ) -> Result<Self, Failure> {
        if !args.is_named() && Api::is_named(surroundings) {
            return Ok(Self::Zone(Api::find(surroundings, output).await?));
        }
        let database = args.find(surroundings)?;
        if let Database::Sqlite(file) = &database
            && !file.exists()
        {
            return Err(Failure::new(Exit::Refused, format!("there is no zone at `{}`", file.display()))
                .hint("start it once: valetkey run, or valetkey zone serve; or name it with --database"));
        }
        let tokens = ApiTokens::open(&database, Arc::new(SystemClock::new())).await;
        Ok(Self::Database(tokens.map_err(|error| failed(&error.into()))?))
    }

    /// A new token.
    ///
    /// # Errors
    /// When it is refused or can't be made.
    pub(in crate::cli) async fn create(
        &self,
        name: &str,
        scopes: &[String],
        expires_at: Option<Timestamp>,
    ) -> Result<NewToken, Failure> {
        match self {
            Self::Database(tokens) => tokens.create(name, scopes, expires_at).await.map_err(|error| failed(&error)),
            Self::Zone(api) => {
                let body = json!({ "name": name, "scopes": scopes, "expires_at": expires_at });
                api.ask::<Made>(Method::POST, TOKENS, Some(body)).await.map(Made::read)
            }
        }
    }

    /// All, the oldest first.
    ///
    /// # Errors
    /// When they are not to be had.
    pub(in crate::cli) async fn list(&self) -> Result<Vec<ListedToken>, Failure> {
        let api = match self {
            Self::Database(tokens) => return tokens.list().await.map_err(|error| failed(&error)),
            Self::Zone(api) => api,
        };
        let (mut listed, mut path) = (Vec::new(), format!("{TOKENS}?limit=1000"));
        loop {
            let page: Page = api.ask(Method::GET, &path, None).await?;
            let is_empty = page.items.is_empty();
            listed.extend(page.items);
            match page.pagination.after_cursor {
                Some(after) if !is_empty => path = format!("{TOKENS}?limit=1000&after={after}"),
                Some(_) | None => return Ok(listed),
            }
        }
    }

    /// Puts one out of use, for good.
    ///
    /// # Errors
    /// When there is no such active token, or it is refused.
    pub(in crate::cli) async fn revoke(&self, id: &str) -> Result<(), Failure> {
        match self {
            Self::Database(tokens) => tokens.revoke(id).await.map_err(|error| failed(&error)),
            Self::Zone(api) => api.ask::<Value>(Method::DELETE, &path_of(id)?, None).await.map(|_| ()),
        }
    }

    /// Its successor, in whose favour it stops.
    ///
    /// # Errors
    /// When there is no such active token, or it is refused.
    pub(in crate::cli) async fn rotate(&self, id: &str) -> Result<NewToken, Failure> {
        match self {
            Self::Database(tokens) => tokens.rotate(id).await.map_err(|error| failed(&error)),
            Self::Zone(api) => {
                let path = format!("{}/rotate", path_of(id)?);
                api.ask::<Made>(Method::POST, &path, None).await.map(Made::read)
            }
        }
    }

    /// Lets go of it.
    pub(in crate::cli) async fn close(&self) {
        match self {
            Self::Database(tokens) => tokens.close().await,
            Self::Zone(_) => {}
        }
    }
}

impl Made {
    fn read(self) -> NewToken {
        NewToken { id: self.id, secret: Secret::new(self.token) }
    }
}

/// An id has no character that means something in a path.
fn path_of(id: &str) -> Result<String, Failure> {
    if id.is_empty() || !id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
        return Err(Failure::new(Exit::Usage, format!("`{}` is no id of a token", id.escape_debug())));
    }
    Ok(format!("{TOKENS}/{id}"))
}

fn failed(error: &TokenFailed) -> Failure {
    let failure = Failure::new(Exit::Refused, error.to_string()).caused_by_source_of(error);
    match error.hint() {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}

/// Those of the organisation that the token belongs to.
const TOKENS: &str = "/organizations/own/api-tokens";
