//! Sessions: browsers at the top, clients below them, applications beside; the same on the account page and in the
//! management API.

use super::management::Office;
use super::people::*;
use super::*;

const LIST: &str = "/zones/{zone}/sessions";

/// Ada in a browser, and a client with a session that she began in it.
async fn signed_in(office: &Office) -> (Browser<'_>, String, Reply) {
    let client = office.scene.public_client().await;
    let browser = Browser::new(&office.scene);
    let page = browser.open(&office.scene.request(&client, &[("resource", WHOAMI)])).await;
    let code = browser.consent(&page, "allow").await.answer("code").unwrap();
    let tokens = office.scene.redeem(&client, &code, &[]).await;
    assert_eq!(tokens.status, StatusCode::OK, "{}", tokens.body);
    (browser, client, tokens)
}

#[tokio::test]
async fn a_clients_session_stands_below_the_browser_it_was_begun_in() {
    let office = Office::of_people().await;
    let (_, client, tokens) = signed_in(&office).await;
    let sid = tokens.claims()["sid"].as_str().unwrap().to_owned();
    let top = office.get(&format!("{LIST}?status=active")).await;
    let top = top["items"].as_array().unwrap();
    // The daemon's and the browser's; what is nested is not told unless asked for.
    assert_eq!(top.len(), 2, "{top:?}");
    let browser = top.iter().find(|item| item["metadata"]["name"] == "unknown browser").unwrap();
    assert!(top.iter().all(|item| item["parent_id"].is_null() && item["session_type"] == "user"));
    assert!(browser["session_data"].is_null() && browser["application_id"].is_null());
    let all = office.get(&format!("{LIST}?include_nested=true")).await;
    assert_eq!(all["items"].as_array().unwrap().len(), 3);
    let path = format!("{LIST}/{sid}");
    let nested = office.get(&path).await;
    assert_eq!((&nested["parent_id"], &nested["metadata"]["name"]), (&browser["id"], &json!("Claude Code")));
    assert_eq!(nested["session_data"]["resource"], json!([WHOAMI]));
    assert_eq!(nested["session_data"]["client_id"], json!(client));
    let expanded = office.get(&format!("{path}?expand[]=user&expand[]=user_agent&expand[]=application")).await;
    assert_eq!((&expanded["user"]["email"], &expanded["user_agent"]["identifier"]), (&json!(ADA), &json!(client)));
    assert!(expanded.get("application").is_none() && nested.get("user").is_none());
    let agents = office.get("/zones/{zone}/user-agents").await;
    let agent = agents["items"].as_array().unwrap().iter().find(|item| item["identifier"] == json!(client)).unwrap();
    assert_eq!((&agent["id"], &agent["name"]), (&nested["user_agent_id"], &json!("Claude Code")));
    assert!(client.starts_with("ua:") && client.len() == 67, "{client}");
    assert_eq!(office.refused("GET", &format!("{LIST}?include_nested=maybe"), None).await.0, 400);
    let other = office.post("/zones", json!({"name": "Other"})).await["id"].as_str().unwrap().to_owned();
    assert_eq!(office.refused("DELETE", &format!("/zones/{other}/sessions/{sid}"), None).await.0, 404);
}

#[tokio::test]
async fn whoever_ends_a_browser_ends_what_was_begun_in_it() {
    for method in ["PATCH", "DELETE"] {
        let office = Office::of_people().await;
        let scene = &office.scene;
        let (browser, client, tokens) = signed_in(&office).await;
        let page = browser.get(&scene.request(&client, &[("resource", WHOAMI)])).await;
        let outstanding = page.answer("code").unwrap();
        let sid = tokens.claims()["sid"].as_str().unwrap().to_owned();
        let nested = office.get(&format!("{LIST}/{sid}")).await;
        let top = format!("{LIST}/{}", nested["parent_id"].as_str().unwrap());
        match method {
            "PATCH" => {
                assert_eq!(office.patch(&top, json!({"status": "revoked"})).await["status"], "revoked");
                assert_eq!(office.get(&format!("{LIST}/{sid}")).await["status"], "revoked");
            }
            _ => {
                office.delete(&top).await;
                assert_eq!(office.refused("GET", &format!("{LIST}/{sid}"), None).await.0, 404);
            }
        }
        scene.refresh_as(&client, &tokens.word("refresh_token"), &[]).await.is_not_valid();
        let redeemed = scene.redeem(&client, &outstanding, &[]).await;
        redeemed.refused(400, "invalid_grant", "The code is not valid");
        assert!(browser.get("/account").await.text.contains("<h1>Sign in</h1>"));
    }
}

#[tokio::test]
async fn a_clients_session_ends_alone_on_the_page_and_in_the_api() {
    let office = Office::of_people().await;
    let (browser, client, tokens) = signed_in(&office).await;
    let sid = tokens.claims()["sid"].as_str().unwrap().to_owned();
    let page = browser.get("/account").await;
    assert!(page.text.contains(&format!("name=\"id\" value=\"{sid}\"")));
    browser.post("/account/revoke-session", &[("mark", &page.field("mark")), ("id", &sid)]).await;
    assert_eq!(office.get(&format!("{LIST}/{sid}")).await["status"], "revoked");
    assert!(!browser.get("/account").await.text.contains(&sid));
    office.scene.refresh_as(&client, &tokens.word("refresh_token"), &[]).await.is_not_valid();
    // The consent stands: the next session asks for nothing.
    let page = browser.get(&office.scene.request(&client, &[("resource", WHOAMI)])).await;
    let again = office.scene.redeem(&client, &page.answer("code").unwrap(), &[]).await;
    let sid = again.claims()["sid"].as_str().unwrap().to_owned();
    office.delete(&format!("{LIST}/{sid}")).await;
    assert!(!browser.get("/account").await.text.contains(&sid));
    office.scene.refresh_as(&client, &again.word("refresh_token"), &[]).await.is_not_valid();
}

#[tokio::test]
async fn a_device_gets_no_session_out_of_a_browser_that_is_signed_out() {
    let office = Office::of_people().await;
    let scene = &office.scene;
    let client = scene.public_client().await;
    let asked = scene.post("/oauth/2/device_authorization", &[("client_id", &client), ("resource", WHOAMI)]).await;
    let browser = Browser::new(scene);
    let page = browser.open(&format!("/device?user_code={}", asked.word("user_code"))).await;
    let (mark, user_code) = (page.field("mark"), page.field("user_code"));
    browser.post("/device", &[("mark", &mark), ("user_code", &user_code), ("decision", "allow")]).await;
    let top = office.get(&format!("{LIST}?status=active")).await;
    let top =
        top["items"].as_array().unwrap().iter().find(|item| item["metadata"]["name"] == "unknown browser").cloned();
    office.patch(&format!("{LIST}/{}", top.unwrap()["id"].as_str().unwrap()), json!({"status": "revoked"})).await;
    let code = asked.word("device_code");
    let form = [("grant_type", DEVICE_CODE), ("client_id", client.as_str()), ("device_code", code.as_str())];
    scene.post("/oauth/2/token", &form).await.refused(400, "expired_token", "The device code has expired");
}

#[tokio::test]
async fn an_application_has_a_session_for_as_long_as_it_comes_back() {
    let office = Office::new().await;
    let scene = &office.scene;
    let batch = scene.software("batch").await;
    scene.let_depend(&batch.id, WHOAMI).await;
    let form = [("grant_type", "client_credentials"), ("resource", WHOAMI)];
    let first = scene.ask(&batch.client, &form).await;
    let list = format!("{LIST}?session_type=application&expand[]=application");
    let session = Office::only(&office.get(&list).await);
    assert_eq!((&session["id"], &session["application_id"]), (&first.claims()["sid"], &json!(batch.id)));
    assert_eq!((&session["issuer"], &session["subject"]), (&json!(ISSUER), &json!(batch.id)));
    let own = office.get("/zones/{zone}/providers?filter[type]=keycard-sts").await;
    assert_eq!((&session["provider_id"], &session["application"]["name"]), (&own["items"][0]["id"], &json!("batch")));
    assert!(session["parent_id"].is_null() && session["user_id"].is_null());
    assert_eq!(office.get(&format!("{LIST}?session_type=user")).await["items"].as_array().unwrap().len(), 1);
    // The next token goes on with it, and writes nothing.
    scene.clock.advance(Duration::from_secs(3000));
    assert_eq!(scene.ask(&batch.client, &form).await.claims()["sid"], session["id"]);
    assert_eq!(Office::only(&office.get(&list).await), session);
    scene.clock.advance(Duration::from_secs(3000));
    assert_eq!(scene.ask(&batch.client, &form).await.claims()["sid"], session["id"]);
    assert_ne!(Office::only(&office.get(&list).await)["expires_at"], session["expires_at"]);
    // One that its client names itself, as the broker does for a run of an agent, is told as it was named.
    let named = [form[0], form[1], ("session_id", "ses_1")];
    assert_eq!(scene.ask(&batch.client, &named).await.claims()["sid"], "ses_1");
    // After its end its tokens are not active any more, and the application begins another.
    let token = scene.ask(&batch.client, &form).await.word("access_token");
    let introspect = async || {
        let form =
            [("client_id", batch.client.id.as_str()), ("client_secret", &batch.client.secret), ("token", &token)];
        scene.post("/oauth/2/introspect", &form).await.body["active"].clone()
    };
    assert_eq!(introspect().await, true);
    office.patch(&format!("{LIST}/{}", session["id"].as_str().unwrap()), json!({"status": "revoked"})).await;
    assert_eq!(introspect().await, false);
    let next = scene.ask(&batch.client, &form).await.claims()["sid"].clone();
    assert_ne!(next, session["id"]);
    scene.clock.advance(Duration::from_secs(24 * 3600));
    assert_eq!(Office::only(&office.get(&format!("{list}&status=expired")).await)["id"], next);
    let many = futures_util::future::join_all((0..8).map(|_| scene.ask(&batch.client, &form))).await;
    let sids: std::collections::HashSet<String> = many.iter().map(|reply| reply.claims()["sid"].to_string()).collect();
    assert_eq!(sids.len(), 1, "{sids:?}");
}

/// What an earlier version wrote.
const BEFORE: [&str; 12] = [
    "INSERT INTO organizations (id, name, label, home, created_at, updated_at) VALUES ('o1', 'Home', 'home', 1, 1, 1)",
    "INSERT INTO zones (id, organization_id, home, slug, name, created_at, updated_at)
     VALUES ('z1', 'o1', 1, 'home', 'Home', 1, 1)",
    "INSERT INTO providers (id, zone_id, slug, identifier, name, owner_type, type, created_at, updated_at)
     VALUES ('p1', 'z1', 'zone-provider', 'urn:valetkey:zone:z1', 'Zone Provider', 'platform', 'keycard-sts', 1, 1)",
    "INSERT INTO users (id, zone_id, identifier, email, created_at, updated_at) SELECT 'u1', id, 'ada@example.com',
     'ada@example.com', 1, 1 FROM zones",
    "INSERT INTO resources (id, zone_id, origin, slug, identifier, name, scopes, created_at, updated_at)
     SELECT 'r1', id, 'declared', 'w', 'https://whoami.valetkey.internal', 'w', 'read write', 1, 1 FROM zones",
    "INSERT INTO user_agents (id, zone_id, slug, identifier, name, created_at, updated_at)
     SELECT 'g1', id, 'old', 'ua_old', 'Old', 1, 1 FROM zones",
    "INSERT INTO browser_sessions (id, hash, user_id, browser, authenticated_at, expires_at)
     VALUES ('b1', 'h1', 'u1', 'Firefox', 1799999000000, 1800009000000)",
    "INSERT INTO oauth_sessions (id, user_id, client_id, browser_session_id, resources, scopes, authenticated_at,
     created_at) VALUES ('s1', 'u1', 'ua_old', 'b1', '[\"https://whoami.valetkey.internal\"]', 'read', 1799999000000,
     1799999000000)",
    "INSERT INTO oauth_sessions (id, user_id, client_id, browser_session_id, resources, scopes, authenticated_at,
     created_at, ended_at) VALUES ('s2', 'u1', 'ua_old', 'gone', '[]', 'openid', 1799999000000, 1799999000000,
     1799999500000)",
    "INSERT INTO oauth_refresh_tokens (hash, session_id, expires_at) VALUES
     ('7d83de3ac6fdea12e0eed1a0b5f3f3f2ebd2a8dd5cb31ddd3b1ad7d0a3a4e9bb', 's1', 1802000000000)",
    "INSERT INTO oauth_grants (user_id, client_id, resource, scopes, created_at, updated_at) VALUES
     ('u1', 'ua_old', 'https://whoami.valetkey.internal', 'read', 1799999000000, 1799999000000),
     ('u1', 'ua_old', 'http://127.0.0.1:7980', 'openid', 1799999000000, 1799999000000),
     ('u1', 'ua_old', 'http://127.0.0.1:7000', 'email openid', 1799998000000, 1799998000000),
     ('u1', 'ua_old', 'https://gone.example', 'a', 1799999000000, 1799999000000)",
    "INSERT INTO oauth_grants (user_id, client_id, resource, scopes, created_at, updated_at, revoked_at) VALUES
     ('u1', 'ua_older', 'https://whoami.valetkey.internal', 'write', 1799999000000, 1799999000000, 1799999100000)",
];

#[tokio::test]
async fn what_an_earlier_version_wrote_is_taken_over() {
    let scene = Scene::new().await;
    let database = new_database(&scene.folder.path().join("earlier")).await;
    if let Database::Sqlite(file) = &database {
        private_file::prepare_folder(file).unwrap();
        private_file::create_or_check(file).unwrap();
    }
    crate::zone::store::write_before(&database, 5, &BEFORE).await;
    let zone = open(&database, scene.folder.path(), &scene.clock).await;
    let scene = Scene { daemon: zone.sign_in().await.unwrap(), zone, database, ..scene };
    let office = Office::of(scene).await;
    let sessions = office.get(&format!("{LIST}?include_nested=true&user_id=u1")).await;
    let find = |id: &str| sessions["items"].as_array().unwrap().iter().find(|item| item["id"] == id).cloned().unwrap();
    assert_eq!((&find("b1")["metadata"]["name"], &find("b1")["status"]), (&json!("Firefox"), &json!("active")));
    assert_eq!((&find("s1")["parent_id"], &find("s1")["user_agent_id"]), (&json!("b1"), &json!("g1")));
    assert_eq!(find("s1")["expires_at"], Timestamp::from_millis(1_802_000_000_000).to_string());
    assert_eq!((&find("s2")["parent_id"], &find("s2")["status"]), (&Value::Null, &json!("revoked")));
    let grants = office.get("/zones/{zone}/delegated-grants").await;
    let grants: Vec<(&Value, &Value)> =
        grants["items"].as_array().unwrap().iter().map(|grant| (&grant["scopes"], &grant["status"])).collect();
    assert_eq!(grants.len(), 2, "{grants:?}");
    assert!(grants.contains(&(&json!(["read"]), &json!("active"))), "{grants:?}");
    assert!(grants.contains(&(&json!(["write"]), &json!("revoked"))), "{grants:?}");
    let sign_in = "SELECT client_id || ' ' || scopes FROM grants WHERE resource_id IS NULL";
    assert_eq!(office.scene.zone.store().dump(sign_in).await, "ua_old openid");
    let tokens = "SELECT hash FROM refresh_tokens WHERE session_id = 's1'";
    assert_eq!(office.scene.zone.store().dump(tokens).await.len(), 64);
}
