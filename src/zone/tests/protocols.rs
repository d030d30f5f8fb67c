//! What the zone's row says about its protocols, and what follows from it.

use super::management::Office;
use super::people::*;
use super::*;

impl Office {
    /// Changes the zone's settings of OAuth.
    pub(super) async fn set(&self, oauth2: Value) {
        self.patch("/zones/{zone}", json!({"protocols": {"oauth2": oauth2}})).await;
    }
}

#[tokio::test]
async fn a_zone_that_asks_for_no_challenge_lets_clients_with_a_secret_go_without() {
    let office = Office::of_people().await;
    let scene = &office.scene;
    let public = scene.public_client().await;
    let metadata = json!({"client_name": "Web", "redirect_uris": [CALLBACK]});
    let made = scene.register_anonymously(&metadata).await;
    let web = Agent { id: made.word("client_id"), secret: made.word("client_secret") };
    let without = [("code_challenge", ""), ("code_challenge_method", ""), ("resource", WHOAMI)];
    let browser = Browser::new(scene);
    let refused = browser.get(&scene.request(&web.id, &without)).await;
    assert_eq!(refused.answer("error").as_deref(), Some("invalid_request"));
    office.set(json!({"pkce_required": false})).await;
    let refused = browser.get(&scene.request(&public, &without)).await;
    assert_eq!(refused.answer("error").as_deref(), Some("invalid_request"), "a public client must always");
    let code = scene.code(&web.id, &without).await;
    let form = [("grant_type", "authorization_code"), ("code", code.as_str()), ("redirect_uri", CALLBACK)];
    let reply = scene.ask(&web, &form).await;
    assert_eq!(reply.status, StatusCode::OK, "{}", reply.body);
    // A verifier without a challenge is a code that somebody else began.
    let code = scene.code(&web.id, &without).await;
    let mixed = [form[0], ("code", code.as_str()), form[2], ("code_verifier", VERIFIER)];
    scene.ask(&web, &mixed).await.refused(400, "invalid_grant", "The code is not valid");
    office.set(json!({"pkce_required": null})).await;
    let refused = browser.get(&scene.request(&web.id, &without)).await;
    assert_eq!(refused.answer("error").as_deref(), Some("invalid_request"));
}

#[tokio::test]
async fn a_zone_without_registration_registers_nobody_and_says_so() {
    let office = Office::of_people().await;
    let scene = &office.scene;
    let metadata = json!({"client_name": "x", "token_endpoint_auth_method": "none", "redirect_uris": [CALLBACK]});
    let document = async || scene.get("/.well-known/oauth-authorization-server").await.body;
    assert_eq!(document().await["registration_endpoint"], format!("{ISSUER}/oauth/2/registration"));
    let before = scene.public_client().await;
    office.set(json!({"dcr_enabled": false})).await;
    assert!(document().await.get("registration_endpoint").is_none());
    let refused = scene.register_anonymously(&metadata).await;
    refused.refused(400, "access_denied", "This zone registers no clients");
    let refused = scene.register_with(text(&scene.daemon.registration_token), &metadata).await;
    refused.refused(400, "access_denied", "This zone registers no clients");
    // Those that are known go on, and so do the daemon's own agents.
    assert!(!scene.code(&before, &[("scope", "openid")]).await.is_empty());
    scene.register("curl").await;
    office.set(json!({"dcr_enabled": true})).await;
    assert_eq!(scene.register_anonymously(&metadata).await.status, StatusCode::CREATED);
}

#[tokio::test]
async fn in_a_personal_zone_the_daemon_finds_the_registration_of_its_agents() {
    let office = Office::new().await;
    office.set(json!({"dcr_enabled": false})).await;
    let document = office.scene.get("/.well-known/openid-configuration").await.body;
    assert_eq!(document["registration_endpoint"], format!("{ISSUER}/oauth/2/registration"));
    office.scene.register("curl").await;
}

#[tokio::test]
async fn what_an_application_needs_for_one_api_it_has_for_no_other() {
    let office = Office::of_people().await;
    let scene = &office.scene;
    let client = scene.public_client().await;
    let api = scene.software("whoami").await;
    scene.own(&api.id, WHOAMI).await;
    scene.vouch(&api.id).await;
    let find = async |identifier: &str| {
        let path = format!("/zones/{{zone}}/resources?{}", encode(&[("identifier", identifier)]));
        Office::only(&office.get(&path).await)["id"].as_str().unwrap().to_owned()
    };
    let (whoami, notes) = (find(WHOAMI).await, find(NOTES).await);
    let needs = format!("/zones/{{zone}}/applications/{}/dependencies/{notes}", api.id);
    let depend = async |when: &str| office.call("PUT", &format!("{needs}?when_accessing={when}"), None).await;
    let code = scene.code(&client, &[("resource", WHOAMI)]).await;
    let received = scene.redeem(&client, &code, &[]).await.word("access_token");
    let own = [("grant_type", "client_credentials"), ("resource", NOTES)];
    let not_allowed = format!("Application \"whoami\" is not allowed to access \"{NOTES}\".");
    // For another API of its own than the one that is being used.
    assert_eq!(depend(&notes).await.status, StatusCode::NO_CONTENT);
    let refused = scene.exchange(&api.client, &received, &[("resource", NOTES)]).await;
    refused.refused(400, "access_denied", &not_allowed);
    assert_eq!(depend(&whoami).await.status, StatusCode::NO_CONTENT);
    let exchanged = scene.exchange(&api.client, &received, &[("resource", NOTES)]).await;
    assert_eq!(exchanged.status, StatusCode::OK, "{}", exchanged.body);
    // In its own name it uses no API of its own.
    scene.ask(&api.client, &own).await.refused(400, "access_denied", &not_allowed);
    assert_eq!(office.call("PUT", &needs, None).await.status, StatusCode::NO_CONTENT);
    assert_eq!(scene.ask(&api.client, &own).await.status, StatusCode::OK);
    assert_eq!(scene.exchange(&api.client, &received, &[("resource", NOTES)]).await.status, StatusCode::OK);
}
