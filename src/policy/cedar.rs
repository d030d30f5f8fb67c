//! One immutable snapshot of a policy set, and its evaluation by Cedar.
//!
//! A verdict depends on the principal, the action, the resource and those attributes of the context that
//! the set reads, which are known from its text. Verdicts are kept under exactly these; a set that reads
//! the time is evaluated afresh for every request.

use std::sync::Arc;

use crate::agent::Session;
use crate::cedar::Answer;
use crate::cedar::Entities;
use crate::cedar::Kind;
use crate::cedar::Schema;
use crate::cedar::Set;
use crate::cedar::Thing;
use crate::cedar::Value;
use crate::cedar::read_policies;
use crate::limits;
use crate::model::AgentName;
use crate::model::PolicyId;
use crate::model::SessionId;
use crate::model::UserName;
use crate::policy::Action;
use crate::policy::DenialReason;
use crate::policy::Facts;
use crate::policy::PolicySetHash;
use crate::policy::PolicyText;
use crate::policy::Verdict;
use crate::policy::facts::Reads;
use crate::policy::permit::Subject;

/// Every fault of a policy set, each with its file.
#[derive(Debug, thiserror::Error)]
#[error("the policies have {} fault(s): {}", faults.len(), faults.join("; "))]
pub struct NotAPolicySet {
    /// `file: what is wrong`, in the order of the files.
    pub faults: Vec<String>,
}

/// A parsed and validated policy set.
pub(super) struct Snapshot {
    pub(super) hash: PolicySetHash,
    pub(super) count: usize,
    set: Set,
    types: Types,
    reads: Reads,
    principals: moka::sync::Cache<(AgentName, UserName), Arc<Entities>>,
    verdicts: moka::sync::Cache<Question, Arc<Verdict>>,
}

struct Types {
    user: Kind,
    agent: Kind,
    resource: Kind,
    host: Kind,
    action: Kind,
}

/// Everything that a verdict can depend on, for a set that doesn't read the time.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Question {
    agent: AgentName,
    user: UserName,
    action: Action,
    subject: Box<str>,
    method: Option<Box<str>>,
    path: Option<Box<str>>,
    host: Option<(Box<str>, u16)>,
    scheme: Option<crate::model::Scheme>,
    session: Option<SessionId>,
}

impl std::fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Snapshot").field("hash", &self.hash).field("count", &self.count).finish_non_exhaustive()
    }
}

impl Snapshot {
    pub(super) fn parse(texts: &[PolicyText]) -> Result<Self, NotAPolicySet> {
        let mut faults = Vec::new();
        let broken = |fault: crate::cedar::Fault| NotAPolicySet { faults: vec![fault.to_string()] };
        let schema = Schema::parse(include_str!("schema.cedarschema")).map_err(broken)?;
        let types = Types::new().map_err(broken)?;
        let (set, reads) = collect(texts, &mut faults);
        let (errors, warnings) = schema.check(&set);
        faults.extend(errors.iter().map(ToString::to_string));
        for warning in warnings {
            tracing::warn!(%warning, "a policy looks wrong");
        }
        if !faults.is_empty() {
            return Err(NotAPolicySet { faults });
        }
        Ok(Self {
            hash: hash(texts),
            count: set.len(),
            set,
            types,
            reads,
            principals: moka::sync::Cache::new(limits::POLICY_PRINCIPALS_MAX),
            verdicts: moka::sync::Cache::new(limits::POLICY_VERDICTS_MAX),
        })
    }

    /// The resources that policies name, each with the policy that does.
    pub(super) fn named_resources(&self) -> impl Iterator<Item = (PolicyId, String)> {
        self.set.iter().flat_map(|policy| {
            let named = policy.named_entities(&self.types.resource);
            let id = PolicyId::parse(policy.id()).ok();
            named.into_iter().filter_map(move |resource| Some((id.clone()?, resource)))
        })
    }

    pub(super) fn evaluate(
        &self,
        session: &Session,
        subject: &Subject,
        action: Action,
        facts: &Facts<'_>,
    ) -> Arc<Verdict> {
        if self.reads.time {
            return Arc::new(self.ask(session, subject, action, facts));
        }
        let question = self.question(session, subject, action, facts);
        if let Some(verdict) = self.verdicts.get(&question) {
            return verdict;
        }
        let verdict = Arc::new(self.ask(session, subject, action, facts));
        self.verdicts.insert(question, Arc::clone(&verdict));
        verdict
    }

    fn question(&self, session: &Session, subject: &Subject, action: Action, facts: &Facts<'_>) -> Question {
        let Reads { method, path, host, scheme, port, session: by_session, user: _, time: _ } = self.reads;
        Question {
            agent: session.agent().clone(),
            user: session.user().clone(),
            action,
            subject: subject_id(subject).into_boxed_str(),
            method: method.then(|| facts.method.as_str().into()),
            path: path.then(|| facts.path.into()),
            host: (host || port).then(|| (facts.authority.host.as_str().into(), facts.authority.port)),
            scheme: scheme.then_some(facts.scheme),
            session: by_session.then(|| session.id().clone()),
        }
    }

    /// One evaluation. Whatever goes wrong on the way is a denial.
    fn ask(&self, session: &Session, subject: &Subject, action: Action, facts: &Facts<'_>) -> Verdict {
        let refused = |denied| Verdict { denied: Some(denied), policies: Arc::new([]) };
        let (Some(entities), Some(facts)) = (self.principal(session), self.context(session, facts)) else {
            return refused(DenialReason::PolicyError);
        };
        let resource_type = match subject {
            Subject::Resource(_) => &self.types.resource,
            Subject::Host(_) => &self.types.host,
        };
        let answer = self.set.ask(
            self.types.agent.uid(session.agent().as_str()),
            self.types.action.uid(action.as_str()),
            resource_type.uid(&subject_id(subject)),
            facts,
            &entities,
        );
        let Some(answer) = answer else { return refused(DenialReason::PolicyError) };
        let policies: Arc<[PolicyId]> = answer.reasons().filter_map(|id| PolicyId::parse(id).ok()).collect();
        Verdict { denied: denied(&answer, policies.is_empty()), policies }
    }

    /// The agent in its user, and the actions in `access`. Resources and hosts have no attributes and no
    /// parents, so that they need not be there.
    fn principal(&self, session: &Session) -> Option<Arc<Entities>> {
        let key = (session.agent().clone(), session.user().clone());
        if let Some(entities) = self.principals.get(&key) {
            return Some(entities);
        }
        let user = self.types.user.uid(session.user().as_str());
        let access = self.types.action.uid("access");
        let entities = Entities::of([
            Thing::within(&self.types.agent.uid(session.agent().as_str()), &user),
            Thing::plain(&user),
            Thing::within(&self.types.action.uid(Action::Read.as_str()), &access),
            Thing::within(&self.types.action.uid(Action::Write.as_str()), &access),
            Thing::plain(&access),
        ]);
        let entities = Arc::new(entities?);
        self.principals.insert(key, Arc::clone(&entities));
        Some(entities)
    }

    /// Only what the set reads; the rest could not be seen by it.
    fn context(&self, session: &Session, facts: &Facts<'_>) -> Option<crate::cedar::Facts> {
        let Reads { method, path, host, scheme, port, session: by_session, user, time } = self.reads;
        let text = Value::text;
        let pairs = [
            method.then(|| ("method", text(facts.method.as_str()))),
            path.then(|| ("path", text(facts.path))),
            host.then(|| ("host", text(facts.authority.host.as_str()))),
            scheme.then(|| ("scheme", text(facts.scheme.as_str()))),
            port.then(|| ("port", Value::number(facts.authority.port.into()))),
            by_session.then(|| ("session", text(session.id().as_str()))),
            user.then(|| ("user", text(session.user().as_str()))),
            time.then(|| ("time", Value::moment(&facts.time.to_string()))),
        ];
        crate::cedar::Facts::of(pairs.into_iter().flatten())
    }
}

impl Types {
    fn new() -> Result<Self, crate::cedar::Fault> {
        Ok(Self {
            user: Kind::parse("User")?,
            agent: Kind::parse("Agent")?,
            resource: Kind::parse("Resource")?,
            host: Kind::parse("Host")?,
            action: Kind::parse("Action")?,
        })
    }
}

/// A policy that could not be evaluated denies, since Cedar itself would pass it over.
fn denied(answer: &Answer, nothing_decided: bool) -> Option<DenialReason> {
    let mut failures = answer.failures().peekable();
    if failures.peek().is_some() {
        for error in failures {
            tracing::warn!(error, "a policy could not be evaluated: denied");
        }
        return Some(DenialReason::PolicyError);
    }
    match answer.allows() {
        true => None,
        false if nothing_decided => Some(DenialReason::NotPermitted),
        false => Some(DenialReason::Forbidden),
    }
}

/// All policies under the names that records show: `@id`, else file and position.
fn collect(texts: &[PolicyText], faults: &mut Vec<String>) -> (Set, Reads) {
    let (mut all, mut reads) = (Set::new(), Reads::default());
    for PolicyText { name, text } in texts {
        let (policies, has_templates) = match read_policies(text) {
            Ok(read) => read,
            Err(errors) => {
                faults.extend(errors.iter().map(|error| format!("{name}: {}", error.told_of(text))));
                continue;
            }
        };
        if has_templates {
            faults.push(format!("{name}: templates (`?principal`, `?resource`) are not linked to anything here"));
        }
        for (index, policy) in policies.into_iter().enumerate() {
            let id = policy.annotation("id").map_or_else(|| format!("{name}#{index}"), str::to_owned);
            if PolicyId::parse(&id).is_err() {
                faults
                    .push(format!("{name}: `{}` is not a policy id: printable ASCII without space", id.escape_debug()));
                continue;
            }
            match policy.to_json() {
                Ok(json) => reads.add(&json),
                Err(error) => faults.push(format!("{name}: {error}")),
            }
            if all.add(policy.named(&id)).is_err() {
                faults.push(format!("{name}: the policy id `{id}` is taken already"));
            }
        }
    }
    (all, reads)
}

fn hash(texts: &[PolicyText]) -> PolicySetHash {
    let mut context = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
    for PolicyText { name, text } in texts {
        for part in [name, text] {
            context.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            context.update(part.as_bytes());
        }
    }
    let hex: String = context.finish().as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    PolicySetHash(format!("sha256:{hex}").into())
}

fn subject_id(subject: &Subject) -> String {
    match subject {
        Subject::Resource(resource) => resource.identifier.as_str().to_owned(),
        Subject::Host(authority) => authority.to_string(),
    }
}
