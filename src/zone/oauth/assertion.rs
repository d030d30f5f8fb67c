//! Client authentication by a JWT (RFC 7523 §2.2), of two kinds.
//!
//! A client may sign its own with a key that it registered: `iss` and `sub` are the client, and each is good once. Or
//! it shows the token that its platform gave the workload (Kubernetes, a cloud, a CI service): `iss` is the platform,
//! which an administrator named for this client, and the token may be shown until it dies, for platforms write it to a
//! file. Never: a key that the assertion brings along, or an issuer that nobody configured.

use std::sync::Arc;

use serde::Deserialize;

use crate::jose::Jwks;
use crate::jose::KeySet;
use crate::jose::Refused;
use crate::jose::Unverified;
use crate::jose::Verifier;
use crate::limits::JWT_LEEWAY;
use crate::limits::ZONE_ASSERTION_LIFETIME_MAX;
use crate::model::Secret;
use crate::model::Timestamp;
use crate::zone::foreign_keys::NamedBy;
use crate::zone::issuer::Issuer;
use crate::zone::oauth::INTROSPECTION;
use crate::zone::oauth::REVOCATION;
use crate::zone::oauth::TOKEN;
use crate::zone::oauth::client::Client;
use crate::zone::oauth::parameters::Parameters;
use crate::zone::oauth::refusal::Refusal;
use crate::zone::opaque::Hash;
use crate::zone::store::Authentication;
use crate::zone::store::Origin;
use crate::zone::store::RegisteredClient;
use crate::zone::store::Seen;
use crate::zone::store::Workload;

/// The client that made the assertion, or for whom its platform did.
pub(super) async fn authenticate(
    issuer: &Issuer,
    parameters: &Parameters,
    assertion: &Secret,
    client_id: Option<&str>,
) -> Result<Client, Refusal> {
    match parameters.one("client_assertion_type")? {
        Some(JWT_BEARER) => {}
        Some(_) => return Err(Refusal::invalid_request("The client_assertion_type is not supported")),
        None => return Err(Refusal::invalid_request("The client_assertion_type parameter is missing")),
    }
    let assertion = assertion.expose_str().ok_or_else(Refusal::invalid_client)?;
    let said = Unverified::read(assertion).map_err(|_| Refusal::invalid_client())?;
    let (Some(iss), Some(sub)) = (&said.iss, &said.sub) else { return Err(Refusal::invalid_client()) };
    let client = if iss == sub {
        own(issuer, assertion, iss, client_id).await?
    } else {
        workload(issuer, assertion, iss, sub, client_id).await?
    };
    Ok(Client::registered(client))
}

#[derive(Deserialize)]
struct Claims {
    jti: Option<String>,
    exp: i64,
}

/// By the client's own key.
async fn own(
    issuer: &Issuer,
    assertion: &str,
    name: &str,
    client_id: Option<&str>,
) -> Result<RegisteredClient, Refusal> {
    if client_id.is_some_and(|client_id| client_id != name) {
        return Err(Refusal::invalid_client());
    }
    let client = issuer.client(name).await?;
    let client = client.filter(|client| client.authentication == Authentication::PrivateKey);
    let client = client.ok_or_else(Refusal::invalid_client)?;
    let kid = Unverified::key_id(assertion);
    let keys = match (&client.jwks, &client.jwks_uri) {
        (Some(jwks), _) => Jwks::parse(jwks.as_bytes()).map(|jwks| Arc::new(KeySet::from_jwks(&jwks))),
        (None, Some(address)) => issuer.foreign_keys.at(named_by(client.origin), address, kid.as_deref()).await,
        (None, None) => None,
    };
    let claims = verify(issuer, assertion, name, keys.as_deref())?;
    let now = issuer.clock.now();
    let expires_at = Timestamp::from_seconds(claims.exp);
    // Without a bound a client could have us remember its assertions for ever.
    if expires_at > now.after(ZONE_ASSERTION_LIFETIME_MAX).after(JWT_LEEWAY) {
        return Err(Refusal::invalid_client());
    }
    let jti = claims.jti.filter(|jti| !jti.is_empty()).ok_or_else(Refusal::invalid_client)?;
    let seen = Hash::of(&Secret::new(format!("assertion\n{name}\n{jti}")));
    match issuer.store.see(&seen, expires_at.after(JWT_LEEWAY)).await? {
        Seen::First => Ok(client),
        Seen::Again => {
            tracing::warn!(client = name, "an assertion was shown twice");
            Err(Refusal::invalid_client())
        }
    }
}

/// Who said where the client's keys are.
fn named_by(origin: Origin) -> NamedBy {
    match origin {
        Origin::Builtin | Origin::Managed => NamedBy::Administrator,
        Origin::Registered | Origin::Document => NamedBy::Stranger,
    }
}

/// By the token of a platform.
async fn workload(
    issuer: &Issuer,
    assertion: &str,
    platform: &str,
    subject: &str,
    client_id: Option<&str>,
) -> Result<RegisteredClient, Refusal> {
    let mut workloads = issuer.store.workloads(platform, subject).await?;
    if let Some(named) = client_id {
        workloads.retain(|workload| workload.id == named || workload.application.as_str() == named);
    }
    // A workload that is named by its subject goes before one that is any subject of the platform.
    let exact = workloads.iter().any(|workload| workload.subject.is_some());
    workloads.retain(|workload| workload.subject.is_some() == exact);
    // Two that fit equally well are a mistake of whoever configured them, and not ours to settle.
    let [workload] = <[Workload; 1]>::try_from(workloads).map_err(|_| Refusal::invalid_client())?;
    let kid = Unverified::key_id(assertion);
    let keys = issuer.foreign_keys.of_issuer(platform, kid.as_deref()).await;
    verify(issuer, assertion, platform, keys.as_deref())?;
    let (id, client_id) = (workload.application.as_str(), workload.id.as_str());
    let client = issuer.store.software(id, client_id, Authentication::Workload).await?;
    client.ok_or_else(Refusal::invalid_client)
}

/// For this zone: by its name, or by one of the endpoints where clients authenticate.
fn verify(issuer: &Issuer, assertion: &str, from: &str, keys: Option<&KeySet>) -> Result<Claims, Refusal> {
    let Some(keys) = keys else {
        tracing::warn!(issuer = from, "the keys of an assertion can't be had");
        return Err(Refusal::invalid_client());
    };
    let url = issuer.url();
    let endpoints = [TOKEN, INTROSPECTION, REVOCATION].map(|path| format!("{url}{path}"));
    let audiences = [url.to_owned(), format!("{url}/")].into_iter().chain(endpoints);
    let mut refused = Refused::Audience;
    for audience in audiences {
        match Verifier::new(from.to_owned(), audience, Arc::clone(&issuer.clock)).verify(assertion, keys) {
            Ok(claims) => return Ok(claims),
            Err(Refused::Audience) => {}
            Err(other) => {
                refused = other;
                break;
            }
        }
    }
    tracing::warn!(issuer = from, error = &refused as &dyn std::error::Error, "an assertion is refused");
    Err(Refusal::invalid_client())
}

const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
