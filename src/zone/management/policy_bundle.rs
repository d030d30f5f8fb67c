//! The caller's own policies as one file. Whoever has none gets the managed ones to begin with.
//!
//! They are kept and given back, for the caller's own programs; access decisions of the zone rest on the zone's sets only.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::http::header::ETAG;
use axum::http::header::IF_MATCH;
use axum::http::header::IF_NONE_MATCH;
use axum::response::IntoResponse as _;
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::task::spawn_blocking;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::zone::access::DEFAULT_SCHEMA;
use crate::zone::access::MANAGED;
use crate::zone::access::PolicyText;
use crate::zone::access::SchemaVersion;
use crate::zone::bundle::Bundle;
use crate::zone::bundle::BundleInvalid;
use crate::zone::id::RowId;
use crate::zone::issuer::Issuer;
use crate::zone::management::caller::Access;
use crate::zone::management::caller::Caller;
use crate::zone::management::refused::Refusals;
use crate::zone::management::refused::Refused;
use crate::zone::store::Before;
use crate::zone::store::Change;
use crate::zone::store::KeptBundle;

pub(super) fn router() -> OpenApiRouter<Arc<Issuer>> {
    OpenApiRouter::new().routes(routes!(retrieve, update, remove))
}

/// Get the caller's policy bundle
#[utoipa::path(get, path = "/policy/bundle", tag = "policy-bundle",
    params(("If-None-Match" = Option<String>, Header, description = "The `ETag` of the bundle that the caller has")),
    responses((status = 200, body = Vec<u8>, content_type = CODEC),
    (status = 304, description = "The caller has it"), Refusals))]
async fn retrieve(State(issuer): State<Arc<Issuer>>, caller: Caller, headers: HeaderMap) -> Result<Response, Refused> {
    may(&caller, Access::Read)?;
    let (kept, _) = current(&issuer, &caller).await?;
    match tags(&headers, IF_NONE_MATCH)?.is_some_and(|tags| matches(&tags, &kept.digest)) {
        true => Ok((StatusCode::NOT_MODIFIED, [(ETAG, tag(&kept.digest))]).into_response()),
        false => tell(&kept),
    }
}

/// Replace the caller's policy bundle
#[utoipa::path(put, path = "/policy/bundle", tag = "policy-bundle",
    params(("If-Match" = Option<String>, Header, description = "The `ETag` of the bundle that is replaced")),
    request_body(content = Vec<u8>, content_type = "application/octet-stream", description = "The gzipped archive"),
    responses((status = 200, body = Vec<u8>, content_type = CODEC), Refusals))]
async fn update(
    State(issuer): State<Arc<Issuer>>,
    caller: Caller,
    headers: HeaderMap,
    sent: Result<Bytes, axum::extract::rejection::BytesRejection>,
) -> Result<Response, Refused> {
    may(&caller, Access::Write)?;
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if ![CODEC, "application/octet-stream"].contains(&kind.split(';').next().unwrap_or_default().trim()) {
        return Err(Refused::unsupported_bundle());
    }
    let sent = sent.map_err(|_| Refused::too_large())?;
    let owner = caller.id().to_owned();
    // Off the runtime's threads: a small file may unpack to a large one.
    let read = spawn_blocking(move || materialize(&sent, &owner)).await.map_err(|_| Refused::failed())?;
    let kept = read.map_err(|BundleInvalid(why)| Refused::bundle(&why))?;
    let (now, before) = current(&issuer, &caller).await?;
    let expected = tags(&headers, IF_MATCH)?.filter(|tags| tags.iter().all(|tag| tag != "*"));
    if expected.as_ref().is_some_and(|tags| !matches(tags, &now.digest)) {
        return Err(Refused::stale());
    }
    let before = match (expected, before) {
        (None, _) => Before::Anything,
        (Some(_), Origin::Managed) => Before::Nothing,
        (Some(_), Origin::Kept) => Before::Digest(&now.digest),
    };
    match issuer.store.keep_policy_bundle(caller.id(), &kept, before, issuer.clock.now()).await? {
        Change::Done => tell(&kept),
        Change::Missing | Change::Stale => Err(Refused::stale()),
    }
}

/// Remove the caller's policy bundle: the managed policies take its place
#[utoipa::path(delete, path = "/policy/bundle", tag = "policy-bundle", responses((status = 204), Refusals))]
async fn remove(State(issuer): State<Arc<Issuer>>, caller: Caller) -> Result<StatusCode, Refused> {
    may(&caller, Access::Write)?;
    issuer.store.forget_policy_bundle(caller.id()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Where a bundle comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin {
    /// The caller sent it.
    Kept,
    /// The caller sent none.
    Managed,
}

fn may(caller: &Caller, access: Access) -> Result<(), Refused> {
    match caller.may("policies", access) {
        true => Ok(()),
        false => Err(Refused::forbidden("The token's scopes do not allow this")),
    }
}

/// The caller's bundle as it is now.
async fn current(issuer: &Issuer, caller: &Caller) -> Result<(KeptBundle, Origin), Refused> {
    if let Some(kept) = issuer.store.policy_bundle(caller.id()).await? {
        return Ok((kept, Origin::Kept));
    }
    let schema = SchemaVersion::find(DEFAULT_SCHEMA).ok_or_else(Refused::failed)?;
    let policies = MANAGED.policies.iter().filter_map(|managed| {
        let key = RowId::derived(&format!("{}/{}/{}", issuer.store.zone(), caller.id(), managed.name));
        Some((key.to_string(), Some(managed.name.to_owned()), managed.read()?.canonical.text))
    });
    let bundle = Bundle::of(schema.version, schema.text, caller.id(), policies);
    Ok((keep(&bundle).ok_or_else(Refused::failed)?, Origin::Managed))
}

/// What was sent, as it is kept: each policy checked, hashes and schema the zone's own, new policies with ids.
fn materialize(sent: &[u8], owner: &str) -> Result<KeptBundle, BundleInvalid> {
    let Bundle { manifest, schema: _, policies } = Bundle::unpack(sent)?;
    let schema = SchemaVersion::find(&manifest.schema.version);
    let schema = schema.ok_or_else(|| BundleInvalid("the schema of `schema.version` is not known".to_owned()))?;
    if manifest.target_type != "user" || manifest.target_id != owner {
        return Err(BundleInvalid("the target is another than the caller".to_owned()));
    }
    let mut checked = Vec::with_capacity(policies.len());
    for policy in manifest.policies {
        let text = policies.get(policy.key()).cloned().unwrap_or_default();
        PolicyText::of_cedar(&text, schema)
            .map_err(|fault| BundleInvalid(format!("policies/{}.cedar: {fault}", policy.key())))?;
        let key = policy.public_id.unwrap_or_else(|| RowId::random().to_string());
        checked.push((key, policy.name, text));
    }
    let bundle = Bundle::of(schema.version, schema.text, owner, checked);
    keep(&bundle).ok_or_else(|| BundleInvalid("it is too large".to_owned()))
}

fn keep(bundle: &Bundle) -> Option<KeptBundle> {
    Some(KeptBundle { digest: bundle.digest()?, bundle: STANDARD.encode(bundle.pack()?) })
}

fn tell(kept: &KeptBundle) -> Result<Response, Refused> {
    let bytes = STANDARD.decode(&kept.bundle).map_err(|_| Refused::failed())?;
    Ok(([(CONTENT_TYPE, CODEC.to_owned()), (ETAG, tag(&kept.digest))], bytes).into_response())
}

fn tag(digest: &str) -> String {
    format!("\"{digest}\"")
}

/// The entity tags of a condition (RFC 9110 §13.1); none where there is no condition.
fn tags(headers: &HeaderMap, name: axum::http::HeaderName) -> Result<Option<Vec<String>>, Refused> {
    let mut tags = Vec::new();
    for sent in headers.get_all(&name) {
        let sent = sent.to_str().map_err(|_| Refused::bad(name.as_str(), "is no list of entity tags"))?;
        tags.extend(sent.split(',').map(|tag| tag.trim().trim_start_matches("W/").trim_matches('"').to_owned()));
    }
    Ok(Some(tags).filter(|tags| !tags.is_empty()))
}

fn matches(tags: &[String], digest: &str) -> bool {
    tags.iter().any(|tag| tag == "*" || tag == digest)
}

const CODEC: &str = "application/vnd.keycard.policy-bundle.v1+tar+gzip";
