//! Members: which of the organisation's users may look into a zone, and which may change it.

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
use crate::zone::management::body::Body;
use crate::zone::management::in_zone::InZone;
use crate::zone::management::page::Page;
use crate::zone::management::query::Paging;
use crate::zone::management::query::Query;
use crate::zone::management::refused::Refusals;
use crate::zone::management::refused::Refused;
use crate::zone::management::refused::settle;
use crate::zone::store::Conditions;
use crate::zone::store::Order;

pub(super) fn router() -> OpenApiRouter<Arc<Issuer>> {
    OpenApiRouter::new().routes(routes!(list, add)).routes(routes!(retrieve, update, delete))
}

/// Represents an organization user's membership in a zone with an assigned role
#[derive(Serialize, ToSchema)]
struct Member {
    id: String,
    zone_id: String,
    organization_id: String,
    organization_user_id: String,
    role: String,
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
    role: String,
    created_at: i64,
    updated_at: i64,
}

/// zone_manager has full management access, zone_viewer has read-only access.
#[derive(Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum ZoneRole {
    ZoneManager,
    ZoneViewer,
}

#[derive(Deserialize, ToSchema)]
#[schema(as = MemberAdd)]
struct Add {
    organization_user_id: String,
    role: ZoneRole,
}

#[derive(Deserialize, ToSchema)]
#[schema(as = MemberUpdate)]
struct Update {
    role: ZoneRole,
}

/// List organization users in a zone
#[utoipa::path(get, path = "/zones/{zone_id}/members", tag = "members", params(Paging, ("zone_id" = String, Path)),
    responses((status = 200, body = Page<Member>), Refusals))]
async fn list(place: InZone, query: Query) -> Result<Json<Page<Member>>, Refused> {
    query.knows(&[], &[])?;
    query.expands_only(&[])?;
    let window = query.window(&[("created_at", Order::Created)])?;
    let listed = place.store.list::<Row>(COLUMNS, "zone_members t", place.rows(), &window).await?;
    Ok(Json(Page::of(listed, |row| row.show(&place.organization))))
}

/// Add organization user to zone
#[utoipa::path(post, path = "/zones/{zone_id}/members", tag = "members", params(("zone_id" = String, Path)),
    request_body = Add, responses((status = 200, body = Member), Refusals))]
async fn add(place: InZone, Body(sent): Body<Add>) -> Result<Json<Member>, Refused> {
    let user = sent.organization_user_id;
    let conditions =
        Conditions::default().equals("t.organization_id", place.organization.as_str()).equals("t.user_id", &user);
    if place.store.count("organization_members t", conditions).await? == 0 {
        return Err(Refused::bad("organization_user_id", "is no user of this organization"));
    }
    let now = place.now.as_millis();
    let columns = vec![
        ("id", RowId::random().as_str().into()),
        ("zone_id", place.zone().into()),
        ("user_id", (&user).into()),
        ("role", sent.role.as_str().into()),
        ("created_at", now.into()),
        ("updated_at", now.into()),
    ];
    place.store.insert("zone_members", columns).await?;
    Ok(Json(find(&place, &user).await?.show(&place.organization)))
}

/// Get organization user in a zone
#[utoipa::path(get, path = "/zones/{zone_id}/members/{id}", tag = "members",
    params(("zone_id" = String, Path), ("id" = String, Path, description = "The organization user's id")),
    responses((status = 200, body = Member), Refusals))]
async fn retrieve(place: InZone) -> Result<Json<Member>, Refused> {
    Ok(Json(find(&place, place.part("id")).await?.show(&place.organization)))
}

/// Update organization user role in a zone
#[utoipa::path(patch, path = "/zones/{zone_id}/members/{id}", tag = "members",
    params(("zone_id" = String, Path), ("id" = String, Path, description = "The organization user's id")),
    request_body = Update, responses((status = 200, body = Member), Refusals))]
async fn update(place: InZone, Body(sent): Body<Update>) -> Result<Json<Member>, Refused> {
    let columns = vec![("role", sent.role.as_str().into())];
    let own = place.own_with("user_id", place.part("id"));
    settle(place.store.update("zone_members", columns, own, place.expected, place.now).await?, "member")?;
    Ok(Json(find(&place, place.part("id")).await?.show(&place.organization)))
}

/// Remove member from zone
#[utoipa::path(delete, path = "/zones/{zone_id}/members/{id}", tag = "members",
    params(("zone_id" = String, Path), ("id" = String, Path, description = "The organization user's id")),
    responses((status = 204), Refusals))]
async fn delete(place: InZone) -> Result<StatusCode, Refused> {
    settle(place.store.remove("zone_members", place.own_with("user_id", place.part("id"))).await?, "member")?;
    Ok(StatusCode::NO_CONTENT)
}

impl Row {
    fn show(self, organization: &str) -> Member {
        Member {
            id: self.id,
            zone_id: self.zone_id,
            organization_id: organization.to_owned(),
            organization_user_id: self.user_id,
            role: self.role,
            created_at: Timestamp::from_millis(self.created_at),
            updated_at: Timestamp::from_millis(self.updated_at),
        }
    }
}

impl ZoneRole {
    fn as_str(self) -> &'static str {
        match self {
            Self::ZoneManager => "zone_manager",
            Self::ZoneViewer => "zone_viewer",
        }
    }
}

async fn find(place: &InZone, user: &str) -> Result<Row, Refused> {
    let row = place.store.find::<Row>(COLUMNS, "zone_members t", place.rows().equals("t.user_id", user)).await?;
    row.ok_or_else(|| Refused::not_found("member"))
}

const COLUMNS: &str = "t.id, t.zone_id, t.user_id, t.role, t.created_at, t.updated_at";
