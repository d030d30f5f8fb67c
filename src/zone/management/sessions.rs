//! Sessions: of users, in browsers and through clients, and of applications. A user sees their own on the account page.

use std::sync::Arc;

use axum::Json;
use axum::http::StatusCode;
use serde::Deserialize;
use serde::Serialize;
use serde_json::Value;
use serde_json::json;
use sqlx::FromRow;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::model::Timestamp;
use crate::zone::issuer::Issuer;
use crate::zone::management::applications::Application;
use crate::zone::management::body::Body;
use crate::zone::management::expanded;
use crate::zone::management::expanded::Expanded;
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
use crate::zone::management::users::User;
use crate::zone::management::users::UserAgent;
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
    session_data: Option<Value>,
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
    /// Only with `expand[]=user`.
    #[schema(value_type = Option<User>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<Value>,
    /// Only with `expand[]=application`.
    #[schema(value_type = Option<Application>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    application: Option<Value>,
    /// Only with `expand[]=user_agent`.
    #[schema(value_type = Option<UserAgent>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    user_agent: Option<Value>,
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
    client_id: Option<String>,
    resources: String,
    scopes: String,
    second_factor_at: Option<i64>,
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
    query.expands_only(&EXPANDABLE)?;
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
    let beside = Beside::of(&place, &query, &listed.rows).await?;
    Ok(Json(Page::of(listed, |row| row.show(&place, &beside))))
}

/// Get session
#[utoipa::path(get, path = "/zones/{zone_id}/sessions/{id}", tag = "sessions",
    params(("zone_id" = String, Path), ("id" = String, Path), ("expand[]" = Option<Vec<String>>, Query)),
    responses((status = 200, body = Session), Refusals))]
async fn retrieve(place: InZone, query: Query) -> Result<Json<Session>, Refused> {
    query.expands_only(&EXPANDABLE)?;
    let row = find(&place).await?;
    let beside = Beside::of(&place, &query, std::slice::from_ref(&row)).await?;
    Ok(Json(row.show(&place, &beside)))
}

/// Update session
#[utoipa::path(patch, path = "/zones/{zone_id}/sessions/{id}", tag = "sessions",
    params(("zone_id" = String, Path), ("id" = String, Path)), request_body = Revoke,
    responses((status = 200, body = Session), Refusals))]
async fn update(place: InZone, _sent: Body<Revoke>) -> Result<Json<Session>, Refused> {
    find(&place).await?;
    place.store.end_session(place.part("id"), place.now).await?;
    Ok(Json(find(&place).await?.show(&place, &Beside::default())))
}

/// Delete session
#[utoipa::path(delete, path = "/zones/{zone_id}/sessions/{id}", tag = "sessions",
    params(("zone_id" = String, Path), ("id" = String, Path)), responses((status = 204), Refusals))]
async fn delete(place: InZone) -> Result<StatusCode, Refused> {
    settle(place.store.remove("sessions", place.own()).await?, "session")?;
    Ok(StatusCode::NO_CONTENT)
}

impl Row {
    fn show(self, place: &InZone, beside: &Beside) -> Session {
        let status = Status::of(self.ended_at, self.expires_at, place.now);
        let session_data = self.session_data();
        Session {
            user: beside.users.of(self.user_id.as_ref()),
            application: beside.applications.of(self.application_id.as_ref()),
            user_agent: beside.user_agents.of(self.user_agent_id.as_ref()),
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
            session_data,
            status,
            active: status == Status::Active,
            authenticated_at: self.authenticated_at.map(Timestamp::from_millis),
            expires_at: Timestamp::from_millis(self.expires_at),
            created_at: Timestamp::from_millis(self.created_at),
            updated_at: Timestamp::from_millis(self.updated_at),
        }
    }

    /// What a token of the session would say; none of a browser's, which has no tokens.
    fn session_data(&self) -> Option<Value> {
        let client_id = self.client_id.as_ref()?;
        if self.session_data.is_some() {
            return json::read(self.session_data.clone());
        }
        let seconds = |millis: i64| Timestamp::from_millis(millis).as_seconds();
        let resources: Vec<String> = serde_json::from_str(&self.resources).unwrap_or_default();
        Some(json!({
            "sub": self.user_id.as_ref().or(self.application_id.as_ref()),
            "client_id": client_id,
            "scope": self.scopes,
            "resource": resources,
            "auth_time": self.authenticated_at.map(seconds),
            "mfa_time": self.second_factor_at.map(seconds),
        }))
    }
}

/// What the rows of a page speak of.
#[derive(Default)]
struct Beside {
    users: Expanded,
    applications: Expanded,
    user_agents: Expanded,
}

impl Beside {
    async fn of(place: &InZone, query: &Query, rows: &[Row]) -> Result<Self, Refused> {
        let applications = rows.iter().map(|row| row.application_id.as_ref());
        Ok(Self {
            users: expanded::users(place, query, rows.iter().map(|row| row.user_id.as_ref())).await?,
            applications: expanded::applications(place, query, applications).await?,
            user_agents: expanded::user_agents(place, query, rows.iter().map(|row| row.user_agent_id.as_ref())).await?,
        })
    }
}

async fn find(place: &InZone) -> Result<Row, Refused> {
    let row = place.store.find::<Row>(COLUMNS, TABLES, place.row()).await?;
    row.ok_or_else(|| Refused::not_found("session"))
}

const EXPANDABLE: [&str; 3] = ["user", "application", "user_agent"];

const TABLES: &str = "sessions t LEFT JOIN applications a ON a.id = t.application_id \
    LEFT JOIN user_agents g ON g.id = t.user_agent_id";

const COLUMNS: &str = "t.id, t.zone_id, t.session_type, t.parent_id, t.user_id, t.application_id, t.user_agent_id, \
    t.provider_id, t.issuer, t.subject, COALESCE(t.name, a.name, g.name) AS name, t.session_data, t.client_id, \
    t.resources, t.scopes, t.second_factor_at, t.authenticated_at, t.expires_at, t.ended_at, t.created_at, t.updated_at";
