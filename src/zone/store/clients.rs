//! Clients that may lead a person to a page, or show a key: user agents, which registered themselves, and applications,
//! which an administrator made.

use serde::Deserialize;
use serde::Serialize;
use sqlx::FromRow;

use crate::model::Timestamp;
use crate::zone::id::ApplicationId;
use crate::zone::id::RowId;
use crate::zone::opaque::Hash;
use crate::zone::slug;
use crate::zone::store::Store;
use crate::zone::store::StoreFailed;

/// A client of this zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::zone) struct RegisteredClient {
    /// Who it is: the application, or the user agent itself.
    pub(in crate::zone) id: ApplicationId,
    /// The name that it shows.
    pub(in crate::zone) client_id: String,
    pub(in crate::zone) origin: Origin,
    pub(in crate::zone) name: String,
    pub(in crate::zone) authentication: Authentication,
    pub(in crate::zone) jwks: Option<String>,
    pub(in crate::zone) jwks_uri: Option<String>,
    pub(in crate::zone) redirect_uris: Vec<String>,
    pub(in crate::zone) post_logout_redirect_uris: Vec<String>,
    /// None: all that there are.
    pub(in crate::zone) grant_types: Option<Vec<String>>,
    pub(in crate::zone) consent: Consent,
}

/// How it came to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::zone) enum Origin {
    /// Made by the zone itself.
    Builtin,
    /// By dynamic registration.
    Registered,
    /// By an administrator.
    Managed,
    /// By the document at its own address.
    Document,
}

/// How it shows who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
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

/// Whose tokens a client may show in a secret's place.
#[derive(Clone, Debug)]
pub(in crate::zone) struct Workload {
    /// The credential's own id.
    pub(in crate::zone) id: String,
    pub(in crate::zone) application: ApplicationId,
    pub(in crate::zone) subject: Option<String>,
}

/// What a user agent registered, as it lies in its row.
#[derive(Serialize, Deserialize)]
struct Registered {
    origin: Origin,
    authentication: Authentication,
    secret_hash: Option<String>,
    jwks: Option<String>,
    jwks_uri: Option<String>,
    redirect_uris: Vec<String>,
    post_logout_redirect_uris: Vec<String>,
    grant_types: Vec<String>,
}

/// What is known under a client id: a user agent, or a credential and its application.
#[derive(FromRow)]
struct KnownRow {
    kind: String,
    metadata: Option<String>,
    secret_hash: Option<String>,
    jwks_uri: Option<String>,
    application_id: String,
    #[sqlx(flatten)]
    software: SoftwareRow,
}

#[derive(FromRow)]
struct SoftwareRow {
    name: String,
    consent: String,
    redirect_uris: Option<String>,
    post_logout_redirect_uris: Option<String>,
}

impl KnownRow {
    fn read(self, client_id: &str) -> Option<(RegisteredClient, Option<Hash>)> {
        let authentication = match self.kind.as_str() {
            "agent" => return user_agent(client_id, self.software.name, &self.metadata?),
            "password" => Authentication::Secret,
            "public-key" => Authentication::PrivateKey,
            "public" => Authentication::None,
            _ => return None,
        };
        let client = self.software.read(&self.application_id, client_id, authentication)?;
        Some((RegisteredClient { jwks_uri: self.jwks_uri, ..client }, self.secret_hash.map(Hash::known)))
    }
}

impl SoftwareRow {
    /// A damaged row is no client, never one with other rights.
    fn read(self, id: &str, client_id: &str, authentication: Authentication) -> Option<RegisteredClient> {
        Some(RegisteredClient {
            id: ApplicationId::known(id.to_owned()),
            client_id: client_id.to_owned(),
            origin: Origin::Managed,
            name: self.name,
            authentication,
            jwks: None,
            jwks_uri: None,
            redirect_uris: list(self.redirect_uris)?,
            post_logout_redirect_uris: list(self.post_logout_redirect_uris)?,
            grant_types: None,
            consent: if self.consent == "implicit" { Consent::Implicit } else { Consent::Required },
        })
    }
}

impl Store {
    /// Adds a user agent; one of the same name takes the metadata over when the zone itself made it.
    pub(in crate::zone) async fn add_user_agent(
        &self,
        client: &RegisteredClient,
        secret: Option<&Hash>,
        now: Timestamp,
    ) -> Result<(), StoreFailed> {
        let registered = Registered {
            origin: client.origin,
            authentication: client.authentication,
            secret_hash: secret.map(|hash| hash.as_str().to_owned()),
            jwks: client.jwks.clone(),
            jwks_uri: client.jwks_uri.clone(),
            redirect_uris: client.redirect_uris.clone(),
            post_logout_redirect_uris: client.post_logout_redirect_uris.clone(),
            grant_types: client.grant_types.clone().unwrap_or_default(),
        };
        sqlx::query(
            "INSERT INTO user_agents (id, zone_id, slug, identifier, name, metadata, created_at, updated_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $7)
             ON CONFLICT (zone_id, identifier) DO UPDATE SET name = excluded.name, metadata = excluded.metadata",
        )
        .bind(RowId::random().as_str())
        .bind(self.zone.as_str())
        .bind(slug::unique(&client.name))
        .bind(&client.client_id)
        .bind(&client.name)
        .bind(serde_json::to_string(&registered).unwrap_or_default())
        .bind(now.as_millis())
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// The client that shows this name.
    pub(in crate::zone) async fn client(&self, client_id: &str) -> Result<Option<RegisteredClient>, StoreFailed> {
        Ok(self.client_and_secret(client_id).await?.map(|(client, _)| client))
    }

    /// The client that shows this name, and whose secret has this hash.
    pub(in crate::zone) async fn client_with(
        &self,
        client_id: &str,
        presented: &Hash,
    ) -> Result<Option<RegisteredClient>, StoreFailed> {
        let known = self.client_and_secret(client_id).await?.filter(|(client, secret)| {
            client.authentication == Authentication::Secret
                && secret.as_ref().is_some_and(|secret| secret.matches(presented))
        });
        Ok(known.map(|(client, _)| client))
    }

    async fn client_and_secret(
        &self,
        client_id: &str,
    ) -> Result<Option<(RegisteredClient, Option<Hash>)>, StoreFailed> {
        let rows: Vec<KnownRow> =
            sqlx::query_as(KNOWN).bind(self.zone.as_str()).bind(client_id).fetch_all(&self.pool).await?;
        // A user agent goes before a credential that an administrator gave its name.
        Ok(rows.into_iter().next().and_then(|row| row.read(client_id)))
    }

    /// The application of this id, as a client that shows `client_id`; never an agent of the personal zone.
    pub(in crate::zone) async fn software(
        &self,
        id: &str,
        client_id: &str,
        authentication: Authentication,
    ) -> Result<Option<RegisteredClient>, StoreFailed> {
        let row: Option<SoftwareRow> = sqlx::query_as(
            "SELECT name, consent, redirect_uris, post_logout_redirect_uris FROM applications
             WHERE id = $1 AND zone_id = $2 AND kind = 'software'",
        )
        .bind(id)
        .bind(self.zone.as_str())
        .fetch_optional(&self.pool)
        .await?;
        Ok(row.and_then(|row| row.read(id, client_id, authentication)))
    }

    /// The application that goes by the document at this address.
    pub(in crate::zone) async fn url_application(&self, address: &str) -> Result<Option<ApplicationId>, StoreFailed> {
        let id: Option<String> = sqlx::query_scalar(
            "SELECT application_id FROM application_credentials
             WHERE zone_id = $1 AND identifier = $2 AND type = 'url' AND type <> 'token'",
        )
        .bind(self.zone.as_str())
        .bind(address)
        .fetch_optional(&self.pool)
        .await?;
        Ok(id.map(ApplicationId::known))
    }

    /// What a client is called, by who it is.
    pub(in crate::zone) async fn client_name(&self, id: &ApplicationId) -> Result<Option<String>, StoreFailed> {
        let name = sqlx::query_scalar(
            "SELECT name FROM applications WHERE id = $1 AND zone_id = $2
             UNION ALL SELECT name FROM user_agents WHERE identifier = $1 AND zone_id = $2",
        );
        Ok(name.bind(id.as_str()).bind(self.zone.as_str()).fetch_optional(&self.pool).await?)
    }

    /// How many user agents there are.
    pub(in crate::zone) async fn user_agents(&self) -> Result<i64, StoreFailed> {
        let count = sqlx::query_scalar("SELECT COUNT(*) FROM user_agents WHERE zone_id = $1");
        Ok(count.bind(self.zone.as_str()).fetch_one(&self.pool).await?)
    }

    /// The workloads that a token of this issuer about this subject may be.
    pub(in crate::zone) async fn workloads(&self, issuer: &str, subject: &str) -> Result<Vec<Workload>, StoreFailed> {
        let rows: Vec<(String, String, Option<String>)> = sqlx::query_as(
            "SELECT c.id, c.application_id, c.subject
             FROM application_credentials c JOIN providers p ON p.id = c.provider_id
             WHERE c.zone_id = $1 AND c.type = 'token' AND p.issuer = $2 AND (c.subject = $3 OR c.subject IS NULL)
             ORDER BY c.id LIMIT 100",
        )
        .bind(self.zone.as_str())
        .bind(issuer)
        .bind(subject)
        .fetch_all(&self.pool)
        .await?;
        let read =
            |(id, application, subject)| Workload { id, application: ApplicationId::known(application), subject };
        Ok(rows.into_iter().map(read).collect())
    }

    /// Whether the API at `resource` is this client's own.
    pub(in crate::zone) async fn owns_resource(
        &self,
        client: &ApplicationId,
        resource: &str,
    ) -> Result<bool, StoreFailed> {
        let found: Option<String> = sqlx::query_scalar(
            "SELECT id FROM resources WHERE zone_id = $1 AND identifier = $2 AND application_id = $3",
        )
        .bind(self.zone.as_str())
        .bind(resource)
        .bind(client.as_str())
        .fetch_optional(&self.pool)
        .await?;
        Ok(found.is_some())
    }

    /// Whether the client may ask for `resource`, while its own API at `accessing` is used, where it is: what it needs
    /// for one API it may not have for another, nor in its own name.
    pub(in crate::zone) async fn depends_on(
        &self,
        client: &ApplicationId,
        resource: &str,
        accessing: Option<&str>,
    ) -> Result<bool, StoreFailed> {
        let found: Option<(Option<String>, Option<String>)> = sqlx::query_as(
            "SELECT d.when_accessing, (SELECT x.id FROM resources x WHERE x.zone_id = $2 AND x.identifier = $4)
             FROM dependencies d JOIN resources r ON r.id = d.resource_id
             WHERE d.application_id = $1 AND r.zone_id = $2 AND r.identifier = $3",
        )
        .bind(client.as_str())
        .bind(self.zone.as_str())
        .bind(resource)
        .bind(accessing)
        .fetch_optional(&self.pool)
        .await?;
        Ok(found.is_some_and(|(when, accessing)| counts(&when, &accessing)))
    }
}

/// Whether a dependency counts under its condition, while the client's own API of this id is used. A damaged list is no
/// condition that could hold.
pub(super) fn counts(when: &Option<String>, accessing: &Option<String>) -> bool {
    let Some(when) = when else { return true };
    let when: Vec<String> = serde_json::from_str(when).unwrap_or_default();
    accessing.as_ref().is_some_and(|accessing| when.contains(accessing))
}

/// A damaged row is no client, never one with other rights.
fn user_agent(client_id: &str, name: String, metadata: &str) -> Option<(RegisteredClient, Option<Hash>)> {
    let registered: Registered = serde_json::from_str(metadata).ok()?;
    let client = RegisteredClient {
        id: ApplicationId::known(client_id.to_owned()),
        client_id: client_id.to_owned(),
        origin: registered.origin,
        name,
        authentication: registered.authentication,
        jwks: registered.jwks,
        jwks_uri: registered.jwks_uri,
        redirect_uris: registered.redirect_uris,
        post_logout_redirect_uris: registered.post_logout_redirect_uris,
        grant_types: Some(registered.grant_types),
        consent: Consent::Required,
    };
    Some((client, registered.secret_hash.map(Hash::known)))
}

/// Nothing said is an empty list.
fn list(text: Option<String>) -> Option<Vec<String>> {
    text.map_or_else(|| Some(Vec::new()), |text| serde_json::from_str(&text).ok())
}

/// One look at the database for each request: it is on the way of every token.
const KNOWN: &str = "SELECT 'agent' AS kind, u.metadata AS metadata, NULL AS secret_hash, NULL AS jwks_uri, \
        '' AS application_id, u.name AS name, '' AS consent, NULL AS redirect_uris, NULL AS post_logout_redirect_uris
    FROM user_agents u WHERE u.zone_id = $1 AND u.identifier = $2
    UNION ALL
    SELECT c.type, NULL, c.secret_hash, c.jwks_uri, a.id, a.name, a.consent, a.redirect_uris, a.post_logout_redirect_uris
    FROM application_credentials c JOIN applications a ON a.id = c.application_id
    WHERE c.zone_id = $1 AND c.identifier = $2 AND c.type <> 'token' AND a.zone_id = $1 AND a.kind = 'software'";
