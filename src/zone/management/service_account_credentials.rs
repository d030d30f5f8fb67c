//! The client credentials of service accounts: the secret is shown once.

use std::sync::Arc;

use axum::Json;
use axum::http::StatusCode;
use serde::Serialize;
use sqlx::FromRow;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::model::Timestamp;
use crate::zone::id::RowId;
use crate::zone::issuer::Issuer;
use crate::zone::management::body;
use crate::zone::management::body::Body;
use crate::zone::management::in_organization::InOrganization;
use crate::zone::management::page::Page;
use crate::zone::management::permissions;
use crate::zone::management::permissions::Permitted;
use crate::zone::management::query::Paging;
use crate::zone::management::query::Query;
use crate::zone::management::refused::Refusals;
use crate::zone::management::refused::Refused;
use crate::zone::management::refused::settle;
use crate::zone::management::second_factor::SecondFactor;
use crate::zone::management::service_accounts;
use crate::zone::management::service_accounts::Named;
use crate::zone::management::service_accounts::Renamed;
use crate::zone::opaque;
use crate::zone::store::Conditions;
use crate::zone::store::Order;

pub(super) fn router() -> OpenApiRouter<Arc<Issuer>> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(retrieve, update, delete))
}

#[derive(Serialize, ToSchema)]
struct ServiceAccountCredential {
    id: String,
    client_id: String,
    /// Only returned on creation.
    #[serde(skip_serializing_if = "Option::is_none")]
    client_secret: Option<String>,
    name: String,
    description: Option<String>,
    #[schema(value_type = Option<String>, format = DateTime)]
    last_used_at: Option<Timestamp>,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
}

#[derive(FromRow)]
struct Row {
    id: String,
    client_id: String,
    name: String,
    description: Option<String>,
    last_used_at: Option<i64>,
    created_at: i64,
}

/// List credentials
#[utoipa::path(get, path = "/organizations/{organization_id}/service-accounts/{service_account_id}/credentials",
    tag = "service-accounts",
    params(Paging, ("organization_id" = String, Path), ("service_account_id" = String, Path)),
    responses((status = 200, body = Page<Permitted<ServiceAccountCredential>>), Refusals))]
async fn list(place: InOrganization, query: Query) -> Result<Json<Page<Permitted<ServiceAccountCredential>>>, Refused> {
    query.knows(&[], &[])?;
    query.expands_only(&[])?;
    let conditions = service_accounts::check(&place, place.part("service_account_id")).await?;
    let window = query.window(&[("created_at", Order::Created)])?;
    let listed = place.issuer.store.list::<Row>(COLUMNS, TABLE, conditions, &window).await?;
    let shown = permissions::asked(&place.caller, place.role, &query);
    Ok(Json(Page::of(listed, |row| Permitted::new(row.show(None), &shown)).with_permissions(shown.clone())))
}

/// Create credential
///
/// A service account may do whatever an administrator may: a person shows a second factor first.
#[utoipa::path(post, path = "/organizations/{organization_id}/service-accounts/{service_account_id}/credentials",
    tag = "service-accounts", params(("organization_id" = String, Path), ("service_account_id" = String, Path)),
    request_body = Named, responses((status = 200, body = ServiceAccountCredential), Refusals))]
async fn create(
    place: InOrganization,
    second_factor: SecondFactor,
    Body(sent): Body<Named>,
) -> Result<Json<ServiceAccountCredential>, Refused> {
    second_factor.require()?;
    let account = place.part("service_account_id");
    service_accounts::check(&place, account).await?;
    let (id, now) = (RowId::random(), place.now.as_millis());
    let (secret, hash) = opaque::generate("vks_");
    let columns = vec![
        ("id", id.as_str().into()),
        ("service_account_id", account.into()),
        ("client_id", format!("sa_{}", RowId::random()).into()),
        ("secret_hash", hash.as_str().into()),
        ("name", body::name(sent.name)?.into()),
        ("description", body::description(sent.description)?.into()),
        ("created_at", now.into()),
        ("updated_at", now.into()),
    ];
    place.issuer.store.insert("service_account_credentials", columns).await?;
    let row = find(&place, id.as_str()).await?;
    Ok(Json(row.show(secret.expose_str().map(str::to_owned))))
}

/// Get credential
#[utoipa::path(get,
    path = "/organizations/{organization_id}/service-accounts/{service_account_id}/credentials/{id}",
    tag = "service-accounts",
    params(("organization_id" = String, Path), ("service_account_id" = String, Path), ("id" = String, Path),
    ("expand[]" = Option<Vec<String>>, Query)),
    responses((status = 200, body = Permitted<ServiceAccountCredential>), Refusals))]
async fn retrieve(place: InOrganization, query: Query) -> Result<Json<Permitted<ServiceAccountCredential>>, Refused> {
    query.expands_only(&[])?;
    let shown = permissions::asked(&place.caller, place.role, &query);
    Ok(Json(Permitted::new(find(&place, place.part("id")).await?.show(None), &shown)))
}

/// Update credential
#[utoipa::path(patch,
    path = "/organizations/{organization_id}/service-accounts/{service_account_id}/credentials/{id}",
    tag = "service-accounts", request_body = Renamed,
    params(("organization_id" = String, Path), ("service_account_id" = String, Path), ("id" = String, Path)),
    responses((status = 200, body = ServiceAccountCredential), Refusals))]
async fn update(place: InOrganization, Body(sent): Body<Renamed>) -> Result<Json<ServiceAccountCredential>, Refused> {
    let old = find(&place, place.part("id")).await?;
    let columns = vec![
        ("name", body::name(sent.name.required("name", old.name)?)?.into()),
        ("description", body::description(sent.description.apply(old.description))?.into()),
    ];
    let change = place.issuer.store.update("service_account_credentials", columns, own(&place), None, place.now);
    settle(change.await?, "credential")?;
    Ok(Json(find(&place, place.part("id")).await?.show(None)))
}

/// Delete credential
#[utoipa::path(delete,
    path = "/organizations/{organization_id}/service-accounts/{service_account_id}/credentials/{id}",
    tag = "service-accounts",
    params(("organization_id" = String, Path), ("service_account_id" = String, Path), ("id" = String, Path)),
    responses((status = 204), Refusals))]
async fn delete(place: InOrganization) -> Result<StatusCode, Refused> {
    find(&place, place.part("id")).await?;
    settle(place.issuer.store.remove("service_account_credentials", own(&place)).await?, "credential")?;
    Ok(StatusCode::NO_CONTENT)
}

impl Row {
    fn show(self, client_secret: Option<String>) -> ServiceAccountCredential {
        ServiceAccountCredential {
            id: self.id,
            client_id: self.client_id,
            client_secret,
            name: self.name,
            description: self.description,
            last_used_at: self.last_used_at.map(Timestamp::from_millis),
            created_at: Timestamp::from_millis(self.created_at),
        }
    }
}

async fn find(place: &InOrganization, id: &str) -> Result<Row, Refused> {
    let conditions = service_accounts::check(place, place.part("service_account_id")).await?;
    let row = place.issuer.store.find::<Row>(COLUMNS, TABLE, conditions.equals("t.id", id)).await?;
    row.ok_or_else(|| Refused::not_found("credential"))
}

fn own(place: &InOrganization) -> Conditions {
    Conditions::default().equals("service_account_id", place.part("service_account_id")).equals("id", place.part("id"))
}

const TABLE: &str = "service_account_credentials t";

const COLUMNS: &str = "t.id, t.client_id, t.name, t.description, t.last_used_at, t.created_at";
