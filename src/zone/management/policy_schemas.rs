//! Policy schemas: what policies may speak of. They come with the program; a zone chooses which one its people write
//! against.

use std::sync::Arc;

use axum::Json;
use serde::Deserialize;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::cedar::Schema;
use crate::model::Timestamp;
use crate::zone::access::DEFAULT_SCHEMA;
use crate::zone::access::SCHEMAS;
use crate::zone::access::SchemaVersion;
use crate::zone::issuer::Issuer;
use crate::zone::management::body::Body;
use crate::zone::management::in_zone::InZone;
use crate::zone::management::page::Page;
use crate::zone::management::policy_format::Format;
use crate::zone::management::query::Paging;
use crate::zone::management::query::Query;
use crate::zone::management::refused::Refusals;
use crate::zone::management::refused::Refused;
use crate::zone::store::Argument;
use crate::zone::store::Cursor;
use crate::zone::store::Listed;
use crate::zone::store::Order;
use crate::zone::store::PageFrom;
use crate::zone::store::Window;

pub(super) fn router() -> OpenApiRouter<Arc<Issuer>> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(retrieve, set_default))
}

/// A versioned Cedar schema: the entities, their attributes, the actions and the context that policies may speak of.
#[derive(Serialize, ToSchema)]
struct PolicySchema {
    version: &'static str,
    /// Whether new policy versions may be written against it.
    status: &'static str,
    /// Whether it is the one that this zone's people write against. Decides nothing.
    is_default: bool,
    /// In Cedar's syntax; with `format=cedar`.
    cedar_schema: Option<&'static str>,
    /// In JSON; with `format=json`, which is the default.
    #[schema(value_type = Option<Object>)]
    cedar_schema_json: Option<serde_json::Value>,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
    #[schema(value_type = Option<String>, format = DateTime)]
    deprecated_at: Option<Timestamp>,
    #[schema(value_type = Option<String>, format = DateTime)]
    archived_at: Option<Timestamp>,
}

/// Nothing needs to be said.
#[derive(Deserialize, ToSchema)]
#[schema(as = PolicySchemaSetDefault)]
struct SetDefault {}

/// List policy schemas
#[utoipa::path(get, path = "/zones/{zone_id}/policy-schemas", tag = "policy-schemas", params(
    Paging, ("zone_id" = String, Path), ("format" = Option<String>, Query, description = "`json` or `cedar`"),
    ("is_default" = Option<bool>, Query), ("filter[default]" = Option<bool>, Query),
    ("sort" = Option<String>, Query, description = "`created_at`"), ("order" = Option<String>, Query),
), responses((status = 200, body = Page<PolicySchema>), Refusals))]
async fn list(place: InZone, query: Query) -> Result<Json<Page<PolicySchema>>, Refused> {
    query.knows(&["default", "is_default"], &[])?;
    query.expands_only(&[])?;
    let format = Format::asked(&query)?;
    let window = query.window(&[("created_at", Order::Created)])?;
    let default = default(&place).await?;
    let wanted = query.flag("is_default")?.or(query.flag("default")?);
    let known = SCHEMAS.iter().filter(|schema| wanted.is_none_or(|wanted| (schema.version == default) == wanted));
    let listed = page(known.collect(), &window);
    Ok(Json(Page::of(listed, |schema| show(schema, format, &default))))
}

/// Get a policy schema by version
#[utoipa::path(get, path = "/zones/{zone_id}/policy-schemas/{version}", tag = "policy-schemas",
    params(("zone_id" = String, Path), ("version" = String, Path),
    ("format" = Option<String>, Query, description = "`json` or `cedar`")),
    responses((status = 200, body = PolicySchema), Refusals))]
async fn retrieve(place: InZone, query: Query) -> Result<Json<PolicySchema>, Refused> {
    let schema = find(place.part("version"))?;
    Ok(Json(show(schema, Format::asked(&query)?, &default(&place).await?)))
}

/// Set the default policy schema for a zone
#[utoipa::path(patch, path = "/zones/{zone_id}/policy-schemas/{version}", tag = "policy-schemas",
    params(("zone_id" = String, Path), ("version" = String, Path)), request_body = SetDefault,
    responses((status = 200, body = PolicySchema), Refusals))]
async fn set_default(place: InZone, Body(SetDefault {}): Body<SetDefault>) -> Result<Json<PolicySchema>, Refused> {
    let schema = find(place.part("version"))?;
    place.store.set_default_schema(schema.version).await?;
    Ok(Json(show(schema, Format::Json, schema.version)))
}

/// The schema of this version.
pub(super) fn find(version: &str) -> Result<&'static SchemaVersion, Refused> {
    SchemaVersion::find(version).ok_or_else(|| Refused::not_found("policy schema"))
}

async fn default(place: &InZone) -> Result<String, Refused> {
    Ok(place.store.default_schema().await?.unwrap_or_else(|| DEFAULT_SCHEMA.to_owned()))
}

fn show(schema: &'static SchemaVersion, format: Format, default: &str) -> PolicySchema {
    let created_at = Timestamp::from_millis(schema.created_at);
    PolicySchema {
        version: schema.version,
        status: "active",
        is_default: schema.version == default,
        cedar_schema: (format == Format::Cedar).then_some(schema.text),
        cedar_schema_json: (format == Format::Json).then(|| Schema::text_to_json(schema.text).ok()).flatten(),
        created_at,
        updated_at: created_at,
        deprecated_at: None,
        archived_at: None,
    }
}

/// One page of a list that is in the program.
fn page(mut known: Vec<&'static SchemaVersion>, window: &Window) -> Listed<&'static SchemaVersion> {
    let cursor = |schema: &&SchemaVersion| Cursor { key: schema.created_at.into(), id: schema.version.to_owned() };
    let place = |cursor: &Cursor| match cursor.key {
        Argument::Number(created_at) => (created_at, cursor.id.clone()),
        Argument::Text(_) => (None, cursor.id.clone()),
    };
    known.sort_by_key(|schema| place(&cursor(schema)));
    if window.descending {
        known.reverse();
    }
    let total = window.count.then(|| i64::try_from(known.len()).unwrap_or(i64::MAX));
    let limit = usize::try_from(window.limit).unwrap_or(usize::MAX);
    let comes_later = |schema: &&SchemaVersion, than: &Cursor| {
        (place(&cursor(schema)) > place(than)) != window.descending && place(&cursor(schema)) != place(than)
    };
    let (before, mut rows): (Vec<_>, Vec<_>) = match &window.from {
        PageFrom::Start => (Vec::new(), known),
        PageFrom::After(after) => known.into_iter().partition(|schema| !comes_later(schema, after)),
        PageFrom::Before(end) => {
            let mut earlier: Vec<_> = known
                .into_iter()
                .filter(|schema| !comes_later(schema, end) && place(&cursor(schema)) != place(end))
                .collect();
            let rows = earlier.split_off(earlier.len().saturating_sub(limit));
            (earlier, rows)
        }
    };
    let has_next = rows.len() > limit || matches!(window.from, PageFrom::Before(_));
    rows.truncate(limit);
    let (start, end) = (rows.first().map(cursor), rows.last().map(cursor));
    Listed { has_next, has_previous: !before.is_empty(), start, end, total, rows }
}
