//! Cedar's only door: one immutable snapshot of a policy set, and its evaluation.
//!
//! A verdict depends on the principal, the action, the resource and those attributes of the context that
//! the set reads, which are known from its text. Verdicts are kept under exactly these; a set that reads
//! the time is evaluated afresh for every request.

use std::collections::HashSet;
use std::str::FromStr as _;
use std::sync::Arc;

use cedar_policy::Authorizer;
use cedar_policy::Context;
use cedar_policy::Decision;
use cedar_policy::Entities;
use cedar_policy::Entity;
use cedar_policy::EntityId;
use cedar_policy::EntityTypeName;
use cedar_policy::EntityUid;
use cedar_policy::PolicySet;
use cedar_policy::Request;
use cedar_policy::RestrictedExpression;
use cedar_policy::Schema;
use cedar_policy::ValidationMode;
use cedar_policy::Validator;

use crate::agent::Session;
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
    set: PolicySet,
    types: Types,
    reads: Reads,
    authorizer: Authorizer,
    principals: moka::sync::Cache<(AgentName, UserName), Arc<Entities>>,
    verdicts: moka::sync::Cache<Question, Arc<Verdict>>,
}

struct Types {
    user: EntityTypeName,
    agent: EntityTypeName,
    resource: EntityTypeName,
    host: EntityTypeName,
    action: EntityTypeName,
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
        let schema = schema().map_err(|fault| NotAPolicySet { faults: vec![fault] })?;
        let types = Types::new().map_err(|fault| NotAPolicySet { faults: vec![fault] })?;
        let (set, reads) = collect(texts, &mut faults);
        let result = Validator::new(schema).validate(&set, ValidationMode::Strict);
        faults.extend(result.validation_errors().map(|error| one_line(&error.to_string())));
        for warning in result.validation_warnings() {
            tracing::warn!(warning = %one_line(&warning.to_string()), "a policy looks wrong");
        }
        if !faults.is_empty() {
            return Err(NotAPolicySet { faults });
        }
        Ok(Self {
            hash: hash(texts),
            count: set.num_of_policies(),
            set,
            types,
            reads,
            authorizer: Authorizer::new(),
            principals: moka::sync::Cache::new(limits::POLICY_PRINCIPALS_MAX),
            verdicts: moka::sync::Cache::new(limits::POLICY_VERDICTS_MAX),
        })
    }

    /// The resources that policies name, each with the policy that does.
    pub(super) fn named_resources(&self) -> impl Iterator<Item = (PolicyId, String)> {
        self.set.policies().flat_map(|policy| {
            let named = policy.entity_literals().into_iter().filter(|uid| *uid.type_name() == self.types.resource);
            let id = PolicyId::parse(policy.id().as_ref()).ok();
            named.filter_map(move |uid| Some((id.clone()?, uid.id().unescaped().to_owned())))
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
        let (Some(entities), Some(context)) = (self.principal(session), self.context(session, facts)) else {
            return refused(DenialReason::PolicyError);
        };
        let resource_type = match subject {
            Subject::Resource(_) => &self.types.resource,
            Subject::Host(_) => &self.types.host,
        };
        let request = Request::new(
            uid(&self.types.agent, session.agent().as_str()),
            uid(&self.types.action, action.as_str()),
            uid(resource_type, &subject_id(subject)),
            context,
            None,
        );
        let Ok(request) = request else { return refused(DenialReason::PolicyError) };
        let response = self.authorizer.is_authorized(&request, &self.set, &entities);
        let reasons = response.diagnostics().reason();
        let policies: Arc<[PolicyId]> =
            reasons.filter_map(|id| PolicyId::parse(AsRef::<str>::as_ref(id)).ok()).collect();
        let mut failed = response.diagnostics().errors().peekable();
        let denied = if failed.peek().is_some() {
            for error in failed {
                tracing::warn!(error = %one_line(&error.to_string()), "a policy could not be evaluated: denied");
            }
            Some(DenialReason::PolicyError)
        } else {
            match response.decision() {
                Decision::Allow => None,
                Decision::Deny if policies.is_empty() => Some(DenialReason::NotPermitted),
                Decision::Deny => Some(DenialReason::Forbidden),
            }
        };
        Verdict { denied, policies }
    }

    /// The agent in its user, and the actions in `access`. Resources and hosts have no attributes and no
    /// parents, so that they need not be there.
    fn principal(&self, session: &Session) -> Option<Arc<Entities>> {
        let key = (session.agent().clone(), session.user().clone());
        if let Some(entities) = self.principals.get(&key) {
            return Some(entities);
        }
        let user = uid(&self.types.user, session.user().as_str());
        let access = uid(&self.types.action, "access");
        let within =
            |child: EntityUid, parent: &EntityUid| Entity::new_no_attrs(child, HashSet::from([parent.clone()]));
        let alone = |uid: &EntityUid| Entity::new_no_attrs(uid.clone(), HashSet::new());
        let entities = Entities::from_entities(
            [
                within(uid(&self.types.agent, session.agent().as_str()), &user),
                alone(&user),
                within(uid(&self.types.action, Action::Read.as_str()), &access),
                within(uid(&self.types.action, Action::Write.as_str()), &access),
                alone(&access),
            ],
            None,
        );
        let entities = Arc::new(entities.ok()?);
        self.principals.insert(key, Arc::clone(&entities));
        Some(entities)
    }

    /// Only what the set reads; the rest could not be seen by it.
    fn context(&self, session: &Session, facts: &Facts<'_>) -> Option<Context> {
        let Reads { method, path, host, scheme, port, session: by_session, user, time } = self.reads;
        let text = |value: &str| RestrictedExpression::new_string(value.to_owned());
        let pairs = [
            method.then(|| ("method", text(facts.method.as_str()))),
            path.then(|| ("path", text(facts.path))),
            host.then(|| ("host", text(facts.authority.host.as_str()))),
            scheme.then(|| ("scheme", text(facts.scheme.as_str()))),
            port.then(|| ("port", RestrictedExpression::new_long(facts.authority.port.into()))),
            by_session.then(|| ("session", text(session.id().as_str()))),
            user.then(|| ("user", text(session.user().as_str()))),
            time.then(|| ("time", RestrictedExpression::new_datetime(facts.time.to_string()))),
        ];
        Context::from_pairs(pairs.into_iter().flatten().map(|(name, value)| (name.to_owned(), value))).ok()
    }
}

impl Types {
    fn new() -> Result<Self, String> {
        let parse = |name| EntityTypeName::from_str(name).map_err(|error| error.to_string());
        Ok(Self {
            user: parse("User")?,
            agent: parse("Agent")?,
            resource: parse("Resource")?,
            host: parse("Host")?,
            action: parse("Action")?,
        })
    }
}

fn schema() -> Result<Schema, String> {
    let (schema, _) =
        Schema::from_cedarschema_str(include_str!("schema.cedarschema")).map_err(|error| error.to_string())?;
    Ok(schema)
}

/// All policies under the names that records show: `@id`, else file and position.
fn collect(texts: &[PolicyText], faults: &mut Vec<String>) -> (PolicySet, Reads) {
    let (mut all, mut reads) = (PolicySet::new(), Reads::default());
    for PolicyText { name, text } in texts {
        let parsed = match PolicySet::from_str(text) {
            Ok(parsed) => parsed,
            Err(errors) => {
                faults.extend(errors.iter().map(|error| format!("{name}: {}", place(text, error))));
                continue;
            }
        };
        if parsed.num_of_templates() > 0 {
            faults.push(format!("{name}: templates (`?principal`, `?resource`) are not linked to anything here"));
        }
        let mut policies: Vec<_> = parsed.policies().collect();
        policies.sort_by_key(|policy| policy.id().to_string().trim_start_matches("policy").parse::<usize>().ok());
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
            if all.add(policy.new_id(cedar_policy::PolicyId::new(&id))).is_err() {
                faults.push(format!("{name}: the policy id `{id}` is taken already"));
            }
        }
    }
    (all, reads)
}

/// `line:column: message`, from what the parser says of the place.
fn place(text: &str, error: &cedar_policy::ParseError) -> String {
    use miette::Diagnostic as _;
    let offset = error.labels().and_then(|mut labels| labels.next()).map(|label| label.offset());
    let Some(before) = offset.and_then(|offset| text.get(..offset)) else { return one_line(&error.to_string()) };
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
    format!("{line}:{column}: {}", one_line(&error.to_string()))
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
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

fn uid(kind: &EntityTypeName, id: &str) -> EntityUid {
    EntityUid::from_type_name_and_id(kind.clone(), EntityId::new(id))
}

fn subject_id(subject: &Subject) -> String {
    match subject {
        Subject::Resource(resource) => resource.identifier.as_str().to_owned(),
        Subject::Host(authority) => authority.to_string(),
    }
}
