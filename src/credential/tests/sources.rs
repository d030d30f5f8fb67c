//! What is asked of whom, for each source, field by field.

use std::io;
use std::sync::Mutex;

use super::*;
use crate::credential::Fault;
use crate::credential::Refused;
use crate::credential::SourceKind;
use crate::resource::TokenEndpoint;

fn fields(form: &[(&str, &str)]) -> Vec<(String, String)> {
    form.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[tokio::test]
async fn an_exchange_names_user_agent_session_and_resource() {
    let world = World::new().await;
    let credential = world.obtain(&session("ses_1"), &api()).await.unwrap();
    assert_eq!(credential.name(), "authorization");
    assert_eq!(credential.value(), "Bearer exchanged-canary-4");
    assert!(credential.value().is_sensitive());
    let provenance = credential.provenance();
    assert_eq!(provenance.source, SourceKind::TokenExchange);
    assert_eq!(provenance.issuer.as_deref(), Some(world.issuer.url.as_str()));
    assert_eq!(provenance.scopes.to_string(), "read write");
    assert_eq!(provenance.fingerprint, Secret::new("exchanged-canary-4").fingerprint());
    assert_eq!(provenance.expires_at, Some(world.clock.now().after(Duration::from_secs(300))));
    assert!(!provenance.cached);

    let seen = world.issuer.seen();
    assert_eq!(seen.len(), 4);
    let registration = seen.iter().find(|seen| seen.path == "/register").unwrap();
    assert_eq!(registration.json["client_name"], "curl");
    assert_eq!(registration.json["token_endpoint_auth_method"], "client_secret_basic");
    let refresh = &world.issuer.grants("refresh_token")[0];
    assert_eq!(refresh.client, "daemon");
    assert_eq!(refresh.form, fields(&[("grant_type", "refresh_token"), ("refresh_token", "refresh-canary")]));
    assert!(seen[3].client.starts_with("app_curl_"));
    assert!(seen[3].field("subject_token").starts_with("user-canary-"));
    let expected = fields(&[
        ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
        ("subject_token", seen[3].field("subject_token")),
        ("subject_token_type", "urn:ietf:params:oauth:token-type:access_token"),
        ("requested_token_type", "urn:ietf:params:oauth:token-type:access_token"),
        ("resource", "https://api.example.com"),
        ("scope", "read write"),
        ("session_id", "ses_1"),
    ]);
    assert_eq!(seen[3].form, expected);
}

#[tokio::test]
async fn a_server_without_resource_gets_an_audience() {
    let issuer = Issuer::start().await;
    let access = one_client(&format!("{}/", issuer.url), Some("refresh-canary"), Persist::nowhere());
    let world = World::with(issuer, access);
    let source = Source::TokenExchange { scopes: Scopes::default(), target: TargetParameter::Audience };
    world.obtain(&session("ses_1"), &resource("urn:api", source, CredentialHeader::bearer())).await.unwrap();
    let asked = &world.issuer.grants("token-exchange")[0];
    assert_eq!((asked.field("audience"), asked.field("resource"), asked.field("scope")), ("urn:api", "", ""));
    assert_eq!(asked.client, "other:client");
    assert_eq!(world.issuer.count("/register"), 0);
}

#[tokio::test]
async fn client_credentials_are_the_agents_at_the_zone() {
    let world = World::new().await;
    let source = Source::ClientCredentials {
        scopes: Scopes::parse("read").unwrap(),
        target: TargetParameter::Resource,
        endpoint: None,
    };
    let resource = resource("https://api.example.com", source, CredentialHeader::basic("x").unwrap());
    let credential = world.obtain(&session("ses_1"), &resource).await.unwrap();
    assert_eq!(credential.provenance().source, SourceKind::ClientCredentials);
    let asked = &world.issuer.grants("client_credentials")[0];
    let expected = [
        ("grant_type", "client_credentials"),
        ("resource", "https://api.example.com"),
        ("scope", "read"),
        ("session_id", "ses_1"),
    ];
    assert_eq!((asked.client.as_str(), &asked.form), ("app_curl_2", &fields(&expected)));
    assert!(world.issuer.grants("refresh_token").is_empty());
}

fn own_endpoint(url: &str, secret: &str) -> Arc<Resource> {
    let endpoint =
        TokenEndpoint { url: format!("{url}/token"), client_id: "other:client".into(), client_secret: secret.into() };
    let source = Source::ClientCredentials {
        scopes: Scopes::default(),
        target: TargetParameter::Audience,
        endpoint: Some(endpoint),
    };
    resource("https://api.example.com", source, CredentialHeader::bearer())
}

#[tokio::test]
async fn client_credentials_at_an_own_endpoint_use_the_stored_secret() {
    let world = World::new().await;
    let url = world.issuer.url.clone();
    let credential = world.obtain(&session("ses_1"), &own_endpoint(&url, "client")).await.unwrap();
    assert_eq!(credential.provenance().issuer, Some(format!("{url}/token")));
    let seen = world.issuer.seen();
    assert_eq!(seen.len(), 1);
    let expected = [("grant_type", "client_credentials"), ("audience", "https://api.example.com")];
    assert_eq!((seen[0].client.as_str(), &seen[0].form), ("other:client", &fields(&expected)));
    let missing = world.obtain(&session("ses_1"), &own_endpoint(&url, "nowhere")).await.unwrap_err();
    assert_eq!((missing.code(), missing.fault()), ("secret-missing", Fault::Us));
    let plain = world.obtain(&session("ses_1"), &own_endpoint("http://idp.example", "client")).await.unwrap_err();
    assert_eq!(plain.code(), "token-endpoint-insecure");
}

#[tokio::test]
async fn a_stored_secret_is_rendered_and_replaced_on_reload() {
    let mut world = World::new().await;
    let stored = |secret: &str| {
        let header = CredentialHeader::template("X-Api-Key", "key={token}").unwrap();
        resource("https://api.example.com", Source::Stored { secret: secret.to_owned() }, header)
    };
    let credential = world.obtain(&session("ses_1"), &stored("key")).await.unwrap();
    assert_eq!((credential.name().as_str(), credential.value().to_str().unwrap()), ("x-api-key", "key=stored canary"));
    assert_eq!(credential.provenance().expires_at, None);
    assert!(world.obtain(&session("ses_1"), &stored("key")).await.unwrap().provenance().cached);
    assert_eq!(world.vault.refuse(&credential), Refused::Final);

    world.secrets = Arc::new([("key".to_owned(), Secret::new("newer"))].into_iter().collect());
    world.vault.forget_before(&world.secrets);
    assert_eq!(world.vault.entries(), 0);
    let newer = world.obtain(&session("ses_1"), &stored("key")).await.unwrap();
    assert_eq!(newer.value(), "key=newer");
    let missing = world.refused(&stored("broken")).await;
    assert_eq!((missing.code(), missing.fault()), ("secret-missing", Fault::Us));
}

#[tokio::test]
async fn a_stored_secret_that_no_header_may_carry_is_refused() {
    let world = World::new().await;
    let source = Source::Stored { secret: "broken".to_owned() };
    let error = world.refused(&resource("urn:x", source, CredentialHeader::bearer())).await;
    assert_eq!((error.code(), error.fault()), ("secret-not-legal", Fault::Us));
}

#[tokio::test]
async fn a_resource_without_a_source_needs_no_credential() {
    let world = World::new().await;
    let permit =
        Permit::for_test(session("ses_1"), resource("urn:x", Source::None, CredentialHeader::bearer()), Action::Read);
    assert!(world.vault.obtain(&permit, &world.secrets).await.unwrap().is_none());
    assert!(world.issuer.seen().is_empty());
}

#[tokio::test]
async fn each_agent_is_registered_once_and_again_when_the_zone_forgot_it() {
    let world = World::new().await;
    for (id, agent) in [("ses_1", "curl"), ("ses_2", "curl"), ("ses_3", "claude")] {
        world.obtain(&session_of(id, agent, "alice"), &api()).await.unwrap();
    }
    assert_eq!(world.issuer.count("/register"), 2);
    assert_eq!(world.issuer.grants("refresh_token").len(), 1, "the user's token is fetched once for all");
    world.issuer.forget_registrations();
    world.obtain(&session("ses_4"), &api()).await.unwrap();
    assert_eq!(world.issuer.count("/register"), 3);
    world.issuer.forget_registrations();
    let denied = world.obtain(&session("ses_5"), &api()).await.unwrap_err();
    assert_eq!(denied.code(), "token-denied", "a zone that forgets at once is not hammered");
    assert_eq!(world.issuer.count("/register"), 3);
}

#[tokio::test]
async fn a_user_token_that_the_zone_no_longer_takes_is_refreshed_once() {
    let world = World::new().await;
    world.obtain(&session("ses_1"), &api()).await.unwrap();
    world.issuer.script_json(400, &serde_json::json!({"error": "invalid_grant"}));
    world.obtain(&session("ses_2"), &api()).await.unwrap();
    assert_eq!(world.issuer.grants("refresh_token").len(), 2);
}

#[tokio::test]
async fn a_rotated_refresh_token_is_stored_before_it_is_used() {
    let stored = Arc::new(Mutex::new(Vec::new()));
    let issuer = Issuer::start().await;
    let persist = {
        let stored = Arc::clone(&stored);
        Persist::new(move |token| {
            stored.lock().unwrap().push(token.expose_str().unwrap().to_owned());
            if stored.lock().unwrap().len() > 1 { Err(io::Error::other("disk full")) } else { Ok(()) }
        })
    };
    let access = one_client(&issuer.url, Some("refresh-canary-1"), persist);
    let world = World::with(issuer, access);
    let answer = |number: u32| {
        serde_json::json!({"access_token": format!("user-canary-{number}"), "token_type": "Bearer", "expires_in": 60,
            "refresh_token": format!("refresh-canary-{number}")})
    };
    world.issuer.script_json(200, &answer(2));
    world.obtain(&session("ses_1"), &api()).await.unwrap();
    assert_eq!(*stored.lock().unwrap(), ["refresh-canary-2"]);

    world.clock.pass(Duration::from_secs(3600));
    world.issuer.script_json(200, &answer(3));
    world.obtain(&session("ses_1"), &api()).await.unwrap();
    world.clock.pass(Duration::from_secs(3600));
    world.obtain(&session("ses_1"), &api()).await.unwrap();
    let used: Vec<_> =
        world.issuer.grants("refresh_token").iter().map(|seen| seen.field("refresh_token").to_owned()).collect();
    assert_eq!(used, ["refresh-canary-1", "refresh-canary-2", "refresh-canary-3"]);
    assert_eq!(*stored.lock().unwrap(), ["refresh-canary-2", "refresh-canary-3"]);
}

#[tokio::test]
async fn a_person_is_needed_where_nobody_or_somebody_else_is_signed_in() {
    let issuer = Issuer::start().await;
    let access = one_client(&issuer.url, None, Persist::nowhere());
    let world = World::with(issuer, access);
    let error = world.refused(&api()).await;
    assert_eq!((error.code(), error.fault()), ("sign-in-needed", Fault::Person));
    let error = world.obtain(&session_of("ses_2", "curl", "bob"), &api()).await.unwrap_err();
    assert_eq!((error.code(), error.fault()), ("other-user-signed-in", Fault::Person));
    assert_eq!(world.issuer.count("/token"), 0);

    let issuer = Issuer::start().await;
    let access = one_client(&issuer.url, Some("spent"), Persist::nowhere());
    let world = World::with(issuer, access);
    assert_eq!(world.refused(&api()).await.code(), "sign-in-needed");
}
