//! Providers: who else vouches for users and applications, or hands out credentials for resources.

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

use crate::model::Secret;
use crate::model::Timestamp;
use crate::zone::id::RowId;
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
use crate::zone::management::provider_protocols::Protocols;
use crate::zone::management::query::Paging;
use crate::zone::management::query::Query;
use crate::zone::management::refused::Refusals;
use crate::zone::management::refused::Refused;
use crate::zone::management::refused::settle;
use crate::zone::management::second_factor::SecondFactor;
use crate::zone::store::Conditions;

pub(super) fn router() -> OpenApiRouter<Arc<Issuer>> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(retrieve, update, delete))
}

/// A Provider is a system that supplies access to Resources and allows actors (Users or Applications) to authenticate.
#[derive(Serialize, ToSchema)]
pub(super) struct Provider {
    id: String,
    zone_id: String,
    organization_id: String,
    owner_type: String,
    slug: String,
    identifier: String,
    name: String,
    description: Option<String>,
    /// `external`, `keycard-vault` or `keycard-sts`
    r#type: String,
    client_id: Option<String>,
    /// Indicates whether a client secret is configured
    client_secret_set: bool,
    metadata: Option<Metadata>,
    protocols: Option<Protocols>,
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
    r#type: String,
    client_id: Option<String>,
    client_secret_sealed: Option<String>,
    metadata: Option<String>,
    protocols: Option<String>,
    created_at: i64,
    updated_at: i64,
}

#[derive(Deserialize, ToSchema)]
#[schema(as = ProviderCreate)]
struct Create {
    identifier: String,
    name: String,
    description: Option<String>,
    client_id: Option<String>,
    /// Kept sealed and never shown.
    client_secret: Option<String>,
    metadata: Option<Metadata>,
    protocols: Option<Protocols>,
}

#[derive(Deserialize, ToSchema)]
#[schema(as = ProviderUpdate)]
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
    #[schema(value_type = Option<String>)]
    client_id: Patch<String>,
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    client_secret: Patch<String>,
    #[serde(default)]
    #[schema(value_type = Option<MetadataUpdate>)]
    metadata: Patch<MetadataUpdate>,
    /// Merged: a null takes a field away.
    #[serde(default)]
    #[schema(value_type = Option<Protocols>)]
    protocols: Patch<serde_json::Value>,
}

/// List providers
#[utoipa::path(get, path = "/zones/{zone_id}/providers", tag = "providers", params(
    Paging, ("zone_id" = String, Path),
    ("identifier" = Option<String>, Query), ("slug" = Option<String>, Query), ("type" = Option<String>, Query),
    ("filter[id]" = Option<Vec<String>>, Query), ("filter[identifier]" = Option<Vec<String>>, Query),
    ("filter[slug]" = Option<Vec<String>>, Query), ("filter[type]" = Option<Vec<String>>, Query),
    ("query[]" = Option<Vec<String>>, Query), ("query[name]" = Option<Vec<String>>, Query),
    ("query[identifier]" = Option<Vec<String>>, Query), ("sort" = Option<String>, Query),
), responses((status = 200, body = Page<Provider>), Refusals))]
async fn list(place: InZone, query: Query) -> Result<Json<Page<Provider>>, Refused> {
    let (conditions, window) = query.named(place.rows(), &[])?;
    let types = query.choices("type", &["external", "keycard-vault", "keycard-sts"])?;
    let conditions = conditions.one_of("t.type", &types);
    let listed = place.store.list::<Row>(COLUMNS, "providers t", conditions, &window).await?;
    Ok(Json(Page::of(listed, |row| row.show(&place.organization))))
}

/// Create provider
#[utoipa::path(post, path = "/zones/{zone_id}/providers", tag = "providers",
    params(("zone_id" = String, Path)), request_body = Create,
    responses((status = 200, body = Provider), Refusals))]
async fn create(place: InZone, Body(sent): Body<Create>) -> Result<Json<Provider>, Refused> {
    let (id, now) = (RowId::random(), place.now.as_millis());
    let name = body::name(sent.name)?;
    let identifier = body::identifier(sent.identifier)?;
    let protocols = sent.protocols.map(|protocols| protocols.checked(&identifier)).transpose()?;
    let secret = sent.client_secret.map(|secret| seal(&place.issuer, id.as_str(), secret)).transpose()?;
    let columns = vec![
        ("id", id.as_str().into()),
        ("zone_id", place.zone().into()),
        ("slug", place.store.free_slug("providers t", &name).await?.into()),
        ("name", name.into()),
        ("issuer", Protocols::issuer(protocols.as_ref(), &identifier).into()),
        ("identifier", identifier.into()),
        ("description", body::description(sent.description)?.into()),
        ("client_id", sent.client_id.into()),
        ("client_secret_sealed", secret.into()),
        ("metadata", json::write(sent.metadata.map(Metadata::checked).transpose()?)?.into()),
        ("protocols", json::write(protocols)?.into()),
        ("created_at", now.into()),
        ("updated_at", now.into()),
    ];
    place.store.insert("providers", columns).await?;
    let row = find(&place, place.rows().equals("t.id", id.as_str())).await?;
    Ok(Json(row.show(&place.organization)))
}

/// Get provider
#[utoipa::path(get, path = "/zones/{zone_id}/providers/{id}", tag = "providers",
    params(("zone_id" = String, Path), ("id" = String, Path)), responses((status = 200, body = Provider), Refusals))]
async fn retrieve(place: InZone) -> Result<impl IntoResponse, Refused> {
    let row = find(&place, place.row()).await?;
    Ok((tag(row.updated_at), Json(row.show(&place.organization))))
}

/// Update provider
///
/// Of the provider by which administrators sign in only an administrator, who shows a second factor first. Where the
/// issuer or the token endpoint changes, the client secret is sent again or cleared: it went to another address.
#[utoipa::path(patch, path = "/zones/{zone_id}/providers/{id}", tag = "providers",
    params(("zone_id" = String, Path), ("id" = String, Path)), request_body = Update,
    responses((status = 200, body = Provider), Refusals))]
async fn update(
    place: InZone,
    second_factor: SecondFactor,
    Body(sent): Body<Update>,
) -> Result<Json<Provider>, Refused> {
    let old = find(&place, place.row()).await?;
    place.customer_only(&old.owner_type)?;
    if place.store.sign_in_provider().await?.is_some_and(|provider| provider.id == old.id) {
        place.keeps_the_door(&second_factor).await?;
    }
    let former = old.secret_goes_to();
    let identifier = body::identifier(sent.identifier.required("identifier", old.identifier)?)?;
    let merged: Option<serde_json::Value> = json::read(json::merged(sent.protocols, old.protocols)?);
    let protocols = merged.map(serde_json::from_value::<Protocols>).transpose();
    let protocols = protocols.map_err(|error| Refused::body(format!("`protocols` is off: {error}")))?;
    let protocols = protocols.map(|protocols| protocols.checked(&identifier)).transpose()?;
    let moves = former != goes_to(protocols.as_ref(), &identifier);
    let secret = changed_secret(&place.issuer, &old.id, sent.client_secret, old.client_secret_sealed, moves)?;
    let columns = vec![
        ("issuer", Protocols::issuer(protocols.as_ref(), &identifier).into()),
        ("identifier", identifier.into()),
        ("name", body::name(sent.name.required("name", old.name)?)?.into()),
        ("description", body::description(sent.description.apply(old.description))?.into()),
        ("client_id", sent.client_id.apply(old.client_id).into()),
        ("client_secret_sealed", secret.into()),
        ("metadata", MetadataUpdate::merge(sent.metadata, old.metadata)?.into()),
        ("protocols", json::write(protocols)?.into()),
    ];
    settle(place.store.update("providers", columns, place.own(), place.expected, place.now).await?, "provider")?;
    let row = find(&place, place.row()).await?;
    Ok(Json(row.show(&place.organization)))
}

/// Delete provider
///
/// The provider by which administrators sign in only an administrator, who shows a second factor first.
#[utoipa::path(delete, path = "/zones/{zone_id}/providers/{id}", tag = "providers",
    params(("zone_id" = String, Path), ("id" = String, Path)), responses((status = 204), Refusals))]
async fn delete(place: InZone, second_factor: SecondFactor) -> Result<StatusCode, Refused> {
    let row = find(&place, place.row()).await?;
    place.customer_only(&row.owner_type)?;
    if place.store.sign_in_provider().await?.is_some_and(|provider| provider.id == row.id) {
        place.keeps_the_door(&second_factor).await?;
    }
    settle(place.store.remove_provider(&row.id, place.now).await?, "provider")?;
    Ok(StatusCode::NO_CONTENT)
}

impl Row {
    /// Where the secret has been going.
    fn secret_goes_to(&self) -> SecretGoesTo {
        goes_to(json::read(self.protocols.clone()).as_ref(), &self.identifier)
    }

    /// As clients see it, without its secret.
    pub(super) fn show(self, organization: &str) -> Provider {
        Provider {
            id: self.id,
            zone_id: self.zone_id,
            organization_id: organization.to_owned(),
            owner_type: self.owner_type,
            slug: self.slug,
            identifier: self.identifier,
            name: self.name,
            description: self.description,
            r#type: self.r#type,
            client_id: self.client_id,
            client_secret_set: self.client_secret_sealed.is_some(),
            metadata: json::read(self.metadata),
            protocols: json::read(self.protocols),
            created_at: Timestamp::from_millis(self.created_at),
            updated_at: Timestamp::from_millis(self.updated_at),
        }
    }
}

/// The issuer, whose metadata name the token endpoint, and the token endpoint where it is named here.
pub(super) type SecretGoesTo = (Option<String>, Option<String>);

pub(super) fn goes_to(protocols: Option<&Protocols>, identifier: &str) -> SecretGoesTo {
    (Protocols::issuer(protocols, identifier), Protocols::token_endpoint(protocols).map(str::to_owned))
}

/// A client secret, for the row of the provider `id` alone.
pub(super) fn seal(issuer: &Issuer, id: &str, secret: String) -> Result<String, Refused> {
    let secret = Secret::new(body::text("client_secret", secret, 1..=4096)?);
    Ok(issuer.keyring.seal().seal(&format!("providers/{id}"), &secret)?)
}

/// The sealed client secret of the provider `id` after a change. One that is kept while what it is sent to `moves` is
/// refused: who does not know it must not have it sent to a host of their own.
pub(super) fn changed_secret(
    issuer: &Issuer,
    id: &str,
    sent: Patch<String>,
    sealed: Option<String>,
    moves: bool,
) -> Result<Option<String>, Refused> {
    match (sent, sealed) {
        (Patch::Keep, Some(_)) if moves => {
            Err(Refused::bad("client_secret", "must be sent again: it would go to another address"))
        }
        (Patch::Keep, sealed) => Ok(sealed),
        (Patch::Clear, _) => Ok(None),
        (Patch::Set(secret), _) => seal(issuer, id, secret).map(Some),
    }
}

async fn find(place: &InZone, conditions: Conditions) -> Result<Row, Refused> {
    let row = place.store.find::<Row>(COLUMNS, "providers t", conditions).await?;
    row.ok_or_else(|| Refused::not_found("provider"))
}

pub(super) const COLUMNS: &str = "t.id, t.zone_id, t.owner_type, t.slug, t.identifier, t.name, t.description, t.type, \
    t.client_id, t.client_secret_sealed, t.metadata, t.protocols, t.created_at, t.updated_at";
