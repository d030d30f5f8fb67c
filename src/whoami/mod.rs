//! A small protected API that shows an agent itself, as an API sees it.
//!
//! It verifies as any resource server would: metadata of its own (RFC 9728), challenges (RFC 6750), the issuer's
//! metadata (RFC 8414) and keys by HTTP, then signature, exact issuer and audience, and expiry. What it answers is read
//! from the verified token and from nothing else.
//!
//! Never: it knows nothing of the broker, and of the zone only its URL; it keeps nothing but public keys.

mod challenge;
mod identity;
mod issuer_keys;
mod well_known;

use std::sync::Arc;

use axum::Json;
use axum::Router;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::HeaderValue;
use axum::http::header::ACCESS_CONTROL_ALLOW_ORIGIN;
use axum::http::header::AUTHORIZATION;
use axum::http::header::CACHE_CONTROL;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::response::Response;
use axum::routing::any;
use axum::routing::get;
use serde_json::json;

use crate::http::Client;
use crate::jose::Refused;
use crate::jose::Verifier;
use crate::model::Clock;
use crate::model::Scopes;
use crate::whoami::challenge::Challenge;
use crate::whoami::identity::Claims;
use crate::whoami::identity::Identity;
use crate::whoami::issuer_keys::IssuerKeys;
use crate::whoami::well_known::well_known;

/// What the API is told about itself.
pub struct Settings {
    /// Its resource identifier: the audience that a token must have, exactly.
    pub identifier: String,
    /// The only issuer whose tokens it takes, exactly as in `iss`.
    pub issuer: String,
    /// The scopes that its metadata name; it demands none of them.
    pub scopes: Scopes,
    /// How the issuer's metadata and keys are fetched.
    pub client: Client,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

/// The API, for a listener on loopback.
pub fn router(settings: Settings) -> Router {
    let Settings { identifier, issuer, scopes, client, clock } = settings;
    let api = Api {
        metadata_url: well_known(&identifier, METADATA),
        verifier: Verifier::new(issuer.clone(), identifier.clone(), Arc::clone(&clock)),
        keys: IssuerKeys::new(issuer.clone(), client, Arc::clone(&clock)),
        identifier,
        issuer,
        scopes,
        clock,
    };
    Router::new()
        .route("/", any(whoami))
        .route("/whoami", any(whoami))
        .route(METADATA, get(metadata))
        .with_state(Arc::new(api))
}

struct Api {
    identifier: String,
    metadata_url: String,
    issuer: String,
    scopes: Scopes,
    verifier: Verifier,
    keys: IssuerKeys,
    clock: Arc<dyn Clock>,
}

/// Any method on `/`: whoever may call sees themselves.
async fn whoami(State(api): State<Arc<Api>>, headers: HeaderMap) -> Response {
    match api.identify(&headers).await {
        Ok(identity) => {
            let line = format!("{}\n", json!(identity));
            ([(CACHE_CONTROL, "no-store"), (CONTENT_TYPE, "application/json")], line).into_response()
        }
        Err(challenge) => challenge.respond(&api.metadata_url),
    }
}

/// RFC 9728 §3.2. Readable from any page, since it is for anyone.
async fn metadata(State(api): State<Arc<Api>>) -> impl IntoResponse {
    let mut document = json!({
        "resource": api.identifier,
        "authorization_servers": [api.issuer],
        "bearer_methods_supported": ["header"],
        "resource_name": "whoami",
    });
    if let (Some(members), false) = (document.as_object_mut(), api.scopes.is_empty()) {
        members.insert("scopes_supported".to_owned(), api.scopes.iter().collect());
    }
    ([(ACCESS_CONTROL_ALLOW_ORIGIN, "*"), (CACHE_CONTROL, "public, max-age=300")], Json(document))
}

impl Api {
    async fn identify(&self, headers: &HeaderMap) -> Result<Identity, Challenge> {
        let token = bearer(headers)?;
        let keys = self.keys.current().await?;
        let claims: Claims = match self.verifier.verify(token, &keys) {
            // The issuer may have changed its key since: one more look, no more often than a bound permits.
            Err(Refused::UnknownKey) => self.verifier.verify(token, &*self.keys.newer_than(&keys).await?)?,
            judged => judged?,
        };
        Ok(claims.identity(&self.identifier, self.clock.now()))
    }
}

/// The one bearer token of the request (RFC 6750 §2.1).
fn bearer(headers: &HeaderMap) -> Result<&str, Challenge> {
    let mut sent = headers.get_all(AUTHORIZATION).iter();
    let value: &HeaderValue = sent.next().ok_or(Challenge::Missing)?;
    if sent.next().is_some() {
        return Err(Challenge::Malformed);
    }
    let (scheme, token) = value.to_str().ok().and_then(|text| text.split_once(' ')).ok_or(Challenge::Malformed)?;
    // b64token of RFC 6750 §2.1.
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
    if !scheme.eq_ignore_ascii_case("bearer") || token.is_empty() || !token.bytes().all(legal) {
        return Err(Challenge::Malformed);
    }
    Ok(token)
}

const METADATA: &str = "/.well-known/oauth-protected-resource";

#[cfg(test)]
mod tests;
