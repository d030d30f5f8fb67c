//! The zone's endpoints, at the addresses where clients look for them.
//!
//! Promises: every answer of the token and registration endpoints, the refusals too, is JSON and `no-store`; a
//! request is answered within a bound, and its body is no larger than one.

mod answer;
mod assertion;
mod authorize;
mod client;
mod client_credentials;
mod code;
mod decide;
mod device;
mod exchange;
mod introspection;
mod members;
mod metadata;
mod parameters;
mod possession;
mod prompt;
mod refresh;
mod refusal;
mod registration;
mod target;
mod token;
mod userinfo;

pub(in crate::zone) use self::authorize::Authorization;
pub(in crate::zone) use self::authorize::NotAsked;
pub(in crate::zone) use self::authorize::WAS_ASKED;
pub(in crate::zone) use self::authorize::wanted;
pub(in crate::zone) use self::device::read_user_code;
pub(in crate::zone) use self::parameters::Parameters;
pub(in crate::zone) use self::parameters::Sent;
pub(in crate::zone) use self::prompt::Prompt;
pub(in crate::zone) use self::prompt::Wish;
pub(in crate::zone) use self::refusal::Refusal;
pub(in crate::zone) use self::token::GRANT_TYPES as DOCUMENT_GRANTS;
pub(in crate::zone) use self::token::OWN_CLIENT_GRANTS;

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
use crate::zone::pages;

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
        .route(DEVICE, post(device::endpoint))
        .route(INTROSPECTION, post(introspection::introspect))
        .route(REVOCATION, post(introspection::revoke))
        .route(USERINFO, get(userinfo::endpoint).post(userinfo::endpoint))
        .merge(pages::router())
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

pub(in crate::zone) const AUTHORIZE: &str = "/oauth/2/authorize";
pub(in crate::zone) const LOGOUT: &str = "/oauth/2/logout";
pub(in crate::zone) const DEVICE_PAGE: &str = "/device";
const DEVICE: &str = "/oauth/2/device_authorization";
const INTROSPECTION: &str = "/oauth/2/introspect";
const REVOCATION: &str = "/oauth/2/revoke";
const USERINFO: &str = "/openid/connect/userinfo";
const OAUTH_METADATA: &str = "/.well-known/oauth-authorization-server";
const OPENID_METADATA: &str = "/.well-known/openid-configuration";
const JWKS: &str = "/openidconnect/jwks";
const TOKEN: &str = "/oauth/2/token";
const REGISTRATION: &str = "/oauth/2/registration";
