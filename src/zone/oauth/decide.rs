//! The question to the zone's access policies, asked before each token for a resource.

use std::sync::Arc;

use crate::model::Scopes;
use crate::zone::access::AccessDecision;
use crate::zone::access::AccessRequest;
use crate::zone::access::Applicant;
use crate::zone::access::Compiled;
use crate::zone::access::Denial;
use crate::zone::access::OnBehalf;
use crate::zone::access::Verdict;
use crate::zone::events::CREDENTIALS_DENY;
use crate::zone::events::Event;
use crate::zone::events::Field;
use crate::zone::events::POLICIES_SHADOW;
use crate::zone::issuer::Issuer;
use crate::zone::oauth::client::Client;
use crate::zone::oauth::refusal::Refusal;
use crate::zone::store::Resource;

/// The scopes that the client gets of those that it would have; a refusal when the policies permit nothing. `accessing`
/// is the client's own API that is being used, where it acts on for that.
pub(super) async fn permitted(
    issuer: &Issuer,
    client: &Client,
    on_behalf: OnBehalf<'_>,
    resource: &Resource,
    accessing: Option<&str>,
    scopes: &Scopes,
) -> Result<Scopes, Refusal> {
    let application = &client.application;
    let facts = issuer.store.access_facts(&application.id, accessing).await?;
    let mut dependencies = facts.dependencies;
    // The personal zone's own applications may ask for all that its person declared.
    if client.registration.is_none() && !dependencies.iter().any(|id| id == resource.id.as_str()) {
        dependencies.push(resource.id.to_string());
    }
    let request = AccessRequest {
        applicant: Applicant {
            id: application.id.as_str(),
            client_id: &application.client_id,
            identifier: facts.identifier.unwrap_or_else(|| application.client_id.clone()),
            name: &application.name,
            traits: facts.traits.and_then(|traits| serde_json::from_str(&traits).ok()).unwrap_or_default(),
            dependencies,
        },
        on_behalf,
        resource,
        scopes,
    };
    let verdict = match &facts.active {
        Some(version) => ask(issuer.policies.set(&issuer.store, version).await?, &request),
        None => Verdict { decision: AccessDecision::Deny(Denial::NotPermitted), policies: Vec::new() },
    };
    if let Some(version) = &facts.shadow {
        compare(issuer, version, &request, &verdict).await;
    }
    match verdict.decision {
        // INVARIANT: a policy takes scopes away and never adds any.
        AccessDecision::Permit(permitted) => Ok(permitted.intersection(scopes)),
        AccessDecision::Deny(denial) => {
            issuer.rules.events.record(&Event {
                name: CREDENTIALS_DENY,
                fields: &[
                    ("application", Field::Text(application.id.as_str())),
                    ("application_name", Field::Text(&application.name)),
                    ("subject", Field::Text(subject(&request))),
                    ("subject_name", Field::Text(subject_name(&request))),
                    ("resource", Field::Text(resource.identifier.as_str())),
                    ("scopes", Field::Text(&scopes.to_string())),
                    ("policy_set_version", Field::Text(facts.active.as_deref().unwrap_or(""))),
                    ("policies", Field::Texts(&verdict.policies)),
                ],
            });
            tracing::warn!(
                client = application.id.as_str(),
                resource = resource.identifier.as_str(),
                ?denial,
                "no policy permits the token"
            );
            refuse(issuer, client, resource, facts.active.as_deref(), denial).await
        }
    }
}

fn ask(set: Option<Arc<Compiled>>, request: &AccessRequest<'_>) -> Verdict {
    match set {
        Some(set) => set.decide(request),
        None => Verdict { decision: AccessDecision::Deny(Denial::Failed), policies: Vec::new() },
    }
}

/// Asks the shadow set, and writes down what it would have said. Whatever goes wrong here changes nothing.
async fn compare(issuer: &Issuer, version: &str, request: &AccessRequest<'_>, enforced: &Verdict) {
    let set = match issuer.policies.set(&issuer.store, version).await {
        Ok(set) => set,
        Err(failed) => {
            tracing::warn!(error = &failed as &dyn std::error::Error, "the shadow policies could not be read");
            return;
        }
    };
    let shadow = ask(set, request);
    let scopes = match &shadow.decision {
        AccessDecision::Permit(scopes) => scopes.to_string(),
        AccessDecision::Deny(_) => String::new(),
    };
    issuer.rules.events.record(&Event {
        name: POLICIES_SHADOW,
        fields: &[
            ("application", Field::Text(request.applicant.id)),
            ("application_name", Field::Text(request.applicant.name)),
            ("subject", Field::Text(subject(request))),
            ("subject_name", Field::Text(subject_name(request))),
            ("resource", Field::Text(request.resource.identifier.as_str())),
            ("policy_set_version", Field::Text(version)),
            ("decision", Field::Text(word(&shadow.decision))),
            ("scopes", Field::Text(&scopes)),
            ("policies", Field::Texts(&shadow.policies)),
            ("enforced", Field::Text(word(&enforced.decision))),
            ("agrees", Field::Flag(shadow.decision == enforced.decision)),
        ],
    });
}

/// In whose name it is asked.
fn subject<'a>(request: &AccessRequest<'a>) -> &'a str {
    match request.on_behalf {
        OnBehalf::Itself => request.applicant.id,
        OnBehalf::User(person) | OnBehalf::Impersonated(person) => person.id,
    }
}

/// What people call them, where it is a person.
fn subject_name<'a>(request: &AccessRequest<'a>) -> &'a str {
    match request.on_behalf {
        OnBehalf::Itself => "",
        OnBehalf::User(person) | OnBehalf::Impersonated(person) => person.identifier,
    }
}

fn word(decision: &AccessDecision) -> &'static str {
    match decision {
        AccessDecision::Permit(_) => "permit",
        AccessDecision::Deny(_) => "deny",
    }
}

/// In the words that clients know: by which policy, where one forbids it.
async fn refuse(
    issuer: &Issuer,
    client: &Client,
    resource: &Resource,
    version: Option<&str>,
    denial: Denial,
) -> Result<Scopes, Refusal> {
    if let (Denial::Forbidden(policy), Some(version)) = (&denial, version)
        && let Some(words) = issuer.store.policy_words(version, policy).await?
    {
        return Err(Refusal::forbidden(resource.identifier.as_str(), &words));
    }
    Err(Refusal::not_allowed(&client.application.name, resource.identifier.as_str()))
}
