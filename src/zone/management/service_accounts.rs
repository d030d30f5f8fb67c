//! Service accounts: programs of an organisation, and the client credentials by which they get a token.

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
use crate::zone::management::page::Page;
use crate::zone::management::patch::Patch;
use crate::zone::management::permissions;
use crate::zone::management::permissions::Permitted;
use crate::zone::management::query::Paging;
use crate::zone::management::query::Query;
use crate::zone::management::refused::Refusals;
use crate::zone::management::refused::Refused;
use crate::zone::management::refused::settle;
use crate::zone::store::Conditions;
use crate::zone::store::Order;

pub(super) fn router() -> OpenApiRouter<Arc<Issuer>> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(retrieve, update, delete))
}

#[derive(Serialize, ToSchema)]
struct ServiceAccount {
    id: String,
    name: String,
    description: Option<String>,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
}

#[derive(FromRow)]
struct Row {
    id: String,
    name: String,
    description: Option<String>,
    created_at: i64,
    updated_at: i64,
}

/// What people call it.
#[derive(Deserialize, ToSchema)]
pub(super) struct Named {
    pub(super) name: String,
    pub(super) description: Option<String>,
}

/// What people call it from now on.
#[derive(Deserialize, ToSchema)]
pub(super) struct Renamed {
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub(super) name: Patch<String>,
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub(super) description: Patch<String>,
}

/// List service accounts
#[utoipa::path(get, path = "/organizations/{organization_id}/service-accounts", tag = "service-accounts",
    params(Paging, ("organization_id" = String, Path)),
    responses((status = 200, body = Page<Permitted<ServiceAccount>>), Refusals))]
async fn list(place: InOrganization, query: Query) -> Result<Json<Page<Permitted<ServiceAccount>>>, Refused> {
    query.knows(&[], &[])?;
    query.expands_only(&[])?;
    let window = query.window(&[("created_at", Order::Created)])?;
    let listed = place.issuer.store.list::<Row>(COLUMNS, TABLE, place.rows(), &window).await?;
    let shown = permissions::asked(&place.caller, place.role, &query);
    Ok(Json(Page::of(listed, |row| Permitted::new(row.show(), &shown)).with_permissions(shown.clone())))
}

/// Create service account
#[utoipa::path(post, path = "/organizations/{organization_id}/service-accounts", tag = "service-accounts",
    params(("organization_id" = String, Path)), request_body = Named,
    responses((status = 200, body = ServiceAccount), Refusals))]
async fn create(place: InOrganization, Body(sent): Body<Named>) -> Result<Json<ServiceAccount>, Refused> {
    let (id, now) = (RowId::random(), place.now.as_millis());
    let columns = vec![
        ("id", id.as_str().into()),
        ("organization_id", place.id().into()),
        ("name", body::name(sent.name)?.into()),
        ("description", body::description(sent.description)?.into()),
        ("created_at", now.into()),
        ("updated_at", now.into()),
    ];
    place.issuer.store.insert("service_accounts", columns).await?;
    Ok(Json(find(&place, id.as_str()).await?.show()))
}

/// Get service account
#[utoipa::path(get, path = "/organizations/{organization_id}/service-accounts/{id}", tag = "service-accounts",
    params(("organization_id" = String, Path), ("id" = String, Path), ("expand[]" = Option<Vec<String>>, Query)),
    responses((status = 200, body = Permitted<ServiceAccount>), Refusals))]
async fn retrieve(place: InOrganization, query: Query) -> Result<Json<Permitted<ServiceAccount>>, Refused> {
    query.expands_only(&[])?;
    let shown = permissions::asked(&place.caller, place.role, &query);
    Ok(Json(Permitted::new(find(&place, place.part("id")).await?.show(), &shown)))
}

/// Update service account
#[utoipa::path(patch, path = "/organizations/{organization_id}/service-accounts/{id}", tag = "service-accounts",
    params(("organization_id" = String, Path), ("id" = String, Path)), request_body = Renamed,
    responses((status = 200, body = ServiceAccount), Refusals))]
async fn update(place: InOrganization, Body(sent): Body<Renamed>) -> Result<Json<ServiceAccount>, Refused> {
    let old = find(&place, place.part("id")).await?;
    let columns = vec![
        ("name", body::name(sent.name.required("name", old.name)?)?.into()),
        ("description", body::description(sent.description.apply(old.description))?.into()),
    ];
    let change = place.issuer.store.update("service_accounts", columns, place.own(), None, place.now).await?;
    settle(change, "service account")?;
    Ok(Json(find(&place, place.part("id")).await?.show()))
}

/// Delete service account; its tokens stop at once.
#[utoipa::path(delete, path = "/organizations/{organization_id}/service-accounts/{id}", tag = "service-accounts",
    params(("organization_id" = String, Path), ("id" = String, Path)), responses((status = 204), Refusals))]
async fn delete(place: InOrganization) -> Result<StatusCode, Refused> {
    settle(place.issuer.store.remove("service_accounts", place.own()).await?, "service account")?;
    Ok(StatusCode::NO_CONTENT)
}

impl Row {
    fn show(self) -> ServiceAccount {
        ServiceAccount {
            id: self.id,
            name: self.name,
            description: self.description,
            created_at: Timestamp::from_millis(self.created_at),
            updated_at: Timestamp::from_millis(self.updated_at),
        }
    }
}

async fn find(place: &InOrganization, id: &str) -> Result<Row, Refused> {
    let row = place.issuer.store.find::<Row>(COLUMNS, TABLE, place.rows().equals("t.id", id)).await?;
    row.ok_or_else(|| Refused::not_found("service account"))
}

/// That the service account of a path is the organisation's.
pub(super) async fn check(place: &InOrganization, id: &str) -> Result<Conditions, Refused> {
    find(place, id).await?;
    Ok(Conditions::default().equals("t.service_account_id", id))
}

const TABLE: &str = "service_accounts t";

const COLUMNS: &str = "t.id, t.name, t.description, t.created_at, t.updated_at";
