//! API tokens: what programs of an organisation ask this API with, made and taken back over HTTP.
//!
//! Never: a token that makes, or is given, one that may do more than itself, or that lives longer.

use std::sync::Arc;

use axum::Json;
use axum::http::StatusCode;
use serde::Deserialize;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::model::Timestamp;
use crate::zone::issuer::Issuer;
use crate::zone::management::body::Body;
use crate::zone::management::caller::Caller;
use crate::zone::management::caller::may_everything;
use crate::zone::management::in_organization::InOrganization;
use crate::zone::management::page::Page;
use crate::zone::management::query::Paging;
use crate::zone::management::query::Query;
use crate::zone::management::refused::Refusals;
use crate::zone::management::refused::Refused;
use crate::zone::management::second_factor::SecondFactor;
use crate::zone::store::ApiTokenRow;
use crate::zone::store::Order;
use crate::zone::tokens::ApiTokens;
use crate::zone::tokens::ListedToken;
use crate::zone::tokens::NewToken;
use crate::zone::tokens::TokenFailed;

pub(super) fn router() -> OpenApiRouter<Arc<Issuer>> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(retrieve, revoke)).routes(routes!(rotate))
}

#[derive(Serialize, ToSchema)]
struct ApiToken {
    id: String,
    name: String,
    /// Its first characters.
    hint: String,
    scopes: Vec<String>,
    #[schema(value_type = Status)]
    status: crate::zone::tokens::TokenStatus,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<Timestamp>,
    /// To the minute.
    #[schema(value_type = Option<String>, format = DateTime)]
    last_used_at: Option<Timestamp>,
    /// The token itself; shown this once, by the call that made it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String)]
    token: Option<String>,
}

#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
#[allow(dead_code, reason = "describes, and is never made")]
enum Status {
    Active,
    Expired,
    Revoked,
}

/// What a new token is to be.
#[derive(Deserialize, ToSchema)]
struct Create {
    name: String,
    /// `things:read`, `things:write`, with `*` for all things, or `admin`.
    scopes: Vec<String>,
    /// When it ends; never without this.
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<Timestamp>,
}

/// List API tokens; `own` stands for the caller's organization.
#[utoipa::path(get, path = "/organizations/{organization_id}/api-tokens", tag = "api-tokens",
    params(Paging, ("organization_id" = String, Path)),
    responses((status = 200, body = Page<ApiToken>), Refusals))]
async fn list(place: InOrganization, query: Query) -> Result<Json<Page<ApiToken>>, Refused> {
    query.knows(&[], &[])?;
    query.expands_only(&[])?;
    let window = query.window(&[("created_at", Order::Created)])?;
    let listed = place.issuer.store.list::<ApiTokenRow>(ApiTokenRow::COLUMNS, TABLE, place.rows(), &window).await?;
    Ok(Json(Page::of(listed, |row| ApiToken::of(ListedToken::of(row, place.now), None))))
}

/// Create API token; the token itself is shown this once.
///
/// For one that may do everything a person shows a second factor first.
#[utoipa::path(post, path = "/organizations/{organization_id}/api-tokens", tag = "api-tokens",
    params(("organization_id" = String, Path)), request_body = Create,
    responses((status = 200, body = ApiToken), Refusals))]
async fn create(
    place: InOrganization,
    second_factor: SecondFactor,
    Body(sent): Body<Create>,
) -> Result<Json<ApiToken>, Refused> {
    if administers(&sent.scopes) {
        second_factor.require()?;
    }
    if sent.expires_at.is_some_and(|expires_at| expires_at <= place.now) {
        return Err(Refused::bad("expires_at", "must be in the future"));
    }
    no_stronger(&place.caller, &sent.scopes, sent.expires_at)?;
    let made = tokens(&place).create(&sent.name, &sent.scopes, sent.expires_at).await?;
    shown(&place, made).await
}

/// Get API token
#[utoipa::path(get, path = "/organizations/{organization_id}/api-tokens/{id}", tag = "api-tokens",
    params(("organization_id" = String, Path), ("id" = String, Path)),
    responses((status = 200, body = ApiToken), Refusals))]
async fn retrieve(place: InOrganization) -> Result<Json<ApiToken>, Refused> {
    Ok(Json(ApiToken::of(find(&place, place.part("id")).await?, None)))
}

/// Revoke API token, for good; the list goes on to show it.
#[utoipa::path(delete, path = "/organizations/{organization_id}/api-tokens/{id}", tag = "api-tokens",
    params(("organization_id" = String, Path), ("id" = String, Path)), responses((status = 204), Refusals))]
async fn revoke(place: InOrganization) -> Result<StatusCode, Refused> {
    tokens(&place).revoke(place.part("id")).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Rotate API token: a successor with the same name, scopes and end, in whose favour it stops at the same moment.
///
/// For one that may do everything a person shows a second factor first.
#[utoipa::path(post, path = "/organizations/{organization_id}/api-tokens/{id}/rotate", tag = "api-tokens",
    params(("organization_id" = String, Path), ("id" = String, Path)),
    responses((status = 200, body = ApiToken), Refusals))]
async fn rotate(place: InOrganization, second_factor: SecondFactor) -> Result<Json<ApiToken>, Refused> {
    let old = find(&place, place.part("id")).await?;
    if administers(&old.scopes) {
        second_factor.require()?;
    }
    no_stronger(&place.caller, &old.scopes, old.expires_at)?;
    let made = tokens(&place).rotate(&old.id).await?;
    shown(&place, made).await
}

impl ApiToken {
    fn of(listed: ListedToken, token: Option<String>) -> Self {
        let ListedToken { id, name, hint, scopes, status, created_at, expires_at, last_used_at } = listed;
        Self { id, name, hint, scopes, status, created_at, expires_at, last_used_at, token }
    }
}

impl From<TokenFailed> for Refused {
    fn from(failed: TokenFailed) -> Self {
        match failed {
            TokenFailed::Scope(_) => Self::bad("scopes", "must be like applications:read, *:write or admin"),
            TokenFailed::Name => Self::bad("name", "must have 1 to 255 characters"),
            TokenFailed::Missing(_) => Self::not_found("active API token"),
            TokenFailed::Store(failed) => failed.into(),
        }
    }
}

/// Refuses what would be a way for a token to become more than it is.
fn no_stronger(caller: &Caller, scopes: &[String], expires_at: Option<Timestamp>) -> Result<(), Refused> {
    let Caller::Token { scopes: own, expires_at: end, .. } = caller else { return Ok(()) };
    let outlives = end.is_some_and(|end| expires_at.is_none_or(|expires_at| expires_at > end));
    if outlives || !scopes.iter().all(|scope| is_within(own, scope)) {
        return Err(Refused::forbidden("A token can't have a stronger one made"));
    }
    Ok(())
}

/// Whether a token of these scopes may do whatever an administrator may, or make somebody who may.
fn administers(scopes: &[String]) -> bool {
    let makes_one = |scope: &str| matches!(scope, "service-accounts:write" | "invitations:write");
    scopes.iter().any(|scope| may_everything(scope) || makes_one(scope))
}

/// Whether one of its own scopes has all of this one in it.
fn is_within(own: &[String], asked: &str) -> bool {
    own.iter().any(|own| match (own.split_once(':'), asked.split_once(':')) {
        (None, _) => own == "admin",
        (Some(_), None) => false,
        (Some((own, verb)), Some((asked, wanted))) => {
            (own == asked || own == "*") && (verb == "write" || verb == wanted)
        }
    })
}

fn tokens(place: &InOrganization) -> ApiTokens {
    ApiTokens::of(&place.issuer.store, &place.issuer.clock, place.id().to_owned())
}

async fn shown(place: &InOrganization, made: NewToken) -> Result<Json<ApiToken>, Refused> {
    let token = made.secret.expose_str().map(str::to_owned);
    Ok(Json(ApiToken::of(find(place, &made.id).await?, token)))
}

async fn find(place: &InOrganization, id: &str) -> Result<ListedToken, Refused> {
    let conditions = place.rows().equals("t.id", id);
    let row = place.issuer.store.find::<ApiTokenRow>(ApiTokenRow::COLUMNS, TABLE, conditions).await?;
    Ok(ListedToken::of(row.ok_or_else(|| Refused::not_found("API token"))?, place.now))
}

const TABLE: &str = "api_tokens t";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_is_within_another_when_it_allows_nothing_more() {
        let within = |own: &str, asked| is_within(&own.split(' ').map(str::to_owned).collect::<Vec<_>>(), asked);
        for (own, asked) in [
            ("admin", "admin"),
            ("admin", "*:write"),
            ("zones:write", "zones:read"),
            ("zones:read users:write", "users:write"),
            ("*:write", "zones:read"),
            ("*:read", "*:read"),
        ] {
            assert!(within(own, asked), "{asked} is within {own}");
        }
        for (own, asked) in [
            ("*:write", "admin"),
            ("zones:write", "*:read"),
            ("zones:read", "zones:write"),
            ("zones:write", "users:read"),
            ("", "zones:read"),
            ("*:read", "*:write"),
        ] {
            assert!(!within(own, asked), "{asked} is not within {own}");
        }
    }
}
