//! What a database may answer instead, sorted by what is to be done about it.

use std::error::Error as _;

/// The database did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreFailed {
    /// It can't be reached, or is too busy: it may do the same later.
    #[error("the zone's database is not to be reached at the moment")]
    Unavailable(#[source] sqlx::Error),
    /// Another row has this identifier already.
    #[error("the zone's database has one of this name already")]
    Conflict(#[source] sqlx::Error),
    /// A query failed.
    #[error("the zone's database failed")]
    Query(#[source] sqlx::Error),
    /// The tables could not be brought up to date, for instance because a newer version made them.
    #[error("the zone's database could not be brought up to date")]
    Migration(#[source] sqlx::migrate::MigrateError),
    /// A row says something that it can't.
    #[error("the zone's database holds a damaged row of `{0}`")]
    Damaged(&'static str),
}

impl From<sqlx::Error> for StoreFailed {
    fn from(error: sqlx::Error) -> Self {
        if is_unavailable(&error) {
            return Self::Unavailable(error);
        }
        match &error {
            sqlx::Error::Database(said) if said.is_unique_violation() => Self::Conflict(error),
            _ => Self::Query(error),
        }
    }
}

impl From<sqlx::migrate::MigrateError> for StoreFailed {
    fn from(error: sqlx::migrate::MigrateError) -> Self {
        match error {
            sqlx::migrate::MigrateError::Execute(error) if is_unavailable(&error) => Self::Unavailable(error),
            error => Self::Migration(error),
        }
    }
}

fn is_unavailable(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed => true,
        sqlx::Error::Database(said) => said.code().is_some_and(|code| {
            // PostgreSQL: connection, resources, operator, serialization, a statement or lock that took too long.
            // SQLite: busy and locked, with their extended codes, and a full disk.
            matches!(code.get(..2), Some("08" | "53" | "57" | "40")) && code.len() == 5
                || code.as_ref() == "55P03"
                || code.len() < 5 && code.parse::<u32>().is_ok_and(|code| matches!(code & 0xff, 5 | 6 | 13))
        }),
        // A connection that broke while a message was read.
        sqlx::Error::Protocol(_) => error.source().is_none(),
        _ => false,
    }
}
