//! Delegated grants: what users let others do at resources in their name.

use std::sync::Arc;

use axum::Json;
use axum::http::StatusCode;
use serde::Serialize;
use sqlx::FromRow;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::model::Timestamp;
use crate::zone::issuer::Issuer;
use crate::zone::management::body::Body;
use crate::zone::management::in_zone::InZone;
use crate::zone::management::page::Page;
use crate::zone::management::query::Paging;
use crate::zone::management::query::Query;
use crate::zone::management::refused::Refusals;
use crate::zone::management::refused::Refused;
use crate::zone::management::refused::settle;
use crate::zone::management::status::Revoke;
use crate::zone::management::status::Status;
use crate::zone::store::Order;

pub(super) fn router() -> OpenApiRouter<Arc<Issuer>> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(retrieve, update, delete))
}

/// User authorization for a resource to be accessed on their behalf. The grant links the user, resource, and the
/// provider that issued the grant.
#[derive(Serialize, ToSchema)]
struct Grant {
    id: String,
    zone_id: String,
    organization_id: String,
    user_id: String,
    resource_id: String,
    provider_id: String,
    scopes: Vec<String>,
    status: Status,
    /// Deprecated: see `status`.
    active: bool,
    /// Indicates whether a refresh token is stored for this grant.
    refresh_token_set: bool,
    #[schema(value_type = Option<String>, format = DateTime)]
    #[serde(skip_serializing_if = "Option::is_none")]
    refreshed_at: Option<Timestamp>,
    #[schema(value_type = String, format = DateTime)]
    expires_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
}

#[derive(FromRow)]
struct Row {
    id: String,
    zone_id: String,
    user_id: String,
    resource_id: String,
    provider_id: String,
    scopes: String,
    refresh_token_sealed: Option<String>,
    refreshed_at: Option<i64>,
    expires_at: i64,
    revoked_at: Option<i64>,
    created_at: i64,
    updated_at: i64,
}

/// List delegated grants
#[utoipa::path(get, path = "/zones/{zone_id}/delegated-grants", tag = "delegated-grants", params(
    Paging, ("zone_id" = String, Path), ("user_id" = Option<String>, Query), ("resource_id" = Option<String>, Query),
    ("status" = Option<String>, Query), ("active" = Option<bool>, Query), ("sort" = Option<String>, Query),
), responses((status = 200, body = Page<Grant>), Refusals))]
async fn list(place: InZone, query: Query) -> Result<Json<Page<Grant>>, Refused> {
    query.knows(&["user_id", "resource_id", "status"], &[])?;
    query.expands_only(&["user", "resource", "provider"])?;
    let conditions = place
        .rows()
        .one_of("t.user_id", &query.filter("user_id"))
        .one_of("t.resource_id", &query.filter("resource_id"));
    let conditions = Status::asked(&query)?
        .map_or(conditions.clone(), |status| status.narrow(conditions, "t.revoked_at", "t.expires_at", place.now));
    let window = query.window(&[("created_at", Order::Created)])?;
    let listed = place.store.list::<Row>(COLUMNS, "delegated_grants t", conditions, &window).await?;
    Ok(Json(Page::of(listed, |row| row.show(&place))))
}

/// Get delegated grant
#[utoipa::path(get, path = "/zones/{zone_id}/delegated-grants/{id}", tag = "delegated-grants",
    params(("zone_id" = String, Path), ("id" = String, Path)), responses((status = 200, body = Grant), Refusals))]
async fn retrieve(place: InZone) -> Result<Json<Grant>, Refused> {
    Ok(Json(find(&place).await?.show(&place)))
}

/// Update delegated grant
#[utoipa::path(patch, path = "/zones/{zone_id}/delegated-grants/{id}", tag = "delegated-grants",
    params(("zone_id" = String, Path), ("id" = String, Path)), request_body = Revoke,
    responses((status = 200, body = Grant), Refusals))]
async fn update(place: InZone, _sent: Body<Revoke>) -> Result<Json<Grant>, Refused> {
    let row = find(&place).await?;
    if row.revoked_at.is_none() {
        let columns = vec![("revoked_at", place.now.as_millis().into())];
        let change = place.store.update("delegated_grants", columns, place.own(), place.expected, place.now);
        settle(change.await?, "grant")?;
    }
    Ok(Json(find(&place).await?.show(&place)))
}

/// Delete delegated grant
#[utoipa::path(delete, path = "/zones/{zone_id}/delegated-grants/{id}", tag = "delegated-grants",
    params(("zone_id" = String, Path), ("id" = String, Path)), responses((status = 204), Refusals))]
async fn delete(place: InZone) -> Result<StatusCode, Refused> {
    settle(place.store.remove("delegated_grants", place.own()).await?, "grant")?;
    Ok(StatusCode::NO_CONTENT)
}

impl Row {
    fn show(self, place: &InZone) -> Grant {
        let status = Status::of(self.revoked_at, self.expires_at, place.now);
        Grant {
            id: self.id,
            zone_id: self.zone_id,
            organization_id: place.organization.clone(),
            user_id: self.user_id,
            resource_id: self.resource_id,
            provider_id: self.provider_id,
            scopes: self.scopes.split(' ').filter(|scope| !scope.is_empty()).map(str::to_owned).collect(),
            status,
            active: status == Status::Active,
            refresh_token_set: self.refresh_token_sealed.is_some(),
            refreshed_at: self.refreshed_at.map(Timestamp::from_millis),
            expires_at: Timestamp::from_millis(self.expires_at),
            created_at: Timestamp::from_millis(self.created_at),
            updated_at: Timestamp::from_millis(self.updated_at),
        }
    }
}

async fn find(place: &InZone) -> Result<Row, Refused> {
    let row = place.store.find::<Row>(COLUMNS, "delegated_grants t", place.row()).await?;
    row.ok_or_else(|| Refused::not_found("grant"))
}

const COLUMNS: &str = "t.id, t.zone_id, t.user_id, t.resource_id, t.provider_id, t.scopes, t.refresh_token_sealed, \
    t.refreshed_at, t.expires_at, t.revoked_at, t.created_at, t.updated_at";
