//! What sets decide, asked without a zone around them.

use std::sync::LazyLock;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::jose::Algorithm;
use crate::model::ResourceId;
use crate::zone::id::RowId;

/// What holds where nobody wrote a policy, in code: what the managed set must say, question by question.
fn by_default(request: &AccessRequest<'_>) -> AccessDecision {
    let needs = request.applicant.dependencies.iter().any(|id| id == request.resource.id.as_str());
    match request.on_behalf {
        OnBehalf::User(_) => AccessDecision::Permit(request.scopes.clone()),
        OnBehalf::Itself if needs => AccessDecision::Permit(request.scopes.clone()),
        OnBehalf::Itself | OnBehalf::Impersonated(_) => AccessDecision::Deny(Denial::NotPermitted),
    }
}

static COMPILED: LazyLock<Compiled> = LazyLock::new(|| {
    let texts: Vec<_> =
        MANAGED.policies.iter().map(|managed| (managed.name, managed.read().unwrap().canonical.text)).collect();
    Compiled::new(texts.iter().map(|(name, text)| (*name, text.as_str()))).unwrap()
});

fn set(texts: &[&str]) -> Compiled {
    let schema = SchemaVersion::find(DEFAULT_SCHEMA).unwrap();
    let names: Vec<String> = (0..texts.len()).map(|index| format!("p{index}")).collect();
    let texts: Vec<_> = texts
        .iter()
        .map(|text| PolicyText::of_cedar(text, schema).unwrap_or_else(|fault| panic!("{text}: {fault}")))
        .collect();
    Compiled::new(names.iter().zip(&texts).map(|(name, text)| (name.as_str(), text.canonical.text.as_str()))).unwrap()
}

fn resource(id: &str) -> Resource {
    Resource {
        id: RowId::known(id.to_owned()),
        identifier: ResourceId::parse(&format!("https://{id}.example")).unwrap(),
        name: id.to_owned(),
        scopes: Scopes::parse("read write admin").unwrap(),
        lifetime: Duration::from_secs(60),
        signing: Algorithm::Rs256,
    }
}

const ADA: Person<'static> = Person {
    id: "u1",
    identifier: "ada@example.com",
    email: "ada@example.com",
    claims: Some(SubjectClaims { client_id: "c1", scope: Some("read"), session: "s1" }),
};

fn ask(set: &Compiled, on_behalf: OnBehalf<'_>, needs: &[&str], scopes: &str) -> Verdict {
    let (resource, scopes) = (resource("api"), Scopes::parse(scopes).unwrap());
    set.decide(&AccessRequest { applicant: applicant(needs), on_behalf, resource: &resource, scopes: &scopes })
}

fn applicant<'a>(needs: &[&str]) -> Applicant<'a> {
    Applicant {
        id: "app_1",
        client_id: "c1",
        identifier: "https://app.example".to_owned(),
        name: "App",
        traits: vec!["gateway".to_owned()],
        dependencies: needs.iter().map(|id| (*id).to_owned()).collect(),
    }
}

fn permits(scopes: &str) -> AccessDecision {
    AccessDecision::Permit(Scopes::parse(scopes).unwrap())
}

proptest! {
    #[test]
    fn the_managed_set_says_what_the_code_said(
        kind in 0..3_u8,
        needs in prop::collection::vec("(api|other|third)", 0..4),
        scopes in prop::collection::vec("(read|write|admin|x)", 0..4),
        name in "[a-z\"\\\\]{0,8}",
        claims in any::<bool>(),
    ) {
        let person = Person { id: &name, identifier: &name, claims: ADA.claims.filter(|_| claims), ..ADA };
        let on_behalf = match kind {
            0 => OnBehalf::Itself,
            1 => OnBehalf::User(person),
            _ => OnBehalf::Impersonated(person),
        };
        let (resource, scopes) = (resource("api"), Scopes::parse(&scopes.join(" ")).unwrap());
        let needs: Vec<&str> = needs.iter().map(String::as_str).collect();
        let request = AccessRequest { applicant: applicant(&needs), on_behalf, resource: &resource, scopes: &scopes };
        prop_assert_eq!(COMPILED.decide(&request).decision, by_default(&request));
    }
}

#[test]
fn in_a_users_name_both_must_be_permitted() {
    let user = "permit(principal is Keycard::User, action, resource);";
    let app = "permit(principal is Keycard::Application, action, resource);";
    for (texts, decision) in [
        (vec![user, app], permits("read")),
        (vec![user], AccessDecision::Deny(Denial::NotPermitted)),
        (vec![app], AccessDecision::Deny(Denial::NotPermitted)),
        (vec![], AccessDecision::Deny(Denial::NotPermitted)),
    ] {
        assert_eq!(ask(&set(&texts), OnBehalf::User(ADA), &[], "read").decision, decision, "{texts:?}");
    }
    assert_eq!(ask(&set(&[app]), OnBehalf::Itself, &[], "read").decision, permits("read"));
    let forbids = set(&[
        user,
        app,
        r#"forbid(principal is Keycard::User, action, resource) when { principal.email like "*@example.com" };"#,
    ]);
    let verdict = ask(&forbids, OnBehalf::User(ADA), &[], "read");
    assert_eq!(verdict.decision, AccessDecision::Deny(Denial::Forbidden("p2".to_owned())));
    assert_eq!(verdict.policies, ["p2"]);
}

#[test]
fn scopes_that_are_not_permitted_fall_away() {
    let all = "permit(principal, action, resource);";
    let no_admin =
        r#"forbid(principal, action, resource) when { context has scopes && context.scopes.contains("admin") };"#;
    let stripped = ask(&set(&[all, no_admin]), OnBehalf::Itself, &[], "read write admin");
    assert_eq!(stripped.decision, permits("read write"));
    let only_admin = ask(&set(&[all, no_admin]), OnBehalf::Itself, &[], "admin");
    assert_eq!(only_admin.decision, AccessDecision::Deny(Denial::Forbidden("p1".to_owned())));
    let read =
        r#"permit(principal, action, resource) when { context has scopes && ["read"].containsAll(context.scopes) };"#;
    assert_eq!(ask(&set(&[read]), OnBehalf::User(ADA), &[], "read write").decision, permits("read"));
    // Each alone, and not both together.
    let both = r#"forbid(principal, action, resource) when { context has scopes && context.scopes.containsAll(["read", "write"]) };"#;
    let verdict = ask(&set(&[all, both]), OnBehalf::Itself, &[], "read write");
    assert_eq!(verdict.decision, AccessDecision::Deny(Denial::Forbidden("p1".to_owned())));
}

#[test]
fn nobody_is_impersonated_by_a_policy_that_does_not_speak_of_it() {
    let all = "permit(principal, action, resource);";
    let explicit = r#"permit(principal is Keycard::Application, action, resource) when
        { context has impersonate && context.impersonate && context has subject && context.subject.identifier == "ada@example.com" };"#;
    let denied = AccessDecision::Deny(Denial::NotPermitted);
    assert_eq!(ask(&set(&[all]), OnBehalf::Impersonated(ADA), &["api"], "read").decision, denied);
    assert_eq!(ask(&set(&[explicit]), OnBehalf::Impersonated(ADA), &[], "read").decision, permits("read"));
    let bob = Person { identifier: "bob@example.com", email: "bob@example.com", ..ADA };
    assert_eq!(ask(&set(&[explicit]), OnBehalf::Impersonated(bob), &[], "read").decision, denied);
    let protected = "forbid(principal is Keycard::User, action, resource);";
    let verdict = ask(&set(&[explicit, protected]), OnBehalf::Impersonated(ADA), &[], "read");
    assert_eq!(verdict.decision, AccessDecision::Deny(Denial::Forbidden("p1".to_owned())));
}

#[test]
fn a_policy_that_errors_denies_though_another_permits() {
    let all = "permit(principal, action, resource);";
    let overflows = "permit(principal, action, resource) when { 9223372036854775807 + 1 > 0 };";
    let verdict = ask(&set(&[all, overflows]), OnBehalf::Itself, &[], "read");
    assert_eq!(verdict.decision, AccessDecision::Deny(Denial::Failed));
}

#[test]
fn what_policies_may_speak_of_is_there() {
    let text = r#"permit(principal is Keycard::Application, action == Keycard::Action::"access", resource) when {
        principal.identifier == "https://app.example" && principal.name == "App" && principal.traits.contains("gateway") &&
        principal.dependencies.contains(resource) && resource.identifier == "https://api.example" && resource.name == "api" &&
        resource.scopes.contains("admin") && context has resource && context.resource == resource &&
        context has actor_claims && context.actor_claims has sub && context.actor_claims.sub == "app_1" &&
        context has subject_claims && context.subject_claims has scope && context.subject_claims.scope == "read" &&
        context.subject_claims has sid && context.subject_claims.sid == "s1" };"#;
    let user = "permit(principal is Keycard::User, action, resource);";
    assert_eq!(ask(&set(&[text, user]), OnBehalf::User(ADA), &["api"], "read").decision, permits("read"));
    assert!(Compiled::new([("p", "no policy")]).is_err());
}
