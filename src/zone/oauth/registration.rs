//! Dynamic registration (RFC 7591), with an initial access token only.
//!
//! An agent is registered under its name and in the token's user's name, and by that granted. The same name gives the
//! same application again with a new secret, so that whoever lost the secret needs no clean-up; the old one is dropped.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::http::HeaderMap;
use axum::http::StatusCode;
use axum::http::header::AUTHORIZATION;
use axum::http::header::CACHE_CONTROL;
use axum::http::header::PRAGMA;
use axum::response::IntoResponse;
use serde::Deserialize;
use serde_json::json;

use crate::model::AgentName;
use crate::model::Secret;
use crate::zone::issuer::Issuer;
use crate::zone::oauth::client::AUTHENTICATION_METHODS;
use crate::zone::oauth::refusal::Refusal;
use crate::zone::oauth::token::CLIENT_CREDENTIALS;
use crate::zone::oauth::token::TOKEN_EXCHANGE;
use crate::zone::opaque;
use crate::zone::opaque::Hash;
use crate::zone::store::Kind;

/// What is read of the client's metadata; the rest is replaced by the zone's own, as RFC 7591 §3.2.1 permits. Clients
/// send explicit nulls for what they leave out.
#[derive(Deserialize)]
pub(super) struct Metadata {
    client_name: Option<String>,
    token_endpoint_auth_method: Option<String>,
}

/// `POST /oauth/2/registration`.
pub(super) async fn endpoint(
    State(issuer): State<Arc<Issuer>>,
    headers: HeaderMap,
    sent: Result<Json<Metadata>, JsonRejection>,
) -> Result<impl IntoResponse, Refusal> {
    let token = bearer(&headers).ok_or_else(|| Refusal::invalid_token("An initial access token is required"))?;
    let registrar = issuer.store.registrar(&Hash::of(&token)).await?;
    let user = registrar.ok_or_else(|| Refusal::invalid_token("The initial access token is not valid"))?;
    let metadata = read(sent)?;
    let name = metadata.client_name.as_deref().map(AgentName::parse);
    let Some(Ok(name)) = name else {
        return Err(Refusal::invalid_client_metadata("The client_name is missing or not legal"));
    };
    let method = metadata.token_endpoint_auth_method.as_deref().unwrap_or("client_secret_basic");
    if !AUTHENTICATION_METHODS.contains(&method) {
        return Err(Refusal::invalid_client_metadata("The token_endpoint_auth_method is not supported"));
    }
    let (secret, hash) = opaque::generate("vkc_");
    let now = issuer.clock.now();
    let application = issuer.store.enrol(&user, Kind::Agent, name.as_str(), &hash, now).await?;
    tracing::info!(
        client = application.id.as_str(),
        client_name = application.name,
        user = user.as_str(),
        "application registered"
    );
    let body = json!({
        "client_id": application.id.as_str(),
        "client_secret": secret.expose_str(),
        "client_id_issued_at": now.as_seconds(),
        "client_secret_expires_at": 0,
        "client_name": application.name,
        "token_endpoint_auth_method": method,
        "grant_types": [CLIENT_CREDENTIALS, TOKEN_EXCHANGE],
    });
    Ok((StatusCode::CREATED, [(CACHE_CONTROL, "no-store"), (PRAGMA, "no-cache")], Json(body)))
}

fn read(sent: Result<Json<Metadata>, JsonRejection>) -> Result<Metadata, Refusal> {
    match sent {
        Ok(Json(metadata)) => Ok(metadata),
        Err(rejection) => Err(match rejection.status() {
            StatusCode::PAYLOAD_TOO_LARGE => Refusal::too_large(),
            _ => Refusal::invalid_client_metadata("The body must be a JSON object of client metadata"),
        }),
    }
}

fn bearer(headers: &HeaderMap) -> Option<Secret> {
    let mut sent = headers.get_all(AUTHORIZATION).iter();
    let (Some(value), None) = (sent.next(), sent.next()) else { return None };
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| Secret::new(token.trim_matches(' ')))
}
