//! What the zone remembers, on SQLite or PostgreSQL by sqlx: one file per noun.
//!
//! Promises: no secret is written, only hashes, or sealed where it must be read again; a change of several rows happens
//! whole or not at all; each query sees one zone's rows and no other's. The same SQL runs on both databases: parameters
//! are `$1`, moments are milliseconds, yes is 1.
//!
//! A change begins with a statement that writes: on SQLite it takes the one writer's place at once, and on PostgreSQL
//! the row's lock, so that of two changes to one row the second sees what the first did.

mod api_tokens;
mod application_sessions;
mod applications;
mod argument;
mod browsers;
mod clients;
mod codes;
mod conditions;
mod consents;
mod database;
mod dependencies;
mod device_codes;
mod external_sign_ins;
mod failure;
mod grants;
mod guests;
mod managed_policies;
mod means;
mod organizations;
mod people;
mod policies;
mod policy_bindings;
mod policy_bundles;
mod protocols;
mod refresh_tokens;
mod registration_tokens;
mod replays;
mod resources;
mod sessions;
mod sign_in_providers;
mod signing_keys;
mod tables;
mod tally;
mod users;
mod window;
mod zones;

use sqlx::AnyPool;
use sqlx::migrate::Migrator;

pub use self::database::Database;
pub use self::database::NoDatabase;
pub use self::failure::StoreFailed;

pub(in crate::zone) use self::api_tokens::ApiTokenRow;
pub(in crate::zone) use self::applications::Application;
pub(in crate::zone) use self::applications::Kind;
pub(in crate::zone) use self::argument::Argument;
pub(in crate::zone) use self::browsers::BrowserSession;
pub(in crate::zone) use self::browsers::NewBrowser;
pub(in crate::zone) use self::clients::Authentication;
pub(in crate::zone) use self::clients::Consent;
pub(in crate::zone) use self::clients::Origin;
pub(in crate::zone) use self::clients::RegisteredClient;
pub(in crate::zone) use self::clients::Workload;
pub(in crate::zone) use self::codes::Allowed;
pub(in crate::zone) use self::codes::Code;
pub(in crate::zone) use self::codes::Redeemed;
pub(in crate::zone) use self::conditions::Conditions;
pub(in crate::zone) use self::consents::GrantLine;
pub(in crate::zone) use self::consents::Granted;
pub(in crate::zone) use self::device_codes::Polled;
pub(in crate::zone) use self::device_codes::Waiting;
pub(in crate::zone) use self::external_sign_ins::SignInProvider;
pub(in crate::zone) use self::external_sign_ins::Vouched;
pub(in crate::zone) use self::guests::OpenInvitation;
pub(in crate::zone) use self::means::Means;
pub(in crate::zone) use self::policies::Archivable;
pub(in crate::zone) use self::policies::Archived;
pub(in crate::zone) use self::policies::NewVersion;
pub(in crate::zone) use self::policies::Versioned;
pub(in crate::zone) use self::policy_bindings::Bound;
pub(in crate::zone) use self::policy_bindings::Mode;
pub(in crate::zone) use self::policy_bindings::PolicyWords;
pub(in crate::zone) use self::policy_bundles::Before;
pub(in crate::zone) use self::policy_bundles::KeptBundle;
pub(in crate::zone) use self::protocols::LoginFlow;
pub(in crate::zone) use self::protocols::ProofKey;
pub(in crate::zone) use self::protocols::Protocols;
pub(in crate::zone) use self::protocols::SelfRegistration;
pub(in crate::zone) use self::refresh_tokens::Renewed;
pub(in crate::zone) use self::replays::Seen;
pub(in crate::zone) use self::resources::Resource;
pub(in crate::zone) use self::sessions::SessionLine;
pub(in crate::zone) use self::signing_keys::CurrentKey;
pub(in crate::zone) use self::signing_keys::KeyAges;
pub(in crate::zone) use self::signing_keys::NewKey;
pub(in crate::zone) use self::signing_keys::Succession;
pub(in crate::zone) use self::tables::Change;
pub(in crate::zone) use self::tables::Column;
pub(in crate::zone) use self::tables::Fetched;
pub(in crate::zone) use self::tally::Tally;
pub(in crate::zone) use self::users::EmailStanding;
pub(in crate::zone) use self::users::User;
pub(in crate::zone) use self::window::Cursor;
pub(in crate::zone) use self::window::From as PageFrom;
pub(in crate::zone) use self::window::Listed;
pub(in crate::zone) use self::window::Order;
pub(in crate::zone) use self::window::Window;

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
        // SQLite has no lock for this: another process that starts at the same moment may be one step ahead, and then the
        // next step is tried anew.
        for _ in MIGRATIONS.iter() {
            match MIGRATIONS.run(&pool).await {
                Ok(()) => break,
                Err(failed) => {
                    tracing::debug!(error = &failed as &dyn std::error::Error, "the tables are not up to date")
                }
            }
        }
        MIGRATIONS.run(&pool).await?;
        let zone = zones::welcome_home(&pool, now).await?;
        zones::equip_earlier(&pool, now).await?;
        Ok(Self { pool, zone })
    }

    /// The same database, looking at another zone.
    pub(in crate::zone) fn of(&self, zone: ZoneId) -> Self {
        Self { pool: self.pool.clone(), zone }
    }

    /// The zone that this looks at.
    pub(in crate::zone) fn zone(&self) -> &ZoneId {
        &self.zone
    }

    /// Forgets what can never be asked for again, in all zones.
    pub(in crate::zone) async fn prune(&self, now: Timestamp) -> Result<(), StoreFailed> {
        let long_ended = now.before(ZONE_REFRESH_TOKEN_LIFETIME).as_millis();
        let mut change = self.pool.begin().await?;
        sqlx::query("DELETE FROM signing_keys WHERE dies_at <= $1").bind(now.as_millis()).execute(&mut *change).await?;
        sqlx::query("DELETE FROM refresh_tokens WHERE expires_at <= $1")
            .bind(now.as_millis())
            .execute(&mut *change)
            .await?;
        // A browser's row stays as long as a session that was begun in it: with the row, that would go too.
        sqlx::query(
            "DELETE FROM sessions WHERE (ended_at <= $1 OR expires_at <= $1)
             AND NOT EXISTS (SELECT 1 FROM sessions c
                 WHERE c.parent_id = sessions.id AND c.ended_at IS NULL AND c.expires_at > $1)",
        )
        .bind(long_ended)
        .execute(&mut *change)
        .await?;
        for forget in EXPIRED {
            sqlx::query(forget).bind(now.as_millis()).execute(&mut *change).await?;
        }
        change.commit().await?;
        Ok(())
    }

    /// Finishes what is under way and closes the connections.
    pub(in crate::zone) async fn close(&self) {
        self.pool.close().await;
    }
}

/// What is of no use once its time has come.
const EXPIRED: [&str; 5] = [
    "DELETE FROM oauth_replays WHERE expires_at <= $1",
    "DELETE FROM oauth_codes WHERE expires_at <= $1 AND session_id IS NULL",
    "DELETE FROM oauth_device_codes WHERE expires_at <= $1",
    "DELETE FROM oauth_revoked_tokens WHERE expires_at <= $1",
    "DELETE FROM people_attempts WHERE window_ends_at <= $1",
];

static MIGRATIONS: Migrator = sqlx::migrate!("src/zone/migrations");

/// Makes a database as an earlier version left it: its tables up to `version`, and what these statements write.
#[cfg(test)]
pub(in crate::zone) async fn write_before(database: &Database, version: i64, statements: &[&'static str]) {
    let pool = database.connect().await.unwrap();
    MIGRATIONS.run_to(version, &pool).await.unwrap();
    for statement in statements {
        sqlx::query(*statement).execute(&pool).await.unwrap();
    }
    pool.close().await;
}

/// What only tests ask.
#[cfg(test)]
impl Store {
    /// Changes the one row that the statement speaks of.
    pub(in crate::zone) async fn execute(&self, sql: &'static str, argument: &str) {
        let done = sqlx::query(sql).bind(argument).execute(&self.pool).await.unwrap();
        assert_eq!(done.rows_affected(), 1);
    }

    /// All that the statement finds, as one text.
    pub(in crate::zone) async fn dump(&self, sql: &'static str) -> String {
        let rows: Vec<String> = sqlx::query_scalar(sql).fetch_all(&self.pool).await.unwrap();
        rows.join(" ")
    }
}
