//! Userinfo (OpenID Connect Core §5.3): who is signed in, told to whoever holds their session token.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::Method;
use axum::http::header::AUTHORIZATION;
use axum::http::header::CACHE_CONTROL;
use axum::response::IntoResponse;
use serde_json::json;

use crate::zone::claims::Session;
use crate::zone::issuer::Issuer;
use crate::zone::oauth::USERINFO;
use crate::zone::oauth::members::object;
use crate::zone::oauth::possession::proven_key;
use crate::zone::oauth::refusal::Refusal;

/// `GET` and `POST /openid/connect/userinfo`.
pub(super) async fn endpoint(
    State(issuer): State<Arc<Issuer>>,
    method: Method,
    headers: HeaderMap,
) -> Result<impl IntoResponse, Refusal> {
    let session = read(&issuer, &headers, method.as_str(), USERINFO).await?;
    let user = session.user().ok_or_else(not_valid)?;
    let user = issuer.store.user(&user).await?.ok_or_else(not_valid)?;
    let email = user.stated_email();
    let answer = object([
        ("sub", Some(json!(user.id.as_str()))),
        ("preferred_username", Some(json!(user.identifier))),
        ("name", Some(json!(user.identifier))),
        ("email", email.map(|(address, _)| json!(address))),
        ("email_verified", email.map(|(_, verified)| json!(verified))),
        ("scope", Some(json!(session.scope.clone().unwrap_or_default()))),
        ("sid", Some(json!(session.sign_in().as_str()))),
        ("client_id", Some(json!(session.client_id))),
        ("exp", Some(json!(session.exp))),
        ("auth_time", session.auth_time.map(|at| json!(at))),
        ("mfa_time", session.mfa_time.map(|at| json!(at))),
        ("mfa_authenticated", session.mfa_time.map(|_| json!(true))),
    ]);
    Ok(([(CACHE_CONTROL, "no-store")], Json(answer)))
}

/// The session token of the request, which still holds and whose key, if it has one, is proven.
pub(super) async fn read(issuer: &Issuer, headers: &HeaderMap, method: &str, path: &str) -> Result<Session, Refusal> {
    let mut sent = headers.get_all(AUTHORIZATION).iter();
    let (Some(value), None) = (sent.next(), sent.next()) else { return Err(missing()) };
    let (scheme, token) = value.to_str().ok().and_then(|value| value.split_once(' ')).ok_or_else(missing)?;
    let token = token.trim_matches(' ');
    let session = issuer.read_session(token).map_err(|_| not_valid())?;
    if !issuer.is_live(&session).await? {
        return Err(not_valid());
    }
    match session.key() {
        Some(key) => {
            let proven = proven_key(issuer, headers, method, path, Some(token)).await?;
            if !scheme.eq_ignore_ascii_case("dpop") || proven.as_deref() != Some(key) {
                return Err(not_valid());
            }
        }
        None if scheme.eq_ignore_ascii_case("bearer") => {}
        None => return Err(not_valid()),
    }
    Ok(session)
}

fn missing() -> Refusal {
    Refusal::invalid_token("A session token is required")
}

fn not_valid() -> Refusal {
    Refusal::invalid_token("The session token is not valid")
}
