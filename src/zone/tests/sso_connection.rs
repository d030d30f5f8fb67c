//! An organisation's single sign-on, over the API and on the sign-in page.

use super::external::CLIENT;
use super::external::SECRET;
use super::external::Scripted;
use super::external::is_signed_in;
use super::external::of_guests;
use super::management::Office;
use super::people::*;
use super::second_factor::authenticator;
use super::second_factor::session_with_both;
use super::*;
use crate::zone::OWN_CLIENT;

const OWN: &str = "/organizations/own/sso-connection";

/// An organisation whose people sign in with `provider`, and what the API said when that began.
async fn enabled(provider: &Scripted) -> (Office, Value) {
    let office = Office::of(of_guests().await).await;
    let body = json!({"identifier": provider.issuer, "client_id": CLIENT, "client_secret": SECRET});
    let made = office.call("POST", OWN, Some(&body)).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.body);
    (office, made.body)
}

async fn is_enabled(office: &Office) -> bool {
    let shown = office.get("/organizations/own").await["sso_enabled"].as_bool().unwrap();
    assert_eq!(office.get("/organizations").await["items"][0]["sso_enabled"], shown);
    shown
}

#[tokio::test]
async fn people_sign_in_by_the_connection_for_as_long_as_there_is_one() {
    let provider = Scripted::start().await;
    let (office, made) = enabled(&provider).await;
    assert_eq!((&made["identifier"], &made["client_id"]), (&json!(provider.issuer), &json!(CLIENT)));
    assert_eq!((&made["client_secret_set"], &made["protocols"]), (&json!(true), &Value::Null));
    assert!(is_enabled(&office).await);
    assert!(!office.get(OWN).await.to_string().contains(SECRET));
    let shown = office.get(&format!("{OWN}?expand[]=permissions")).await;
    assert_eq!(shown["permissions"]["sso-connection"]["update"], true);
    // It is the provider of the zone, and no second truth.
    assert_eq!(office.get("/zones/{zone}").await["user_identity_provider_id"], made["id"]);
    let listed = office.get(&format!("/zones/{{zone}}/providers?filter[id]={}", made["id"].as_str().unwrap())).await;
    assert_eq!((&listed["items"][0]["name"], &listed["items"][0]["type"]), (&json!("127.0.0.1"), &json!("external")));

    let browser = Browser::new(&office.scene);
    assert!(provider.visit(&browser, json!({})).await.text.contains("url=/account"));
    assert!(is_signed_in(&browser, "grace@example.com").await);
    // How she shows who she is, and with what the zone's own people do.
    let people = "/zones/{zone}/users?expand[]=credentials&expand[]=credentials.provider&expand[]=session_count";
    let people = office.get(people).await["items"].clone();
    let grace = people.as_array().unwrap().iter().find(|user| user["email"] == "grace@example.com").unwrap();
    let shown = &grace["credentials"][0];
    assert_eq!((&shown["type"], &shown["subject"]), (&json!("federation"), &json!("grace")));
    assert_eq!((&shown["provider_id"], &shown["provider"]["id"]), (&made["id"], &made["id"]));
    assert!(grace["external"] == true && grace["session_count"] == 1, "{grace}");
    let ada = people.as_array().unwrap().iter().find(|user| user["email"] == ADA).unwrap();
    assert_eq!((&ada["credentials"][0]["type"], &ada["credentials"][1]), (&json!("password"), &Value::Null));
    assert_eq!(office.refused("GET", "/zones/{zone}/users?expand[]=everything", None).await.0, 400);

    office.delete(OWN).await;
    assert!(!is_enabled(&office).await);
    assert_eq!(office.refused("GET", OWN, None).await.0, 404);
    assert_eq!(office.refused("DELETE", OWN, None).await.0, 404);
    assert_eq!(office.get("/zones/{zone}").await["user_identity_provider_id"], Value::Null);
    assert_eq!(
        office.get(&format!("/zones/{{zone}}/providers?identifier={}", provider.issuer)).await["items"],
        json!([])
    );
    let page = Browser::new(&office.scene).get("/account").await;
    assert!(page.text.contains("name=\"password\""), "{}", page.text);
}

#[tokio::test]
async fn people_of_another_organization_sign_in_by_theirs() {
    let provider = Scripted::start().await;
    let scene = of_guests().await;
    let secret = authenticator(&scene).await;
    let ada = session_with_both(&scene, &secret).await;
    let office = Office::of(scene).await;
    let made = office.call_as(&ada, "POST", "/organizations", Some(&json!({"name": "Second"}))).await;
    let (organization, zone) = (made.word("id"), made.word("zone_id"));
    let path = format!("/organizations/{organization}/sso-connection");
    let body = json!({"identifier": provider.issuer, "client_id": CLIENT});
    let enabled = office.call_as(&ada, "POST", &path, Some(&body)).await;
    assert_eq!(enabled.status, StatusCode::CREATED, "{}", enabled.body);
    let browser = Browser::at(&office.scene, &format!("{zone}.localhost:7980"));
    provider.visit(&browser, json!({})).await;
    assert!(is_signed_in(&browser, "grace@example.com").await);
    // The home organisation is another, and so is what a token of it may see.
    assert!(!is_enabled(&office).await);
    assert_eq!(office.refused("GET", &path, None).await.0, 404);
}

#[tokio::test]
async fn a_change_counts_at_once_and_never_sends_a_secret_elsewhere() {
    let provider = Scripted::start().await;
    let (office, made) = enabled(&provider).await;
    let scopes = json!({"protocols": {"openid": {"scopes": ["email"]}, "oauth2": null}});
    let changed = office.patch(OWN, scopes).await;
    assert_eq!(changed["protocols"]["openid"]["scopes"], json!(["email"]));
    assert_eq!((&changed["id"], &changed["client_secret_set"]), (&made["id"], &json!(true)));
    let left = Browser::new(&office.scene).get("/account").await;
    assert_eq!(left.answer("scope").unwrap(), "openid email");
    assert_eq!(office.patch(OWN, json!({"client_id": "other"})).await["client_id"], "other");

    let eve = json!("https://eve.example");
    for body in [
        json!({ "identifier": eve }),
        json!({"protocols": {"oauth2": {"token_endpoint": "https://eve.example/token"}}}),
        json!({"protocols": {"oauth2": {"issuer": "https://eve.example"}}}),
        json!({"client_id": null}),
        json!({"client_id": ""}),
        json!({"identifier": null}),
        json!({"identifier": "eve", "client_secret": "x"}),
        json!({"protocols": {"oauth2": {"jwks_uri": "eve"}}}),
    ] {
        assert_eq!(office.refused("PATCH", OWN, Some(body.clone())).await.0, 400, "{body}");
        assert_eq!(office.get(OWN).await["identifier"], json!(provider.issuer), "{body}");
    }
    let moved =
        office.patch(OWN, json!({"identifier": eve, "client_secret": "new", "protocols": {"oauth2": {}}})).await;
    assert_eq!(moved["protocols"]["oauth2"]["issuer"], eve);
    // The issuer follows its identifier.
    let back = json!({"identifier": "https://idp.example", "client_secret": null});
    let back = office.patch(OWN, back).await;
    assert_eq!(back["protocols"]["oauth2"]["issuer"], "https://idp.example");
    assert_eq!(back["client_secret_set"], false);
}

#[tokio::test]
async fn a_connection_is_made_once_and_whole() {
    let provider = Scripted::start().await;
    let (office, _) = enabled(&provider).await;
    let body = json!({"identifier": "https://idp.example", "client_id": CLIENT});
    assert_eq!(office.refused("POST", OWN, Some(body.clone())).await, (409, "conflict".to_owned()));
    assert_eq!(office.get("/zones/{zone}/providers?identifier=https://idp.example").await["items"], json!([]));
    // What something else uses stays when the connection goes.
    let provider = office.get(OWN).await["id"].clone();
    let resource = json!({"identifier": "https://r.example", "name": "r", "credential_provider_id": provider});
    office.post("/zones/{zone}/resources", resource).await;
    office.delete(OWN).await;
    assert!(!is_enabled(&office).await);
    let kept = format!("/zones/{{zone}}/providers/{}", provider.as_str().unwrap());
    let identifier = office.get(&kept).await["identifier"].clone();
    // Its identifier is taken then, and nothing is left of what was refused.
    let same = json!({"identifier": identifier, "client_id": CLIENT});
    assert_eq!(office.refused("POST", OWN, Some(same)).await.0, 409);
    assert!(!is_enabled(&office).await);
    // Whoever names it at the zone has the connection again, and a provider that is deleted is nobody's.
    office.patch("/zones/{zone}", json!({ "user_identity_provider_id": provider })).await;
    assert_eq!(office.get(OWN).await["id"], provider);
    office.delete(&kept).await;
    assert!(!is_enabled(&office).await);
    assert_eq!(office.get("/zones/{zone}").await["user_identity_provider_id"], Value::Null);
    for (field, wrong) in [("identifier", json!("idp")), ("client_id", json!("")), ("client_secret", json!(""))] {
        let mut body = body.clone();
        body[field] = wrong;
        let reply = office.call("POST", OWN, Some(&body)).await;
        assert_eq!(reply.status, StatusCode::BAD_REQUEST);
        assert!(reply.word("message").contains(&format!("`{field}`")), "{}", reply.body);
    }
    assert_eq!(office.refused("POST", OWN, Some(json!({"identifier": "https://idp.example"}))).await.0, 400);
    assert!(!is_enabled(&office).await);
}

#[tokio::test]
async fn only_an_administrator_with_a_second_factor_says_how_people_sign_in() {
    let office = Office::of(Scene::of_people().await).await;
    let code = office.scene.code(OWN_CLIENT, &[("scope", "openid")]).await;
    let plain = office.scene.redeem(OWN_CLIENT, &code, &[]).await.word("access_token");
    let weak = office.scene.token(&["sso-connection:write", "organizations:write", "zones:write"]).await;
    let enable = json!({"identifier": "https://idp.example", "client_id": CLIENT});
    assert_eq!(office.call_as(&weak, "GET", OWN, None).await.status, StatusCode::NOT_FOUND);
    for enabled in [false, true] {
        for (method, body) in [("POST", Some(&enable)), ("PATCH", Some(&json!({"client_id": "x"}))), ("DELETE", None)] {
            let refused = office.call_as(&plain, method, OWN, body).await;
            assert_eq!((refused.status, refused.word("code").as_str()), (StatusCode::FORBIDDEN, "auth.mfa_required"));
            assert_eq!(office.call_as(&weak, method, OWN, body).await.status, StatusCode::FORBIDDEN);
        }
        assert_eq!(is_enabled(&office).await, enabled);
        office.call("POST", OWN, Some(&enable)).await;
    }
    let provider = office.get(OWN).await["id"].as_str().unwrap().to_owned();
    let path = format!("/zones/{{zone}}/providers/{provider}");
    let narrow = office.scene.token(&["providers:write"]).await;
    assert_eq!(office.call_as(&narrow, "DELETE", &path, None).await.status, StatusCode::FORBIDDEN);
    assert!(is_enabled(&office).await);
}

#[tokio::test]
async fn there_is_no_key_policy_and_no_zone_takes_a_key_of_a_customers() {
    let office = Office::new().await;
    let refused = office.refused("GET", "/organizations/own/aws/key-policy", None).await;
    assert_eq!(refused, (404, "not_supported".to_owned()));
    let key = json!({"type": "aws", "arn": "arn:aws:kms:eu-central-1:1:key/1"});
    let refused = office.call("POST", "/zones", Some(&json!({"name": "x", "encryption_key": key}))).await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
    assert!(refused.word("message").starts_with("`encryption_key` is not supported"), "{}", refused.body);
    assert_eq!(office.refused("PATCH", "/zones/{zone}", Some(json!({ "encryption_key": key }))).await.0, 400);
    let made = office.post("/zones", json!({"name": "x", "encryption_key": null})).await;
    assert_eq!(made["encryption_key"], Value::Null);
}
