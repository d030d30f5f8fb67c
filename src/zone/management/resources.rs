//! Resources: APIs that tokens are for.

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

use crate::jose::Algorithm;
use crate::limits::ZONE_TOKEN_LIFETIME_MAX;
use crate::limits::ZONE_TOKEN_LIFETIME_MIN;
use crate::model::Scopes;
use crate::model::Timestamp;
use crate::zone::id::RowId;
use crate::zone::issuer::Issuer;
use crate::zone::management::applications;
use crate::zone::management::applications::Application;
use crate::zone::management::body;
use crate::zone::management::body::Body;
use crate::zone::management::expanded;
use crate::zone::management::in_zone::InZone;
use crate::zone::management::in_zone::tag;
use crate::zone::management::json;
use crate::zone::management::metadata::Metadata;
use crate::zone::management::metadata::MetadataUpdate;
use crate::zone::management::page::Page;
use crate::zone::management::patch::Patch;
use crate::zone::management::providers::Provider;
use crate::zone::management::query::Paging;
use crate::zone::management::query::Query;
use crate::zone::management::refused::Refusals;
use crate::zone::management::refused::Refused;
use crate::zone::management::refused::settle;
use crate::zone::store::Conditions;

pub(super) fn router() -> OpenApiRouter<Arc<Issuer>> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(retrieve, update, delete))
        .routes(routes!(list_of_application))
}

/// A Resource is a system that exposes protected information or functionality. It requires authentication of the
/// requesting actor, which may be a user or application, before allowing access.
#[derive(Serialize, ToSchema)]
pub(super) struct Resource {
    id: String,
    zone_id: String,
    organization_id: String,
    owner_type: String,
    slug: String,
    identifier: String,
    name: String,
    description: Option<String>,
    /// `native` or `web`
    application_type: String,
    /// ID of the application that provides this resource
    application_id: Option<String>,
    /// ID of the credential provider for this resource
    credential_provider_id: Option<String>,
    /// Whether URLs below the identifier are this resource, too
    prefix: bool,
    credential_lifetime_seconds: Option<i64>,
    /// What its access tokens are signed with: an extension of this implementation
    access_token_signing_alg: String,
    scopes: Option<Vec<String>>,
    metadata: Option<Metadata>,
    /// Only present when this resource is returned as a dependency that has conditions.
    #[serde(skip_serializing_if = "Option::is_none")]
    when_accessing: Option<Vec<String>>,
    /// Only with `expand[]=application`.
    #[schema(value_type = Option<Application>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    application: Option<Value>,
    /// Only with `expand[]=credential_provider`.
    #[schema(value_type = Option<Provider>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    credential_provider: Option<Value>,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
}

#[derive(FromRow)]
pub(super) struct Row {
    id: String,
    zone_id: String,
    owner_type: String,
    slug: String,
    identifier: String,
    name: String,
    description: Option<String>,
    application_type: String,
    application_id: Option<String>,
    credential_provider_id: Option<String>,
    prefix: i64,
    credential_lifetime_seconds: Option<i64>,
    access_token_signing_alg: String,
    scopes: Option<String>,
    metadata: Option<String>,
    #[sqlx(default)]
    when_accessing: Option<String>,
    created_at: i64,
    updated_at: i64,
}

/// The expected type of client. Native clients use localhost or custom schemes, web clients https.
#[derive(Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum ApplicationType {
    Native,
    Web,
}

/// What the access tokens for a resource are signed with. Its verifiers say which they know, RS256 all of them (RFC 9728
/// §2, `resource_signing_alg_values_supported`); ES256 costs the zone a thirtieth.
#[derive(Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "UPPERCASE")]
#[schema(rename_all = "UPPERCASE")]
enum AccessTokenSigningAlg {
    Rs256,
    Es256,
}

#[derive(Deserialize, ToSchema)]
#[schema(as = ResourceCreate)]
struct Create {
    identifier: String,
    name: String,
    description: Option<String>,
    application_type: Option<ApplicationType>,
    application_id: Option<String>,
    credential_provider_id: Option<String>,
    prefix: Option<bool>,
    #[schema(minimum = 60, maximum = 86400)]
    credential_lifetime_seconds: Option<i64>,
    access_token_signing_alg: Option<AccessTokenSigningAlg>,
    scopes: Option<Vec<String>>,
    metadata: Option<Metadata>,
}

#[derive(Deserialize, ToSchema)]
#[schema(as = ResourceUpdate)]
struct Update {
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    identifier: Patch<String>,
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    name: Patch<String>,
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    description: Patch<String>,
    #[serde(default)]
    #[schema(value_type = Option<ApplicationType>)]
    application_type: Patch<ApplicationType>,
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    application_id: Patch<String>,
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    credential_provider_id: Patch<String>,
    #[serde(default)]
    #[schema(value_type = Option<bool>)]
    prefix: Patch<bool>,
    #[serde(default)]
    #[schema(value_type = Option<i64>)]
    credential_lifetime_seconds: Patch<i64>,
    #[serde(default)]
    #[schema(value_type = Option<AccessTokenSigningAlg>)]
    access_token_signing_alg: Patch<AccessTokenSigningAlg>,
    #[serde(default)]
    #[schema(value_type = Option<Vec<String>>)]
    scopes: Patch<Vec<String>>,
    #[serde(default)]
    #[schema(value_type = Option<MetadataUpdate>)]
    metadata: Patch<MetadataUpdate>,
}

/// List resources
#[utoipa::path(get, path = "/zones/{zone_id}/resources", tag = "resources", params(
    Paging, ("zone_id" = String, Path),
    ("identifier" = Option<String>, Query), ("slug" = Option<String>, Query),
    ("credentialProviderId" = Option<String>, Query),
    ("filter[id]" = Option<Vec<String>>, Query), ("filter[identifier]" = Option<Vec<String>>, Query),
    ("filter[slug]" = Option<Vec<String>>, Query), ("filter[owner_type]" = Option<Vec<String>>, Query),
    ("query[]" = Option<Vec<String>>, Query), ("query[name]" = Option<Vec<String>>, Query),
    ("query[identifier]" = Option<Vec<String>>, Query), ("sort" = Option<String>, Query),
), responses((status = 200, body = Page<Resource>), Refusals))]
async fn list(place: InZone, query: Query) -> Result<Json<Page<Resource>>, Refused> {
    page(&place, &query, place.rows()).await
}

/// List application resources
#[utoipa::path(get, path = "/zones/{zone_id}/applications/{id}/resources", tag = "resources",
    params(Paging, ("zone_id" = String, Path), ("id" = String, Path)),
    responses((status = 200, body = Page<Resource>), Refusals))]
async fn list_of_application(place: InZone, query: Query) -> Result<Json<Page<Resource>>, Refused> {
    applications::find(&place, place.row()).await?;
    page(&place, &query, place.rows().equals("t.application_id", place.part("id"))).await
}

/// Create resource
#[utoipa::path(post, path = "/zones/{zone_id}/resources", tag = "resources",
    params(("zone_id" = String, Path)), request_body = Create,
    responses((status = 200, body = Resource), Refusals))]
async fn create(place: InZone, Body(sent): Body<Create>) -> Result<Json<Resource>, Refused> {
    let (id, now) = (RowId::random(), place.now.as_millis());
    let name = body::name(sent.name)?;
    refers(&place, "application_id", "applications t", sent.application_id.as_deref()).await?;
    refers(&place, "credential_provider_id", "providers t", sent.credential_provider_id.as_deref()).await?;
    let columns = vec![
        ("id", id.as_str().into()),
        ("zone_id", place.zone().into()),
        ("origin", "api".into()),
        ("slug", place.store.free_slug("resources t", &name).await?.into()),
        ("name", name.into()),
        ("identifier", identifier(&place, sent.identifier)?.into()),
        ("description", body::description(sent.description)?.into()),
        ("application_type", sent.application_type.unwrap_or(ApplicationType::Web).as_str().into()),
        ("application_id", sent.application_id.into()),
        ("credential_provider_id", sent.credential_provider_id.into()),
        ("prefix", sent.prefix.unwrap_or(false).into()),
        ("credential_lifetime_seconds", sent.credential_lifetime_seconds.map(lifetime).transpose()?.into()),
        ("access_token_signing_alg", algorithm(sent.access_token_signing_alg).as_str().into()),
        ("scopes", sent.scopes.map(scopes).transpose()?.into()),
        ("metadata", json::write(sent.metadata.map(Metadata::checked).transpose()?)?.into()),
        ("created_at", now.into()),
        ("updated_at", now.into()),
    ];
    place.store.insert("resources", columns).await?;
    let row = find(&place, place.rows().equals("t.id", id.as_str())).await?;
    Ok(Json(row.show(&place.organization)))
}

/// Get resource
#[utoipa::path(get, path = "/zones/{zone_id}/resources/{id}", tag = "resources",
    params(("zone_id" = String, Path), ("id" = String, Path)), responses((status = 200, body = Resource), Refusals))]
async fn retrieve(place: InZone) -> Result<impl IntoResponse, Refused> {
    let row = find(&place, place.row()).await?;
    Ok((tag(row.updated_at), Json(row.show(&place.organization))))
}

/// Update resource
#[utoipa::path(patch, path = "/zones/{zone_id}/resources/{id}", tag = "resources",
    params(("zone_id" = String, Path), ("id" = String, Path)), request_body = Update,
    responses((status = 200, body = Resource), Refusals))]
async fn update(place: InZone, Body(sent): Body<Update>) -> Result<Json<Resource>, Refused> {
    let old = find(&place, place.row()).await?;
    place.customer_only(&old.owner_type)?;
    let application = sent.application_id.apply(old.application_id);
    let provider = sent.credential_provider_id.apply(old.credential_provider_id);
    refers(&place, "application_id", "applications t", application.as_deref()).await?;
    refers(&place, "credential_provider_id", "providers t", provider.as_deref()).await?;
    let application_type = match sent.application_type {
        Patch::Keep => old.application_type,
        Patch::Clear => ApplicationType::Web.as_str().to_owned(),
        Patch::Set(kind) => kind.as_str().to_owned(),
    };
    let signing = match sent.access_token_signing_alg {
        Patch::Keep => old.access_token_signing_alg,
        Patch::Clear => algorithm(None).as_str().to_owned(),
        Patch::Set(chosen) => algorithm(Some(chosen)).as_str().to_owned(),
    };
    let lifetime = sent.credential_lifetime_seconds.try_map(lifetime)?.apply(old.credential_lifetime_seconds);
    let columns = vec![
        ("identifier", identifier(&place, sent.identifier.required("identifier", old.identifier)?)?.into()),
        ("name", body::name(sent.name.required("name", old.name)?)?.into()),
        ("description", body::description(sent.description.apply(old.description))?.into()),
        ("application_type", application_type.into()),
        ("application_id", application.into()),
        ("credential_provider_id", provider.into()),
        ("prefix", sent.prefix.or_default(old.prefix != 0, false).into()),
        ("credential_lifetime_seconds", lifetime.into()),
        ("access_token_signing_alg", signing.into()),
        ("scopes", sent.scopes.try_map(scopes)?.apply(old.scopes).into()),
        ("metadata", MetadataUpdate::merge(sent.metadata, old.metadata)?.into()),
    ];
    settle(place.store.update("resources", columns, place.own(), place.expected, place.now).await?, "resource")?;
    let row = find(&place, place.row()).await?;
    Ok(Json(row.show(&place.organization)))
}

/// Delete resource
#[utoipa::path(delete, path = "/zones/{zone_id}/resources/{id}", tag = "resources",
    params(("zone_id" = String, Path), ("id" = String, Path)), responses((status = 204), Refusals))]
async fn delete(place: InZone) -> Result<StatusCode, Refused> {
    let row = find(&place, place.row()).await?;
    place.customer_only(&row.owner_type)?;
    place.store.remove_resource(place.part("id")).await?;
    Ok(StatusCode::NO_CONTENT)
}

impl Row {
    /// As clients see it.
    pub(super) fn show(self, organization: &str) -> Resource {
        let scopes = self.scopes.map(|scopes| scopes.split(' ').filter(|s| !s.is_empty()).map(str::to_owned).collect());
        Resource {
            id: self.id,
            zone_id: self.zone_id,
            organization_id: organization.to_owned(),
            owner_type: self.owner_type,
            slug: self.slug,
            identifier: self.identifier,
            name: self.name,
            description: self.description,
            application_type: self.application_type,
            application_id: self.application_id,
            credential_provider_id: self.credential_provider_id,
            prefix: self.prefix != 0,
            credential_lifetime_seconds: self.credential_lifetime_seconds,
            access_token_signing_alg: self.access_token_signing_alg,
            scopes,
            metadata: json::read(self.metadata),
            when_accessing: json::read(self.when_accessing),
            application: None,
            credential_provider: None,
            created_at: Timestamp::from_millis(self.created_at),
            updated_at: Timestamp::from_millis(self.updated_at),
        }
    }
}

impl ApplicationType {
    fn as_str(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Web => "web",
        }
    }
}

async fn page(place: &InZone, query: &Query, rows: Conditions) -> Result<Json<Page<Resource>>, Refused> {
    let (conditions, window) = query.named(rows, &["application", "credential_provider"])?;
    let conditions = conditions
        .one_of("t.credential_provider_id", &query.all("credentialProviderId"))
        .one_of("t.owner_type", &query.choices("owner_type", &["platform", "customer"])?);
    let listed = place.store.list::<Row>(COLUMNS, "resources t", conditions, &window).await?;
    let owners = listed.rows.iter().map(|row| row.application_id.as_ref());
    let applications = expanded::applications(place, query, owners).await?;
    let sources = listed.rows.iter().map(|row| row.credential_provider_id.as_ref());
    let providers = expanded::providers_as(place, query.expands("credential_provider"), sources).await?;
    Ok(Json(Page::of(listed, |row| Resource {
        application: applications.of(row.application_id.as_ref()),
        credential_provider: providers.of(row.credential_provider_id.as_ref()),
        ..row.show(&place.organization)
    })))
}

async fn find(place: &InZone, conditions: Conditions) -> Result<Row, Refused> {
    let row = place.store.find::<Row>(COLUMNS, "resources t", conditions).await?;
    row.ok_or_else(|| Refused::not_found("resource"))
}

async fn refers(place: &InZone, field: &str, table: &'static str, id: Option<&str>) -> Result<(), Refused> {
    let Some(id) = id else { return Ok(()) };
    match place.store.count(table, place.rows().equals("t.id", id)).await? {
        0 => Err(Refused::bad(field, "is nothing of this zone")),
        _ => Ok(()),
    }
}

/// Anything but a zone's own addresses: a token for those is a session, or opens this API.
fn identifier(place: &InZone, sent: String) -> Result<String, Refused> {
    let own = [place.issuer.url().to_owned(), place.issuer.url_of(place.zone(), false)];
    let taken = own.iter().any(|url| {
        let rest = sent.strip_prefix(url.as_str());
        rest.is_some_and(|rest| rest.trim_end_matches('/').is_empty() || rest.starts_with("/management"))
    });
    match taken {
        true => Err(Refused::bad("identifier", "is the zone's own address")),
        false => body::identifier(sent),
    }
}

fn lifetime(seconds: i64) -> Result<i64, Refused> {
    let legal = ZONE_TOKEN_LIFETIME_MIN.as_secs()..=ZONE_TOKEN_LIFETIME_MAX.as_secs();
    match u64::try_from(seconds).is_ok_and(|seconds| legal.contains(&seconds)) {
        true => Ok(seconds),
        false => Err(Refused::bad("credential_lifetime_seconds", "must be between a minute and a day")),
    }
}

/// The default is the one that every verifier knows.
fn algorithm(chosen: Option<AccessTokenSigningAlg>) -> Algorithm {
    match chosen {
        None | Some(AccessTokenSigningAlg::Rs256) => Algorithm::Rs256,
        Some(AccessTokenSigningAlg::Es256) => Algorithm::Es256,
    }
}

fn scopes(sent: Vec<String>) -> Result<String, Refused> {
    let joined = sent.join(" ");
    let legal = Scopes::parse(&joined).is_ok() && sent.iter().all(|scope| !scope.is_empty() && !scope.contains(' '));
    if legal { Ok(joined) } else { Err(Refused::bad("scopes", "must be a list of scopes")) }
}

/// What a row is read from.
pub(super) const COLUMNS: &str = "t.id, t.zone_id, t.owner_type, t.slug, t.identifier, t.name, t.description, \
    t.application_type, t.application_id, t.credential_provider_id, t.prefix, t.credential_lifetime_seconds, \
    t.access_token_signing_alg, t.scopes, t.metadata, t.created_at, t.updated_at";
