//! Clients with redirect addresses or keys, and what each may ask for.

use crate::model::Timestamp;
use crate::zone::id::ApplicationId;
use crate::zone::opaque::Hash;
use crate::zone::store::Store;
use crate::zone::store::StoreFailed;

/// A client of this zone that was registered, here or by an administrator.
#[derive(Clone, Debug)]
pub(in crate::zone) struct RegisteredClient {
    pub(in crate::zone) id: ApplicationId,
    pub(in crate::zone) origin: Origin,
    pub(in crate::zone) name: String,
    pub(in crate::zone) authentication: Authentication,
    pub(in crate::zone) jwks: Option<String>,
    pub(in crate::zone) jwks_uri: Option<String>,
    pub(in crate::zone) redirect_uris: Vec<String>,
    pub(in crate::zone) post_logout_redirect_uris: Vec<String>,
    pub(in crate::zone) grant_types: Vec<String>,
    pub(in crate::zone) consent: Consent,
}

/// How it came to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::zone) enum Origin {
    /// Made by the zone itself.
    Builtin,
    /// By dynamic registration.
    Registered,
    /// By an administrator.
    Managed,
}

/// How it shows who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::zone) enum Authentication {
    /// Not at all: a public client.
    None,
    /// By a secret.
    Secret,
    /// By a JWT signed with its own key (RFC 7523).
    PrivateKey,
    /// By a token of the platform that it runs on.
    Workload,
}

/// Whether a person is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::zone) enum Consent {
    /// Before the first token.
    Required,
    /// Never: an administrator vouches for the client.
    Implicit,
}

macro_rules! words {
    ($type:ident, $($variant:ident = $word:literal),+) => {
        impl $type {
            fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }

            fn read(word: &str) -> Option<Self> {
                match word { $($word => Some(Self::$variant),)+ _ => None }
            }
        }
    };
}

words!(Origin, Builtin = "builtin", Registered = "registered", Managed = "managed");
words!(Authentication, None = "none", Secret = "secret", PrivateKey = "private_key", Workload = "workload");
words!(Consent, Required = "required", Implicit = "implicit");

/// Whose tokens a client may show in a secret's place.
#[derive(Clone, Debug)]
pub(in crate::zone) struct Workload {
    pub(in crate::zone) id: String,
    pub(in crate::zone) client: ApplicationId,
    pub(in crate::zone) subject: Option<String>,
    pub(in crate::zone) jwks_uri: Option<String>,
}

type Row =
    (String, String, String, String, Option<String>, Option<String>, String, String, String, String, Option<String>);

const COLUMNS: &str = "SELECT id, origin, name, authentication, jwks, jwks_uri, redirect_uris,
    post_logout_redirect_uris, grant_types, consent, secret_hash FROM oauth_clients WHERE id = $1";

impl Store {
    /// Adds the client; one of the same id is replaced when the zone itself made it, else left as it is.
    pub(in crate::zone) async fn add_client(
        &self,
        client: &RegisteredClient,
        secret: Option<&Hash>,
        now: Timestamp,
    ) -> Result<(), StoreFailed> {
        let list = |items: &[String]| serde_json::Value::from(items.to_vec()).to_string();
        sqlx::query(
            "INSERT INTO oauth_clients (id, origin, name, authentication, secret_hash, jwks, jwks_uri, redirect_uris,
             post_logout_redirect_uris, grant_types, consent, created_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
             ON CONFLICT (id) DO UPDATE SET name = excluded.name, redirect_uris = excluded.redirect_uris,
             grant_types = excluded.grant_types WHERE oauth_clients.origin = 'builtin'",
        )
        .bind(client.id.as_str())
        .bind(client.origin.as_str())
        .bind(&client.name)
        .bind(client.authentication.as_str())
        .bind(secret.map(Hash::as_str))
        .bind(client.jwks.as_deref())
        .bind(client.jwks_uri.as_deref())
        .bind(list(&client.redirect_uris))
        .bind(list(&client.post_logout_redirect_uris))
        .bind(list(&client.grant_types))
        .bind(client.consent.as_str())
        .bind(now.as_millis())
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// The client that bears this id.
    pub(in crate::zone) async fn client(&self, id: &str) -> Result<Option<RegisteredClient>, StoreFailed> {
        let row: Option<Row> = sqlx::query_as(COLUMNS).bind(id).fetch_optional(&self.pool).await?;
        Ok(row.and_then(read).map(|(client, _)| client))
    }

    /// The client that bears this id and whose secret has this hash.
    pub(in crate::zone) async fn client_with(
        &self,
        id: &str,
        presented: &Hash,
    ) -> Result<Option<RegisteredClient>, StoreFailed> {
        let row: Option<Row> = sqlx::query_as(COLUMNS).bind(id).fetch_optional(&self.pool).await?;
        let known = row.and_then(read).filter(|(client, secret)| {
            client.authentication == Authentication::Secret
                && secret.as_ref().is_some_and(|secret| secret.matches(presented))
        });
        Ok(known.map(|(client, _)| client))
    }

    /// How many clients registered themselves.
    pub(in crate::zone) async fn registered_clients(&self) -> Result<i64, StoreFailed> {
        let count = sqlx::query_scalar("SELECT COUNT(*) FROM oauth_clients WHERE origin = 'registered'");
        Ok(count.fetch_one(&self.pool).await?)
    }

    /// Lets `client` be known by the tokens of `issuer`, of one subject or of any.
    pub(in crate::zone) async fn add_workload(
        &self,
        workload: &Workload,
        issuer: &str,
        now: Timestamp,
    ) -> Result<(), StoreFailed> {
        sqlx::query(
            "INSERT INTO oauth_workloads (id, client_id, issuer, subject, jwks_uri, created_at)
             VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (id) DO NOTHING",
        )
        .bind(&workload.id)
        .bind(workload.client.as_str())
        .bind(issuer)
        .bind(workload.subject.as_deref())
        .bind(workload.jwks_uri.as_deref())
        .bind(now.as_millis())
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// The workloads of an issuer that this subject may be.
    pub(in crate::zone) async fn workloads(&self, issuer: &str, subject: &str) -> Result<Vec<Workload>, StoreFailed> {
        let rows: Vec<(String, String, Option<String>, Option<String>)> = sqlx::query_as(
            "SELECT id, client_id, subject, jwks_uri FROM oauth_workloads
             WHERE issuer = $1 AND (subject = $2 OR subject IS NULL) ORDER BY id LIMIT 100",
        )
        .bind(issuer)
        .bind(subject)
        .fetch_all(&self.pool)
        .await?;
        let read =
            |(id, client, subject, jwks_uri)| Workload { id, client: ApplicationId::known(client), subject, jwks_uri };
        Ok(rows.into_iter().map(read).collect())
    }

    /// Says that the API at `resource` is this client's own.
    pub(in crate::zone) async fn own_resource(
        &self,
        client: &ApplicationId,
        resource: &str,
    ) -> Result<(), StoreFailed> {
        sqlx::query(
            "INSERT INTO oauth_owned_resources (client_id, resource) VALUES ($1, $2)
             ON CONFLICT (client_id, resource) DO NOTHING",
        )
        .bind(client.as_str())
        .bind(resource)
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Whether the API at `resource` is this client's own.
    pub(in crate::zone) async fn owns_resource(
        &self,
        client: &ApplicationId,
        resource: &str,
    ) -> Result<bool, StoreFailed> {
        let found: Option<String> =
            sqlx::query_scalar("SELECT resource FROM oauth_owned_resources WHERE client_id = $1 AND resource = $2")
                .bind(client.as_str())
                .bind(resource)
                .fetch_optional(&self.pool)
                .await?;
        Ok(found.is_some())
    }

    /// Lets the client ask for `resource`.
    pub(in crate::zone) async fn add_dependency(
        &self,
        client: &ApplicationId,
        resource: &str,
    ) -> Result<(), StoreFailed> {
        sqlx::query(
            "INSERT INTO oauth_dependencies (client_id, resource) VALUES ($1, $2)
             ON CONFLICT (client_id, resource) DO NOTHING",
        )
        .bind(client.as_str())
        .bind(resource)
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Whether the client may ask for `resource`.
    pub(in crate::zone) async fn depends_on(
        &self,
        client: &ApplicationId,
        resource: &str,
    ) -> Result<bool, StoreFailed> {
        let found: Option<String> =
            sqlx::query_scalar("SELECT resource FROM oauth_dependencies WHERE client_id = $1 AND resource = $2")
                .bind(client.as_str())
                .bind(resource)
                .fetch_optional(&self.pool)
                .await?;
        Ok(found.is_some())
    }
}

/// A damaged row is no client, never one with other rights.
fn read(row: Row) -> Option<(RegisteredClient, Option<Hash>)> {
    let (id, origin, name, authentication, jwks, jwks_uri, redirect_uris, post_logout, grant_types, consent, secret) =
        row;
    let list = |text: &str| serde_json::from_str::<Vec<String>>(text).ok();
    let client = RegisteredClient {
        id: ApplicationId::known(id),
        origin: Origin::read(&origin)?,
        name,
        authentication: Authentication::read(&authentication)?,
        jwks,
        jwks_uri,
        redirect_uris: list(&redirect_uris)?,
        post_logout_redirect_uris: list(&post_logout)?,
        grant_types: list(&grant_types)?,
        consent: Consent::read(&consent)?,
    };
    Some((client, secret.map(Hash::known)))
}
