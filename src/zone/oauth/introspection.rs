//! Introspection (RFC 7662) and revocation (RFC 7009): what a token says now, and calling one back.
//!
//! A client hears only of tokens that are its own or for an API of its own; of all others it hears `active: false`, as
//! of tokens that never were. The daemon of a personal zone hears of its agents' too; an agent hears of its own.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::header::CACHE_CONTROL;
use axum::http::header::PRAGMA;
use axum::response::IntoResponse;
use axum::response::Response;
use serde_json::Value;
use serde_json::json;

use crate::jose::Unverified;
use crate::limits::JWT_LEEWAY;
use crate::model::Timestamp;
use crate::zone::claims::Session;
use crate::zone::issuer::Issuer;
use crate::zone::oauth::client;
use crate::zone::oauth::client::Client;
use crate::zone::oauth::members::object;
use crate::zone::oauth::parameters::Parameters;
use crate::zone::oauth::parameters::Sent;
use crate::zone::oauth::refusal::Refusal;
use crate::zone::opaque::Hash;

/// `POST /oauth/2/introspect`.
pub(super) async fn introspect(
    State(issuer): State<Arc<Issuer>>,
    headers: HeaderMap,
    sent: Sent,
) -> Result<Response, Refusal> {
    let parameters = Parameters::read(sent)?;
    let client = client::authenticate(&issuer, &headers, &parameters).await?;
    // RFC 7662 §4: who may ask must be known, or anyone could try tokens out.
    if client.is_public() {
        return Err(Refusal::invalid_client());
    }
    let token = parameters.secret("token")?;
    let token = token.ok_or_else(|| Refusal::invalid_request("The token parameter is missing"))?;
    let text = token.expose_str().unwrap_or_default();
    let answer = match access_token(&issuer, text) {
        Some(said) if issuer.is_live(&said).await? && concerns(&issuer, &client, &said).await? => {
            describe(&issuer, &said)
        }
        Some(_) => inactive(),
        None => refresh_token(&issuer, &client, &Hash::of(&token)).await?,
    };
    Ok(([(CACHE_CONTROL, "no-store"), (PRAGMA, "no-cache")], Json(answer)).into_response())
}

/// `POST /oauth/2/revoke`. A token that is not known is as good as revoked (RFC 7009 §2.2).
pub(super) async fn revoke(
    State(issuer): State<Arc<Issuer>>,
    headers: HeaderMap,
    sent: Sent,
) -> Result<Response, Refusal> {
    let parameters = Parameters::read(sent)?;
    let client = client::authenticate(&issuer, &headers, &parameters).await?;
    let token = parameters.secret("token")?;
    let token = token.ok_or_else(|| Refusal::invalid_request("The token parameter is missing"))?;
    let now = issuer.clock.now();
    match access_token(&issuer, token.expose_str().unwrap_or_default()) {
        Some(said) if is_own(&issuer, &client, &said).await? => {
            let dies_at = Timestamp::from_seconds(said.exp).after(JWT_LEEWAY);
            issuer.store.revoke_token(&said.jti, dies_at).await?;
        }
        Some(_) => {}
        None => {
            let found = issuer.store.session_of_refresh_token(&Hash::of(&token), now).await?;
            if let Some((allowed, session, _)) = found
                && allowed.client.as_str() == client.application.id.as_str()
            {
                issuer.store.end_session(session.as_str(), now).await?;
                tracing::info!(client = client.application.id.as_str(), session = session.as_str(), "session revoked");
            }
        }
    }
    Ok(([(CACHE_CONTROL, "no-store"), (PRAGMA, "no-cache")], ()).into_response())
}

/// A token that this zone signed and that has not expired, for whatever audience.
fn access_token(issuer: &Issuer, token: &str) -> Option<Session> {
    let said = Unverified::read(token).ok()?;
    let audience = said.audience()?;
    // An ID token is no access token, though the same key signed it.
    said.typ.as_deref().filter(|typ| typ.eq_ignore_ascii_case("at+jwt"))?;
    issuer.read_token(token, audience).ok()
}

async fn concerns(issuer: &Issuer, client: &Client, said: &Session) -> Result<bool, Refusal> {
    let id = &client.application.id;
    if is_own(issuer, client, said).await? || issuer.store.owns_resource(id, &said.aud).await? {
        return Ok(true);
    }
    Ok(client.registration.is_none() && issuer.store.is_daemon(id.as_str()).await?)
}

/// Whether the client got the token, by whichever of its credentials.
async fn is_own(issuer: &Issuer, client: &Client, said: &Session) -> Result<bool, Refusal> {
    if said.client_id == client.application.client_id {
        return Ok(true);
    }
    let other = issuer.store.client(&said.client_id).await?;
    Ok(other.is_some_and(|other| other.id == client.application.id))
}

fn describe(issuer: &Issuer, said: &Session) -> Value {
    let kind = if said.key().is_some() { "DPoP" } else { "Bearer" };
    object([
        ("active", Some(json!(true))),
        ("iss", Some(json!(issuer.url()))),
        ("sub", Some(json!(said.subject()))),
        ("aud", Some(json!(said.aud))),
        ("client_id", Some(json!(said.client_id))),
        ("token_type", Some(json!(kind))),
        ("iat", Some(json!(said.iat))),
        ("exp", Some(json!(said.exp))),
        ("jti", Some(json!(said.jti))),
        ("scope", said.scope.as_ref().map(|scope| json!(scope))),
        ("username", said.preferred_username.as_ref().map(|name| json!(name))),
        ("act", said.actor().cloned()),
        ("cnf", said.key().map(|key| json!({ "jkt": key }))),
    ])
}

async fn refresh_token(issuer: &Issuer, client: &Client, token: &Hash) -> Result<Value, Refusal> {
    let found = issuer.store.session_of_refresh_token(token, issuer.clock.now()).await?;
    let own = found.filter(|(allowed, ..)| allowed.client.as_str() == client.application.id.as_str());
    Ok(own.map_or_else(inactive, |(allowed, session, expires_at)| {
        json!({
            "active": true,
            "iss": issuer.url(),
            "sub": allowed.user.as_str(),
            "client_id": allowed.client.as_str(),
            "scope": allowed.scopes.to_string(),
            "sid": session.as_str(),
            "exp": expires_at.as_seconds(),
        })
    }))
}

fn inactive() -> Value {
    json!({ "active": false })
}
