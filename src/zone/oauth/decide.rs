//! The question to the zone's access policy, asked before each token for a resource.

use crate::model::Scopes;
use crate::zone::access::AccessDecision;
use crate::zone::access::AccessRequest;
use crate::zone::access::OnBehalf;
use crate::zone::issuer::Issuer;
use crate::zone::oauth::client::Client;
use crate::zone::oauth::refusal::Refusal;
use crate::zone::store::Resource;

/// The scopes that the client gets of those that it would have; a refusal when the policy permits nothing. `accessing` is
/// the client's own API that is being used, where it acts on for that.
pub(super) async fn permitted(
    issuer: &Issuer,
    client: &Client,
    on_behalf: OnBehalf<'_>,
    resource: &Resource,
    accessing: Option<&str>,
    scopes: &Scopes,
) -> Result<Scopes, Refusal> {
    let application = &client.application;
    // The personal zone's own applications may ask for all that its person declared.
    let is_dependency = client.registration.is_none()
        || issuer.store.depends_on(&application.id, resource.identifier.as_str(), accessing).await?;
    let request = AccessRequest {
        client_id: application.id.as_str(),
        client_name: &application.name,
        is_dependency,
        on_behalf,
        resource: &resource.identifier,
        scopes,
    };
    match issuer.rules.access.decide(&request) {
        // INVARIANT: a policy takes scopes away and never adds any.
        AccessDecision::Permit(permitted) => Ok(permitted.intersection(scopes)),
        AccessDecision::Deny => {
            tracing::warn!(
                client = application.id.as_str(),
                resource = resource.identifier.as_str(),
                "no policy permits the token"
            );
            Err(Refusal::not_allowed(&application.name, resource.identifier.as_str()))
        }
    }
}
