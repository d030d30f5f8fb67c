//! One version of a policy set, ready to be asked. It never changes, as the version never does.

use std::collections::BTreeSet;
use std::collections::HashSet;

use crate::cedar::Entities;
use crate::cedar::Facts;
use crate::cedar::Fault;
use crate::cedar::Kind;
use crate::cedar::Policy;
use crate::cedar::Set;
use crate::cedar::Thing;
use crate::cedar::Uid;
use crate::cedar::Value;
use crate::cedar::read_policies;
use crate::model::Scopes;
use crate::zone::access::AccessDecision;
use crate::zone::access::AccessRequest;
use crate::zone::access::Denial;
use crate::zone::access::OnBehalf;
use crate::zone::access::Person;
use crate::zone::access::Verdict;

/// A compiled set.
pub(in crate::zone) struct Compiled {
    set: Set,
    kinds: Kinds,
    /// Whether a policy looks at scopes: only then is each asked for by itself.
    reads_scopes: bool,
    /// The policies that speak of impersonation, without which nobody is impersonated.
    of_impersonation: HashSet<String>,
}

struct Kinds {
    user: Kind,
    application: Kind,
    resource: Kind,
    action: Kind,
}

/// What the set says of some scopes.
enum Judgement {
    Permitted(BTreeSet<String>),
    NotPermitted,
    Forbidden(BTreeSet<String>),
    Failed,
}

/// Who must be permitted, and in which way.
enum Asked {
    /// The application in its own name.
    Itself { application: Uid },
    /// Both.
    Both { user: Uid, application: Uid },
    /// The application, by a policy that speaks of it; the user must not be forbidden.
    InPlaceOf { user: Uid, application: Uid },
}

impl Compiled {
    /// From the texts of the policies, each under its id.
    ///
    /// # Errors
    /// When one of them is no policy: then the whole set can't be asked.
    pub(in crate::zone) fn new<'a>(texts: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self, Fault> {
        let (mut set, mut reads_scopes, mut of_impersonation) = (Set::new(), false, HashSet::new());
        for (id, text) in texts {
            let (policies, _) = read_policies(text).map_err(|mut faults| faults.remove(0))?;
            let policy = policies.first().map(|policy| policy.named(id));
            let policy = policy.ok_or_else(|| Fault::words("there is no policy in the text"))?;
            reads_scopes |= mentions(&policy, "scopes")?;
            if mentions(&policy, "impersonate")? {
                of_impersonation.insert(id.to_owned());
            }
            set.add(policy).map_err(|taken| Fault::words(&taken.to_string()))?;
        }
        Ok(Self { set, kinds: Kinds::new()?, reads_scopes, of_impersonation })
    }

    /// The answer. Where policies look at scopes, each scope is asked for by itself; those that are not permitted fall
    /// away, and what remains is asked for once more together.
    pub(in crate::zone) fn decide(&self, request: &AccessRequest<'_>) -> Verdict {
        let asked: Vec<&str> = request.scopes.iter().collect();
        let Some((who, entities)) = self.entities(request) else { return failed() };
        let judge = |scopes: &[&str]| self.judge(request, &who, &entities, scopes);
        if !self.reads_scopes || asked.is_empty() {
            return verdict(judge(&asked), request.scopes.clone());
        }
        let mut kept = Vec::with_capacity(asked.len());
        let mut first_denial = None;
        for scope in asked {
            match judge(&[scope]) {
                Judgement::Permitted(_) => kept.push(scope),
                Judgement::Failed => return failed(),
                denial @ (Judgement::NotPermitted | Judgement::Forbidden(_)) => {
                    first_denial.get_or_insert(denial);
                }
            }
        }
        match first_denial {
            Some(denial) if kept.is_empty() => verdict(denial, Scopes::default()),
            Some(_) | None => match Scopes::collect(kept.iter().copied()) {
                Ok(scopes) => verdict(judge(&kept), scopes),
                Err(_) => failed(),
            },
        }
    }

    fn judge(&self, request: &AccessRequest<'_>, who: &Asked, entities: &Entities, scopes: &[&str]) -> Judgement {
        let ask = |principal: &Uid| self.ask(request, principal, entities, scopes);
        match who {
            Asked::Itself { application } => ask(application),
            Asked::Both { user, application } => match (ask(user), ask(application)) {
                (Judgement::Permitted(mut first), Judgement::Permitted(second)) => {
                    first.extend(second);
                    Judgement::Permitted(first)
                }
                (Judgement::Permitted(_), denied) | (denied, _) => denied,
            },
            Asked::InPlaceOf { user, application } => match (ask(user), ask(application)) {
                (Judgement::Failed, _) => Judgement::Failed,
                (Judgement::Forbidden(policies), _) => Judgement::Forbidden(policies),
                (Judgement::Permitted(_) | Judgement::NotPermitted, Judgement::Permitted(policies)) => {
                    match policies.is_disjoint(&self.of_impersonation.iter().cloned().collect()) {
                        true => Judgement::NotPermitted,
                        false => Judgement::Permitted(policies),
                    }
                }
                (Judgement::Permitted(_) | Judgement::NotPermitted, denied) => denied,
            },
        }
    }

    /// One evaluation. Whatever goes wrong on the way is a denial.
    fn ask(&self, request: &AccessRequest<'_>, principal: &Uid, entities: &Entities, scopes: &[&str]) -> Judgement {
        let resource = self.kinds.resource.uid(request.resource.id.as_str());
        let Some(facts) = self.facts(request, &resource, scopes) else { return Judgement::Failed };
        let action = self.kinds.action.uid("access");
        let answer = self.set.ask(principal.clone(), action, resource, facts, entities);
        let Some(answer) = answer else { return Judgement::Failed };
        let mut failures = answer.failures().peekable();
        if failures.peek().is_some() {
            for failure in failures {
                tracing::warn!(failure, "an access policy could not be evaluated: denied");
            }
            return Judgement::Failed;
        }
        let reasons: BTreeSet<String> = answer.reasons().map(str::to_owned).collect();
        match answer.allows() {
            true => Judgement::Permitted(reasons),
            false if reasons.is_empty() => Judgement::NotPermitted,
            false => Judgement::Forbidden(reasons),
        }
    }

    fn entities(&self, request: &AccessRequest<'_>) -> Option<(Asked, Entities)> {
        let AccessRequest { applicant, on_behalf, resource, scopes: _ } = request;
        let application = self.kinds.application.uid(applicant.id);
        let texts = |texts: &[String]| Value::set(texts.iter().map(|text| Value::text(text)));
        let needs = applicant.dependencies.iter().map(|id| Value::uid(&self.kinds.resource.uid(id)));
        let mut things = vec![
            Thing::with(
                &application,
                [
                    ("identifier", Value::text(&applicant.identifier)),
                    ("name", Value::text(applicant.name)),
                    ("dependencies", Value::set(needs)),
                    ("traits", texts(&applicant.traits)),
                ],
            )?,
            Thing::with(
                &self.kinds.resource.uid(resource.id.as_str()),
                [
                    ("identifier", Value::text(resource.identifier.as_str())),
                    ("name", Value::text(&resource.name)),
                    ("scopes", Value::set(resource.scopes.iter().map(Value::text))),
                ],
            )?,
        ];
        let who = match on_behalf {
            OnBehalf::Itself => Asked::Itself { application },
            OnBehalf::User(person) => {
                let user = self.kinds.user.uid(person.id);
                things.push(self.person(&user, person)?);
                Asked::Both { user, application }
            }
            OnBehalf::Impersonated(person) => {
                let user = self.kinds.user.uid(person.id);
                things.push(self.person(&user, person)?);
                Asked::InPlaceOf { user, application }
            }
        };
        Some((who, Entities::of(things)?))
    }

    fn person(&self, uid: &Uid, person: &Person<'_>) -> Option<Thing> {
        Thing::with(uid, [("email", Value::text(person.email)), ("identifier", Value::text(person.identifier))])
    }

    fn facts(&self, request: &AccessRequest<'_>, resource: &Uid, scopes: &[&str]) -> Option<Facts> {
        let applicant = &request.applicant;
        let (person, on_behalf, impersonate) = match request.on_behalf {
            OnBehalf::Itself => (None, false, false),
            OnBehalf::User(person) => (Some(person), true, false),
            OnBehalf::Impersonated(person) => (Some(person), false, true),
        };
        let mut facts = vec![
            ("on_behalf", Value::flag(on_behalf)),
            ("impersonate", Value::flag(impersonate)),
            ("resource", Value::uid(resource)),
            ("scopes", Value::set(scopes.iter().copied().map(Value::text))),
        ];
        if let Some(person) = person {
            facts.push(("subject", Value::uid(&self.kinds.user.uid(person.id))));
            let actor = [
                ("sub", Value::text(applicant.id)),
                ("sub_profile", Value::text("app")),
                ("client_id", Value::text(applicant.client_id)),
                ("client_name", Value::text(applicant.name)),
            ];
            facts.push(("actor_claims", Value::record(actor)?));
            if let Some(claims) = person.claims {
                let mut said = vec![
                    ("sub", Value::text(person.id)),
                    ("sub_profile", Value::text("user")),
                    ("client_id", Value::text(claims.client_id)),
                    ("sid", Value::text(claims.session)),
                ];
                said.extend(claims.scope.map(|scope| ("scope", Value::text(scope))));
                facts.push(("subject_claims", Value::record(said)?));
            }
        }
        Facts::of(facts)
    }
}

impl Kinds {
    fn new() -> Result<Self, Fault> {
        Ok(Self {
            user: Kind::parse("Keycard::User")?,
            application: Kind::parse("Keycard::Application")?,
            resource: Kind::parse("Keycard::Resource")?,
            action: Kind::parse("Keycard::Action")?,
        })
    }
}

fn verdict(judgement: Judgement, scopes: Scopes) -> Verdict {
    let (decision, policies) = match judgement {
        Judgement::Permitted(policies) => (AccessDecision::Permit(scopes), policies),
        Judgement::NotPermitted => (AccessDecision::Deny(Denial::NotPermitted), BTreeSet::new()),
        Judgement::Forbidden(policies) => {
            let first = policies.first().cloned().unwrap_or_default();
            (AccessDecision::Deny(Denial::Forbidden(first)), policies)
        }
        Judgement::Failed => (AccessDecision::Deny(Denial::Failed), BTreeSet::new()),
    };
    Verdict { decision, policies: policies.into_iter().collect() }
}

fn failed() -> Verdict {
    verdict(Judgement::Failed, Scopes::default())
}

/// Whether the name of an attribute is anywhere in the policy; rather once too often than not.
fn mentions(policy: &Policy, attribute: &str) -> Result<bool, Fault> {
    Ok(policy.to_json()?.to_string().contains(&format!("\"{attribute}\"")))
}
