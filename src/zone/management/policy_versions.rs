//! Versions of a policy: Cedar, checked against a schema when it is written, and never changed afterwards.

use std::sync::Arc;

use axum::Json;
use serde::Deserialize;
use serde::Serialize;
use sqlx::FromRow;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::limits::ZONE_POLICY_BYTES_MAX;
use crate::zone::access::PolicyText;
use crate::zone::access::SchemaVersion;
use crate::zone::id::RowId;
use crate::zone::issuer::Issuer;
use crate::zone::management::body::Body;
use crate::zone::management::expanded::Expanded;
use crate::zone::management::in_zone::InZone;
use crate::zone::management::json;
use crate::zone::management::page::Page;
use crate::zone::management::policies;
use crate::zone::management::policy_format::Format;
use crate::zone::management::policy_rows;
use crate::zone::management::policy_rows::Authors;
use crate::zone::management::policy_rows::AuthorsRow;
use crate::zone::management::policy_rows::PolicyRow;
use crate::zone::management::policy_rows::find;
use crate::zone::management::policy_schemas;
use crate::zone::management::query::Paging;
use crate::zone::management::query::Query;
use crate::zone::management::refused::Refusals;
use crate::zone::management::refused::Refused;
use crate::zone::management::refused::settle;
use crate::zone::store::Archivable;
use crate::zone::store::Conditions;
use crate::zone::store::NewVersion;
use crate::zone::store::Order;
use crate::zone::store::Versioned;

pub(super) fn router() -> OpenApiRouter<Arc<Issuer>> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(retrieve, archive))
}

/// A version of a policy. It never changes.
#[derive(Serialize, ToSchema)]
pub(super) struct PolicyVersion {
    id: String,
    zone_id: String,
    policy_id: String,
    owner_type: String,
    version: i64,
    /// What it was checked against.
    schema_version: String,
    /// SHA-256 of the canonical text, in hex.
    sha: String,
    /// With `format=json`, which is the default.
    #[schema(value_type = Option<Object>)]
    cedar_json: Option<serde_json::Value>,
    /// The canonical text; with `format=cedar`.
    cedar_raw: Option<String>,
    #[serde(flatten)]
    authors: Authors,
}

#[derive(FromRow)]
pub(super) struct Row {
    pub(super) id: String,
    zone_id: String,
    pub(super) policy_id: String,
    owner_type: String,
    version: i64,
    pub(super) schema_version: String,
    pub(super) sha: String,
    cedar_json: String,
    cedar_raw: String,
    #[sqlx(flatten)]
    pub(super) authors: AuthorsRow,
}

/// One of `cedar_json` and `cedar_raw`.
#[derive(Deserialize, ToSchema)]
#[schema(as = PolicyVersionCreate)]
struct Create {
    schema_version: String,
    #[schema(value_type = Option<Object>)]
    cedar_json: Option<serde_json::Value>,
    cedar_raw: Option<String>,
}

/// List versions of a policy
#[utoipa::path(get, path = "/zones/{zone_id}/policies/{id}/versions", tag = "policies", params(
    Paging, ("zone_id" = String, Path), ("id" = String, Path),
    ("format" = Option<String>, Query, description = "`json` or `cedar`"),
    ("sort" = Option<String>, Query, description = "`created_at`"), ("order" = Option<String>, Query),
), responses((status = 200, body = Page<PolicyVersion>), Refusals))]
async fn list(place: InZone, query: Query) -> Result<Json<Page<PolicyVersion>>, Refused> {
    find::<policies::Row>(&place, place.row()).await?;
    query.knows(&[], &[])?;
    let format = Format::asked(&query)?;
    let window = query.window(&[("created_at", Order::Created)])?;
    let conditions = Conditions::default().equals("t.policy_id", place.part("id"));
    policy_rows::page(&place, &query, conditions, &window, |row: Row, users| row.show(Some(format), users)).await
}

/// Create a new immutable policy version
#[utoipa::path(post, path = "/zones/{zone_id}/policies/{id}/versions", tag = "policies",
    params(("zone_id" = String, Path), ("id" = String, Path)), request_body = Create,
    responses((status = 200, body = PolicyVersion), Refusals))]
async fn create(place: InZone, Body(sent): Body<Create>) -> Result<Json<PolicyVersion>, Refused> {
    policy_rows::changeable::<policies::Row>(&place).await?;
    let schema = policy_schemas::find(&sent.schema_version)?;
    let PolicyText { canonical, sha } = read(sent.cedar_raw, sent.cedar_json, schema)?;
    let (id, now) = (RowId::random(), place.now.as_millis());
    let columns = vec![
        ("id", id.as_str().into()),
        ("zone_id", place.zone().into()),
        ("policy_id", place.part("id").into()),
        ("schema_version", schema.version.into()),
        ("sha", sha.into()),
        ("cedar_raw", canonical.text.into()),
        ("cedar_json", canonical.json.to_string().into()),
        ("created_by", place.caller.id().into()),
        ("created_at", now.into()),
        ("updated_at", now.into()),
    ];
    let new = NewVersion {
        of: Versioned::Policy,
        parent: place.part("id"),
        id: id.as_str(),
        schema_version: schema.version,
        columns,
        entries: &[],
    };
    settle(place.store.add_version(new, place.now).await?, policies::Row::WHAT)?;
    tell(&place, id.as_str()).await
}

/// Get a specific policy version
#[utoipa::path(get, path = "/zones/{zone_id}/policies/{id}/versions/{version_id}", tag = "policies", params(
    ("zone_id" = String, Path), ("id" = String, Path), ("version_id" = String, Path),
    ("format" = Option<String>, Query, description = "`json` or `cedar`"),
    ("expand[]" = Option<Vec<String>>, Query)),
    responses((status = 200, body = PolicyVersion), Refusals))]
async fn retrieve(place: InZone, query: Query) -> Result<Json<PolicyVersion>, Refused> {
    query.expands_only(&["user"])?;
    let format = Format::asked(&query)?;
    let row: Row = find(&place, named(&place, place.part("version_id"))).await?;
    let users = policy_rows::users_of(&place, &query, std::slice::from_ref(&row)).await?;
    Ok(Json(row.show(Some(format), &users)))
}

/// Archive a policy version
#[utoipa::path(delete, path = "/zones/{zone_id}/policies/{id}/versions/{version_id}", tag = "policies",
    params(("zone_id" = String, Path), ("id" = String, Path), ("version_id" = String, Path)),
    responses((status = 200, body = PolicyVersion), Refusals))]
async fn archive(place: InZone) -> Result<Json<PolicyVersion>, Refused> {
    let id = place.part("version_id");
    policy_rows::archive::<Row>(&place, Archivable::PolicyVersion, id, named(&place, id)).await?;
    tell(&place, id).await
}

/// Exactly one of the two syntaxes.
fn read(raw: Option<String>, json: Option<serde_json::Value>, schema: &SchemaVersion) -> Result<PolicyText, Refused> {
    let (field, bytes) = match (&raw, &json) {
        (Some(raw), None) => ("cedar_raw", raw.len()),
        (None, Some(json)) => ("cedar_json", json.to_string().len()),
        (Some(_), Some(_)) => return Err(Refused::bad("cedar_json", "can't be sent with `cedar_raw`")),
        (None, None) => return Err(Refused::bad("cedar_raw", "or `cedar_json` is missing")),
    };
    if bytes > ZONE_POLICY_BYTES_MAX {
        return Err(Refused::bad(field, &format!("has more than {ZONE_POLICY_BYTES_MAX} bytes")));
    }
    let read = match (raw, json) {
        (Some(raw), _) => PolicyText::of_cedar(&raw, schema),
        (None, json) => PolicyText::of_json(json.unwrap_or_default(), schema),
    };
    read.map_err(|fault| Refused::bad(field, &format!("is no policy of schema {}: {fault}", schema.version)))
}

/// In both syntaxes.
async fn tell(place: &InZone, id: &str) -> Result<Json<PolicyVersion>, Refused> {
    Ok(Json(find::<Row>(place, named(place, id)).await?.show(None, &Expanded::default())))
}

/// The version of this id, of the policy of the path.
fn named(place: &InZone, id: &str) -> Conditions {
    place.rows().equals("t.id", id).equals("t.policy_id", place.part("id"))
}

impl PolicyRow for Row {
    const WHAT: &'static str = "policy version";
    const COLUMNS: &'static str = "t.id, t.zone_id, t.policy_id, t.owner_type, t.version, t.schema_version, t.sha, \
        t.cedar_json, t.cedar_raw, t.created_by, t.archived_by, t.created_at, t.archived_at";
    const TABLES: &'static str = "policy_versions t";

    fn authors(&self) -> &AuthorsRow {
        &self.authors
    }

    fn owner_type(&self) -> &str {
        &self.owner_type
    }
}

impl Row {
    /// In one syntax, or in both.
    pub(super) fn show(self, format: Option<Format>, users: &Expanded) -> PolicyVersion {
        PolicyVersion {
            id: self.id,
            zone_id: self.zone_id,
            policy_id: self.policy_id,
            owner_type: self.owner_type,
            version: self.version,
            schema_version: self.schema_version,
            sha: self.sha,
            cedar_json: json::read(Some(self.cedar_json).filter(|_| format != Some(Format::Cedar))),
            cedar_raw: Some(self.cedar_raw).filter(|_| format != Some(Format::Json)),
            authors: self.authors.show(users),
        }
    }
}
