//! Acting on: an application that exchanges what its own API received, and one that takes a user's place.

use super::people::*;
use super::*;
use crate::zone::AccessDecision;
use crate::zone::AccessPolicy;
use crate::zone::AccessRequest;
use crate::zone::DefaultAccess;
use crate::zone::OnBehalf;
use crate::zone::Registration;

/// A policy that lets the support desk take users' places, for reading.
struct SupportDesk;

impl AccessPolicy for SupportDesk {
    fn decide(&self, request: &AccessRequest<'_>) -> AccessDecision {
        match request.on_behalf {
            OnBehalf::Impersonated(_) if request.client_name == "support" => {
                AccessDecision::Permit(Scopes::parse("read admin").unwrap())
            }
            _ => DefaultAccess.decide(request),
        }
    }
}

async fn application(scene: &Scene, name: &str) -> Agent {
    let metadata = json!({"client_name": name, "grant_types": [EXCHANGE, "client_credentials"]});
    let reply = scene.register_anonymously(&metadata).await;
    assert_eq!(reply.status, StatusCode::CREATED, "{}", reply.body);
    Agent { id: reply.word("client_id"), secret: reply.word("client_secret") }
}

async fn take_place(scene: &Scene, agent: &Agent, token: &str, resource: &str) -> Reply {
    let kind = "urn:keycard:params:oauth:token-type:substitute-user";
    let form =
        [("grant_type", EXCHANGE), ("subject_token", token), ("subject_token_type", kind), ("resource", resource)];
    scene.ask(agent, &form).await
}

fn substitute(user: &str) -> String {
    let encode = |part: Value| URL_SAFE_NO_PAD.encode(part.to_string());
    format!("{}.{}.", encode(json!({"typ": "vnd.kc.su+jwt", "alg": "none"})), encode(json!({"sub": user})))
}

#[tokio::test]
async fn nobody_takes_a_users_place_without_a_policy_and_a_grant() {
    let scene = Scene::of_people().await;
    let agent = application(&scene, "support").await;
    let denied = take_place(&scene, &agent, &substitute(ADA), WHOAMI).await;
    denied.refused(400, "access_denied", &format!("Application \"support\" is not allowed to access \"{WHOAMI}\"."));

    let rules = Rules { registration: Registration::Open, access: Arc::new(SupportDesk), ..Rules::default() };
    let scene = Scene::of_people_under(rules).await;
    let (agent, other) = (application(&scene, "support").await, application(&scene, "sales").await);
    let reply = take_place(&scene, &agent, &substitute(ADA), WHOAMI).await;
    reply.refused(400, "insufficient_authorization", "User consent is required");
    let reply = take_place(&scene, &agent, &substitute("nobody@example.com"), WHOAMI).await;
    reply.refused(400, "insufficient_authorization", "User consent is required");
    let client = scene.public_client().await;
    scene.code(&client, &[("resource", WHOAMI)]).await;
    let reply = take_place(&scene, &agent, &substitute(ADA), WHOAMI).await;
    assert_eq!(reply.status, StatusCode::OK, "{}", reply.body);
    let token = reply.claims();
    assert_eq!((&token["preferred_username"], &token["act"]["sub"]), (&json!(ADA), &json!(agent.id)));
    assert_eq!(token["scope"], "read", "the policy took a scope away and could add none");
    let reply = take_place(&scene, &other, &substitute(ADA), WHOAMI).await;
    assert_eq!(reply.body["error"], "access_denied");
    let reply = take_place(&scene, &agent, &substitute(ADA), NOTES).await;
    assert_ne!(reply.status, StatusCode::OK);
    for bad in [substitute(""), format!("{}AAAA", substitute(ADA)), "rubbish".to_owned()] {
        let reply = take_place(&scene, &agent, &bad, WHOAMI).await;
        reply.refused(400, "invalid_request", "The subject token is not valid");
    }
}

#[tokio::test]
async fn an_application_acts_on_only_with_what_its_own_api_received() {
    let scene = Scene::of_people().await;
    let (client, api, stranger) =
        (scene.public_client().await, application(&scene, "whoami").await, application(&scene, "other").await);
    scene.zone.own(&api.id, WHOAMI).await.unwrap();
    scene.zone.let_depend(&stranger.id, NOTES).await.unwrap();
    let code = scene.code(&client, &[("resource", WHOAMI)]).await;
    let received = scene.redeem(&client, &code, &[]).await.word("access_token");
    let reply = scene.exchange(&stranger, &received, &[("resource", NOTES)]).await;
    reply.refused(400, "invalid_grant", "Client is not allowed to exchange token for this resource");
    let reply = scene.exchange(&api, &received, &[("resource", NOTES)]).await;
    reply.refused(400, "access_denied", &format!("Application \"whoami\" is not allowed to access \"{NOTES}\"."));
    scene.zone.let_depend(&api.id, NOTES).await.unwrap();
    let reply = scene.exchange(&api, &received, &[("resource", NOTES)]).await;
    reply.refused(400, "insufficient_authorization", "User consent is required");
    scene.zone.let_act(ADA, &api.id, NOTES, &Scopes::parse("notes:read").unwrap()).await.unwrap();
    let reply = scene.exchange(&api, &received, &[("resource", NOTES)]).await;
    assert_eq!(reply.status, StatusCode::OK, "{}", reply.body);
    assert_eq!(reply.claims()["act"], json!({"sub": api.id, "name": "whoami"}));

    // And on: the next API names both before it.
    let next = application(&scene, "notes").await;
    scene.zone.own(&next.id, NOTES).await.unwrap();
    scene.zone.let_depend(&next.id, WHOAMI).await.unwrap();
    scene.zone.let_act(ADA, &next.id, WHOAMI, &Scopes::parse("read").unwrap()).await.unwrap();
    let onward = scene.exchange(&next, &reply.word("access_token"), &[("resource", WHOAMI), ("scope", "read")]).await;
    assert_eq!(onward.status, StatusCode::OK, "{}", onward.body);
    let nested = json!({"sub": next.id, "name": "notes", "act": {"sub": api.id, "name": "whoami"}});
    assert_eq!(onward.claims()["act"], nested);
}
