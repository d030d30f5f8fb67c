//! What the zone says about itself (RFC 8414) and its keys. Public: an `Authorization` header is not even looked at.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::header::CACHE_CONTROL;
use axum::response::IntoResponse;
use serde_json::json;

use crate::zone::OWN_CLIENT;
use crate::zone::issuer::Issuer;
use crate::zone::oauth::AUTHORIZE;
use crate::zone::oauth::DEVICE;
use crate::zone::oauth::INTROSPECTION;
use crate::zone::oauth::JWKS;
use crate::zone::oauth::LOGOUT;
use crate::zone::oauth::REGISTRATION;
use crate::zone::oauth::REVOCATION;
use crate::zone::oauth::TOKEN;
use crate::zone::oauth::USERINFO;
use crate::zone::oauth::client::AUTHENTICATION_METHODS;
use crate::zone::oauth::code::OWN_SCOPES;
use crate::zone::oauth::possession::PROOF_ALGORITHMS;
use crate::zone::oauth::prompt::WORDS as PROMPTS;
use crate::zone::oauth::refusal::Refusal;
use crate::zone::oauth::token::GRANT_TYPES;
use crate::zone::rules::Registration;
use crate::zone::store::SelfRegistration;

/// One document at both well-known addresses; it lists only what exists.
pub(super) async fn document(State(issuer): State<Arc<Issuer>>) -> Result<impl IntoResponse, Refusal> {
    let (url, protocols) = (issuer.url(), issuer.store.protocols().await?);
    // Where the daemon of a personal zone registers its agents, they are registered whatever the zone says of strangers.
    let registers =
        protocols.registration == SelfRegistration::On || issuer.rules.registration == Registration::ByToken;
    let mut document = json!({
        "issuer": url,
        "authorization_endpoint": format!("{url}{AUTHORIZE}"),
        "token_endpoint": format!("{url}{TOKEN}"),
        "device_authorization_endpoint": format!("{url}{DEVICE}"),
        "userinfo_endpoint": format!("{url}{USERINFO}"),
        "introspection_endpoint": format!("{url}{INTROSPECTION}"),
        "revocation_endpoint": format!("{url}{REVOCATION}"),
        "end_session_endpoint": format!("{url}{LOGOUT}"),
        "jwks_uri": format!("{url}{JWKS}"),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": GRANT_TYPES,
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": true,
        "scopes_supported": OWN_SCOPES,
        "claims_supported": CLAIMS,
        "prompt_values_supported": PROMPTS.map(|(word, _)| word),
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "token_endpoint_auth_methods_supported": AUTHENTICATION_METHODS,
        "token_endpoint_auth_signing_alg_values_supported": ASSERTION_ALGORITHMS,
        // RFC 7662 §4: a public client is told of no token.
        "introspection_endpoint_auth_methods_supported": CONFIDENTIAL,
        "introspection_endpoint_auth_signing_alg_values_supported": ASSERTION_ALGORITHMS,
        "revocation_endpoint_auth_methods_supported": AUTHENTICATION_METHODS,
        "revocation_endpoint_auth_signing_alg_values_supported": ASSERTION_ALGORITHMS,
        "dpop_signing_alg_values_supported": PROOF_ALGORITHMS,
        // Under which name our own command line is known here.
        "valetkey_client_id": OWN_CLIENT,
        "client_id_metadata_document_supported": protocols.documents.is_some(),
        "request_parameter_supported": false,
        "request_uri_parameter_supported": false,
    });
    if let (true, Some(members)) = (registers, document.as_object_mut()) {
        members.insert("registration_endpoint".to_owned(), json!(format!("{url}{REGISTRATION}")));
    }
    Ok(([(CACHE_CONTROL, "public, max-age=300")], Json(document)))
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

/// What an ID token or the userinfo endpoint may say.
const CLAIMS: [&str; 13] = [
    "sub",
    "iss",
    "aud",
    "azp",
    "exp",
    "iat",
    "auth_time",
    "nonce",
    "amr",
    "acr",
    "preferred_username",
    "email",
    "email_verified",
];

/// What `jose` verifies.
const ASSERTION_ALGORITHMS: [&str; 2] = ["RS256", "ES256"];

const CONFIDENTIAL: [&str; 3] = ["client_secret_basic", "client_secret_post", "private_key_jwt"];
