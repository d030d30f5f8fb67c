//! Application credentials: how an application shows who it is.

use std::sync::Arc;

use axum::Json;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use serde::Deserialize;
use serde::Serialize;
use serde_json::Value;
use sqlx::FromRow;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::model::Timestamp;
use crate::zone::id::RowId;
use crate::zone::issuer::Issuer;
use crate::zone::management::applications;
use crate::zone::management::applications::Application;
use crate::zone::management::body;
use crate::zone::management::body::Body;
use crate::zone::management::expanded;
use crate::zone::management::expanded::Expanded;
use crate::zone::management::in_zone::InZone;
use crate::zone::management::in_zone::tag;
use crate::zone::management::page::Page;
use crate::zone::management::patch::Patch;
use crate::zone::management::providers::Provider;
use crate::zone::management::query::Paging;
use crate::zone::management::query::Query;
use crate::zone::management::refused::Refusals;
use crate::zone::management::refused::Refused;
use crate::zone::management::refused::settle;
use crate::zone::opaque;
use crate::zone::slug;
use crate::zone::store::Column;
use crate::zone::store::Conditions;
use crate::zone::store::Order;

pub(super) fn router() -> OpenApiRouter<Arc<Issuer>> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(retrieve, update, delete))
        .routes(routes!(list_of_application))
}

/// Credentials for accessing external services from applications
#[derive(Serialize, ToSchema)]
#[serde(tag = "type", rename_all = "kebab-case")]
enum Credential {
    /// Token-based application credential
    Token(Token),
    /// Password-based application credential
    Password(Password),
    /// Public key-based application credential
    PublicKey(PublicKey),
    /// URL-based application credential
    Url(Common),
    /// Public credential (no secret storage)
    Public(Common),
}

/// Common fields shared by all application credential types
#[derive(Serialize, ToSchema)]
#[schema(as = CredentialCommon)]
struct Common {
    id: String,
    application_id: String,
    organization_id: String,
    zone_id: String,
    slug: String,
    /// The client id, but for a token: its subject there, or `*` for each.
    identifier: String,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
    /// Only with `expand[]=application`.
    #[schema(value_type = Option<Application>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    application: Option<Value>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = CredentialToken)]
struct Token {
    #[serde(flatten)]
    common: Common,
    /// ID of the provider issuing tokens verified by this credential
    provider_id: Option<String>,
    /// When null or omitted, any token from the provider is accepted without checking application-specific claims.
    subject: Option<String>,
    /// Only with `expand[]=provider`.
    #[schema(value_type = Option<Provider>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    provider: Option<Value>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = CredentialPassword)]
struct Password {
    #[serde(flatten)]
    common: Common,
    /// Only returned on creation, also used as OAuth 2.0 client secret
    #[serde(skip_serializing_if = "Option::is_none")]
    password: Option<String>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = CredentialPublicKey)]
struct PublicKey {
    #[serde(flatten)]
    common: Common,
    /// JWKS URI to retrieve public keys from
    jwks_uri: Option<String>,
}

#[derive(FromRow)]
struct Row {
    id: String,
    zone_id: String,
    application_id: String,
    r#type: String,
    slug: String,
    identifier: String,
    provider_id: Option<String>,
    subject: Option<String>,
    jwks_uri: Option<String>,
    created_at: i64,
    updated_at: i64,
}

#[derive(Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "kebab-case")]
#[schema(as = CredentialCreate)]
enum Create {
    #[schema(title = "CredentialCreateToken")]
    Token { application_id: String, provider_id: String, subject: Option<String> },
    #[schema(title = "CredentialCreatePassword")]
    Password { application_id: String, identifier: Option<String> },
    #[schema(title = "CredentialCreatePublicKey")]
    PublicKey { application_id: String, jwks_uri: String, identifier: Option<String> },
    #[schema(title = "CredentialCreateUrl")]
    Url { application_id: String, identifier: String },
    #[schema(title = "CredentialCreatePublic")]
    Public { application_id: String, identifier: Option<String> },
}

#[derive(Deserialize, ToSchema)]
#[schema(as = CredentialUpdate)]
struct Update {
    /// The credential's own; it does not change.
    r#type: Option<String>,
    /// Of a token.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    subject: Patch<String>,
    /// Of a URL or a public credential.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    identifier: Patch<String>,
}

/// List application credentials
#[utoipa::path(get, path = "/zones/{zone_id}/application-credentials", tag = "application-credentials", params(
    Paging, ("zone_id" = String, Path), ("applicationId" = Option<String>, Query), ("slug" = Option<String>, Query),
), responses((status = 200, body = Page<Credential>), Refusals))]
async fn list(place: InZone, query: Query) -> Result<Json<Page<Credential>>, Refused> {
    let applications = [query.all("applicationId"), query.filter("application_id")].concat();
    let conditions = place.rows().one_of("t.application_id", &applications);
    page(&place, &query, conditions).await
}

/// List application credentials
#[utoipa::path(get, path = "/zones/{zone_id}/applications/{id}/application-credentials",
    tag = "application-credentials", params(Paging, ("zone_id" = String, Path), ("id" = String, Path)),
    responses((status = 200, body = Page<Credential>), Refusals))]
async fn list_of_application(place: InZone, query: Query) -> Result<Json<Page<Credential>>, Refused> {
    applications::find(&place, place.row()).await?;
    let conditions = place.rows().equals("t.application_id", place.part("id"));
    page(&place, &query, conditions).await
}

/// Create application credential
#[utoipa::path(post, path = "/zones/{zone_id}/application-credentials", tag = "application-credentials",
    params(("zone_id" = String, Path)), request_body = Create,
    responses((status = 200, body = Credential), Refusals))]
async fn create(place: InZone, Body(sent): Body<Create>) -> Result<Json<Credential>, Refused> {
    let (id, now) = (RowId::random(), place.now.as_millis());
    let (application, mut columns, password) = sent.read(&place, &id).await?;
    if place.store.count("applications t", place.rows().equals("t.id", &application)).await? == 0 {
        return Err(Refused::bad("application_id", "is no application of this zone"));
    }
    let slug: Vec<Column> = vec![("slug", slug::unique("credential").into())];
    columns.extend(slug);
    columns.extend::<Vec<Column>>(vec![
        ("id", id.as_str().into()),
        ("zone_id", place.zone().into()),
        ("application_id", application.into()),
        ("created_at", now.into()),
        ("updated_at", now.into()),
    ]);
    place.store.insert("application_credentials", columns).await?;
    let row = find(&place, place.rows().equals("t.id", id.as_str())).await?;
    Ok(Json(row.show(&place.organization, password, &Beside::default())))
}

/// Get application credential
#[utoipa::path(get, path = "/zones/{zone_id}/application-credentials/{id}", tag = "application-credentials",
    params(("zone_id" = String, Path), ("id" = String, Path), ("expand[]" = Option<Vec<String>>, Query)),
    responses((status = 200, body = Credential), Refusals))]
async fn retrieve(place: InZone, query: Query) -> Result<impl IntoResponse, Refused> {
    query.expands_only(&EXPANDABLE)?;
    let row = find(&place, place.row()).await?;
    let beside = Beside::of(&place, &query, std::slice::from_ref(&row)).await?;
    Ok((tag(row.updated_at), Json(row.show(&place.organization, None, &beside))))
}

/// Update application credential
#[utoipa::path(patch, path = "/zones/{zone_id}/application-credentials/{id}", tag = "application-credentials",
    params(("zone_id" = String, Path), ("id" = String, Path)), request_body = Update,
    responses((status = 200, body = Credential), Refusals))]
async fn update(place: InZone, Body(sent): Body<Update>) -> Result<Json<Credential>, Refused> {
    let old = find(&place, place.row()).await?;
    if sent.r#type.is_some_and(|kind| kind != old.r#type) {
        return Err(Refused::bad("type", "can't be changed"));
    }
    let columns: Vec<Column> = match old.r#type.as_str() {
        "token" => {
            let subject = sent.subject.apply(old.subject);
            vec![("identifier", subject.as_deref().unwrap_or("*").into()), ("subject", subject.into())]
        }
        "url" => {
            let identifier = sent.identifier.required("identifier", old.identifier)?;
            vec![("identifier", body::url("identifier", identifier)?.into())]
        }
        "public" => {
            let identifier = sent.identifier.required("identifier", old.identifier)?;
            vec![("identifier", body::identifier(identifier)?.into())]
        }
        _ => Vec::new(),
    };
    let change = place.store.update("application_credentials", columns, place.own(), place.expected, place.now);
    settle(change.await?, "credential")?;
    let row = find(&place, place.row()).await?;
    Ok(Json(row.show(&place.organization, None, &Beside::default())))
}

/// Delete application credential
#[utoipa::path(delete, path = "/zones/{zone_id}/application-credentials/{id}", tag = "application-credentials",
    params(("zone_id" = String, Path), ("id" = String, Path)), responses((status = 204), Refusals))]
async fn delete(place: InZone) -> Result<StatusCode, Refused> {
    settle(place.store.remove("application_credentials", place.own()).await?, "credential")?;
    Ok(StatusCode::NO_CONTENT)
}

impl Create {
    /// The application, what is written, and the password that is shown this once.
    async fn read(self, place: &InZone, id: &RowId) -> Result<(String, Vec<Column>, Option<String>), Refused> {
        // A client id that nobody chose is the credential's own id.
        let client_id = |sent: Option<String>| body::identifier(sent.unwrap_or_else(|| id.to_string()));
        Ok(match self {
            Self::Token { application_id, provider_id, subject } => {
                if place.store.count("providers t", place.rows().equals("t.id", &provider_id)).await? == 0 {
                    return Err(Refused::bad("provider_id", "is no provider of this zone"));
                }
                let subject = subject.filter(|subject| !subject.is_empty());
                let identifier = body::identifier(subject.clone().unwrap_or_else(|| "*".to_owned()))?;
                let columns = vec![
                    ("type", "token".into()),
                    ("identifier", identifier.into()),
                    ("provider_id", provider_id.into()),
                    ("subject", subject.into()),
                ];
                (application_id, columns, None)
            }
            Self::Password { application_id, identifier } => {
                let (secret, hash) = opaque::generate("vkc_");
                let columns = vec![
                    ("type", "password".into()),
                    ("identifier", client_id(identifier)?.into()),
                    ("secret_hash", hash.as_str().into()),
                ];
                (application_id, columns, secret.expose_str().map(str::to_owned))
            }
            Self::PublicKey { application_id, jwks_uri, identifier } => {
                let columns = vec![
                    ("type", "public-key".into()),
                    ("identifier", client_id(identifier)?.into()),
                    ("jwks_uri", body::url("jwks_uri", jwks_uri)?.into()),
                ];
                (application_id, columns, None)
            }
            Self::Url { application_id, identifier } => {
                let identifier = body::url("identifier", identifier)?;
                (application_id, vec![("type", "url".into()), ("identifier", identifier.into())], None)
            }
            Self::Public { application_id, identifier } => {
                let columns = vec![("type", "public".into()), ("identifier", client_id(identifier)?.into())];
                (application_id, columns, None)
            }
        })
    }
}

impl Row {
    fn show(self, organization: &str, password: Option<String>, beside: &Beside) -> Credential {
        let provider = beside.providers.of(self.provider_id.as_ref());
        let common = Common {
            application: beside.applications.of(Some(&self.application_id)),
            id: self.id,
            application_id: self.application_id,
            organization_id: organization.to_owned(),
            zone_id: self.zone_id,
            slug: self.slug,
            identifier: self.identifier,
            created_at: Timestamp::from_millis(self.created_at),
            updated_at: Timestamp::from_millis(self.updated_at),
        };
        match self.r#type.as_str() {
            "token" => {
                Credential::Token(Token { common, provider_id: self.provider_id, subject: self.subject, provider })
            }
            "password" => Credential::Password(Password { common, password }),
            "public-key" => Credential::PublicKey(PublicKey { common, jwks_uri: self.jwks_uri }),
            "url" => Credential::Url(common),
            _ => Credential::Public(common),
        }
    }
}

async fn page(place: &InZone, query: &Query, conditions: Conditions) -> Result<Json<Page<Credential>>, Refused> {
    query.knows(&["id", "application_id", "slug"], &[])?;
    query.expands_only(&EXPANDABLE)?;
    let window = query.window(&[("created_at", Order::Created)])?;
    let conditions = conditions.one_of("t.slug", &query.filter("slug")).one_of("t.id", &query.filter("id"));
    let listed = place.store.list::<Row>(COLUMNS, "application_credentials t", conditions, &window).await?;
    let beside = Beside::of(place, query, &listed.rows).await?;
    Ok(Json(Page::of(listed, |row| row.show(&place.organization, None, &beside))))
}

/// What the rows of a page speak of.
#[derive(Default)]
struct Beside {
    applications: Expanded,
    providers: Expanded,
}

impl Beside {
    async fn of(place: &InZone, query: &Query, rows: &[Row]) -> Result<Self, Refused> {
        let applications = rows.iter().map(|row| Some(&row.application_id));
        Ok(Self {
            applications: expanded::applications(place, query, applications).await?,
            providers: expanded::providers(place, query, rows.iter().map(|row| row.provider_id.as_ref())).await?,
        })
    }
}

async fn find(place: &InZone, conditions: Conditions) -> Result<Row, Refused> {
    let row = place.store.find::<Row>(COLUMNS, "application_credentials t", conditions).await?;
    row.ok_or_else(|| Refused::not_found("credential"))
}

const EXPANDABLE: [&str; 2] = ["application", "provider"];

const COLUMNS: &str = "t.id, t.zone_id, t.application_id, t.type, t.slug, t.identifier, t.provider_id, t.subject, \
    t.jwks_uri, t.created_at, t.updated_at";
