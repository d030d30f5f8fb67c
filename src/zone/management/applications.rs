//! Applications: software that asks for tokens.

use std::sync::Arc;

use axum::Json;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use serde::Deserialize;
use serde::Serialize;
use sqlx::FromRow;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::model::Timestamp;
use crate::zone::id::ApplicationId;
use crate::zone::issuer::Issuer;
use crate::zone::management::body;
use crate::zone::management::body::Body;
use crate::zone::management::in_zone::InZone;
use crate::zone::management::in_zone::tag;
use crate::zone::management::json;
use crate::zone::management::metadata::Metadata;
use crate::zone::management::metadata::MetadataUpdate;
use crate::zone::management::page::Page;
use crate::zone::management::patch::Patch;
use crate::zone::management::query::Paging;
use crate::zone::management::query::Query;
use crate::zone::management::redirect_uri;
use crate::zone::management::refused::Refusals;
use crate::zone::management::refused::Refused;
use crate::zone::management::refused::settle;
use crate::zone::store::Conditions;
use crate::zone::store::Order;

pub(super) fn router() -> OpenApiRouter<Arc<Issuer>> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(retrieve, update, delete))
}

/// An Application is a software system with an associated identity that can access Resources. It may act on its own
/// behalf (machine-to-machine) or on behalf of a user (delegated access).
#[derive(Serialize, ToSchema)]
pub(super) struct Application {
    id: String,
    zone_id: String,
    organization_id: String,
    owner_type: String,
    slug: String,
    identifier: String,
    name: String,
    description: Option<String>,
    consent: String,
    metadata: Option<Metadata>,
    protocols: Option<Protocols>,
    traits: Option<Vec<Trait>>,
    dependencies_count: i64,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
}

/// Protocol-specific configuration
#[derive(Serialize, Deserialize, ToSchema)]
#[schema(as = ApplicationProtocols)]
struct Protocols {
    oauth2: Option<Oauth2>,
}

/// OAuth 2.0 protocol configuration
#[derive(Serialize, Deserialize, ToSchema)]
#[schema(as = ApplicationProtocolsOauth2)]
struct Oauth2 {
    redirect_uris: Option<Vec<String>>,
    post_logout_redirect_uris: Option<Vec<String>>,
}

/// Traits ascribe behaviors and characteristics to an application
#[derive(Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
enum Trait {
    Gateway,
    McpProvider,
}

/// Whether the user is asked.
#[derive(Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Consent {
    Implicit,
    #[default]
    Required,
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
    consent: String,
    metadata: Option<String>,
    redirect_uris: Option<String>,
    post_logout_redirect_uris: Option<String>,
    traits: Option<String>,
    dependencies_count: i64,
    created_at: i64,
    updated_at: i64,
}

#[derive(Deserialize, ToSchema)]
#[schema(as = ApplicationCreate)]
struct Create {
    identifier: String,
    name: String,
    description: Option<String>,
    consent: Option<Consent>,
    metadata: Option<Metadata>,
    protocols: Option<Protocols>,
    traits: Option<Vec<Trait>>,
}

#[derive(Deserialize, ToSchema)]
#[schema(as = ApplicationUpdate)]
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
    #[schema(value_type = Option<Consent>)]
    consent: Patch<Consent>,
    #[serde(default)]
    #[schema(value_type = Option<MetadataUpdate>)]
    metadata: Patch<MetadataUpdate>,
    #[serde(default)]
    #[schema(value_type = Option<ProtocolsUpdate>)]
    protocols: Patch<ProtocolsUpdate>,
    #[serde(default)]
    #[schema(value_type = Option<Vec<Trait>>)]
    traits: Patch<Vec<Trait>>,
}

#[derive(Deserialize, ToSchema)]
#[schema(as = ApplicationProtocolsUpdate)]
struct ProtocolsUpdate {
    #[serde(default)]
    #[schema(value_type = Option<Oauth2Update>)]
    oauth2: Patch<Oauth2Update>,
}

#[derive(Deserialize, ToSchema)]
#[schema(as = ApplicationProtocolsOauth2Update)]
struct Oauth2Update {
    #[serde(default)]
    #[schema(value_type = Option<Vec<String>>)]
    redirect_uris: Patch<Vec<String>>,
    #[serde(default)]
    #[schema(value_type = Option<Vec<String>>)]
    post_logout_redirect_uris: Patch<Vec<String>>,
}

/// List applications
#[utoipa::path(get, path = "/zones/{zone_id}/applications", tag = "applications", params(
    Paging,
    ("zone_id" = String, Path),
    ("identifier" = Option<String>, Query), ("slug" = Option<String>, Query),
    ("filter[id]" = Option<Vec<String>>, Query), ("filter[identifier]" = Option<Vec<String>>, Query),
    ("filter[slug]" = Option<Vec<String>>, Query), ("query[]" = Option<Vec<String>>, Query),
    ("query[name]" = Option<Vec<String>>, Query), ("query[identifier]" = Option<Vec<String>>, Query),
    ("sort" = Option<String>, Query, description = "`created_at`, `updated_at`, `name` or `identifier`"),
), responses((status = 200, body = Page<Application>), Refusals))]
async fn list(place: InZone, query: Query) -> Result<Json<Page<Application>>, Refused> {
    let (conditions, window) = query.named(place.rows(), &[])?;
    let listed = place.store.list::<Row>(COLUMNS, "applications t", conditions, &window).await?;
    Ok(Json(Page::of(listed, |row| row.show(&place.organization))))
}

/// Create application
#[utoipa::path(post, path = "/zones/{zone_id}/applications", tag = "applications",
    params(("zone_id" = String, Path)), request_body = Create,
    responses((status = 200, body = Application), Refusals))]
async fn create(place: InZone, Body(sent): Body<Create>) -> Result<Json<Application>, Refused> {
    let (id, now) = (ApplicationId::random(), place.now.as_millis());
    let name = body::name(sent.name)?;
    let oauth2 = sent.protocols.and_then(|protocols| protocols.oauth2);
    let (redirect_uris, post_logout) =
        oauth2.map_or((None, None), |oauth2| (oauth2.redirect_uris, oauth2.post_logout_redirect_uris));
    let columns = vec![
        ("id", id.as_str().into()),
        ("zone_id", place.zone().into()),
        ("kind", "software".into()),
        ("slug", place.store.free_slug("applications t", &name).await?.into()),
        ("name", name.into()),
        ("identifier", body::identifier(sent.identifier)?.into()),
        ("description", body::description(sent.description)?.into()),
        ("consent", sent.consent.unwrap_or_default().as_str().into()),
        ("metadata", json::write(sent.metadata.map(Metadata::checked).transpose()?)?.into()),
        ("redirect_uris", json::write(redirect_uris.map(redirect_uri::checked).transpose()?)?.into()),
        ("post_logout_redirect_uris", json::write(post_logout.map(redirect_uri::checked).transpose()?)?.into()),
        ("traits", json::write(sent.traits)?.into()),
        ("created_at", now.into()),
        ("updated_at", now.into()),
    ];
    place.store.insert("applications", columns).await?;
    let row = find(&place, place.rows().equals("t.id", id.as_str())).await?;
    Ok(Json(row.show(&place.organization)))
}

/// Get application
#[utoipa::path(get, path = "/zones/{zone_id}/applications/{id}", tag = "applications",
    params(("zone_id" = String, Path), ("id" = String, Path), ("expand[]" = Option<Vec<String>>, Query)),
    responses((status = 200, body = Application), Refusals))]
async fn retrieve(place: InZone) -> Result<impl IntoResponse, Refused> {
    let row = find(&place, place.row()).await?;
    Ok((tag(row.updated_at), Json(row.show(&place.organization))))
}

/// Update application
#[utoipa::path(patch, path = "/zones/{zone_id}/applications/{id}", tag = "applications",
    params(("zone_id" = String, Path), ("id" = String, Path)), request_body = Update,
    responses((status = 200, body = Application), Refusals))]
async fn update(place: InZone, Body(sent): Body<Update>) -> Result<Json<Application>, Refused> {
    let old = find(&place, place.row()).await?;
    place.customer_only(&old.owner_type)?;
    let consent = match sent.consent {
        Patch::Keep => old.consent,
        Patch::Clear => Consent::Required.as_str().to_owned(),
        Patch::Set(consent) => consent.as_str().to_owned(),
    };
    let (redirect_uris, post_logout) = match sent.protocols {
        Patch::Keep => (old.redirect_uris, old.post_logout_redirect_uris),
        Patch::Clear | Patch::Set(ProtocolsUpdate { oauth2: Patch::Clear }) => (None, None),
        Patch::Set(ProtocolsUpdate { oauth2: Patch::Keep }) => (old.redirect_uris, old.post_logout_redirect_uris),
        Patch::Set(ProtocolsUpdate { oauth2: Patch::Set(oauth2) }) => (
            json::patched(oauth2.redirect_uris.try_map(redirect_uri::checked)?, old.redirect_uris)?,
            json::patched(
                oauth2.post_logout_redirect_uris.try_map(redirect_uri::checked)?,
                old.post_logout_redirect_uris,
            )?,
        ),
    };
    let columns = vec![
        ("identifier", body::identifier(sent.identifier.required("identifier", old.identifier)?)?.into()),
        ("name", body::name(sent.name.required("name", old.name)?)?.into()),
        ("description", body::description(sent.description.apply(old.description))?.into()),
        ("consent", consent.into()),
        ("metadata", MetadataUpdate::merge(sent.metadata, old.metadata)?.into()),
        ("redirect_uris", redirect_uris.into()),
        ("post_logout_redirect_uris", post_logout.into()),
        ("traits", json::patched(sent.traits, old.traits)?.into()),
    ];
    let change = place.store.update("applications", columns, place.own(), place.expected, place.now).await?;
    settle(change, "application")?;
    let row = find(&place, place.row()).await?;
    Ok(Json(row.show(&place.organization)))
}

/// Delete application
#[utoipa::path(delete, path = "/zones/{zone_id}/applications/{id}", tag = "applications",
    params(("zone_id" = String, Path), ("id" = String, Path)), responses((status = 204), Refusals))]
async fn delete(place: InZone) -> Result<StatusCode, Refused> {
    let row = find(&place, place.row()).await?;
    place.customer_only(&row.owner_type)?;
    settle(place.store.remove("applications", place.own()).await?, "application")?;
    Ok(StatusCode::NO_CONTENT)
}

/// The application of the path.
pub(super) async fn find(place: &InZone, conditions: Conditions) -> Result<Row, Refused> {
    let row = place.store.find::<Row>(COLUMNS, "applications t", conditions).await?;
    row.ok_or_else(|| Refused::not_found("application"))
}

impl Row {
    /// As clients see it.
    pub(super) fn show(self, organization: &str) -> Application {
        let (redirect_uris, post_logout_redirect_uris) =
            (json::read(self.redirect_uris), json::read(self.post_logout_redirect_uris));
        let oauth2 = (redirect_uris.is_some() || post_logout_redirect_uris.is_some())
            .then_some(Oauth2 { redirect_uris, post_logout_redirect_uris });
        Application {
            id: self.id,
            zone_id: self.zone_id,
            organization_id: organization.to_owned(),
            owner_type: self.owner_type,
            slug: self.slug,
            identifier: self.identifier,
            name: self.name,
            description: self.description,
            consent: self.consent,
            metadata: json::read(self.metadata),
            protocols: oauth2.map(|oauth2| Protocols { oauth2: Some(oauth2) }),
            traits: json::read(self.traits),
            dependencies_count: self.dependencies_count,
            created_at: Timestamp::from_millis(self.created_at),
            updated_at: Timestamp::from_millis(self.updated_at),
        }
    }
}

impl Consent {
    fn as_str(self) -> &'static str {
        match self {
            Self::Implicit => "implicit",
            Self::Required => "required",
        }
    }
}

impl Query {
    /// The filters, searches and orders of things that have id, slug, identifier and name.
    pub(super) fn named(
        &self,
        rows: Conditions,
        expandable: &[&str],
    ) -> Result<(Conditions, crate::zone::store::Window), Refused> {
        self.knows(&["id", "identifier", "slug", "type", "owner_type", "traits"], &["name", "identifier"])?;
        self.expands_only(expandable)?;
        let conditions = rows
            .one_of("t.id", &self.filter("id"))
            .one_of("t.identifier", &self.filter("identifier"))
            .one_of("t.slug", &self.filter("slug"))
            .contain(&["t.name", "t.identifier"], &self.words(""))
            .contain(&["t.name"], &self.words("name"))
            .contain(&["t.identifier"], &self.words("identifier"));
        let orders = [
            ("created_at", Order::Created),
            ("updated_at", Order::Updated),
            ("name", Order::Name),
            ("identifier", Order::Identifier),
        ];
        Ok((conditions, self.window(&orders)?))
    }
}

/// Those of [`Row`].
pub(super) const COLUMNS: &str = "t.id, t.zone_id, t.owner_type, t.slug, t.identifier, t.name, t.description, t.consent, \
    t.metadata, t.redirect_uris, t.post_logout_redirect_uris, t.traits, t.dependencies_count, t.created_at, \
    t.updated_at";
