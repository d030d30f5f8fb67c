//! What the zone remembers, on SQLite by sqlx: one file per noun.
//!
//! Promises: no secret is written, only hashes; a change of several rows happens whole or not at all. One
//! connection: the zone's work is small, and with a single one SQLite is never busy with us.

mod applications;
mod browsers;
mod clients;
mod codes;
mod consents;
mod device_codes;
mod grants;
mod oauth_sessions;
mod people;
mod refresh_tokens;
mod registration_tokens;
mod replays;
mod resources;
mod retired_keys;
mod sign_ins;
mod users;

use std::path::Path;

use sqlx::SqlitePool;
use sqlx::migrate::Migrator;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::sqlite::SqliteJournalMode;
use sqlx::sqlite::SqlitePoolOptions;
use sqlx::sqlite::SqliteSynchronous;

pub(in crate::zone) use self::applications::Application;
pub(in crate::zone) use self::applications::Kind;
pub(in crate::zone) use self::browsers::BrowserSession;
pub(in crate::zone) use self::clients::Authentication;
pub(in crate::zone) use self::clients::Consent;
pub(in crate::zone) use self::clients::Origin;
pub(in crate::zone) use self::clients::RegisteredClient;
pub(in crate::zone) use self::clients::Workload;
pub(in crate::zone) use self::codes::Allowed;
pub(in crate::zone) use self::codes::Code;
pub(in crate::zone) use self::codes::Redeemed;
pub(in crate::zone) use self::consents::GrantLine;
pub(in crate::zone) use self::device_codes::Polled;
pub(in crate::zone) use self::device_codes::Waiting;
pub(in crate::zone) use self::oauth_sessions::Renewed;
pub(in crate::zone) use self::oauth_sessions::SessionLine;
pub(in crate::zone) use self::refresh_tokens::Rotation;
pub(in crate::zone) use self::replays::Seen;
pub(in crate::zone) use self::resources::Resource;
pub(in crate::zone) use self::users::User;

use crate::limits::ZONE_REFRESH_TOKEN_LIFETIME;
use crate::limits::ZONE_STORE_WAIT;
use crate::model::Timestamp;

/// Several statements that happen together or not at all.
type Change<'a> = sqlx::Transaction<'a, sqlx::Sqlite>;

/// The zone's database.
pub(in crate::zone) struct Store {
    pool: SqlitePool,
}

/// The database did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreFailed {
    /// A query failed.
    #[error("the zone's database failed")]
    Query(#[from] sqlx::Error),
    /// The tables could not be brought up to date, for instance because a newer version made them.
    #[error("the zone's database could not be brought up to date")]
    Migration(#[from] sqlx::migrate::MigrateError),
}

impl Store {
    /// Opens `database`, which exists (0600), and brings its tables up to date.
    pub(in crate::zone) async fn open(database: &Path) -> Result<Self, StoreFailed> {
        let options = SqliteConnectOptions::new()
            .filename(database)
            .create_if_missing(false)
            .foreign_keys(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Normal)
            .busy_timeout(ZONE_STORE_WAIT);
        let pool = SqlitePoolOptions::new()
            .max_connections(1)
            .acquire_timeout(ZONE_STORE_WAIT)
            .test_before_acquire(false)
            .idle_timeout(None)
            .max_lifetime(None)
            .connect_with(options)
            .await?;
        MIGRATIONS.run(&pool).await?;
        Ok(Self { pool })
    }

    /// Forgets what can never be asked for again.
    pub(in crate::zone) async fn prune(&self, now: Timestamp) -> Result<(), StoreFailed> {
        let long_ended = now.before(ZONE_REFRESH_TOKEN_LIFETIME).as_millis();
        let mut change = self.pool.begin().await?;
        sqlx::query("DELETE FROM retired_keys WHERE dies_at <= $1").bind(now.as_millis()).execute(&mut *change).await?;
        sqlx::query(
            "DELETE FROM refresh_tokens WHERE expires_at <= $1
             OR session_id IN (SELECT id FROM sessions WHERE ended_at <= $2)",
        )
        .bind(now.as_millis())
        .bind(long_ended)
        .execute(&mut *change)
        .await?;
        sqlx::query("DELETE FROM sessions WHERE ended_at <= $1").bind(long_ended).execute(&mut *change).await?;
        for forget in EXPIRED {
            sqlx::query(forget).bind(now.as_millis()).execute(&mut *change).await?;
        }
        sqlx::query(
            "DELETE FROM oauth_refresh_tokens WHERE expires_at <= $1
             OR session_id IN (SELECT id FROM oauth_sessions WHERE ended_at <= $2)",
        )
        .bind(now.as_millis())
        .bind(long_ended)
        .execute(&mut *change)
        .await?;
        sqlx::query("DELETE FROM oauth_sessions WHERE ended_at <= $1").bind(long_ended).execute(&mut *change).await?;
        change.commit().await?;
        Ok(())
    }

    /// Finishes what is under way and closes the file.
    pub(in crate::zone) async fn close(&self) {
        self.pool.close().await;
    }
}

/// What is of no use once its time has come.
const EXPIRED: [&str; 6] = [
    "DELETE FROM oauth_replays WHERE expires_at <= $1",
    "DELETE FROM oauth_codes WHERE expires_at <= $1 AND session_id IS NULL",
    "DELETE FROM oauth_device_codes WHERE expires_at <= $1",
    "DELETE FROM oauth_revoked_tokens WHERE expires_at <= $1",
    "DELETE FROM browser_sessions WHERE expires_at <= $1",
    "DELETE FROM people_attempts WHERE window_ends_at <= $1",
];

static MIGRATIONS: Migrator = sqlx::migrate!("src/zone/migrations");
