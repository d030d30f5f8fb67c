//! Which database: a file of SQLite's, or a PostgreSQL server.
//!
//! The same SQL runs on both. What differs stands here: how a connection is opened, and what is said to it first.

use std::fmt;
use std::path::Path;
use std::path::PathBuf;
use std::str::FromStr as _;

use sqlx::AnyPool;
use sqlx::Connection as _;
use sqlx::Executor as _;
use sqlx::any::AnyConnectOptions;
use sqlx::any::AnyPoolOptions;

use crate::limits::ZONE_POSTGRES_CONNECTIONS_MAX;
use crate::limits::ZONE_POSTGRES_IDLE_UNCHECKED;
use crate::limits::ZONE_STORE_WAIT;
use crate::model::Secret;

/// Where a zone's store is.
#[derive(Clone, Debug)]
pub enum Database {
    /// A file, made (0600) on first start.
    Sqlite(PathBuf),
    /// `postgres://user:password@host/name`; secret, for the password in it.
    Postgres(Secret),
}

/// A text that names no database.
#[derive(Debug, thiserror::Error)]
#[error("not a database: neither `postgres://…` nor `sqlite:PATH` nor a path")]
pub struct NoDatabase;

impl Database {
    /// Reads `postgres://…`, `postgresql://…`, `sqlite:PATH`, or a path.
    ///
    /// # Errors
    /// When the text is something else. It is not repeated: a password may be in it.
    pub fn parse(text: &str) -> Result<Self, NoDatabase> {
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            // Parsed here too, so that a typing error is told at once.
            return AnyConnectOptions::from_str(text)
                .map(|_| Self::Postgres(Secret::new(text)))
                .map_err(|_| NoDatabase);
        }
        let path = text.strip_prefix("sqlite://").or_else(|| text.strip_prefix("sqlite:")).unwrap_or(text);
        if path.is_empty() || path.contains("://") {
            return Err(NoDatabase);
        }
        Ok(Self::Sqlite(PathBuf::from(path)))
    }

    /// A pool of connections. PostgreSQL gets several; SQLite one, with which it is never busy with us.
    pub(super) async fn connect(&self) -> Result<AnyPool, sqlx::Error> {
        sqlx::any::install_default_drivers();
        match self {
            Self::Sqlite(path) => sqlite(path).await,
            Self::Postgres(url) => postgres(url.expose_str().unwrap_or_default()).await,
        }
    }
}

/// Without the password.
impl fmt::Display for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "{}", path.display()),
            Self::Postgres(_) => f.write_str("the PostgreSQL database"),
        }
    }
}

async fn sqlite(path: &Path) -> Result<AnyPool, sqlx::Error> {
    let escaped = percent_encoding::percent_encode(path.as_os_str().as_encoded_bytes(), ESCAPED);
    let options = AnyConnectOptions::from_str(&format!("sqlite://{escaped}?mode=rw"))?;
    let wait = ZONE_STORE_WAIT.as_millis();
    AnyPoolOptions::new()
        .max_connections(1)
        .acquire_timeout(ZONE_STORE_WAIT)
        .test_before_acquire(false)
        .idle_timeout(None)
        .max_lifetime(None)
        .after_connect(move |connection, _| {
            Box::pin(async move {
                let first = format!(
                    "PRAGMA busy_timeout = {wait}; PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; \
                     PRAGMA foreign_keys = ON;"
                );
                connection.execute(sqlx::AssertSqlSafe(first)).await.map(|_| ())
            })
        })
        .connect_with(options)
        .await
}

async fn postgres(url: &str) -> Result<AnyPool, sqlx::Error> {
    let options = AnyConnectOptions::from_str(url)?;
    let wait = ZONE_STORE_WAIT.as_millis();
    AnyPoolOptions::new()
        .max_connections(ZONE_POSTGRES_CONNECTIONS_MAX)
        .acquire_timeout(ZONE_STORE_WAIT)
        // A busy connection is alive; one that lay still is asked first, for its server may have gone.
        .test_before_acquire(false)
        .before_acquire(|connection, lately| {
            Box::pin(async move {
                if lately.idle_for > ZONE_POSTGRES_IDLE_UNCHECKED {
                    connection.ping().await?;
                }
                Ok(true)
            })
        })
        .after_connect(move |connection, _| {
            Box::pin(async move {
                let first = format!(
                    "SET statement_timeout = {wait}; SET lock_timeout = {wait}; \
                     SET idle_in_transaction_session_timeout = {wait}"
                );
                connection.execute(sqlx::AssertSqlSafe(first)).await.map(|_| ())
            })
        })
        .connect_with(options)
        .await
}

/// What a path in a URL must not show as it is.
const ESCAPED: &percent_encoding::AsciiSet =
    &percent_encoding::NON_ALPHANUMERIC.remove(b'/').remove(b'.').remove(b'-').remove(b'_');

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_is_named_by_url_or_path() {
        sqlx::any::install_default_drivers();
        assert!(matches!(Database::parse("postgres://a:b@h/n"), Ok(Database::Postgres(_))));
        assert!(
            matches!(Database::parse("sqlite:/a/b.db"), Ok(Database::Sqlite(path)) if path == Path::new("/a/b.db"))
        );
        assert!(matches!(Database::parse("zone.db"), Ok(Database::Sqlite(path)) if path == Path::new("zone.db")));
        for wrong in ["", "mysql://x/y", "sqlite:", "postgres://h:port/x"] {
            assert!(Database::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_password_is_not_shown() {
        let database = Database::parse("postgres://a:hunter2@h/n").unwrap();
        assert!(!format!("{database} {database:?}").contains("hunter2"));
    }
}
