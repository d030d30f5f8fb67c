//! Dependencies: the resources that an application needs.

use std::sync::Arc;

use axum::Json;
use axum::http::StatusCode;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::zone::issuer::Issuer;
use crate::zone::management::applications;
use crate::zone::management::in_zone::InZone;
use crate::zone::management::json;
use crate::zone::management::page::Page;
use crate::zone::management::query::Paging;
use crate::zone::management::query::Query;
use crate::zone::management::refused::Refusals;
use crate::zone::management::refused::Refused;
use crate::zone::management::refused::settle;
use crate::zone::management::resources;
use crate::zone::management::resources::Resource;
use crate::zone::store::Conditions;

pub(super) fn router() -> OpenApiRouter<Arc<Issuer>> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(retrieve, add, remove))
}

/// List application dependencies
#[utoipa::path(get, path = "/zones/{zone_id}/applications/{id}/dependencies", tag = "dependencies", params(
    Paging, ("zone_id" = String, Path), ("id" = String, Path), ("when_accessing" = Option<String>, Query),
), responses((status = 200, body = Page<Resource>), Refusals))]
async fn list(place: InZone, query: Query) -> Result<Json<Page<Resource>>, Refused> {
    applications::find(&place, place.row()).await?;
    let (conditions, window) = query.named(of_application(&place), &[])?;
    // Ids have no letters that JSON or LIKE would escape.
    let accessing: Vec<String> = query.all("when_accessing").iter().map(|id| format!("\"{id}\"")).collect();
    let conditions = conditions.contain(&["d.when_accessing"], &accessing);
    let listed = place.store.list::<resources::Row>(COLUMNS, TABLES, conditions, &window).await?;
    Ok(Json(Page::of(listed, |row| row.show(&place.organization))))
}

/// Get application dependency
#[utoipa::path(get, path = "/zones/{zone_id}/applications/{id}/dependencies/{dependency_id}", tag = "dependencies",
    params(("zone_id" = String, Path), ("id" = String, Path), ("dependency_id" = String, Path)),
    responses((status = 200, body = Resource), Refusals))]
async fn retrieve(place: InZone) -> Result<Json<Resource>, Refused> {
    let conditions = of_application(&place).equals("d.resource_id", place.part("dependency_id"));
    let row = place.store.find::<resources::Row>(COLUMNS, TABLES, conditions).await?;
    let row = row.ok_or_else(|| Refused::not_found("dependency"))?;
    Ok(Json(row.show(&place.organization)))
}

/// Add application dependency
#[utoipa::path(put, path = "/zones/{zone_id}/applications/{id}/dependencies/{dependency_id}", tag = "dependencies",
    params(("zone_id" = String, Path), ("id" = String, Path), ("dependency_id" = String, Path),
    ("when_accessing" = Option<Vec<String>>, Query)), responses((status = 204), Refusals))]
async fn add(place: InZone, query: Query) -> Result<StatusCode, Refused> {
    applications::find(&place, place.row()).await?;
    let resource = place.part("dependency_id");
    if place.store.count("resources t", place.rows().equals("t.id", resource)).await? == 0 {
        return Err(Refused::not_found("resource"));
    }
    let accessing = [query.all("when_accessing"), query.all("when_accessing[]")].concat();
    for id in &accessing {
        if place.store.count("resources t", place.rows().equals("t.id", id)).await? == 0 {
            return Err(Refused::bad("when_accessing", "is no resource of this zone"));
        }
    }
    let accessing = json::write(Some(accessing).filter(|ids| !ids.is_empty()))?;
    place.store.depend(place.part("id"), resource, accessing, place.now).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Remove application dependency
#[utoipa::path(delete, path = "/zones/{zone_id}/applications/{id}/dependencies/{dependency_id}", tag = "dependencies",
    params(("zone_id" = String, Path), ("id" = String, Path), ("dependency_id" = String, Path)),
    responses((status = 204), Refusals))]
async fn remove(place: InZone) -> Result<StatusCode, Refused> {
    applications::find(&place, place.row()).await?;
    settle(place.store.undepend(place.part("id"), place.part("dependency_id")).await?, "dependency")?;
    Ok(StatusCode::NO_CONTENT)
}

fn of_application(place: &InZone) -> Conditions {
    place.rows().equals("d.application_id", place.part("id"))
}

const TABLES: &str = "dependencies d JOIN resources t ON t.id = d.resource_id";

const COLUMNS: &str = "t.id, t.zone_id, t.owner_type, t.slug, t.identifier, t.name, t.description, \
    t.application_type, t.application_id, t.credential_provider_id, t.prefix, t.credential_lifetime_seconds, \
    t.access_token_signing_alg, t.scopes, t.metadata, t.created_at, t.updated_at, d.when_accessing";
