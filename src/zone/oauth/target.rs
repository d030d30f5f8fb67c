//! What a token is asked for: one resource (RFC 8707), and which of its scopes.

use crate::model::ResourceId;
use crate::model::Scopes;
use crate::zone::issuer::Issuer;
use crate::zone::oauth::parameters::Parameters;
use crate::zone::oauth::refusal::Refusal;
use crate::zone::store::Resource;

/// The resource that is named by `resource`, or by `audience` where a client has no other word for it.
pub(super) async fn find(issuer: &Issuer, parameters: &Parameters) -> Result<Resource, Refusal> {
    let first = match named(parameters)? {
        Some(first) => first,
        None => one_audience(parameters)?,
    };
    known(issuer, first).await
}

/// The one `resource` of the request; none when there is none.
pub(super) fn named(parameters: &Parameters) -> Result<Option<&str>, Refusal> {
    let mut named = parameters.all("resource");
    let first = named.next();
    // A token of this zone has one audience: one that is good at two APIs could be replayed by either at the other.
    if named.any(|other| Some(other) != first) {
        return Err(Refusal::invalid_target("A token is for one resource only"));
    }
    Ok(first)
}

/// The resource that bears exactly this identifier.
pub(super) async fn known(issuer: &Issuer, identifier: &str) -> Result<Resource, Refusal> {
    let identifier = ResourceId::parse(identifier).map_err(|_| Refusal::unknown_resource())?;
    issuer.store.resource(&identifier).await?.ok_or_else(Refusal::unknown_resource)
}

/// What was asked for and the resource has; all that the resource has when nothing was asked for.
pub(super) fn scopes(resource: &Resource, parameters: &Parameters) -> Result<Scopes, Refusal> {
    let Some(asked) = parameters.one("scope")? else { return Ok(resource.scopes.clone()) };
    let asked = Scopes::parse(asked).map_err(|_| Refusal::invalid_scope("The scope is malformed"))?;
    let granted = asked.intersection(&resource.scopes);
    if granted.is_empty() && !asked.is_empty() {
        return Err(Refusal::invalid_scope("The resource has none of the requested scopes"));
    }
    Ok(granted)
}

fn one_audience(parameters: &Parameters) -> Result<&str, Refusal> {
    let mut audiences = parameters.all("audience");
    let first = audiences.next().ok_or_else(|| Refusal::invalid_request("The resource parameter is missing"))?;
    if audiences.any(|other| other != first) {
        return Err(Refusal::invalid_target("A token is for one resource only"));
    }
    Ok(first)
}
