//! Policies: names under which versions are written. What is archived stays readable, and is listed no more.

use std::sync::Arc;

use axum::Json;
use axum::response::IntoResponse;
use serde::Deserialize;
use serde::Serialize;
use sqlx::FromRow;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::zone::id::RowId;
use crate::zone::issuer::Issuer;
use crate::zone::management::body;
use crate::zone::management::body::Body;
use crate::zone::management::expanded::Expanded;
use crate::zone::management::in_zone::InZone;
use crate::zone::management::in_zone::tag;
use crate::zone::management::page::Page;
use crate::zone::management::patch::Patch;
use crate::zone::management::policy_rows;
use crate::zone::management::policy_rows::Authors;
use crate::zone::management::policy_rows::AuthorsRow;
use crate::zone::management::policy_rows::PolicyRow;
use crate::zone::management::policy_rows::changeable;
use crate::zone::management::policy_rows::find;
use crate::zone::management::query::Paging;
use crate::zone::management::query::Query;
use crate::zone::management::refused::Refusals;
use crate::zone::management::refused::Refused;
use crate::zone::management::refused::settle;
use crate::zone::store::Archivable;
use crate::zone::store::Order;

pub(super) fn router() -> OpenApiRouter<Arc<Issuer>> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(retrieve, update, archive))
}

/// A name for a Cedar policy, which is in its versions.
#[derive(Serialize, ToSchema)]
struct Policy {
    id: String,
    zone_id: String,
    name: String,
    description: Option<String>,
    /// `platform`: the zone's own, which nobody changes; `customer`.
    owner_type: String,
    latest_version: Option<i64>,
    latest_version_id: Option<String>,
    latest_schema_version: Option<String>,
    #[serde(flatten)]
    authors: Authors,
}

#[derive(FromRow)]
pub(super) struct Row {
    id: String,
    zone_id: String,
    name: String,
    description: Option<String>,
    owner_type: String,
    latest_version: Option<i64>,
    latest_version_id: Option<String>,
    latest_schema_version: Option<String>,
    #[sqlx(flatten)]
    authors: AuthorsRow,
}

#[derive(Deserialize, ToSchema)]
#[schema(as = PolicyCreate)]
struct Create {
    name: String,
    description: Option<String>,
}

#[derive(Deserialize, ToSchema)]
#[schema(as = PolicyUpdate)]
struct Update {
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    name: Patch<String>,
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    description: Patch<String>,
}

/// List policies in a zone
#[utoipa::path(get, path = "/zones/{zone_id}/policies", tag = "policies", params(
    Paging, ("zone_id" = String, Path), ("filter[id]" = Option<Vec<String>>, Query),
    ("filter[owner_type]" = Option<Vec<String>>, Query), ("query[]" = Option<Vec<String>>, Query),
    ("query[name]" = Option<Vec<String>>, Query), ("query[description]" = Option<Vec<String>>, Query),
    ("sort" = Option<String>, Query, description = "`created_at`"), ("order" = Option<String>, Query),
), responses((status = 200, body = Page<Policy>), Refusals))]
async fn list(place: InZone, query: Query) -> Result<Json<Page<Policy>>, Refused> {
    query.knows(&["id", "owner_type"], &["name", "description"])?;
    let conditions = place
        .rows()
        .empty("t.archived_at", true)
        .one_of("t.id", &query.filter("id"))
        .one_of("t.owner_type", &query.choices("owner_type", &["platform", "customer"])?)
        .contain(&["t.name", "coalesce(t.description, '')"], &query.words(""))
        .contain(&["t.name"], &query.words("name"))
        .contain(&["t.description"], &query.words("description"));
    let window = query.window(&[("created_at", Order::Created)])?;
    policy_rows::page(&place, &query, conditions, &window, Row::show).await
}

/// Create a new policy
#[utoipa::path(post, path = "/zones/{zone_id}/policies", tag = "policies", params(("zone_id" = String, Path)),
    request_body = Create, responses((status = 200, body = Policy), Refusals))]
async fn create(place: InZone, Body(sent): Body<Create>) -> Result<Json<Policy>, Refused> {
    let (id, now) = (RowId::random(), place.now.as_millis());
    let columns = vec![
        ("id", id.as_str().into()),
        ("zone_id", place.zone().into()),
        ("name", body::name(sent.name)?.into()),
        ("description", body::description(sent.description)?.into()),
        ("created_by", place.caller.id().into()),
        ("created_at", now.into()),
        ("updated_at", now.into()),
    ];
    place.store.insert("policies", columns).await?;
    Ok(Json(find::<Row>(&place, place.rows().equals("t.id", id.as_str())).await?.show(&Expanded::default())))
}

/// Get a policy by ID
#[utoipa::path(get, path = "/zones/{zone_id}/policies/{id}", tag = "policies",
    params(("zone_id" = String, Path), ("id" = String, Path), ("expand[]" = Option<Vec<String>>, Query)),
    responses((status = 200, body = Policy), Refusals))]
async fn retrieve(place: InZone, query: Query) -> Result<impl IntoResponse, Refused> {
    query.expands_only(&["user"])?;
    let row: Row = find(&place, place.row()).await?;
    let users = policy_rows::users_of(&place, &query, std::slice::from_ref(&row)).await?;
    Ok((tag(row.authors.updated_at), Json(row.show(&users))))
}

/// Update a policy
#[utoipa::path(patch, path = "/zones/{zone_id}/policies/{id}", tag = "policies",
    params(("zone_id" = String, Path), ("id" = String, Path), ("If-Match" = Option<String>, Header)),
    request_body = Update, responses((status = 200, body = Policy), Refusals))]
async fn update(place: InZone, Body(sent): Body<Update>) -> Result<impl IntoResponse, Refused> {
    let old: Row = changeable(&place).await?;
    let columns = vec![
        ("name", body::name(sent.name.required("name", old.name)?)?.into()),
        ("description", body::description(sent.description.apply(old.description))?.into()),
        ("updated_by", place.caller.id().into()),
    ];
    let change = place.store.update("policies", columns, place.own(), place.expected, place.now).await?;
    settle(change, Row::WHAT)?;
    let row: Row = find(&place, place.row()).await?;
    Ok((tag(row.authors.updated_at), Json(row.show(&Expanded::default()))))
}

/// Archive a policy
#[utoipa::path(delete, path = "/zones/{zone_id}/policies/{id}", tag = "policies",
    params(("zone_id" = String, Path), ("id" = String, Path), ("If-Match" = Option<String>, Header)),
    responses((status = 200, body = Policy), Refusals))]
async fn archive(place: InZone) -> Result<Json<Policy>, Refused> {
    policy_rows::archive::<Row>(&place, Archivable::Policy, place.part("id"), place.row()).await?;
    Ok(Json(find::<Row>(&place, place.row()).await?.show(&Expanded::default())))
}

impl PolicyRow for Row {
    const WHAT: &'static str = "policy";
    const COLUMNS: &'static str = "t.id, t.zone_id, t.name, t.description, t.owner_type, t.latest_version, \
        t.latest_version_id, t.latest_schema_version, t.created_by, t.updated_by, t.archived_by, t.created_at, \
        t.updated_at, t.archived_at";
    const TABLES: &'static str = "policies t";

    fn authors(&self) -> &AuthorsRow {
        &self.authors
    }

    fn owner_type(&self) -> &str {
        &self.owner_type
    }
}

impl Row {
    fn show(self, users: &Expanded) -> Policy {
        Policy {
            id: self.id,
            zone_id: self.zone_id,
            name: self.name,
            description: self.description,
            owner_type: self.owner_type,
            latest_version: self.latest_version,
            latest_version_id: self.latest_version_id,
            latest_schema_version: self.latest_schema_version,
            authors: self.authors.show(users),
        }
    }
}
