//! Policy sets, and which of their versions are bound.

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

/// A policy set and its binding. One set at a time is active in a zone: what it does not permit is denied.
#[derive(Serialize, ToSchema)]
struct PolicySet {
    id: String,
    zone_id: String,
    name: String,
    /// `platform`: the zone's own, which nobody changes; `customer`.
    owner_type: String,
    scope_type: String,
    target_type: String,
    latest_version: Option<i64>,
    latest_version_id: Option<String>,
    /// Whether it decides.
    active: bool,
    active_version: Option<i64>,
    active_version_id: Option<String>,
    /// What it does: `active` where one of its versions decides, else `shadow` where one is asked for comparison.
    mode: Option<&'static str>,
    shadow_version: Option<i64>,
    shadow_version_id: Option<String>,
    /// What it is bound to.
    target_id: Option<String>,
    /// The older name of `target_id`.
    scope_target_id: Option<String>,
    #[serde(flatten)]
    authors: Authors,
}

#[derive(FromRow)]
pub(super) struct Row {
    id: String,
    zone_id: String,
    name: String,
    owner_type: String,
    scope_type: String,
    pub(super) target_type: String,
    latest_version: Option<i64>,
    latest_version_id: Option<String>,
    active_version: Option<i64>,
    active_version_id: Option<String>,
    shadow_version: Option<i64>,
    shadow_version_id: Option<String>,
    #[sqlx(flatten)]
    authors: AuthorsRow,
}

#[derive(Deserialize, ToSchema)]
#[schema(as = PolicySetCreate)]
struct Create {
    name: String,
    scope_type: Option<ScopeType>,
    target_type: Option<TargetType>,
}

/// Where it applies.
#[derive(Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum ScopeType {
    #[default]
    Zone,
}

/// Whose requests it is about.
#[derive(Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum TargetType {
    #[default]
    Zone,
    User,
}

#[derive(Deserialize, ToSchema)]
#[schema(as = PolicySetUpdate)]
struct Update {
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    name: Patch<String>,
}

/// List policy sets in a zone
#[utoipa::path(get, path = "/zones/{zone_id}/policy-sets", tag = "policy-sets", params(
    Paging, ("zone_id" = String, Path), ("active" = Option<bool>, Query), ("filter[active]" = Option<bool>, Query),
    ("filter[owner_type]" = Option<Vec<String>>, Query), ("filter[scope_type]" = Option<Vec<String>>, Query),
    ("filter[target_type]" = Option<Vec<String>>, Query), ("query[]" = Option<Vec<String>>, Query),
    ("query[name]" = Option<Vec<String>>, Query), ("order" = Option<String>, Query),
    ("sort" = Option<String>, Query, description = "`created_at` or `status`"),
), responses((status = 200, body = Page<PolicySet>), Refusals))]
async fn list(place: InZone, query: Query) -> Result<Json<Page<PolicySet>>, Refused> {
    query.knows(&["active", "owner_type", "scope_type", "target_type"], &["name"])?;
    let status = match query.flag("active")? {
        Some(true) => vec!["active".to_owned()],
        Some(false) => vec!["inactive".to_owned()],
        None => Vec::new(),
    };
    let conditions = place
        .rows()
        .empty("t.archived_at", true)
        .one_of("t.status", &status)
        .one_of("t.owner_type", &query.choices("owner_type", &["platform", "customer"])?)
        .one_of("t.scope_type", &query.choices("scope_type", &["zone", "resource", "user", "session"])?)
        .one_of("t.target_type", &query.choices("target_type", &["zone", "user"])?)
        .contain(&["t.name"], &query.words(""))
        .contain(&["t.name"], &query.words("name"));
    let window = query.window(&[("created_at", Order::Created), ("status", Order::Status)])?;
    policy_rows::page(&place, &query, conditions, &window, Row::show).await
}

/// Create a new policy set
#[utoipa::path(post, path = "/zones/{zone_id}/policy-sets", tag = "policy-sets", params(("zone_id" = String, Path)),
    request_body = Create, responses((status = 200, body = PolicySet), Refusals))]
async fn create(place: InZone, Body(sent): Body<Create>) -> Result<Json<PolicySet>, Refused> {
    let (id, now) = (RowId::random(), place.now.as_millis());
    let ScopeType::Zone = sent.scope_type.unwrap_or_default();
    let target_type = match sent.target_type.unwrap_or_default() {
        TargetType::Zone => "zone",
        TargetType::User => "user",
    };
    let columns = vec![
        ("id", id.as_str().into()),
        ("zone_id", place.zone().into()),
        ("name", body::name(sent.name)?.into()),
        ("scope_type", "zone".into()),
        ("target_type", target_type.into()),
        ("created_by", place.caller.id().into()),
        ("created_at", now.into()),
        ("updated_at", now.into()),
    ];
    place.store.insert("policy_sets", columns).await?;
    Ok(Json(find::<Row>(&place, place.rows().equals("t.id", id.as_str())).await?.show(&Expanded::default())))
}

/// Get a policy set by ID
#[utoipa::path(get, path = "/zones/{zone_id}/policy-sets/{id}", tag = "policy-sets",
    params(("zone_id" = String, Path), ("id" = String, Path), ("expand[]" = Option<Vec<String>>, Query)),
    responses((status = 200, body = PolicySet), Refusals))]
async fn retrieve(place: InZone, query: Query) -> Result<impl IntoResponse, Refused> {
    query.expands_only(&["user"])?;
    let row: Row = find(&place, place.row()).await?;
    let users = policy_rows::users_of(&place, &query, std::slice::from_ref(&row)).await?;
    Ok((tag(row.authors.updated_at), Json(row.show(&users))))
}

/// Update a policy set
#[utoipa::path(patch, path = "/zones/{zone_id}/policy-sets/{id}", tag = "policy-sets",
    params(("zone_id" = String, Path), ("id" = String, Path), ("If-Match" = Option<String>, Header)),
    request_body = Update, responses((status = 200, body = PolicySet), Refusals))]
async fn update(place: InZone, Body(sent): Body<Update>) -> Result<impl IntoResponse, Refused> {
    let old: Row = changeable(&place).await?;
    let columns = vec![
        ("name", body::name(sent.name.required("name", old.name)?)?.into()),
        ("updated_by", place.caller.id().into()),
    ];
    let change = place.store.update("policy_sets", columns, place.own(), place.expected, place.now).await?;
    settle(change, Row::WHAT)?;
    let row: Row = find(&place, place.row()).await?;
    Ok((tag(row.authors.updated_at), Json(row.show(&Expanded::default()))))
}

/// Archive a policy set
#[utoipa::path(delete, path = "/zones/{zone_id}/policy-sets/{id}", tag = "policy-sets",
    params(("zone_id" = String, Path), ("id" = String, Path), ("If-Match" = Option<String>, Header)),
    responses((status = 200, body = PolicySet), Refusals))]
async fn archive(place: InZone) -> Result<Json<PolicySet>, Refused> {
    policy_rows::archive::<Row>(&place, Archivable::Set, place.part("id"), place.row()).await?;
    Ok(Json(find::<Row>(&place, place.row()).await?.show(&Expanded::default())))
}

impl PolicyRow for Row {
    const WHAT: &'static str = "policy set";
    const COLUMNS: &'static str = "t.id, t.zone_id, t.name, t.owner_type, t.scope_type, t.target_type, \
        t.latest_version, t.latest_version_id, av.version AS active_version, av.id AS active_version_id, \
        sv.version AS shadow_version, sv.id AS shadow_version_id, t.created_by, t.updated_by, t.archived_by, \
        t.created_at, t.updated_at, t.archived_at";
    const TABLES: &'static str = "policy_sets t \
        LEFT JOIN policy_bindings a ON a.policy_set_id = t.id AND a.mode = 'active' \
        LEFT JOIN policy_set_versions av ON av.id = a.policy_set_version_id \
        LEFT JOIN policy_bindings s ON s.policy_set_id = t.id AND s.mode = 'shadow' \
        LEFT JOIN policy_set_versions sv ON sv.id = s.policy_set_version_id";

    fn authors(&self) -> &AuthorsRow {
        &self.authors
    }

    fn owner_type(&self) -> &str {
        &self.owner_type
    }
}

impl Row {
    fn show(self, users: &Expanded) -> PolicySet {
        let mode = match (&self.active_version_id, &self.shadow_version_id) {
            (Some(_), _) => Some("active"),
            (None, Some(_)) => Some("shadow"),
            (None, None) => None,
        };
        let target = mode.map(|_| self.zone_id.clone());
        PolicySet {
            id: self.id,
            zone_id: self.zone_id,
            name: self.name,
            owner_type: self.owner_type,
            scope_type: self.scope_type,
            target_type: self.target_type,
            latest_version: self.latest_version,
            latest_version_id: self.latest_version_id,
            active: self.active_version_id.is_some(),
            active_version: self.active_version,
            active_version_id: self.active_version_id,
            mode,
            shadow_version: self.shadow_version,
            shadow_version_id: self.shadow_version_id,
            scope_target_id: target.clone(),
            target_id: target,
            authors: self.authors.show(users),
        }
    }
}
