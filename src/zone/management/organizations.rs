//! Organisations: who zones belong to.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use serde::Serialize;
use sqlx::FromRow;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::model::Timestamp;
use crate::zone::issuer::Issuer;
use crate::zone::management::body;
use crate::zone::management::body::Body;
use crate::zone::management::caller::Access;
use crate::zone::management::caller::Caller;
use crate::zone::management::caller::Role;
use crate::zone::management::in_organization::InOrganization;
use crate::zone::management::page::Page;
use crate::zone::management::permissions;
use crate::zone::management::permissions::Permissions;
use crate::zone::management::query::Paging;
use crate::zone::management::query::Query;
use crate::zone::management::refused::Refusals;
use crate::zone::management::refused::Refused;
use crate::zone::management::refused::settle;
use crate::zone::store::Conditions;
use crate::zone::store::Order;

pub(super) fn router() -> OpenApiRouter<Arc<Issuer>> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(retrieve, update))
}

#[derive(Serialize, ToSchema)]
struct Organization {
    id: String,
    name: String,
    /// Its name in URLs.
    label: String,
    /// Whether its people sign in by a provider elsewhere.
    sso_enabled: bool,
    /// The zone that its users sign in to.
    zone_id: String,
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
    name: String,
    label: String,
    zone_id: Option<String>,
    sso_enabled: i64,
    created_at: i64,
    updated_at: i64,
}

/// An organisation's name.
#[derive(Deserialize, ToSchema)]
struct OrganizationName {
    name: String,
}

/// List organizations
#[utoipa::path(get, path = "/organizations", tag = "organizations", params(Paging),
    responses((status = 200, body = Page<Organization>), Refusals))]
async fn list(
    State(issuer): State<Arc<Issuer>>,
    caller: Caller,
    query: Query,
) -> Result<Json<Page<Organization>>, Refused> {
    query.knows(&[], &[])?;
    query.expands_only(&[])?;
    if !caller.may("organizations", Access::Read) {
        return Err(Refused::forbidden("The token's scopes do not allow this"));
    }
    let window = query.window(&[("created_at", Order::Created)])?;
    let (from, conditions) = match &caller {
        Caller::Token { organization, .. } | Caller::ServiceAccount { organization, .. } => {
            ("organizations t", Conditions::default().equals("t.id", organization))
        }
        Caller::User { id } => (
            "organization_members m JOIN organizations t ON t.id = m.organization_id",
            Conditions::default().equals("m.user_id", id),
        ),
    };
    let listed = issuer.store.list::<Row>(COLUMNS, from, conditions, &window).await?;
    let shown = permissions::asked(&caller, Role::Manager, &query);
    Ok(Json(Page::of(listed, |row| row.show(shown.clone())).with_permissions(shown.clone())))
}

/// Create organization
#[utoipa::path(post, path = "/organizations", tag = "organizations", request_body = OrganizationName,
    responses((status = 200, body = Organization), Refusals))]
async fn create(
    State(issuer): State<Arc<Issuer>>,
    caller: Caller,
    Body(sent): Body<OrganizationName>,
) -> Result<Json<Organization>, Refused> {
    // A token belongs to one organisation, and could not use another.
    let Caller::User { id } = &caller else {
        return Err(Refused::forbidden("Only a signed-in user can make an organization"));
    };
    let home = issuer.store.home_organization().await?;
    if caller.role_in_organization(&issuer, &home).await? != Some(Role::Manager) {
        return Err(Refused::forbidden("Only an administrator can make an organization"));
    }
    let name = body::name(sent.name)?;
    let keys = issuer.keyring.first_keys().await?;
    let organization = issuer.store.make_organization(&name, id, &keys, issuer.clock.now()).await?;
    Ok(Json(find(&issuer, &organization).await?.show(None)))
}

/// Get organization
#[utoipa::path(get, path = "/organizations/{organization_id}", tag = "organizations", params(
    ("organization_id" = String, Path), ("expand[]" = Option<Vec<String>>, Query)),
    responses((status = 200, body = Organization), Refusals))]
async fn retrieve(place: InOrganization, query: Query) -> Result<Json<Organization>, Refused> {
    query.expands_only(&[])?;
    let shown = permissions::asked(&place.caller, place.role, &query);
    Ok(Json(find(&place.issuer, place.id()).await?.show(shown)))
}

/// Update organization
#[utoipa::path(patch, path = "/organizations/{organization_id}", tag = "organizations",
    params(("organization_id" = String, Path)), request_body = OrganizationName,
    responses((status = 200, body = Organization), Refusals))]
async fn update(place: InOrganization, Body(sent): Body<OrganizationName>) -> Result<Json<Organization>, Refused> {
    let columns = vec![("name", body::name(sent.name)?.into())];
    let own = Conditions::default().equals("id", place.id());
    settle(place.issuer.store.update("organizations", columns, own, None, place.now).await?, "organization")?;
    Ok(Json(find(&place.issuer, place.id()).await?.show(None)))
}

impl Row {
    fn show(self, permissions: Option<Permissions>) -> Organization {
        Organization {
            id: self.id,
            name: self.name,
            label: self.label,
            sso_enabled: self.sso_enabled != 0,
            zone_id: self.zone_id.unwrap_or_default(),
            created_at: Timestamp::from_millis(self.created_at),
            updated_at: Timestamp::from_millis(self.updated_at),
            permissions,
        }
    }
}

async fn find(issuer: &Issuer, id: &str) -> Result<Row, Refused> {
    let row = issuer.store.find::<Row>(COLUMNS, "organizations t", Conditions::default().equals("t.id", id)).await?;
    row.ok_or_else(|| Refused::not_found("organization"))
}

const COLUMNS: &str = "t.id, t.name, t.label, t.created_at, t.updated_at, \
    (SELECT z.id FROM zones z WHERE z.organization_id = t.id ORDER BY z.created_at, z.id LIMIT 1) AS zone_id, \
    (SELECT count(*) FROM providers p JOIN zones z ON p.id = z.user_identity_provider_id AND p.zone_id = z.id \
     WHERE p.owner_type = 'customer' AND z.id = (SELECT f.id FROM zones f WHERE f.organization_id = t.id \
     ORDER BY f.created_at, f.id LIMIT 1)) AS sso_enabled";
