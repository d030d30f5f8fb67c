//! Decisions, sentence by sentence.

use hyper::Method;

use super::*;
use crate::agent::Caller;
use crate::model::AgentName;
use crate::model::CredentialHeader;
use crate::model::PathForms;
use crate::model::ResourceId;
use crate::model::Scheme;
use crate::model::SessionId;
use crate::model::Timestamp;
use crate::model::UserName;
use crate::resource::Cookies;
use crate::resource::HostPattern;
use crate::resource::PrivateAddresses;
use crate::resource::Source;

fn policy(text: &str) -> Result<PolicySet, NotAPolicySet> {
    PolicySet::parse(&[PolicyText { name: "test.cedar".to_owned(), text: text.to_owned() }])
}

fn session(agent: &str) -> Arc<Session> {
    Arc::new(Session {
        id: SessionId::from_random([7; 16]),
        agent: AgentName::parse(agent).unwrap(),
        user: UserName::parse("ada").unwrap(),
        opened_at: Timestamp::from_millis(0),
        caller: Caller::default(),
        ended: Default::default(),
    })
}

fn resource(identifier: &str) -> Arc<Resource> {
    Arc::new(Resource {
        instance: crate::resource::ResourceInstance::next(),
        identifier: ResourceId::parse(identifier).unwrap(),
        scheme: Scheme::Https,
        hosts: vec![HostPattern::parse("api.example.com").unwrap()],
        port: 443,
        paths: Vec::new(),
        methods: Vec::new(),
        path_forms: PathForms::default(),
        source: Source::None,
        header: CredentialHeader::bearer(),
        connect: None,
        extra_roots: Vec::new(),
        cookies: Cookies::Strip,
        private_addresses: PrivateAddresses::Refuse,
    })
}

fn ask(policy: &PolicySet, agent: &str, method: Method, path: &str, seconds: i64) -> Result<Vec<String>, DenialReason> {
    let authority = Authority::parse("api.example.com:443").unwrap();
    let facts = Facts {
        method: &method,
        scheme: Scheme::Https,
        authority: &authority,
        path,
        time: Timestamp::from_seconds(seconds),
        websocket: false,
    };
    let decision = policy.decide(&session(agent), &resource("https://api.example.com"), &facts);
    decision.map(|permit| permit.policies().iter().map(ToString::to_string).collect()).map_err(|denial| denial.reason)
}

#[test]
fn nothing_is_permitted_by_default() {
    assert_eq!(ask(&policy("").unwrap(), "curl", Method::GET, "/", 0), Err(DenialReason::NotPermitted));
}

#[test]
fn a_decision_names_its_policies() {
    let policy = policy(
        r#"@id("reads") permit (principal == Agent::"curl", action == Action::"read", resource);
           permit (principal in User::"ada", action in Action::"access", resource) when { context.path like "/ada/*" };
           @id("no-secrets") forbid (principal, action, resource) when { context.path like "*/secrets*" };"#,
    )
    .unwrap();
    assert_eq!(ask(&policy, "curl", Method::GET, "/x", 0), Ok(vec!["reads".to_owned()]));
    assert_eq!(ask(&policy, "curl", Method::POST, "/x", 0), Err(DenialReason::NotPermitted));
    assert_eq!(ask(&policy, "git", Method::POST, "/ada/1", 0), Ok(vec!["test.cedar#1".to_owned()]));
    assert_eq!(ask(&policy, "curl", Method::GET, "/a/secrets/1", 0), Err(DenialReason::Forbidden));
    // asked again, from memory
    assert_eq!(ask(&policy, "curl", Method::GET, "/x", 0), Ok(vec!["reads".to_owned()]));
    assert_eq!(ask(&policy, "curl", Method::GET, "/a/secrets/1", 0), Err(DenialReason::Forbidden));
}

#[test]
fn a_policy_that_errors_denies() {
    // An integer overflow is found only while evaluating; Cedar would skip the forbid and allow.
    let policy = policy(
        r#"@id("all") permit (principal, action, resource);
           @id("broken") forbid (principal, action, resource)
             when { context has port && context.port * 9223372036854775807 > 0 };"#,
    )
    .unwrap();
    assert_eq!(ask(&policy, "curl", Method::GET, "/", 0), Err(DenialReason::PolicyError));
}

#[test]
fn a_set_that_reads_the_time_is_never_answered_from_memory() {
    let policy =
        policy(r#"permit (principal, action, resource) when { context.time < datetime("1970-01-01T00:01:00Z") };"#)
            .unwrap();
    assert!(ask(&policy, "curl", Method::GET, "/", 59).is_ok());
    assert_eq!(ask(&policy, "curl", Method::GET, "/", 60), Err(DenialReason::NotPermitted));
}

#[test]
fn tunnels_are_another_action_on_another_type() {
    let policy = PolicySet::parse(&builtin()).unwrap();
    let host = Authority::parse("example.com:443").unwrap();
    let facts = Facts {
        method: &Method::CONNECT,
        scheme: Scheme::Https,
        authority: &host,
        path: "",
        time: Timestamp::from_millis(0),
        websocket: false,
    };
    let permit = policy.decide_tunnel(&session("curl"), &host, &facts).unwrap();
    assert_eq!(permit.action(), Action::Connect);
    assert!(permit.resource().is_none());
    assert_eq!(ask(&policy, "curl", Method::GET, "/", 0), Err(DenialReason::NotPermitted));
}

#[test]
fn all_faults_are_told_at_once() {
    let faults = policy("permit (principal, action, resource) when { context.nope };\n@id(\"a b\") permit (principal, action, resource);")
        .unwrap_err()
        .faults;
    assert!(faults.iter().any(|fault| fault.contains("nope")), "{faults:?}");
    assert!(faults.iter().any(|fault| fault.contains("a b")), "{faults:?}");

    let faults = policy("permit (\n  principal,,").unwrap_err().faults;
    assert!(faults[0].starts_with("test.cedar: 2:"), "{faults:?}");
}

#[test]
fn a_websocket_is_a_write_whatever_its_method() {
    let policy = policy(r#"permit (principal, action == Action::"read", resource);"#).unwrap();
    let authority = Authority::parse("api.example.com:443").unwrap();
    let facts = |websocket| Facts {
        method: &Method::GET,
        scheme: Scheme::Https,
        authority: &authority,
        path: "/",
        time: Timestamp::from_millis(0),
        websocket,
    };
    let resource = resource("https://api.example.com");
    assert!(policy.decide(&session("curl"), &resource, &facts(false)).is_ok());
    assert!(policy.decide(&session("curl"), &resource, &facts(true)).is_err());
}

#[test]
fn equal_ids_and_templates_are_refused() {
    assert!(
        policy(r#"@id("a") permit (principal, action, resource); @id("a") forbid (principal, action, resource);"#)
            .is_err()
    );
    assert!(policy("permit (principal == ?principal, action, resource);").is_err());
}

#[test]
fn a_policy_for_a_resource_that_nobody_knows_is_told() {
    let set = policy(
        r#"@id("good") permit (principal, action, resource == Resource::"https://api.example.com");
           @id("slip") permit (principal, action, resource == Resource::"https://api.example.com/");
           @id("deep") permit (principal, action, resource) when { resource in [Resource::"https://a\nb"] };
           @id("any") permit (principal == Agent::"curl", action, resource);"#,
    )
    .unwrap();
    let told: Vec<String> =
        set.strangers(|name| name == "https://api.example.com").iter().map(ToString::to_string).collect();
    let expected = |policy: &str, name: &str| {
        format!("the policy `{policy}` names the resource `{name}`, which is not configured")
    };
    assert_eq!(told, [expected("deep", "https://a\\nb"), expected("slip", "https://api.example.com/")]);
}
