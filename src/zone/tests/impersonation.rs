//! Acting on: an application that exchanges what its own API received, and one that takes a user's place.

use super::people::*;
use super::*;

/// Lets the support desk take users' places, for reading.
const SUPPORT_DESK: &str = r#"permit(principal is Keycard::Application, action, resource) when {
    principal.name == "support" && context has impersonate && context.impersonate &&
    context has scopes && ["read", "admin"].containsAll(context.scopes) };"#;

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
    let before = scene.software("support").await;
    let agent = before.client;
    let denied = take_place(&scene, &agent, &substitute(ADA), WHOAMI).await;
    denied.refused(400, "access_denied", &format!("Application \"support\" is not allowed to access \"{WHOAMI}\"."));

    scene.enforce("with-support", &[("support-desk", SUPPORT_DESK)]).await;
    let other = scene.software("sales").await.client;
    let reply = take_place(&scene, &agent, &substitute(ADA), WHOAMI).await;
    reply.refused(400, "insufficient_authorization", "User consent is required");
    let reply = take_place(&scene, &agent, &substitute("nobody@example.com"), WHOAMI).await;
    reply.refused(400, "insufficient_authorization", "User consent is required");
    let client = scene.public_client().await;
    scene.code(&client, &[("resource", WHOAMI)]).await;
    let reply = take_place(&scene, &agent, &substitute(ADA), WHOAMI).await;
    assert_eq!(reply.status, StatusCode::OK, "{}", reply.body);
    let token = reply.claims();
    assert_eq!((&token["preferred_username"], &token["act"]["sub"]), (&json!(ADA), &json!(before.id)));
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
    let client = scene.public_client().await;
    let (api, stranger) = (scene.software("whoami").await, scene.software("other").await);
    scene.own(&api.id, WHOAMI).await;
    scene.let_depend(&stranger.id, NOTES).await;
    let code = scene.code(&client, &[("resource", WHOAMI)]).await;
    let received = scene.redeem(&client, &code, &[]).await.word("access_token");
    let reply = scene.exchange(&stranger.client, &received, &[("resource", NOTES)]).await;
    reply.refused(400, "invalid_grant", "Client is not allowed to exchange token for this resource");
    let reply = scene.exchange(&api.client, &received, &[("resource", NOTES)]).await;
    reply.refused(400, "access_denied", &format!("Application \"whoami\" is not allowed to access \"{NOTES}\"."));
    scene.let_depend(&api.id, NOTES).await;
    let reply = scene.exchange(&api.client, &received, &[("resource", NOTES)]).await;
    reply.refused(400, "insufficient_authorization", "User consent is required");
    scene.vouch(&api.id).await;
    let reply = scene.exchange(&api.client, &received, &[("resource", NOTES)]).await;
    assert_eq!(reply.status, StatusCode::OK, "{}", reply.body);
    assert_eq!(reply.claims()["act"], json!({"sub": api.id, "name": "whoami"}));

    // And on: the next API names both before it.
    let next = scene.software("notes").await;
    scene.own(&next.id, NOTES).await;
    scene.let_depend(&next.id, WHOAMI).await;
    scene.vouch(&next.id).await;
    let onward =
        scene.exchange(&next.client, &reply.word("access_token"), &[("resource", WHOAMI), ("scope", "read")]).await;
    assert_eq!(onward.status, StatusCode::OK, "{}", onward.body);
    let nested = json!({"sub": next.id, "name": "notes", "act": {"sub": api.id, "name": "whoami"}});
    assert_eq!(onward.claims()["act"], nested);
}
