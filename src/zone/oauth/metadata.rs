//! What the zone says about itself (RFC 8414) and its keys. Public: an `Authorization` header is not even looked at.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::header::CACHE_CONTROL;
use axum::response::IntoResponse;
use serde_json::json;

use crate::zone::issuer::Issuer;
use crate::zone::oauth::JWKS;
use crate::zone::oauth::REGISTRATION;
use crate::zone::oauth::TOKEN;
use crate::zone::oauth::client::AUTHENTICATION_METHODS;
use crate::zone::oauth::token::GRANT_TYPES;

/// One document at both well-known addresses; it lists only what exists.
pub(super) async fn document(State(issuer): State<Arc<Issuer>>) -> impl IntoResponse {
    let url = issuer.url();
    let document = json!({
        "issuer": url,
        "token_endpoint": format!("{url}{TOKEN}"),
        "registration_endpoint": format!("{url}{REGISTRATION}"),
        "jwks_uri": format!("{url}{JWKS}"),
        "grant_types_supported": GRANT_TYPES,
        "token_endpoint_auth_methods_supported": AUTHENTICATION_METHODS,
        // Required by RFC 8414 §2 even where there is no authorization endpoint.
        "response_types_supported": [],
    });
    ([(CACHE_CONTROL, "public, max-age=300")], Json(document))
}

/// The public keys, another replica's newest among them. While the database is away, those that were known last.
pub(super) async fn jwks(State(issuer): State<Arc<Issuer>>) -> impl IntoResponse {
    let now = issuer.clock.now();
    let keys = issuer.keyring.refresh(&issuer.store, now).await.unwrap_or_else(|failed| {
        tracing::warn!(error = &failed as &dyn std::error::Error, "the keys could not be read anew");
        issuer.keyring.keys()
    });
    let jwks = keys.jwks(now);
    ([(CACHE_CONTROL, "public, max-age=300")], Json(jwks))
}
