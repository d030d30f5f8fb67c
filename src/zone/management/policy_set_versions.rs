//! Versions of a policy set: a manifest that never changes, bound in one step, attested by the zone's signature.

use std::sync::Arc;

use axum::Json;
use serde::Deserialize;
use serde::Serialize;
use sqlx::FromRow;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::zone::canonical;
use crate::zone::events::Event;
use crate::zone::events::Field;
use crate::zone::events::POLICIES_BIND;
use crate::zone::id::RowId;
use crate::zone::issuer::Issuer;
use crate::zone::management::attestation;
use crate::zone::management::attestation::Attestation;
use crate::zone::management::body::Body;
use crate::zone::management::expanded::Expanded;
use crate::zone::management::in_zone::InZone;
use crate::zone::management::json;
use crate::zone::management::page::Page;
use crate::zone::management::policy_format::Format;
use crate::zone::management::policy_manifest::Manifest;
use crate::zone::management::policy_rows;
use crate::zone::management::policy_rows::Authors;
use crate::zone::management::policy_rows::AuthorsRow;
use crate::zone::management::policy_rows::PolicyRow;
use crate::zone::management::policy_rows::find;
use crate::zone::management::policy_schemas;
use crate::zone::management::policy_sets;
use crate::zone::management::policy_versions;
use crate::zone::management::policy_versions::PolicyVersion;
use crate::zone::management::query::Paging;
use crate::zone::management::query::Query;
use crate::zone::management::refused::Refusals;
use crate::zone::management::refused::Refused;
use crate::zone::management::refused::settle;
use crate::zone::store::Archivable;
use crate::zone::store::Bound;
use crate::zone::store::Conditions;
use crate::zone::store::Mode;
use crate::zone::store::NewVersion;
use crate::zone::store::Order;
use crate::zone::store::Versioned;

pub(super) fn router() -> OpenApiRouter<Arc<Issuer>> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(retrieve, bind, archive))
        .routes(routes!(list_policies))
}

/// A version of a policy set. Only its binding changes.
#[derive(Serialize, ToSchema)]
struct PolicySetVersion {
    id: String,
    policy_set_id: String,
    owner_type: String,
    version: i64,
    /// What all its policies are written against.
    schema_version: String,
    manifest: Option<Manifest>,
    /// SHA-256 of the manifest's canonical form (RFC 8785), in hex.
    manifest_sha: String,
    /// Whether it decides.
    active: bool,
    /// Whether it is asked for comparison. An extension of this server.
    shadow: bool,
    /// Not told in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    attestation: Option<Attestation>,
    #[serde(flatten)]
    authors: Authors,
}

#[derive(FromRow)]
pub(super) struct Row {
    pub(super) id: String,
    pub(super) zone_id: String,
    pub(super) policy_set_id: String,
    owner_type: String,
    pub(super) version: i64,
    schema_version: String,
    pub(super) manifest: String,
    pub(super) manifest_sha: String,
    pub(super) attestation: Option<String>,
    #[sqlx(flatten)]
    pub(super) authors: AuthorsRow,
    active_since: Option<i64>,
    shadow_since: Option<i64>,
}

#[derive(Deserialize, ToSchema)]
#[schema(as = PolicySetVersionCreate)]
struct Create {
    schema_version: String,
    manifest: Manifest,
}

/// One of the two.
#[derive(Deserialize, ToSchema)]
#[schema(as = PolicySetVersionUpdate)]
struct Update {
    /// `true`: from now on it decides, in the place of whatever did. There is no `false`: bind another one.
    active: Option<bool>,
    /// Whether it is asked for comparison, beside the one that decides. An extension of this server.
    shadow: Option<bool>,
}

/// List versions of a policy set
#[utoipa::path(get, path = "/zones/{zone_id}/policy-sets/{id}/versions", tag = "policy-sets", params(
    Paging, ("zone_id" = String, Path), ("id" = String, Path),
    ("sort" = Option<String>, Query, description = "`created_at`"), ("order" = Option<String>, Query),
), responses((status = 200, body = Page<PolicySetVersion>), Refusals))]
async fn list(place: InZone, query: Query) -> Result<Json<Page<PolicySetVersion>>, Refused> {
    find::<policy_sets::Row>(&place, place.row()).await?;
    query.knows(&[], &[])?;
    let window = query.window(&[("created_at", Order::Created)])?;
    let conditions = Conditions::default().equals("t.policy_set_id", place.part("id"));
    policy_rows::page(&place, &query, conditions, &window, Row::show).await
}

/// Create a new immutable policy set version
#[utoipa::path(post, path = "/zones/{zone_id}/policy-sets/{id}/versions", tag = "policy-sets",
    params(("zone_id" = String, Path), ("id" = String, Path)), request_body = Create,
    responses((status = 200, body = PolicySetVersion), Refusals))]
async fn create(place: InZone, Body(sent): Body<Create>) -> Result<Json<PolicySetVersion>, Refused> {
    policy_rows::changeable::<policy_sets::Row>(&place).await?;
    let schema = policy_schemas::find(&sent.schema_version)?;
    let manifest = sent.manifest.checked(&place, schema.version).await?;
    let text = canonical::json(&manifest).ok_or_else(Refused::failed)?;
    let (id, now) = (RowId::random(), place.now.as_millis());
    let columns = vec![
        ("id", id.as_str().into()),
        ("zone_id", place.zone().into()),
        ("policy_set_id", place.part("id").into()),
        ("schema_version", schema.version.into()),
        ("manifest_sha", canonical::sha256(text.as_bytes()).into()),
        ("manifest", text.into()),
        ("created_by", place.caller.id().into()),
        ("created_at", now.into()),
        ("updated_at", now.into()),
    ];
    let entries: Vec<String> = manifest.entries.into_iter().map(|entry| entry.policy_version_id).collect();
    let new = NewVersion {
        of: Versioned::Set,
        parent: place.part("id"),
        id: id.as_str(),
        schema_version: schema.version,
        columns,
        entries: &entries,
    };
    settle(place.store.add_version(new, place.now).await?, policy_sets::Row::WHAT)?;
    tell(&place, id.as_str(), None).await
}

/// Get a specific policy set version
#[utoipa::path(get, path = "/zones/{zone_id}/policy-sets/{id}/versions/{version_id}", tag = "policy-sets",
    params(("zone_id" = String, Path), ("id" = String, Path), ("version_id" = String, Path),
    ("expand[]" = Option<Vec<String>>, Query)),
    responses((status = 200, body = PolicySetVersion), Refusals))]
async fn retrieve(place: InZone, query: Query) -> Result<Json<PolicySetVersion>, Refused> {
    query.expands_only(&["user"])?;
    tell(&place, place.part("version_id"), Some(&query)).await
}

/// Activate a policy set version
#[utoipa::path(patch, path = "/zones/{zone_id}/policy-sets/{id}/versions/{version_id}", tag = "policy-sets",
    params(("zone_id" = String, Path), ("id" = String, Path), ("version_id" = String, Path)),
    request_body = Update, responses((status = 200, body = PolicySetVersion), Refusals))]
async fn bind(place: InZone, Body(sent): Body<Update>) -> Result<Json<PolicySetVersion>, Refused> {
    let set: policy_sets::Row = find(&place, place.row()).await?;
    let row: Row = find(&place, named(&place, place.part("version_id"))).await?;
    let mode = match (sent.active, sent.shadow) {
        (Some(true), None) => Some(Mode::Active),
        (None, Some(true)) => Some(Mode::Shadow),
        (None, Some(false)) => None,
        (Some(false), _) => return Err(Refused::bad("active", "can only be true; bind another version instead")),
        (Some(true), Some(_)) => return Err(Refused::bad("shadow", "can't be sent with `active`")),
        (None, None) => return Err(Refused::bad("active", "or `shadow` is missing")),
    };
    if set.target_type != "zone" {
        return Err(Refused::bad("target_type", "is `user`: only sets for the zone are bound to it"));
    }
    match mode {
        None => place.store.unbind_shadow(&row.id).await?,
        Some(mode) => {
            let by = place.caller.id();
            match place.store.bind_policies(mode, &row.policy_set_id, &row.id, by, place.now).await? {
                Bound::Done => {}
                Bound::Archived => return Err(Refused::conflict("It, or something in it, is archived")),
            }
        }
    }
    place.issuer.rules.events.record(&Event {
        name: POLICIES_BIND,
        fields: &[
            ("zone", Field::Text(place.zone())),
            ("policy_set", Field::Text(&row.policy_set_id)),
            ("policy_set_version", Field::Text(&row.id)),
            ("manifest_sha", Field::Text(&row.manifest_sha)),
            ("mode", Field::Text(mode.map_or("none", Mode::as_str))),
            ("by", Field::Text(place.caller.id())),
        ],
    });
    tell(&place, &row.id, None).await
}

/// Archive a policy set version
#[utoipa::path(delete, path = "/zones/{zone_id}/policy-sets/{id}/versions/{version_id}", tag = "policy-sets",
    params(("zone_id" = String, Path), ("id" = String, Path), ("version_id" = String, Path)),
    responses((status = 200, body = PolicySetVersion), Refusals))]
async fn archive(place: InZone) -> Result<Json<PolicySetVersion>, Refused> {
    let id = place.part("version_id");
    policy_rows::archive::<Row>(&place, Archivable::SetVersion, id, named(&place, id)).await?;
    tell(&place, id, None).await
}

/// List policy versions in a policy set version
#[utoipa::path(get, path = "/zones/{zone_id}/policy-sets/{id}/versions/{version_id}/policies", tag = "policy-sets",
    params(Paging, ("zone_id" = String, Path), ("id" = String, Path), ("version_id" = String, Path),
    ("format" = Option<String>, Query, description = "`json` or `cedar`"),
    ("sort" = Option<String>, Query, description = "`created_at`"), ("order" = Option<String>, Query),
), responses((status = 200, body = Page<PolicyVersion>), Refusals))]
async fn list_policies(place: InZone, query: Query) -> Result<Json<Page<PolicyVersion>>, Refused> {
    find::<Row>(&place, named(&place, place.part("version_id"))).await?;
    query.knows(&[], &[])?;
    query.expands_only(&["user"])?;
    let format = Format::asked(&query)?;
    let window = query.window(&[("created_at", Order::Created)])?;
    let conditions = Conditions::default().equals("e.policy_set_version_id", place.part("version_id"));
    let tables = "policy_set_entries e JOIN policy_versions t ON t.id = e.policy_version_id";
    let columns = policy_versions::Row::COLUMNS;
    let listed = place.store.list::<policy_versions::Row>(columns, tables, conditions, &window).await?;
    let users = policy_rows::users_of(&place, &query, &listed.rows).await?;
    Ok(Json(Page::of(listed, |row| row.show(Some(format), &users))))
}

/// The version of this id, of the set of the path.
fn named(place: &InZone, id: &str) -> Conditions {
    place.rows().equals("t.id", id).equals("t.policy_set_id", place.part("id"))
}

/// The version with its manifest and its attestation, and with its authors where the query asks for them.
async fn tell(place: &InZone, id: &str, query: Option<&Query>) -> Result<Json<PolicySetVersion>, Refused> {
    let row: Row = find(place, named(place, id)).await?;
    let manifest: Manifest = json::read(Some(row.manifest.clone())).ok_or_else(Refused::failed)?;
    let attestation = attestation::of(place, &row, &manifest).await?;
    let users = match query {
        Some(query) => policy_rows::users_of(place, query, std::slice::from_ref(&row)).await?,
        None => Expanded::default(),
    };
    Ok(Json(PolicySetVersion { manifest: Some(manifest), attestation: Some(attestation), ..row.show(&users) }))
}

impl PolicyRow for Row {
    const WHAT: &'static str = "policy set version";
    const COLUMNS: &'static str = "t.id, t.zone_id, t.policy_set_id, t.owner_type, t.version, t.schema_version, \
        t.manifest, t.manifest_sha, t.attestation, t.created_by, t.archived_by, t.created_at, t.archived_at, \
        a.bound_at AS active_since, s.bound_at AS shadow_since";
    const TABLES: &'static str = "policy_set_versions t \
        LEFT JOIN policy_bindings a ON a.policy_set_version_id = t.id AND a.mode = 'active' \
        LEFT JOIN policy_bindings s ON s.policy_set_version_id = t.id AND s.mode = 'shadow'";

    fn authors(&self) -> &AuthorsRow {
        &self.authors
    }

    fn owner_type(&self) -> &str {
        &self.owner_type
    }
}

impl Row {
    fn show(self, users: &Expanded) -> PolicySetVersion {
        PolicySetVersion {
            id: self.id,
            policy_set_id: self.policy_set_id,
            owner_type: self.owner_type,
            version: self.version,
            schema_version: self.schema_version,
            manifest: json::read(Some(self.manifest)),
            manifest_sha: self.manifest_sha,
            active: self.active_since.is_some(),
            shadow: self.shadow_since.is_some(),
            attestation: None,
            authors: self.authors.show(users),
        }
    }
}
