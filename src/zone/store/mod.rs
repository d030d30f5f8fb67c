//! What the zone remembers, on SQLite or PostgreSQL by sqlx: one file per noun.
//!
//! Promises: no secret is written, only hashes, or sealed where it must be read again; a change of several rows happens
//! whole or not at all; each query sees one zone's rows and no other's. The same SQL runs on both databases: parameters
//! are `$1`, moments are milliseconds, yes is 1.
//!
//! A change begins with a statement that writes: on SQLite it takes the one writer's place at once, and on PostgreSQL
//! the row's lock, so that of two changes to one row the second sees what the first did.

mod applications;
mod database;
mod failure;
mod grants;
mod refresh_tokens;
mod registration_tokens;
mod resources;
mod sign_ins;
mod signing_keys;
mod users;
mod zones;

use sqlx::AnyPool;
use sqlx::migrate::Migrator;

pub use self::database::Database;
pub use self::database::NoDatabase;
pub use self::failure::StoreFailed;

pub(in crate::zone) use self::applications::Application;
pub(in crate::zone) use self::applications::Kind;
pub(in crate::zone) use self::refresh_tokens::Rotation;
pub(in crate::zone) use self::resources::Resource;
pub(in crate::zone) use self::signing_keys::CurrentKey;
pub(in crate::zone) use self::signing_keys::Succession;
pub(in crate::zone) use self::users::User;

use crate::limits::ZONE_REFRESH_TOKEN_LIFETIME;
use crate::model::Timestamp;
use crate::zone::id::ZoneId;

/// One zone's part of the database. Cheap to clone, and to point at another zone.
#[derive(Clone)]
pub(in crate::zone) struct Store {
    pool: AnyPool,
    zone: ZoneId,
}

impl Store {
    /// Opens `database`, brings its tables up to date, and looks at its home zone, made now if there is none.
    pub(in crate::zone) async fn open(database: &Database, now: Timestamp) -> Result<Self, StoreFailed> {
        let pool = database.connect().await?;
        if let Err(failed) = MIGRATIONS.run(&pool).await {
            // SQLite has no lock for it: another process may have been faster, and then nothing is left to do.
            tracing::debug!(error = &failed as &dyn std::error::Error, "the tables are brought up to date once more");
            MIGRATIONS.run(&pool).await?;
        }
        let zone = zones::welcome_home(&pool, now).await?;
        Ok(Self { pool, zone })
    }

    /// Forgets what can never be asked for again, in all zones.
    pub(in crate::zone) async fn prune(&self, now: Timestamp) -> Result<(), StoreFailed> {
        let long_ended = now.before(ZONE_REFRESH_TOKEN_LIFETIME).as_millis();
        let mut change = self.pool.begin().await?;
        sqlx::query("DELETE FROM signing_keys WHERE dies_at <= $1").bind(now.as_millis()).execute(&mut *change).await?;
        sqlx::query(
            "DELETE FROM refresh_tokens WHERE expires_at <= $1
             OR session_id IN (SELECT id FROM sessions WHERE ended_at <= $2)",
        )
        .bind(now.as_millis())
        .bind(long_ended)
        .execute(&mut *change)
        .await?;
        sqlx::query("DELETE FROM sessions WHERE ended_at <= $1").bind(long_ended).execute(&mut *change).await?;
        change.commit().await?;
        Ok(())
    }

    /// Finishes what is under way and closes the connections.
    pub(in crate::zone) async fn close(&self) {
        self.pool.close().await;
    }
}

static MIGRATIONS: Migrator = sqlx::migrate!("src/zone/migrations");
