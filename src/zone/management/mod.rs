//! The management API: what the zones are, and what is in them, changed by programs and by people's tools.
//!
//! Promises: each operation is described at `/openapi.json`, made from the code that answers; every answer is JSON, a
//! refusal `{message, code, status}`; a list comes in pages with both envelopes. One file per collection.
//!
//! Never: it shows nothing of a zone to whoever has no role in it, not even that the zone exists; it shows no secret a
//! second time but where a caller asks for that one secret.

mod api_tokens;
mod applications;
mod attestation;
mod body;
mod caller;
mod credentials;
mod dependencies;
mod expanded;
mod grants;
mod in_organization;
mod in_zone;
mod invitations;
mod json;
mod key_policy;
mod members;
mod metadata;
mod organizations;
mod packages;
mod page;
mod patch;
mod permissions;
mod policies;
mod policy_bundle;
mod policy_format;
mod policy_manifest;
mod policy_rows;
mod policy_schemas;
mod policy_set_versions;
mod policy_sets;
mod policy_versions;
mod provider_protocols;
mod providers;
mod query;
mod redirect_uri;
mod refused;
mod resources;
mod second_factor;
mod secrets;
mod service_account_credentials;
mod service_account_token;
mod service_accounts;
mod sessions;
mod sso_connection;
mod status;
mod user_details;
mod users;
mod zone_protocols;
mod zones;

use std::sync::Arc;

use axum::Json;
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::HeaderValue;
use axum::http::header::CACHE_CONTROL;
use axum::response::Response;
use axum::routing::get;
use utoipa::OpenApi;
use utoipa::openapi::security::HttpAuthScheme;
use utoipa::openapi::security::HttpBuilder;
use utoipa::openapi::security::SecurityRequirement;
use utoipa::openapi::security::SecurityScheme;
use utoipa_axum::router::OpenApiRouter;

use crate::limits::ZONE_MANAGEMENT_BODY_BYTES_MAX;
use crate::zone::issuer::Issuer;

#[derive(OpenApi)]
#[openapi(
    info(title = "valetkey zone management", description = "Zones, and what is in them."),
    components(schemas(refused::Problem))
)]
struct Description;

/// All operations, with `issuer` as the zone at the address itself.
pub(in crate::zone) fn router(issuer: Arc<Issuer>) -> Router {
    let (router, mut description) = OpenApiRouter::with_openapi(Description::openapi())
        .merge(zones::router())
        .merge(applications::router())
        .merge(credentials::router())
        .merge(resources::router())
        .merge(providers::router())
        .merge(dependencies::router())
        .merge(packages::router())
        .merge(grants::router())
        .merge(sessions::router())
        .merge(users::router())
        .merge(members::router())
        .merge(secrets::router())
        .merge(policy_schemas::router())
        .merge(policies::router())
        .merge(policy_versions::router())
        .merge(policy_sets::router())
        .merge(policy_set_versions::router())
        .merge(policy_bundle::router())
        .merge(organizations::router())
        .merge(sso_connection::router())
        .merge(key_policy::router())
        .merge(api_tokens::router())
        .merge(service_accounts::router())
        .merge(service_account_credentials::router())
        .merge(service_account_token::router())
        .merge(invitations::router())
        .split_for_parts();
    let bearer = SecurityScheme::Http(HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build());
    description.components.get_or_insert_default().add_security_scheme("bearer", bearer);
    description.security = Some(vec![SecurityRequirement::new("bearer", Vec::<String>::new())]);
    let description = Arc::new(description);
    router
        .route("/openapi.json", get(async move || Json(description)))
        .layer(DefaultBodyLimit::max(ZONE_MANAGEMENT_BODY_BYTES_MAX))
        .layer(axum::middleware::map_response(not_stored))
        .with_state(issuer)
}

/// Who reads it through a cache would see what somebody else may see.
async fn not_stored(mut response: Response) -> Response {
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
