//! Device authorization: a code that a person types, a client that waits.

use super::people::*;
use super::*;

async fn ask(scene: &Scene, client: &str) -> Reply {
    scene.post("/oauth/2/device_authorization", &[("client_id", client), ("resource", WHOAMI), ("scope", "read")]).await
}

async fn poll(scene: &Scene, client: &str, code: &str) -> Reply {
    scene.post("/oauth/2/token", &[("grant_type", DEVICE_CODE), ("client_id", client), ("device_code", code)]).await
}

async fn decide(scene: &Scene, user_code: &str, decision: &str) -> Page {
    let browser = Browser::new(scene);
    let page = browser.open(&format!("/device?user_code={user_code}")).await;
    assert!(page.text.contains("Claude Code") && page.text.contains(WHOAMI), "{}", page.text);
    let form =
        [("mark", page.field("mark")), ("user_code", page.field("user_code")), ("decision", decision.to_owned())];
    let form: Vec<(&str, &str)> = form.iter().map(|(name, value)| (*name, value.as_str())).collect();
    browser.post("/device", &form).await
}

#[tokio::test]
async fn a_device_waits_until_its_person_allows_it() {
    let scene = Scene::of_people().await;
    let client = scene.public_client().await;
    let asked = ask(&scene, &client).await;
    assert_eq!(asked.status, StatusCode::OK, "{}", asked.body);
    assert_eq!((&asked.body["interval"], &asked.body["expires_in"]), (&json!(5), &json!(600)));
    let (code, user_code) = (asked.word("device_code"), asked.word("user_code"));
    assert_eq!(asked.word("verification_uri_complete"), format!("{ISSUER}/device?user_code={user_code}"));
    poll(&scene, &client, &code).await.refused(400, "authorization_pending", "Nobody has answered yet");
    poll(&scene, &client, &code).await.refused(400, "slow_down", "The client asks too often");
    scene.clock.advance(Duration::from_secs(11));
    poll(&scene, &client, &code).await.refused(400, "authorization_pending", "Nobody has answered yet");
    assert!(
        decide(&scene, &user_code.to_lowercase().replace('-', ""), "allow").await.text.contains("Device connected")
    );
    let other = scene.public_client().await;
    poll(&scene, &other, &code).await.refused(400, "invalid_grant", "The device code is not valid");
    let tokens = poll(&scene, &client, &code).await;
    assert_eq!(tokens.status, StatusCode::OK, "{}", tokens.body);
    assert_eq!((&tokens.claims()["aud"], &tokens.body["scope"]), (&json!(WHOAMI), &json!("read")));
    poll(&scene, &client, &code).await.refused(400, "expired_token", "The device code has expired");
}

#[tokio::test]
async fn a_device_that_is_turned_away_or_too_late_gets_nothing() {
    let scene = Scene::of_people().await;
    let client = scene.public_client().await;
    let asked = ask(&scene, &client).await;
    assert!(decide(&scene, &asked.word("user_code"), "deny").await.text.contains("Device turned away"));
    poll(&scene, &client, &asked.word("device_code")).await.refused(400, "access_denied", "The request was denied");
    let asked = ask(&scene, &client).await;
    scene.clock.advance(Duration::from_secs(600));
    let late = poll(&scene, &client, &asked.word("device_code")).await;
    late.refused(400, "expired_token", "The device code has expired");
    poll(&scene, &client, "vkd_unknown").await.refused(400, "invalid_grant", "The device code is not valid");
}

#[tokio::test]
async fn user_codes_can_not_be_tried_out() {
    let scene = Scene::of_people().await;
    let browser = Browser::new(&scene);
    browser.open("/device").await;
    for _ in 0..10 {
        assert_eq!(browser.get("/device?user_code=BCDF-GHJK").await.status, StatusCode::NOT_FOUND);
    }
    assert_eq!(browser.get("/device?user_code=BCDF-GHJK").await.status, StatusCode::TOO_MANY_REQUESTS);
}
