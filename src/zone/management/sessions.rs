//! Sessions: sign-ins of users and of applications.

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
use crate::zone::issuer::Issuer;
use crate::zone::management::body::Body;
use crate::zone::management::in_zone::InZone;
use crate::zone::management::json;
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

/// An authenticated identity session: of a user, who may have sessions below it, or of an application, which stands
/// alone.
#[derive(Serialize, ToSchema)]
struct Session {
    id: String,
    zone_id: String,
    organization_id: String,
    /// `user` or `application`
    session_type: String,
    parent_id: Option<String>,
    user_id: Option<String>,
    application_id: Option<String>,
    user_agent_id: Option<String>,
    provider_id: Option<String>,
    issuer: Option<String>,
    subject: Option<String>,
    metadata: Option<SessionMetadata>,
    #[schema(value_type = Option<Object>)]
    session_data: Option<serde_json::Value>,
    status: Status,
    /// Deprecated: see `status`.
    active: bool,
    #[schema(value_type = Option<String>, format = DateTime)]
    authenticated_at: Option<Timestamp>,
    #[schema(value_type = String, format = DateTime)]
    expires_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
}

/// Session metadata
#[derive(Serialize, Deserialize, ToSchema)]
struct SessionMetadata {
    /// Name of the initiating application or user agent
    name: String,
}

#[derive(FromRow)]
struct Row {
    id: String,
    zone_id: String,
    session_type: String,
    parent_id: Option<String>,
    user_id: Option<String>,
    application_id: Option<String>,
    user_agent_id: Option<String>,
    provider_id: Option<String>,
    issuer: Option<String>,
    subject: Option<String>,
    name: Option<String>,
    session_data: Option<String>,
    authenticated_at: Option<i64>,
    expires_at: i64,
    ended_at: Option<i64>,
    created_at: i64,
    updated_at: i64,
}

/// List sessions
#[utoipa::path(get, path = "/zones/{zone_id}/sessions", tag = "sessions", params(
    Paging, ("zone_id" = String, Path), ("user_id" = Option<String>, Query),
    ("session_type" = Option<String>, Query), ("status" = Option<String>, Query), ("active" = Option<bool>, Query),
    ("include_nested" = Option<bool>, Query, description = "Also those that have a parent"),
    ("sort" = Option<String>, Query),
), responses((status = 200, body = Page<Session>), Refusals))]
async fn list(place: InZone, query: Query) -> Result<Json<Page<Session>>, Refused> {
    query.knows(&["user_id", "session_type", "status"], &[])?;
    query.expands_only(&["user", "application", "user_agent"])?;
    let mut conditions = place
        .rows()
        .one_of("t.user_id", &query.filter("user_id"))
        .one_of("t.session_type", &query.choices("session_type", &["user", "application"])?);
    if query.flag("include_nested")? != Some(true) {
        conditions = conditions.empty("t.parent_id", true);
    }
    if let Some(status) = Status::asked(&query)? {
        conditions = status.narrow(conditions, "t.ended_at", "t.expires_at", place.now);
    }
    let window = query.window(&[("created_at", Order::Created)])?;
    let listed = place.store.list::<Row>(COLUMNS, TABLES, conditions, &window).await?;
    Ok(Json(Page::of(listed, |row| row.show(&place))))
}

/// Get session
#[utoipa::path(get, path = "/zones/{zone_id}/sessions/{id}", tag = "sessions",
    params(("zone_id" = String, Path), ("id" = String, Path)), responses((status = 200, body = Session), Refusals))]
async fn retrieve(place: InZone) -> Result<Json<Session>, Refused> {
    Ok(Json(find(&place).await?.show(&place)))
}

/// Update session
#[utoipa::path(patch, path = "/zones/{zone_id}/sessions/{id}", tag = "sessions",
    params(("zone_id" = String, Path), ("id" = String, Path)), request_body = Revoke,
    responses((status = 200, body = Session), Refusals))]
async fn update(place: InZone, _sent: Body<Revoke>) -> Result<Json<Session>, Refused> {
    find(&place).await?;
    place.store.end_session(place.part("id"), place.now).await?;
    Ok(Json(find(&place).await?.show(&place)))
}

/// Delete session
#[utoipa::path(delete, path = "/zones/{zone_id}/sessions/{id}", tag = "sessions",
    params(("zone_id" = String, Path), ("id" = String, Path)), responses((status = 204), Refusals))]
async fn delete(place: InZone) -> Result<StatusCode, Refused> {
    settle(place.store.remove("sessions", place.own()).await?, "session")?;
    Ok(StatusCode::NO_CONTENT)
}

impl Row {
    fn show(self, place: &InZone) -> Session {
        let status = Status::of(self.ended_at, self.expires_at, place.now);
        Session {
            id: self.id,
            zone_id: self.zone_id,
            organization_id: place.organization.clone(),
            session_type: self.session_type,
            parent_id: self.parent_id,
            user_id: self.user_id,
            application_id: self.application_id,
            user_agent_id: self.user_agent_id,
            provider_id: self.provider_id,
            issuer: self.issuer,
            subject: self.subject,
            metadata: self.name.map(|name| SessionMetadata { name }),
            session_data: json::read(self.session_data),
            status,
            active: status == Status::Active,
            authenticated_at: self.authenticated_at.map(Timestamp::from_millis),
            expires_at: Timestamp::from_millis(self.expires_at),
            created_at: Timestamp::from_millis(self.created_at),
            updated_at: Timestamp::from_millis(self.updated_at),
        }
    }
}

async fn find(place: &InZone) -> Result<Row, Refused> {
    let row = place.store.find::<Row>(COLUMNS, TABLES, place.row()).await?;
    row.ok_or_else(|| Refused::not_found("session"))
}

const TABLES: &str = "sessions t LEFT JOIN applications a ON a.id = t.application_id";

const COLUMNS: &str = "t.id, t.zone_id, t.session_type, t.parent_id, t.user_id, t.application_id, t.user_agent_id, \
    t.provider_id, t.issuer, t.subject, COALESCE(t.name, a.name) AS name, t.session_data, t.authenticated_at, \
    t.expires_at, t.ended_at, t.created_at, t.updated_at";
