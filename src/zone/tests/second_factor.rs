//! What a stolen session is not enough for.

use super::management::Office;
use super::people::*;
use super::*;
use crate::zone::OWN_CLIENT;
use crate::zone::people::one_time_password;

/// Gives Ada an authenticator; its secret.
pub(super) async fn authenticator(scene: &Scene) -> Secret {
    let browser = Browser::new(scene);
    let page = browser.open("/account").await;
    let mark = page.field("mark");
    let page = browser.post("/account/authenticator", &[("mark", &mark)]).await;
    let base32 = page.text.split("id=\"secret\">").nth(1).unwrap().split('<').next().unwrap();
    let secret = Secret::new(totp_rs::Secret::try_from_base32(base32).unwrap().as_ref().to_vec());
    let code = one_time_password(&secret, scene.clock.now());
    browser.post("/account/authenticator/confirm", &[("mark", &mark), ("code", &code)]).await;
    secret
}

/// A session of the command line, begun with password and one-time password.
pub(super) async fn session_with_both(scene: &Scene, secret: &Secret) -> String {
    scene.clock.advance(Duration::from_secs(60));
    let browser = Browser::new(scene);
    let page = browser.get(&scene.request(OWN_CLIENT, &[("scope", "openid")])).await;
    let second = browser.sign_in(&page, PASSWORD).await;
    let code = one_time_password(secret, scene.clock.now());
    let fields = ["mark", "ticket", "continue"].map(|name| (name, second.field(name)));
    let mut form: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
    form.push(("code", &code));
    let signed_in = browser.post("/sign-in/second-factor", &form).await;
    let page = browser.get(signed_in.location()).await;
    let code = match page.status {
        StatusCode::SEE_OTHER => page.answer("code").unwrap(),
        _ => browser.consent(&page, "allow").await.answer("code").unwrap(),
    };
    scene.redeem(OWN_CLIENT, &code, &[]).await.word("access_token")
}

#[tokio::test]
async fn a_zone_is_deleted_by_a_person_only_with_a_fresh_second_factor() {
    let office = Office::of_people().await;
    let scene = &office.scene;
    let other = async || office.post("/zones", json!({"name": "Other"})).await["id"].as_str().unwrap().to_owned();
    let zone = format!("/zones/{}", other().await);
    let code = scene.code(OWN_CLIENT, &[("scope", "openid")]).await;
    let plain = scene.redeem(OWN_CLIENT, &code, &[]).await.word("access_token");
    for token in [&plain, &scene.session_token().await] {
        let refused = office.call_as(token, "DELETE", &zone, None).await;
        assert_eq!((refused.status, refused.word("code")), (StatusCode::FORBIDDEN, "auth.mfa_required".to_owned()));
        assert_eq!(office.call_as(token, "GET", &zone, None).await.status, StatusCode::OK, "looking needs none");
    }
    let secret = authenticator(scene).await;
    let refused = office.call_as(&plain, "DELETE", &zone, None).await;
    assert_eq!(refused.word("code"), "auth.mfa_required", "the session of before shows none");
    let strong = session_with_both(scene, &secret).await;
    scene.clock.advance(Duration::from_secs(15 * 60 + 1));
    let refused = office.call_as(&strong, "DELETE", &zone, None).await;
    assert_eq!(refused.word("code"), "auth.mfa_required", "it was shown too long ago");
    let strong = session_with_both(scene, &secret).await;
    assert_eq!(office.call_as(&strong, "DELETE", &zone, None).await.status, StatusCode::NO_CONTENT);
    assert_eq!(office.refused("GET", &zone, None).await.0, 404);
    // Programs can show none: what they may do was said when their token was made.
    office.delete(&format!("/zones/{}", other().await)).await;
}

#[tokio::test]
async fn a_token_that_may_do_everything_is_made_by_a_person_only_with_a_fresh_second_factor() {
    let office = Office::of_people().await;
    let (scene, tokens) = (&office.scene, "/organizations/own/api-tokens");
    let code = scene.code(OWN_CLIENT, &[("scope", "openid")]).await;
    let plain = scene.redeem(OWN_CLIENT, &code, &[]).await.word("access_token");
    let wish = |scope: &str| Some(json!({"name": scope, "scopes": [scope]}));
    let secret = authenticator(scene).await;
    let strong = session_with_both(scene, &secret).await;
    for scope in ["admin", "*:write"] {
        let refused = office.call_as(&plain, "POST", tokens, wish(scope).as_ref()).await;
        assert_eq!((refused.status, refused.word("code")), (StatusCode::FORBIDDEN, "auth.mfa_required".to_owned()));
        let made = office.call_as(&strong, "POST", tokens, wish(scope).as_ref()).await;
        assert_eq!(made.status, StatusCode::OK, "{}", made.body);
        let rotate = format!("{tokens}/{}/rotate", made.word("id"));
        assert_eq!(office.call_as(&plain, "POST", &rotate, None).await.word("code"), "auth.mfa_required");
        assert_eq!(office.call_as(&strong, "POST", &rotate, None).await.status, StatusCode::OK);
    }
    let made = office.call_as(&plain, "POST", tokens, wish("zones:write").as_ref()).await;
    assert_eq!(made.status, StatusCode::OK, "{}", made.body);
}

#[tokio::test]
async fn an_authenticator_that_counts_is_not_replaced_from_a_browser_that_was_found_open() {
    let scene = Scene::of_people().await;
    let browser = Browser::new(&scene);
    let mark = browser.open("/account").await.field("mark");
    scene.clock.advance(Duration::from_secs(15 * 60 + 1));
    for (path, field) in [("/account/authenticator", "code"), ("/account/authenticator/confirm", "code")] {
        let page = browser.post(path, &[("mark", &mark), (field, "123456")]).await;
        assert!(page.text.contains("You signed in a while ago") && !page.text.contains("id=\"secret\""), "{path}");
    }
    let secret = authenticator(&scene).await;
    for _ in 0..2 {
        let page = browser.post("/account/authenticator/confirm", &[("mark", &mark), ("code", "123456")]).await;
        assert!(page.text.contains("Remove the authenticator that you have first."), "{}", page.text);
    }
    assert!(!session_with_both(&scene, &secret).await.is_empty(), "it still counts");
}

#[tokio::test]
async fn nobody_who_may_do_everything_is_made_without_a_fresh_second_factor() {
    let office = Office::of_people().await;
    let scene = &office.scene;
    let code = scene.code(OWN_CLIENT, &[("scope", "openid")]).await;
    let plain = scene.redeem(OWN_CLIENT, &code, &[]).await.word("access_token");
    let secret = authenticator(scene).await;
    let strong = session_with_both(scene, &secret).await;
    let account = office.post("/organizations/own/service-accounts", json!({"name": "CI"})).await;
    let account = account["id"].as_str().unwrap();
    let provider =
        office.post("/zones/{zone}/providers", json!({"identifier": "https://idp.example", "name": "p"})).await;
    let zone = format!("/zones/{}", office.zone);
    for (method, path, body) in [
        ("POST", format!("/organizations/own/service-accounts/{account}/credentials"), json!({"name": "key"})),
        ("POST", "/organizations/own/invitations".to_owned(), json!({"email": "eve@example.com", "role": "org_admin"})),
        ("PATCH", zone.clone(), json!({"user_identity_provider_id": provider["id"]})),
        ("PATCH", format!("{zone}/providers/{}", provider["id"].as_str().unwrap()), json!({"name": "other"})),
    ] {
        let refused = office.call_as(&plain, method, &path, Some(&body)).await;
        assert_eq!(
            (refused.status, refused.word("code")),
            (StatusCode::FORBIDDEN, "auth.mfa_required".to_owned()),
            "{path}"
        );
        let done = office.call_as(&strong, method, &path, Some(&body)).await;
        assert_eq!(done.status, StatusCode::OK, "{path}: {}", done.body);
    }
    // Whoever may write providers may not say by which of them administrators come in.
    let weak = scene.token(&["providers:write", "zones:write"]).await;
    let path = format!("{zone}/providers/{}", provider["id"].as_str().unwrap());
    assert_eq!(office.call_as(&weak, "PATCH", &path, Some(&json!({"name": "x"}))).await.status, StatusCode::FORBIDDEN);
    let none = json!({"user_identity_provider_id": null});
    assert_eq!(office.call_as(&weak, "PATCH", &zone, Some(&none)).await.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn how_the_people_of_another_zone_are_known_is_no_matter_of_providers_alone() {
    let office = Office::of_people().await;
    let scene = &office.scene;
    let zone = format!("/zones/{}", office.post("/zones", json!({"name": "Other"})).await["id"].as_str().unwrap());
    let body = json!({"name": "Elsewhere", "identifier": "https://idp.example", "client_id": "x"});
    let made = office.post(&format!("{zone}/providers"), body).await;
    let path = format!("{zone}/providers/{}", made["id"].as_str().unwrap());
    let renamed = json!({"name": "Elsewhere still"});
    let (narrow, wide) =
        (scene.token(&["providers:write"]).await, scene.token(&["providers:write", "zones:write"]).await);
    let code = scene.code(OWN_CLIENT, &[("scope", "openid")]).await;
    let plain = scene.redeem(OWN_CLIENT, &code, &[]).await.word("access_token");
    let status = async |token: &str, method: &str, path: &str, body: &Value| {
        office.call_as(token, method, path, Some(body)).await.status
    };
    // one provider like another, until people sign in by it
    assert_eq!(status(&narrow, "PATCH", &path, &renamed).await, StatusCode::OK);
    assert_eq!(status(&plain, "PATCH", &path, &renamed).await, StatusCode::OK);
    let chosen = json!({"user_identity_provider_id": made["id"]});
    assert_eq!(status(&plain, "PATCH", &zone, &chosen).await, StatusCode::FORBIDDEN);
    assert_eq!(status(&wide, "PATCH", &zone, &chosen).await, StatusCode::OK);
    for (method, token, expected) in [
        ("PATCH", &narrow, StatusCode::FORBIDDEN),
        ("DELETE", &narrow, StatusCode::FORBIDDEN),
        ("PATCH", &plain, StatusCode::FORBIDDEN),
        ("PATCH", &wide, StatusCode::OK),
    ] {
        assert_eq!(status(token, method, &path, &renamed).await, expected, "{method}");
    }
}

#[tokio::test]
async fn the_daemons_client_id_is_nobody_elses() {
    let office = Office::of_people().await;
    let daemon = office.scene.daemon.client_id.clone();
    let credentials = "/zones/{zone}/application-credentials";
    let listed = office.get(&format!("{credentials}?limit=100")).await["items"].clone();
    let own = listed.as_array().unwrap().iter().find(|one| one["identifier"] == daemon.as_str()).unwrap();
    office.delete(&format!("{credentials}/{}", own["id"].as_str().unwrap())).await;
    let body = json!({"name": "eve", "identifier": "https://eve.example", "consent": "implicit",
        "protocols": {"oauth2": {"redirect_uris": [CALLBACK]}}});
    let eve = office.post("/zones/{zone}/applications", body).await["id"].clone();
    let body = json!({"application_id": eve, "type": "public", "identifier": daemon});
    office.post(credentials, body).await;
    let code = office.scene.code(&daemon, &[("scope", "openid")]).await;
    let token = office.scene.redeem(&daemon, &code, &[]).await.word("access_token");
    assert_eq!(office.call_as(&token, "GET", "/zones", None).await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_client_that_may_know_who_a_person_is_does_not_manage_their_zones() {
    let office = Office::of_people().await;
    let client = office.scene.public_client().await;
    for (client, status) in [(client.as_str(), StatusCode::UNAUTHORIZED), (OWN_CLIENT, StatusCode::OK)] {
        let code = office.scene.code(client, &[("scope", "openid")]).await;
        let token = office.scene.redeem(client, &code, &[]).await.word("access_token");
        assert_eq!(office.call_as(&token, "GET", "/zones", None).await.status, status, "{client}");
    }
}
