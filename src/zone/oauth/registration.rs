//! Dynamic registration (RFC 7591).
//!
//! With an initial access token, an agent of the personal zone is registered under its name and in the token's user's
//! name, and by that granted. The same name gives the same application again with a new secret, so that whoever lost
//! the secret needs no clean-up; the old one is dropped.
//!
//! Any other client — public, with a key, with redirect addresses — is registered with that token, or by anybody where
//! the zone is open; and by nobody where the zone's row turns it off. Such a client has no rights at all: each of its
//! tokens rests on a person's consent.

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
use axum::response::Response;
use serde::Deserialize;
use serde_json::Value;
use serde_json::json;

use crate::jose::Jwks;
use crate::jose::KeySet;
use crate::limits::ZONE_REDIRECT_URIS_MAX;
use crate::limits::ZONE_REGISTERED_CLIENTS_MAX;
use crate::model::AgentName;
use crate::model::Secret;
use crate::zone::address;
use crate::zone::client_name;
use crate::zone::id::ApplicationId;
use crate::zone::id::UserId;
use crate::zone::issuer::Issuer;
use crate::zone::oauth::client::AUTHENTICATION_METHODS;
use crate::zone::oauth::members::object;
use crate::zone::oauth::refusal::Refusal;
use crate::zone::oauth::token::AUTHORIZATION_CODE;
use crate::zone::oauth::token::CLIENT_CREDENTIALS;
use crate::zone::oauth::token::GRANT_TYPES;
use crate::zone::oauth::token::TOKEN_EXCHANGE;
use crate::zone::opaque;
use crate::zone::opaque::Hash;
use crate::zone::rules::Registration;
use crate::zone::store::Authentication;
use crate::zone::store::Consent;
use crate::zone::store::Kind;
use crate::zone::store::Origin;
use crate::zone::store::RegisteredClient;
use crate::zone::store::SelfRegistration;

/// What is read of the client's metadata; the rest is replaced by the zone's own, as RFC 7591 §3.2.1 permits. Clients
/// send explicit nulls for what they leave out.
#[derive(Deserialize)]
pub(super) struct Metadata {
    client_name: Option<String>,
    token_endpoint_auth_method: Option<String>,
    redirect_uris: Option<Vec<String>>,
    post_logout_redirect_uris: Option<Vec<String>>,
    grant_types: Option<Vec<String>>,
    response_types: Option<Vec<String>>,
    jwks: Option<Value>,
    jwks_uri: Option<String>,
}

impl Metadata {
    fn method(&self) -> Result<&'static str, Refusal> {
        let asked = self.token_endpoint_auth_method.as_deref().unwrap_or("client_secret_basic");
        let known = AUTHENTICATION_METHODS.into_iter().find(|known| *known == asked);
        known.ok_or_else(|| Refusal::invalid_client_metadata("The token_endpoint_auth_method is not supported"))
    }

    /// Whether this is an agent of the personal zone: a name and a secret, and nothing that leads to a page.
    fn is_agent(&self) -> bool {
        let secret = self.method().is_ok_and(|method| method.starts_with("client_secret"));
        secret && self.redirect_uris.as_ref().is_none_or(Vec::is_empty)
    }
}

/// `POST /oauth/2/registration`.
pub(super) async fn endpoint(
    State(issuer): State<Arc<Issuer>>,
    headers: HeaderMap,
    sent: Result<Json<Metadata>, JsonRejection>,
) -> Result<Response, Refusal> {
    let registration = issuer.store.protocols().await?.registration;
    if issuer.rules.registration == Registration::Open && !headers.contains_key(AUTHORIZATION) {
        return register(&issuer, registration, &read(sent)?).await;
    }
    let token = bearer(&headers).ok_or_else(|| Refusal::invalid_token("An initial access token is required"))?;
    let registrar = issuer.store.registrar(&Hash::of(&token)).await?;
    let user = registrar.ok_or_else(|| Refusal::invalid_token("The initial access token is not valid"))?;
    let metadata = read(sent)?;
    metadata.method()?;
    match metadata.is_agent() {
        true => enrol(&issuer, &user, &metadata).await,
        false => register(&issuer, registration, &metadata).await,
    }
}

/// An agent of the personal zone.
async fn enrol(issuer: &Issuer, user: &UserId, metadata: &Metadata) -> Result<Response, Refusal> {
    let name = metadata.client_name.as_deref().map(AgentName::parse);
    let Some(Ok(name)) = name else {
        return Err(Refusal::invalid_client_metadata("The client_name is missing or not legal"));
    };
    let (secret, hash) = opaque::generate("vkc_");
    let now = issuer.clock.now();
    let application = issuer.store.enrol(user, Kind::Agent, name.as_str(), &hash, now).await?;
    tracing::info!(
        client = application.id.as_str(),
        client_name = application.name,
        user = user.as_str(),
        "application registered"
    );
    Ok(created(json!({
        "client_id": application.id.as_str(),
        "client_secret": secret.expose_str(),
        "client_id_issued_at": now.as_seconds(),
        "client_secret_expires_at": 0,
        "client_name": application.name,
        "token_endpoint_auth_method": metadata.method()?,
        "grant_types": [CLIENT_CREDENTIALS, TOKEN_EXCHANGE],
    })))
}

/// A client that needs a person's consent for everything.
async fn register(issuer: &Issuer, registration: SelfRegistration, metadata: &Metadata) -> Result<Response, Refusal> {
    match registration {
        SelfRegistration::On => {}
        SelfRegistration::Off => return Err(Refusal::access_denied("This zone registers no clients")),
    }
    let method = metadata.method()?;
    let authentication = match method {
        "none" => Authentication::None,
        "private_key_jwt" => Authentication::PrivateKey,
        _ => Authentication::Secret,
    };
    let (jwks, jwks_uri) = keys(issuer, metadata, authentication)?;
    let grant_types = grant_types(metadata)?;
    let id = ApplicationId::random_user_agent();
    let client = RegisteredClient {
        client_id: id.to_string(),
        id,
        origin: Origin::Registered,
        name: name(metadata)?,
        authentication,
        jwks,
        jwks_uri,
        grant_types: Some(grant_types.clone()),
        redirect_uris: addresses(metadata.redirect_uris.as_deref())?,
        post_logout_redirect_uris: addresses(metadata.post_logout_redirect_uris.as_deref())?,
        consent: Consent::Required,
    };
    if client.redirect_uris.is_empty() && grant_types.iter().any(|grant| grant == AUTHORIZATION_CODE) {
        return Err(Refusal::invalid_redirect_uri("The redirect_uris are missing"));
    }
    if issuer.store.user_agents().await? >= ZONE_REGISTERED_CLIENTS_MAX {
        tracing::error!("too many clients registered themselves");
        return Err(Refusal::too_slow());
    }
    let secret = (authentication == Authentication::Secret).then(|| opaque::generate("vkc_"));
    let now = issuer.clock.now();
    issuer.store.add_user_agent(&client, secret.as_ref().map(|(_, hash)| hash), now).await?;
    tracing::info!(client = client.id.as_str(), client_name = client.name, "client registered");
    let logout = &client.post_logout_redirect_uris;
    let body = object([
        ("client_id", Some(json!(client.id.as_str()))),
        ("client_id_issued_at", Some(json!(now.as_seconds()))),
        ("client_secret", secret.as_ref().map(|(secret, _)| json!(secret.expose_str()))),
        ("client_secret_expires_at", secret.as_ref().map(|_| json!(0))),
        ("client_name", Some(json!(client.name))),
        ("token_endpoint_auth_method", Some(json!(method))),
        ("redirect_uris", Some(json!(client.redirect_uris))),
        ("post_logout_redirect_uris", (!logout.is_empty()).then(|| json!(logout))),
        ("grant_types", Some(json!(grant_types))),
        ("response_types", Some(json!(["code"]))),
        ("jwks", client.jwks.as_ref().and(metadata.jwks.clone())),
        ("jwks_uri", client.jwks_uri.as_ref().map(|address| json!(address))),
    ]);
    Ok(created(body))
}

/// A name for people; it proves nothing, and the consent page says where the answer goes beside it.
fn name(metadata: &Metadata) -> Result<String, Refusal> {
    let name = metadata.client_name.as_deref().unwrap_or("unnamed client");
    client_name::read(name).ok_or_else(|| Refusal::invalid_client_metadata("The client_name is missing or not legal"))
}

/// Those of the asked that there are; a code's flow when nothing was asked for.
fn grant_types(metadata: &Metadata) -> Result<Vec<String>, Refusal> {
    let codes_only = |types: &Vec<String>| types.iter().all(|kind| kind == "code");
    if !metadata.response_types.as_ref().is_none_or(codes_only) {
        return Err(Refusal::invalid_client_metadata("The response_types are not supported"));
    }
    let asked = match &metadata.grant_types {
        Some(asked) if !asked.is_empty() => asked.clone(),
        Some(_) | None => vec![AUTHORIZATION_CODE.to_owned()],
    };
    let known: Vec<String> =
        GRANT_TYPES.into_iter().filter(|known| asked.iter().any(|asked| asked == known)).map(str::to_owned).collect();
    if known.is_empty() {
        return Err(Refusal::invalid_client_metadata("The grant_types are not supported"));
    }
    Ok(known)
}

fn addresses(sent: Option<&[String]>) -> Result<Vec<String>, Refusal> {
    let sent = sent.unwrap_or_default();
    if sent.len() > ZONE_REDIRECT_URIS_MAX || !sent.iter().all(|address| address::may_be_registered(address)) {
        return Err(Refusal::invalid_redirect_uri("A redirect address can't be registered"));
    }
    Ok(sent.to_vec())
}

fn keys(
    issuer: &Issuer,
    metadata: &Metadata,
    authentication: Authentication,
) -> Result<(Option<String>, Option<String>), Refusal> {
    if authentication != Authentication::PrivateKey {
        return Ok((None, None));
    }
    match (&metadata.jwks, &metadata.jwks_uri) {
        (Some(jwks), None) => {
            let text = jwks.to_string();
            let usable = Jwks::parse(text.as_bytes()).is_some_and(|jwks| !KeySet::from_jwks(&jwks).is_empty());
            match usable {
                true => Ok((Some(text), None)),
                false => Err(Refusal::invalid_client_metadata("The jwks has no key of RS256 or ES256 with a kid")),
            }
        }
        (None, Some(address)) if issuer.foreign_keys.may_ask(address) => Ok((None, Some(address.clone()))),
        (None, Some(_)) => Err(Refusal::invalid_client_metadata("The jwks_uri must be an https address")),
        (Some(_), Some(_)) => Err(Refusal::invalid_client_metadata("There is a jwks and a jwks_uri")),
        (None, None) => Err(Refusal::invalid_client_metadata("There is neither a jwks nor a jwks_uri")),
    }
}

fn created(body: Value) -> Response {
    (StatusCode::CREATED, [(CACHE_CONTROL, "no-store"), (PRAGMA, "no-cache")], Json(body)).into_response()
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
