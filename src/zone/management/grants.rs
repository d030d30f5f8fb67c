//! Delegated grants: what users let others do at resources in their name. A user sees the same on their account page,
//! beside the sign-ins that they allowed, which are grants for no resource and not shown here.

use std::sync::Arc;

use axum::Json;
use axum::http::StatusCode;
use serde::Serialize;
use serde_json::Value;
use sqlx::FromRow;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::model::Timestamp;
use crate::zone::issuer::Issuer;
use crate::zone::management::body::Body;
use crate::zone::management::expanded;
use crate::zone::management::expanded::Expanded;
use crate::zone::management::in_zone::InZone;
use crate::zone::management::page::Page;
use crate::zone::management::providers::Provider;
use crate::zone::management::query::Paging;
use crate::zone::management::query::Query;
use crate::zone::management::refused::Refusals;
use crate::zone::management::refused::Refused;
use crate::zone::management::refused::settle;
use crate::zone::management::resources::Resource;
use crate::zone::management::status::Revoke;
use crate::zone::management::status::Status;
use crate::zone::management::users::User;
use crate::zone::store::Conditions;
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
    /// Only with `expand[]=user`.
    #[schema(value_type = Option<User>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<Value>,
    /// Only with `expand[]=resource`.
    #[schema(value_type = Option<Resource>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    resource: Option<Value>,
    /// Only with `expand[]=provider`.
    #[schema(value_type = Option<Provider>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    provider: Option<Value>,
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
    query.expands_only(&EXPANDABLE)?;
    let conditions = grants(&place)
        .one_of("t.user_id", &query.filter("user_id"))
        .one_of("t.resource_id", &query.filter("resource_id"));
    let conditions = Status::asked(&query)?
        .map_or(conditions.clone(), |status| status.narrow(conditions, "t.revoked_at", "t.expires_at", place.now));
    let window = query.window(&[("created_at", Order::Created)])?;
    let listed = place.store.list::<Row>(COLUMNS, TABLE, conditions, &window).await?;
    let beside = Beside::of(&place, &query, &listed.rows).await?;
    Ok(Json(Page::of(listed, |row| row.show(&place, &beside))))
}

/// Get delegated grant
#[utoipa::path(get, path = "/zones/{zone_id}/delegated-grants/{id}", tag = "delegated-grants",
    params(("zone_id" = String, Path), ("id" = String, Path), ("expand[]" = Option<Vec<String>>, Query)),
    responses((status = 200, body = Grant), Refusals))]
async fn retrieve(place: InZone, query: Query) -> Result<Json<Grant>, Refused> {
    query.expands_only(&EXPANDABLE)?;
    let row = find(&place).await?;
    let beside = Beside::of(&place, &query, std::slice::from_ref(&row)).await?;
    Ok(Json(row.show(&place, &beside)))
}

/// Update delegated grant
#[utoipa::path(patch, path = "/zones/{zone_id}/delegated-grants/{id}", tag = "delegated-grants",
    params(("zone_id" = String, Path), ("id" = String, Path)), request_body = Revoke,
    responses((status = 200, body = Grant), Refusals))]
async fn update(place: InZone, _sent: Body<Revoke>) -> Result<Json<Grant>, Refused> {
    let row = find(&place).await?;
    if row.revoked_at.is_none() {
        let change = place.store.revoke_grant(&row.id, None, place.expected, place.now);
        settle(change.await?, "grant")?;
    }
    Ok(Json(find(&place).await?.show(&place, &Beside::default())))
}

/// Delete delegated grant
#[utoipa::path(delete, path = "/zones/{zone_id}/delegated-grants/{id}", tag = "delegated-grants",
    params(("zone_id" = String, Path), ("id" = String, Path)), responses((status = 204), Refusals))]
async fn delete(place: InZone) -> Result<StatusCode, Refused> {
    let row = find(&place).await?;
    settle(place.store.remove_grant(&row.id, place.now).await?, "grant")?;
    Ok(StatusCode::NO_CONTENT)
}

impl Row {
    fn show(self, place: &InZone, beside: &Beside) -> Grant {
        let status = Status::of(self.revoked_at, self.expires_at, place.now);
        Grant {
            user: beside.users.of(Some(&self.user_id)),
            resource: beside.resources.of(Some(&self.resource_id)),
            provider: beside.providers.of(Some(&self.provider_id)),
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

/// What the rows of a page speak of.
#[derive(Default)]
struct Beside {
    users: Expanded,
    resources: Expanded,
    providers: Expanded,
}

impl Beside {
    async fn of(place: &InZone, query: &Query, rows: &[Row]) -> Result<Self, Refused> {
        Ok(Self {
            users: expanded::users(place, query, rows.iter().map(|row| Some(&row.user_id))).await?,
            resources: expanded::resources(place, query, rows.iter().map(|row| Some(&row.resource_id))).await?,
            providers: expanded::providers(place, query, rows.iter().map(|row| Some(&row.provider_id))).await?,
        })
    }
}

/// A bare sign-in is granted too, and for no resource.
fn grants(place: &InZone) -> Conditions {
    place.rows().empty("t.resource_id", false)
}

async fn find(place: &InZone) -> Result<Row, Refused> {
    let conditions = grants(place).equals("t.id", place.part("id"));
    let row = place.store.find::<Row>(COLUMNS, TABLE, conditions).await?;
    row.ok_or_else(|| Refused::not_found("grant"))
}

const EXPANDABLE: [&str; 3] = ["user", "resource", "provider"];

const TABLE: &str = "grants t";

const COLUMNS: &str = "t.id, t.zone_id, t.user_id, t.resource_id, t.provider_id, t.scopes, t.refresh_token_sealed, \
    t.refreshed_at, t.expires_at, t.revoked_at, t.created_at, t.updated_at";
