//! An organisation's single sign-on: the external provider through which the people of its zone sign in.
//!
//! It is no thing of its own: it is the provider that the organisation's zone names in `user_identity_provider_id`,
//! whoever wrote it there. So it can't say anything else than what happens on the sign-in page.
//!
//! Never: its secret shown, or sent to another address than the one it was given for.

use std::sync::Arc;

use axum::Json;
use axum::http::StatusCode;
use serde::Deserialize;
use serde::Serialize;
use sqlx::FromRow;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::model::Timestamp;
use crate::zone::id::RowId;
use crate::zone::issuer::Issuer;
use crate::zone::management::body;
use crate::zone::management::body::Body;
use crate::zone::management::in_organization::InOrganization;
use crate::zone::management::json;
use crate::zone::management::patch::Patch;
use crate::zone::management::permissions;
use crate::zone::management::permissions::Permissions;
use crate::zone::management::provider_protocols::Protocols;
use crate::zone::management::providers;
use crate::zone::management::query::Query;
use crate::zone::management::refused::Refusals;
use crate::zone::management::refused::Refused;
use crate::zone::management::refused::settle;
use crate::zone::management::second_factor::SecondFactor;
use crate::zone::store::Conditions;
use crate::zone::store::Store;

pub(super) fn router() -> OpenApiRouter<Arc<Issuer>> {
    OpenApiRouter::new().routes(routes!(retrieve, enable, update, disable))
}

/// SSO connection configuration for an organization
#[derive(Serialize, ToSchema)]
struct SsoConnection {
    id: String,
    /// The issuer whose ID tokens say who somebody is.
    identifier: String,
    /// Who the zone is to it.
    client_id: Option<String>,
    /// Whether a client secret is configured
    client_secret_set: bool,
    protocols: Option<Protocols>,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
    /// Only with `expand[]=permissions`.
    #[serde(skip_serializing_if = "Option::is_none")]
    permissions: Option<Permissions>,
}

#[derive(FromRow)]
struct Row {
    id: String,
    identifier: String,
    client_id: Option<String>,
    client_secret_sealed: Option<String>,
    protocols: Option<String>,
    created_at: i64,
    updated_at: i64,
}

#[derive(Deserialize, ToSchema)]
#[schema(as = SsoConnectionEnable)]
struct Enable {
    /// The issuer, as a URL. Where `protocols` leave an endpoint out, its discovery document says it.
    identifier: String,
    client_id: String,
    /// Kept sealed and never shown.
    client_secret: Option<String>,
    protocols: Option<Protocols>,
}

#[derive(Deserialize, ToSchema)]
#[schema(as = SsoConnectionUpdate)]
struct Update {
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    identifier: Patch<String>,
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    client_id: Patch<String>,
    /// Must be sent again with a change of where it goes.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    client_secret: Patch<String>,
    /// Merged: a null takes a field away.
    #[serde(default)]
    #[schema(value_type = Option<Protocols>)]
    protocols: Patch<serde_json::Value>,
}

/// Get SSO connection
#[utoipa::path(get, path = "/organizations/{organization_id}/sso-connection", tag = "sso-connection",
    params(("organization_id" = String, Path), ("expand[]" = Option<Vec<String>>, Query)),
    responses((status = 200, body = SsoConnection), Refusals))]
async fn retrieve(place: InOrganization, query: Query) -> Result<Json<SsoConnection>, Refused> {
    query.expands_only(&[])?;
    let shown = permissions::asked(&place.caller, place.role, &query);
    Ok(Json(find(&zone(&place).await?).await?.show(shown)))
}

/// Enable SSO connection
///
/// From now on the people of the organization's zone sign in there. Only an administrator can, who shows a second factor
/// first.
#[utoipa::path(post, path = "/organizations/{organization_id}/sso-connection", tag = "sso-connection",
    params(("organization_id" = String, Path)), request_body = Enable,
    responses((status = 201, body = SsoConnection), Refusals))]
async fn enable(
    place: InOrganization,
    second_factor: SecondFactor,
    Body(sent): Body<Enable>,
) -> Result<(StatusCode, Json<SsoConnection>), Refused> {
    keeps_the_door(&place, &second_factor).await?;
    let zone = zone(&place).await?;
    let (id, now) = (RowId::random(), place.now.as_millis());
    let identifier = body::url("identifier", sent.identifier)?;
    let protocols = sent.protocols.map(|protocols| protocols.checked(&identifier)).transpose()?;
    let secret = sent.client_secret.map(|secret| providers::seal(&place.issuer, id.as_str(), secret)).transpose()?;
    let name = host(&identifier);
    let columns = vec![
        ("id", id.as_str().into()),
        ("zone_id", zone.zone().as_str().into()),
        ("slug", zone.free_slug("providers t", &name).await?.into()),
        ("name", name.into()),
        ("issuer", Protocols::issuer(protocols.as_ref(), &identifier).into()),
        ("identifier", identifier.into()),
        ("client_id", client_id(sent.client_id)?.into()),
        ("client_secret_sealed", secret.into()),
        ("protocols", json::write(protocols)?.into()),
        ("created_at", now.into()),
        ("updated_at", now.into()),
    ];
    if !zone.begin_to_sign_in_by(id.as_str(), columns, place.now).await? {
        return Err(Refused::conflict("The people of this organization sign in by a provider already"));
    }
    Ok((StatusCode::CREATED, Json(find(&zone).await?.show(None))))
}

/// Update SSO connection
///
/// Only an administrator can, who shows a second factor first.
#[utoipa::path(patch, path = "/organizations/{organization_id}/sso-connection", tag = "sso-connection",
    params(("organization_id" = String, Path)), request_body = Update,
    responses((status = 200, body = SsoConnection), Refusals))]
async fn update(
    place: InOrganization,
    second_factor: SecondFactor,
    Body(sent): Body<Update>,
) -> Result<Json<SsoConnection>, Refused> {
    keeps_the_door(&place, &second_factor).await?;
    let zone = zone(&place).await?;
    let old = find(&zone).await?;
    let identifier = body::url("identifier", sent.identifier.required("identifier", old.identifier.clone())?)?;
    let protocols = merged(sent.protocols, &old, &identifier)?;
    let former = providers::goes_to(json::read(old.protocols).as_ref(), &old.identifier);
    let moves = former != providers::goes_to(protocols.as_ref(), &identifier);
    let sealed = old.client_secret_sealed;
    let secret = providers::changed_secret(&place.issuer, &old.id, sent.client_secret, sealed, moves)?;
    let own = Conditions::default().equals("zone_id", zone.zone().as_str()).equals("id", &old.id);
    let known_as = sent.client_id.required("client_id", old.client_id.unwrap_or_default())?;
    let columns = vec![
        ("issuer", Protocols::issuer(protocols.as_ref(), &identifier).into()),
        ("identifier", identifier.into()),
        ("client_id", client_id(known_as)?.into()),
        ("client_secret_sealed", secret.into()),
        ("protocols", json::write(protocols)?.into()),
    ];
    // INVARIANT: what was looked at above is what is changed, or a secret could go where it was not meant to.
    settle(zone.update("providers", columns, own, Some(old.updated_at), place.now).await?, WHAT)?;
    Ok(Json(find(&zone).await?.show(None)))
}

/// Disable SSO connection
///
/// From now on people sign in at the zone itself. The provider goes too, unless resources or credentials use it. Only an
/// administrator can, who shows a second factor first.
#[utoipa::path(delete, path = "/organizations/{organization_id}/sso-connection", tag = "sso-connection",
    params(("organization_id" = String, Path)), responses((status = 204), Refusals))]
async fn disable(place: InOrganization, second_factor: SecondFactor) -> Result<StatusCode, Refused> {
    keeps_the_door(&place, &second_factor).await?;
    let zone = zone(&place).await?;
    let provider = find(&zone).await?.id;
    settle(zone.cease_to_sign_in_by(&provider, place.now).await?, WHAT)?;
    Ok(StatusCode::NO_CONTENT)
}

impl Row {
    fn show(self, permissions: Option<Permissions>) -> SsoConnection {
        SsoConnection {
            id: self.id,
            identifier: self.identifier,
            client_id: self.client_id,
            client_secret_set: self.client_secret_sealed.is_some(),
            protocols: json::read(self.protocols),
            created_at: Timestamp::from_millis(self.created_at),
            updated_at: Timestamp::from_millis(self.updated_at),
            permissions,
        }
    }
}

/// How people sign in only an administrator says, who shows a second factor first: whoever says it can be anybody.
async fn keeps_the_door(place: &InOrganization, second_factor: &SecondFactor) -> Result<(), Refused> {
    second_factor.require()?;
    match place.caller.administers(&place.issuer, place.id()).await? {
        true => Ok(()),
        false => Err(Refused::forbidden("Only an administrator can change how people sign in")),
    }
}

/// The zone that the organisation's people sign in to.
async fn zone(place: &InOrganization) -> Result<Store, Refused> {
    let zone = place.issuer.store.zone_of_organization(place.id()).await?;
    Ok(place.issuer.store.of(zone.ok_or_else(|| Refused::not_found("zone of this organization"))?))
}

async fn find(zone: &Store) -> Result<Row, Refused> {
    let conditions = Conditions::default().equals("z.id", zone.zone().as_str()).equals("t.owner_type", "customer");
    let row = zone.find::<Row>(COLUMNS, TABLES, conditions).await?;
    row.ok_or_else(|| Refused::not_found(WHAT))
}

/// The protocols after a change. The issuer follows the identifier, unless it is said anew.
fn merged(sent: Patch<serde_json::Value>, old: &Row, identifier: &str) -> Result<Option<Protocols>, Refused> {
    let mut before = old.protocols.clone();
    if identifier != old.identifier {
        let forget = serde_json::json!({"oauth2": {"issuer": null}});
        before = before.map(|before| json::merged(Patch::Set(forget), Some(before))).transpose()?.flatten();
    }
    let merged: Option<serde_json::Value> = json::read(json::merged(sent, before)?);
    let protocols = merged.map(serde_json::from_value::<Protocols>).transpose();
    let protocols = protocols.map_err(|error| Refused::body(format!("`protocols` is off: {error}")))?;
    protocols.map(|protocols| protocols.checked(identifier)).transpose()
}

fn client_id(sent: String) -> Result<String, Refused> {
    body::text("client_id", sent, 1..=2048)
}

/// What people read on the sign-in page.
fn host(identifier: &str) -> String {
    let uri: Option<axum::http::Uri> = identifier.parse().ok();
    uri.and_then(|uri| uri.host().map(str::to_owned)).unwrap_or_else(|| WHAT.to_owned())
}

const WHAT: &str = "SSO connection";

const TABLES: &str = "zones z JOIN providers t ON t.id = z.user_identity_provider_id AND t.zone_id = z.id";

const COLUMNS: &str =
    "t.id, t.identifier, t.client_id, t.client_secret_sealed, t.protocols, t.created_at, t.updated_at";
