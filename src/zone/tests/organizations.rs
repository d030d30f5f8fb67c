//! Organisations, their service accounts and their invitations.

use super::management::Office;
use super::management::names;
use super::*;

fn id(body: &Value) -> String {
    body["id"].as_str().unwrap_or_else(|| panic!("no id in {body}")).to_owned()
}

async fn home(office: &Office) -> String {
    id(&office.get("/organizations").await["items"][0])
}

#[tokio::test]
async fn an_organization_has_a_zone_and_belongs_to_its_members() {
    let office = Office::new().await;
    let own = home(&office).await;
    let shown = office.get(&format!("/organizations/{own}?expand[]=permissions")).await;
    assert_eq!(shown["zone_id"], office.zone);
    assert_eq!(shown["permissions"]["zones"]["update"], true);
    assert_eq!(office.get("/organizations").await["page_info"]["has_prev_page"], false);
    assert_eq!(office.patch(&format!("/organizations/{own}"), json!({"name": "New"})).await["name"], "New");
    assert_eq!(office.refused("POST", "/organizations", Some(json!({"name": "x"}))).await.0, 403);
    let ada = office.scene.session_token().await;
    let made = office.call_as(&ada, "POST", "/organizations", Some(&json!({"name": "Second"}))).await;
    assert_eq!(made.status, StatusCode::OK, "{}", made.body);
    let second = id(&made.body);
    assert_eq!(made.word("zone_id").len(), 26);
    // The token is of the first one, and knows of no other.
    assert_eq!(office.refused("GET", &format!("/organizations/{second}"), None).await.0, 404);
    assert_eq!(office.refused("GET", &format!("/zones/{}", made.word("zone_id")), None).await.0, 404);
    assert_eq!(names(&office.call_as(&ada, "GET", "/organizations", None).await.body).len(), 2);
    let zones = office.call_as(&ada, "GET", &format!("/zones?filter[organization_id]={second}"), None).await;
    assert_eq!(names(&zones.body), ["Second"]);
}

#[tokio::test]
async fn a_service_account_gets_a_token_that_opens_the_api_until_it_is_removed() {
    let office = Office::new().await;
    let own = home(&office).await;
    let list = format!("/organizations/{own}/service-accounts");
    let narrow = office.scene.token(&["organizations:write"]).await;
    let body = json!({"name": "more"});
    assert_eq!(office.call_as(&narrow, "POST", &list, Some(&body)).await.status, StatusCode::FORBIDDEN);
    let account = id(&office.post(&list, json!({"name": "terraform", "description": "d"})).await);
    assert_eq!(office.patch(&format!("{list}/{account}"), json!({"description": null})).await["name"], "terraform");
    let credentials = format!("{list}/{account}/credentials");
    let made = office.post(&credentials, json!({"name": "first"})).await;
    let (client, secret) = (made["client_id"].as_str().unwrap(), made["client_secret"].as_str().unwrap());
    assert!(!office.get(&credentials).await.to_string().contains(secret));
    let ask = async |form: &[(&str, &str)], authorization: Option<String>| {
        let mut request =
            Request::post("/service-account-token").header("content-type", "application/x-www-form-urlencoded");
        if let Some(authorization) = authorization {
            request = request.header("authorization", authorization);
        }
        office.scene.send(request.body(Body::from(encode(form))).unwrap()).await
    };
    let grant = ("grant_type", "client_credentials");
    let in_body = ask(&[grant, ("client_id", client), ("client_secret", secret)], None).await;
    assert_eq!(in_body.status, StatusCode::OK, "{}", in_body.body);
    assert_eq!(in_body.claims()["https://api.keycard.sh/organization_id"], own.as_str());
    assert_eq!((&in_body.body["token_type"], &in_body.body["expires_in"]), (&json!("Bearer"), &json!(3600)));
    let basic = format!("Basic {}", STANDARD.encode(format!("{client}:{secret}")));
    let token = ask(&[grant], Some(basic.clone())).await.word("access_token");
    assert_eq!(office.call_as(&token, "GET", "/zones/{zone}/applications", None).await.status, StatusCode::OK);
    let body = json!({"name": "a", "identifier": "https://a.example"});
    assert_eq!(office.call_as(&token, "POST", "/zones/{zone}/applications", Some(&body)).await.status, StatusCode::OK);
    // It opens this API, and is no user's session.
    let agent = office.scene.register("curl").await;
    assert_eq!(office.scene.exchange(&agent, &token, &[("resource", WHOAMI)]).await.status, StatusCode::BAD_REQUEST);
    for (form, status, error) in [
        (vec![grant, ("client_id", client), ("client_secret", "wrong")], 401, "invalid_client"),
        (vec![grant, ("client_id", "x"), ("client_secret", secret)], 401, "invalid_client"),
        (vec![grant], 401, "invalid_client"),
        (vec![("grant_type", "password")], 400, "unsupported_grant_type"),
        (vec![], 400, "invalid_request"),
    ] {
        let reply = ask(&form, None).await;
        assert_eq!((reply.status.as_u16(), reply.word("error").as_str()), (status, error));
    }
    assert!(office.get(&format!("{credentials}/{}", id(&made))).await["last_used_at"].is_string());
    office.delete(&format!("{credentials}/{}", id(&made))).await;
    assert_eq!(ask(&[grant], Some(basic)).await.status, StatusCode::UNAUTHORIZED);
    // What it got before lives on, until the account itself is removed.
    assert_eq!(office.call_as(&token, "GET", "/zones", None).await.status, StatusCode::OK);
    office.delete(&format!("{list}/{account}")).await;
    assert_eq!(office.call_as(&token, "GET", "/zones", None).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(office.refused("GET", &credentials, None).await.0, 404);
}

#[tokio::test]
async fn an_invitation_is_accepted_once_by_whoever_holds_it() {
    let office = Office::new().await;
    let own = home(&office).await;
    let list = format!("/organizations/{own}/invitations");
    let invite = async || office.post(&list, json!({"email": "bob@example.com", "role": "org_viewer"})).await;
    let (made, revoked, late) = (invite().await, invite().await, invite().await);
    let token = made["token"].as_str().unwrap();
    assert!(!office.get(&list).await.to_string().contains(token));
    let shown = office.scene.get(&format!("/invitations/{token}")).await;
    assert_eq!((&shown.body["status"], &shown.body["role"]), (&json!("pending"), &json!("org_viewer")));
    office.delete(&format!("{list}/{}", id(&revoked))).await;
    assert_eq!(office.refused("DELETE", &format!("{list}/{}", id(&revoked)), None).await.0, 404);
    let accept = |invitation: &Value| format!("/invitations/{}/accept", invitation["token"].as_str().unwrap());
    assert_eq!(office.refused("POST", &accept(&made), None).await.0, 403);
    let ada = office.scene.session_token().await;
    assert_eq!(office.call_as(&ada, "POST", &accept(&revoked), None).await.status, StatusCode::CONFLICT);
    let accepted = office.call_as(&ada, "POST", &accept(&made), None).await;
    assert_eq!(accepted.body["success"], true, "{}", accepted.body);
    assert_eq!(office.call_as(&ada, "POST", &accept(&made), None).await.status, StatusCode::CONFLICT);
    // The one who was an administrator still is.
    assert_eq!(office.call_as(&ada, "GET", &list, None).await.status, StatusCode::OK);
    office.scene.clock.advance(Duration::from_secs(7 * 24 * 3600));
    let shown = office.scene.get(&format!("/invitations/{}", late["token"].as_str().unwrap())).await;
    assert_eq!(shown.body["status"], "expired");
    assert_eq!(office.scene.get("/invitations/nothing").await.status, StatusCode::NOT_FOUND);
    assert_eq!(office.refused("POST", &list, Some(json!({"email": "x", "role": "org_viewer"}))).await.0, 400);
    assert_eq!(office.refused("POST", &list, Some(json!({"email": "a@b", "role": "king"}))).await.0, 400);
}
