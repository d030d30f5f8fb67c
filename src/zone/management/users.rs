//! Users, and the user agents that they came with. Both make themselves, by signing in and registering.

use std::sync::Arc;

use axum::Json;
use serde::Serialize;
use sqlx::FromRow;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::model::Timestamp;
use crate::zone::issuer::Issuer;
use crate::zone::management::in_zone::InZone;
use crate::zone::management::page::Page;
use crate::zone::management::query::Paging;
use crate::zone::management::query::Query;
use crate::zone::management::refused::Refusals;
use crate::zone::management::refused::Refused;
use crate::zone::management::user_details::Details;
use crate::zone::management::user_details::UserDetails;
use crate::zone::store::Order;

pub(super) fn router() -> OpenApiRouter<Arc<Issuer>> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(retrieve))
        .routes(routes!(list_user_agents))
        .routes(routes!(retrieve_user_agent))
}

/// An authenticated user entity
#[derive(Serialize, ToSchema)]
pub(super) struct User {
    id: String,
    zone_id: String,
    organization_id: String,
    identifier: String,
    email: String,
    email_verified: bool,
    /// `active` or `disabled`
    status: String,
    /// Whether another provider vouches for this user.
    external: bool,
    issuer: Option<String>,
    provider_id: Option<String>,
    subject: Option<String>,
    #[schema(value_type = Option<String>, format = DateTime)]
    authenticated_at: Option<Timestamp>,
    #[serde(flatten)]
    details: Details,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
}

/// A User Agent represents a user agent (browser, desktop app, CLI tool) that can initiate user sessions via OAuth 2.0
/// Dynamic Client Registration.
#[derive(Serialize, ToSchema)]
pub(super) struct UserAgent {
    id: String,
    zone_id: String,
    organization_id: String,
    slug: String,
    /// Serves as OAuth client_id. Format: ua:{sha256_hash}; of a client by its metadata document, the address of that
    identifier: String,
    name: String,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
}

#[derive(FromRow)]
pub(super) struct Row {
    pub(super) id: String,
    zone_id: String,
    identifier: String,
    email: String,
    email_verified: i64,
    status: String,
    pub(super) issuer: Option<String>,
    pub(super) provider_id: Option<String>,
    pub(super) subject: Option<String>,
    authenticated_at: Option<i64>,
    pub(super) created_at: i64,
    pub(super) updated_at: i64,
}

#[derive(FromRow)]
pub(super) struct UserAgentRow {
    id: String,
    zone_id: String,
    slug: String,
    identifier: String,
    name: String,
    created_at: i64,
    updated_at: i64,
}

/// List users
#[utoipa::path(get, path = "/zones/{zone_id}/users", tag = "users", params(
    Paging, ("zone_id" = String, Path),
    ("filter[id]" = Option<Vec<String>>, Query), ("filter[email]" = Option<Vec<String>>, Query),
    ("filter[identifier]" = Option<Vec<String>>, Query), ("filter[issuer]" = Option<Vec<String>>, Query),
    ("filter[subject]" = Option<Vec<String>>, Query), ("filter[external]" = Option<bool>, Query),
    ("query[]" = Option<Vec<String>>, Query), ("query[email]" = Option<Vec<String>>, Query),
    ("query[subject]" = Option<Vec<String>>, Query), ("sort" = Option<String>, Query),
), responses((status = 200, body = Page<User>), Refusals))]
async fn list(place: InZone, query: Query) -> Result<Json<Page<User>>, Refused> {
    query.knows(&["id", "email", "identifier", "issuer", "subject", "external"], &["email", "subject"])?;
    let mut conditions = place
        .rows()
        .one_of("t.id", &query.filter("id"))
        .one_of("t.email", &query.filter("email"))
        .one_of("t.identifier", &query.filter("identifier"))
        .one_of("t.issuer", &query.filter("issuer"))
        .one_of("t.subject", &query.filter("subject"))
        .contain(&["t.email", "t.subject"], &query.words(""))
        .contain(&["t.email"], &query.words("email"))
        .contain(&["t.subject"], &query.words("subject"));
    if let Some(external) = query.flag("external")? {
        conditions = conditions.empty("t.provider_id", !external);
    }
    let orders = [
        ("created_at", Order::Created),
        ("updated_at", Order::Updated),
        ("email", Order::Email),
        ("identifier", Order::Identifier),
    ];
    let listed = place.store.list::<Row>(COLUMNS, "users t", conditions, &query.window(&orders)?).await?;
    let details = UserDetails::of(&place, &query, &listed.rows).await?;
    Ok(Json(Page::of(listed, |row| User { details: details.show(&row), ..row.show(&place.organization) })))
}

/// Get user
#[utoipa::path(get, path = "/zones/{zone_id}/users/{id}", tag = "users",
    params(("zone_id" = String, Path), ("id" = String, Path), ("expand[]" = Option<Vec<String>>, Query)),
    responses((status = 200, body = User), Refusals))]
async fn retrieve(place: InZone, query: Query) -> Result<Json<User>, Refused> {
    let row = place.store.find::<Row>(COLUMNS, "users t", place.row()).await?;
    let row = row.ok_or_else(|| Refused::not_found("user"))?;
    let details = UserDetails::of(&place, &query, std::slice::from_ref(&row)).await?;
    Ok(Json(User { details: details.show(&row), ..row.show(&place.organization) }))
}

/// List user agents
#[utoipa::path(get, path = "/zones/{zone_id}/user-agents", tag = "user-agents",
    params(Paging, ("zone_id" = String, Path), ("sort" = Option<String>, Query)),
    responses((status = 200, body = Page<UserAgent>), Refusals))]
async fn list_user_agents(place: InZone, query: Query) -> Result<Json<Page<UserAgent>>, Refused> {
    let (conditions, window) = query.named(place.rows(), &[])?;
    let listed = place.store.list::<UserAgentRow>(USER_AGENT_COLUMNS, "user_agents t", conditions, &window).await?;
    Ok(Json(Page::of(listed, |row| row.show(&place.organization))))
}

/// Get user agent
#[utoipa::path(get, path = "/zones/{zone_id}/user-agents/{id}", tag = "user-agents",
    params(("zone_id" = String, Path), ("id" = String, Path)), responses((status = 200, body = UserAgent), Refusals))]
async fn retrieve_user_agent(place: InZone) -> Result<Json<UserAgent>, Refused> {
    let row = place.store.find::<UserAgentRow>(USER_AGENT_COLUMNS, "user_agents t", place.row()).await?;
    Ok(Json(row.ok_or_else(|| Refused::not_found("user agent"))?.show(&place.organization)))
}

impl Row {
    /// As clients see it.
    pub(super) fn show(self, organization: &str) -> User {
        User {
            id: self.id,
            zone_id: self.zone_id,
            organization_id: organization.to_owned(),
            identifier: self.identifier,
            email: self.email,
            email_verified: self.email_verified != 0,
            status: self.status,
            external: self.provider_id.is_some(),
            issuer: self.issuer,
            provider_id: self.provider_id,
            subject: self.subject,
            authenticated_at: self.authenticated_at.map(Timestamp::from_millis),
            details: Details::default(),
            created_at: Timestamp::from_millis(self.created_at),
            updated_at: Timestamp::from_millis(self.updated_at),
        }
    }
}

impl UserAgentRow {
    /// As clients see it.
    pub(super) fn show(self, organization: &str) -> UserAgent {
        UserAgent {
            id: self.id,
            zone_id: self.zone_id,
            organization_id: organization.to_owned(),
            slug: self.slug,
            identifier: self.identifier,
            name: self.name,
            created_at: Timestamp::from_millis(self.created_at),
            updated_at: Timestamp::from_millis(self.updated_at),
        }
    }
}

pub(super) const COLUMNS: &str = "t.id, t.zone_id, t.identifier, t.email, t.email_verified, t.status, t.issuer, t.provider_id, \
    t.subject, t.authenticated_at, t.created_at, t.updated_at";

pub(super) const USER_AGENT_COLUMNS: &str = "t.id, t.zone_id, t.slug, t.identifier, t.name, t.created_at, t.updated_at";
