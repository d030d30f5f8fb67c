//! The zone's endpoints, at the addresses where clients look for them.
//!
//! Promises: every answer of the token and registration endpoints, the refusals too, is JSON and `no-store`; a
//! request is answered within a bound, and its body is no larger than one.

mod answer;
mod client;
mod client_credentials;
mod exchange;
mod metadata;
mod parameters;
mod refresh;
mod refusal;
mod registration;
mod target;
mod token;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::extract::Request;
use axum::middleware;
use axum::middleware::Next;
use axum::response::IntoResponse as _;
use axum::response::Response;
use axum::routing::get;
use axum::routing::post;

use crate::limits::ZONE_BODY_BYTES_MAX;
use crate::zone::issuer::Issuer;
use crate::zone::oauth::refusal::Refusal;

/// All endpoints of `issuer`; each answers `within` this time or refuses.
pub(in crate::zone) fn router(issuer: Arc<Issuer>, within: Duration) -> Router {
    Router::new()
        .route(OAUTH_METADATA, get(metadata::document))
        .route(OPENID_METADATA, get(metadata::document))
        // Some clients append to an issuer that ends in a slash.
        .route("//.well-known/oauth-authorization-server", get(metadata::document))
        .route("//.well-known/openid-configuration", get(metadata::document))
        .route(JWKS, get(metadata::jwks))
        .route(TOKEN, post(token::endpoint))
        .route(REGISTRATION, post(registration::endpoint))
        .layer(DefaultBodyLimit::max(ZONE_BODY_BYTES_MAX))
        .layer(middleware::from_fn(move |request: Request, next: Next| in_time(within, request, next)))
        .with_state(issuer)
}

async fn in_time(within: Duration, request: Request, next: Next) -> Response {
    match tokio::time::timeout(within, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Refusal::too_slow().into_response(),
    }
}

const OAUTH_METADATA: &str = "/.well-known/oauth-authorization-server";
const OPENID_METADATA: &str = "/.well-known/openid-configuration";
const JWKS: &str = "/openidconnect/jwks";
const TOKEN: &str = "/oauth/2/token";
const REGISTRATION: &str = "/oauth/2/registration";
