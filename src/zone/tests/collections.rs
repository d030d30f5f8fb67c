//! The collections of the management API, one after the other.

use super::management::Office;
use super::management::names;
use super::*;

fn id(body: &Value) -> String {
    body["id"].as_str().unwrap_or_else(|| panic!("no id in {body}")).to_owned()
}

impl Office {
    async fn resource(&self, identifier: &str) -> String {
        id(&self.post("/zones/{zone}/resources", json!({"name": "r", "identifier": identifier})).await)
    }
}

#[tokio::test]
async fn each_type_of_credential_is_made_and_read() {
    let office = Office::new().await;
    let app = office.application("a").await;
    let provider = json!({"name": "GitHub", "identifier": "https://token.actions.example"});
    let provider = id(&office.post("/zones/{zone}/providers", provider).await);
    let list = "/zones/{zone}/application-credentials";
    let token = json!({"type": "token", "application_id": app, "provider_id": provider, "subject": null});
    let token = office.post(list, token).await;
    assert_eq!((&token["identifier"], &token["subject"]), (&json!("*"), &Value::Null));
    let path = format!("{list}/{}", id(&token));
    let changed = office.patch(&path, json!({"type": "token", "subject": "repo:a"})).await;
    assert_eq!((&changed["identifier"], &changed["subject"]), (&json!("repo:a"), &json!("repo:a")));
    assert_eq!(office.patch(&path, json!({"type": "token", "subject": null})).await["identifier"], "*");
    assert_eq!(office.refused("PATCH", &path, Some(json!({"type": "url"}))).await.0, 400);
    let key = json!({"type": "public-key", "application_id": app, "jwks_uri": "https://a.example/jwks"});
    assert_eq!(office.post(list, key).await["jwks_uri"], "https://a.example/jwks");
    let url = json!({"type": "url", "application_id": app, "identifier": "https://a.example/cimd"});
    let made = office.post(list, url.clone()).await;
    assert_eq!(made["identifier"], "https://a.example/cimd");
    assert_eq!(office.refused("POST", list, Some(url)).await.0, 409);
    assert_eq!(office.post(list, json!({"type": "public", "application_id": app})).await["type"], "public");
    for (wrong, why) in [
        (json!({"type": "token", "application_id": app}), "no provider"),
        (json!({"type": "token", "application_id": app, "provider_id": "x"}), "unknown provider"),
        (json!({"type": "password", "application_id": "x"}), "unknown application"),
        (json!({"type": "magic", "application_id": app}), "unknown type"),
        (json!({"application_id": app}), "no type"),
        (json!({"type": "url", "application_id": app, "identifier": "nourl"}), "no URL"),
    ] {
        assert_eq!(office.refused("POST", list, Some(wrong)).await.0, 400, "{why}");
    }
    let all = office.get(&format!("{list}?applicationId={app}")).await;
    assert_eq!(all["items"].as_array().unwrap().len(), 4);
    assert_eq!(office.get(&format!("/zones/{{zone}}/applications/{app}/application-credentials")).await, all);
    office.delete(&path).await;
    assert_eq!(office.refused("GET", &path, None).await.0, 404);
}

#[tokio::test]
async fn a_password_is_shown_once_and_opens_the_token_endpoint() {
    let office = Office::new().await;
    let app = office.application("a").await;
    let list = "/zones/{zone}/application-credentials";
    let made = office.post(list, json!({"type": "password", "application_id": app, "identifier": "my-client"})).await;
    assert_eq!(made["identifier"], "my-client");
    let password = made["password"].as_str().unwrap();
    let path = format!("{list}/{}", id(&made));
    assert!(office.get(&path).await.get("password").is_none());
    assert!(office.get(list).await.to_string().find(password).is_none());
    let agent = Agent { id: "my-client".to_owned(), secret: password.to_owned() };
    let resource = json!({"name": "API", "identifier": "https://api.example", "scopes": ["read", "write"],
        "credential_lifetime_seconds": 90});
    let resource = id(&office.post("/zones/{zone}/resources", resource).await);
    let needs = format!("/zones/{{zone}}/applications/{app}/dependencies/{resource}");
    office.call("PUT", &needs, None).await;
    let form = [("grant_type", "client_credentials"), ("resource", "https://api.example")];
    let claims = office.scene.ask(&agent, &form).await.claims();
    assert_eq!(claims["client_id"], "my-client");
    assert_eq!(claims["sub"], app);
    assert_eq!(claims["scope"], "read write");
    assert_eq!(claims["exp"], NOW + 90);
    office.delete(&path).await;
    office.scene.ask(&agent, &form).await.refused(401, "invalid_client", "Client authentication failed");
}

#[tokio::test]
async fn a_provider_keeps_its_secret() {
    let office = Office::new().await;
    let list = "/zones/{zone}/providers";
    assert_eq!(names(&office.get(list).await), ["Zone Provider"]);
    let own = id(&office.get(&format!("{list}?type=keycard-sts")).await["items"][0]);
    assert_eq!(office.refused("DELETE", &format!("{list}/{own}"), None).await.0, 403);
    let body = json!({"name": "Google", "identifier": "https://accounts.example", "client_id": "c",
        "client_secret": "hunter2", "protocols": {"oauth2": {"token_endpoint": "https://accounts.example/token",
        "authorization_endpoint": "https://accounts.example/auth"}}});
    let made = office.post(list, body).await;
    assert_eq!(made["type"], "external");
    assert_eq!(made["client_secret_set"], true);
    assert!(!made.to_string().contains("hunter2"));
    assert_eq!(made["protocols"]["oauth2"]["issuer"], "https://accounts.example");
    let path = format!("{list}/{}", id(&made));
    let change = json!({"client_secret": null, "description": "d",
        "protocols": {"oauth2": {"token_endpoint": null, "scope_separator": ","}}});
    let changed = office.patch(&path, change).await;
    assert_eq!(changed["client_secret_set"], false);
    assert_eq!(changed["protocols"]["oauth2"]["token_endpoint"], Value::Null);
    assert_eq!(changed["protocols"]["oauth2"]["scope_separator"], ",");
    assert_eq!(changed["protocols"]["oauth2"]["authorization_endpoint"], "https://accounts.example/auth");
    assert_eq!(office.patch(&path, json!({"protocols": null})).await["protocols"], Value::Null);
    for wrong in [json!({"oauth2": {"token_endpoint": "x"}}), json!({"oauth2": {"scopes_supported": 5}}), json!(1)] {
        assert_eq!(office.refused("PATCH", &path, Some(json!({"protocols": wrong}))).await.0, 400);
    }
    assert_eq!(office.refused("GET", &format!("{list}?filter[type]=magic"), None).await.0, 400);
    assert_eq!(names(&office.get(&format!("{list}?filter[type]=external&sort=-name")).await), ["Google"]);
    office.delete(&path).await;
}

#[tokio::test]
async fn a_resource_is_made_changed_and_never_the_zone_itself() {
    let office = Office::new().await;
    let list = "/zones/{zone}/resources";
    let app = office.application("a").await;
    let body = json!({"name": "API", "identifier": "https://api.example", "application_id": app, "prefix": true,
        "scopes": ["a", "b"], "credential_lifetime_seconds": 3600, "application_type": "native"});
    let made = office.post(list, body).await;
    let path = format!("{list}/{}", id(&made));
    assert_eq!(made["application_type"], "native");
    assert_eq!(made["scopes"], json!(["a", "b"]));
    assert!(made.get("when_accessing").is_none());
    assert_eq!(office.get(&format!("/zones/{{zone}}/applications/{app}/resources")).await["items"][0], made);
    let change = json!({"application_id": null, "scopes": null, "credential_lifetime_seconds": null, "prefix": false,
        "identifier": "https://api.example", "name": "API", "metadata": null, "description": null});
    let changed = office.patch(&path, change).await;
    for gone in ["application_id", "scopes", "credential_lifetime_seconds"] {
        assert_eq!(changed[gone], Value::Null, "{gone}");
    }
    assert_eq!(changed["prefix"], false);
    for (field, value) in [
        ("identifier", json!(ISSUER)),
        ("identifier", json!(format!("{ISSUER}/"))),
        ("identifier", json!(format!("{ISSUER}/management"))),
        ("application_id", json!("x")),
        ("credential_provider_id", json!("x")),
        ("credential_lifetime_seconds", json!(59)),
        ("credential_lifetime_seconds", json!(86401)),
        ("scopes", json!(["a b"])),
        ("scopes", json!([""])),
    ] {
        assert_eq!(office.refused("PATCH", &path, Some(json!({field: value}))).await.0, 400, "{field}");
    }
    let found = office.get(&format!("{list}?identifier=https://api.example")).await;
    assert_eq!(found["items"].as_array().unwrap().len(), 1);
    // What the configuration declares is the platform's.
    let declared = office.get(&format!("{list}?filter[owner_type]=platform&identifier={WHOAMI}")).await;
    let declared = format!("{list}/{}", id(&declared["items"][0]));
    assert_eq!(office.refused("PATCH", &declared, Some(json!({"name": "x"}))).await.0, 403);
    assert_eq!(office.refused("DELETE", &declared, None).await.0, 403);
    office.delete(&path).await;
}

#[tokio::test]
async fn a_dependency_is_put_read_and_counted() {
    let office = Office::new().await;
    let app = office.application("a").await;
    let (one, two) = (office.resource("https://one.example").await, office.resource("https://two.example").await);
    let list = format!("/zones/{{zone}}/applications/{app}/dependencies");
    let (plain, conditional) = (format!("{list}/{one}"), format!("{list}/{two}"));
    assert_eq!(office.call("PUT", &plain, None).await.status, StatusCode::NO_CONTENT);
    assert_eq!(office.call("PUT", &plain, None).await.status, StatusCode::NO_CONTENT);
    let with = format!("{conditional}?when_accessing={one}&when_accessing={two}");
    assert_eq!(office.call("PUT", &with, None).await.status, StatusCode::NO_CONTENT);
    assert!(office.get(&plain).await.get("when_accessing").is_none());
    assert_eq!(office.get(&conditional).await["when_accessing"], json!([one, two]));
    assert_eq!(office.get(&list).await["items"].as_array().unwrap().len(), 2);
    assert_eq!(office.get(&format!("{list}?when_accessing={one}")).await["items"][0]["id"], two);
    assert_eq!(office.get(&format!("/zones/{{zone}}/applications/{app}")).await["dependencies_count"], 2);
    assert_eq!(office.refused("PUT", &format!("{list}/nothing"), None).await.0, 404);
    assert_eq!(office.refused("PUT", &format!("{plain}?when_accessing=x"), None).await.0, 400);
    office.delete(&plain).await;
    assert_eq!(office.refused("GET", &plain, None).await.0, 404);
    assert_eq!(office.refused("DELETE", &plain, None).await.0, 404);
    office.delete(&format!("/zones/{{zone}}/resources/{two}")).await;
    assert_eq!(office.get(&format!("/zones/{{zone}}/applications/{app}")).await["dependencies_count"], 0);
}

#[tokio::test]
async fn a_session_is_listed_and_its_end_ends_the_refresh_token() {
    let office = Office::new().await;
    let user = id(&office.get("/zones/{zone}/users?filter[email]=ada@example.com").await["items"][0]);
    let list = "/zones/{zone}/sessions";
    let sessions = office.get(&format!("{list}?user_id={user}&session_type=user&active=true")).await;
    let session = &sessions["items"][0];
    assert_eq!((&session["status"], &session["active"]), (&json!("active"), &json!(true)));
    assert_eq!(session["metadata"]["name"], "valetkey");
    let path = format!("{list}/{}", id(session));
    assert_eq!(office.refused("PATCH", &path, Some(json!({"status": "active"}))).await.0, 400);
    assert_eq!(office.patch(&path, json!({"status": "revoked"})).await["status"], "revoked");
    assert_eq!(office.get(&format!("{list}?status=active")).await["items"], json!([]));
    office.scene.refresh(text(&office.scene.daemon.refresh_token)).await.is_not_valid();
    office.delete(&path).await;
    assert_eq!(office.refused("GET", &path, None).await.0, 404);
    assert_eq!(office.refused("GET", &format!("{list}?status=x"), None).await.0, 400);
    assert_eq!(office.refused("GET", &format!("{list}?session_type=x"), None).await.0, 400);
}

#[tokio::test]
async fn roles_decide_what_a_signed_in_user_may_do() {
    let office = Office::new().await;
    let ada = office.scene.session_token().await;
    // The owner administers the organisation, and so each zone of it.
    let other = id(&office.post("/zones", json!({"name": "Other"})).await);
    let body = json!({"name": "a", "identifier": "https://a.example"});
    let apps = format!("/zones/{other}/applications");
    assert_eq!(office.call_as(&ada, "POST", &apps, Some(&body)).await.status, StatusCode::OK);
    // Bob belongs to the organisation only.
    let bob = Settings {
        owner: UserName::parse("bob").unwrap(),
        ..settings(&office.scene.database, office.scene.folder.path(), &office.scene.clock)
    };
    let zone = Zone::open(bob).await.unwrap();
    let scene = Scene { daemon: zone.sign_in().await.unwrap(), zone, ..office.scene };
    let user = id(&{
        let office = Office { scene, ..office };
        let found = office.get("/zones/{zone}/users?filter[identifier]=bob").await["items"][0].clone();
        let change = "UPDATE organization_members SET role = 'org_member' WHERE user_id = $1";
        office.scene.zone.store().execute(change, &id(&found)).await;
        let bob = office.scene.session_token().await;
        let listed = office.call_as(&bob, "GET", "/zones", None).await;
        assert_eq!(listed.body["items"], json!([]));
        assert_eq!(office.call_as(&bob, "GET", &apps, None).await.status, StatusCode::NOT_FOUND);
        let members = format!("/zones/{other}/members");
        let viewer = json!({"organization_user_id": id(&found), "role": "zone_viewer"});
        assert_eq!(office.post(&members, viewer.clone()).await["role"], "zone_viewer");
        assert_eq!(office.refused("POST", &members, Some(viewer)).await.0, 409);
        let stranger = json!({"organization_user_id": "x", "role": "zone_viewer"});
        assert_eq!(office.refused("POST", &members, Some(stranger)).await.0, 400);
        assert_eq!(office.call_as(&bob, "GET", &apps, None).await.status, StatusCode::OK);
        let body = json!({"name": "b", "identifier": "https://b.example"});
        assert_eq!(office.call_as(&bob, "POST", &apps, Some(&body)).await.status, StatusCode::FORBIDDEN);
        let resource = json!({"name": "r", "identifier": "https://r.example"});
        let resource = id(&office.post(&format!("/zones/{other}/resources"), resource).await);
        let secret = json!({"name": "k", "entity_id": resource, "data": {"type": "token", "token": "t"}});
        let secrets = format!("/zones/{other}/secrets");
        let secret = format!("{secrets}/{}", id(&office.post(&secrets, secret).await));
        assert_eq!(office.call_as(&bob, "GET", &secrets, None).await.status, StatusCode::OK);
        assert_eq!(office.call_as(&bob, "GET", &secret, None).await.status, StatusCode::FORBIDDEN);
        let own = format!("{members}/{}", id(&found));
        let up = json!({"role": "zone_manager"});
        assert_eq!(office.call_as(&bob, "PATCH", &own, Some(&up)).await.status, StatusCode::FORBIDDEN);
        assert_eq!(office.patch(&own, up).await["role"], "zone_manager");
        assert_eq!(office.call_as(&bob, "POST", &apps, Some(&body)).await.status, StatusCode::OK);
        let listed = office.call_as(&bob, "GET", "/zones", None).await;
        assert_eq!(names(&listed.body), ["Other"]);
        office.delete(&own).await;
        assert_eq!(office.call_as(&bob, "GET", &apps, None).await.status, StatusCode::NOT_FOUND);
        found
    });
    assert_eq!(user.len(), 26);
}

#[tokio::test]
async fn a_secret_is_sealed_and_opened_one_at_a_time() {
    let office = Office::new().await;
    let resource = office.resource("https://one.example").await;
    let list = "/zones/{zone}/secrets";
    let body = json!({"name": "key", "entity_id": resource, "data": {"type": "token", "token": "hunter2"},
        "metadata": {"a": 1}});
    let made = office.post(list, body).await;
    assert_eq!((&made["type"], &made["version"]), (&json!("token"), &json!(1)));
    let path = format!("{list}/{}", id(&made));
    assert!(made.get("data").is_none());
    assert!(!office.get(list).await.to_string().contains("hunter2"));
    assert_eq!(office.get(&path).await["data"], json!({"type": "token", "token": "hunter2"}));
    let change = json!({"data": {"type": "password", "username": "u", "password": "hunter3"}, "metadata": null});
    let changed = office.patch(&path, change).await;
    assert_eq!((&changed["type"], &changed["version"]), (&json!("password"), &json!(2)));
    assert_eq!(office.get(&path).await["data"]["password"], "hunter3");
    assert_eq!(office.get(&format!("{list}?type=token")).await, json!([]));
    assert_eq!(office.get(&format!("{list}?entity_id={resource}")).await.as_array().unwrap().len(), 1);
    // No envelope: where there is more, a header says so.
    let second = json!({"name": "second", "entity_id": resource, "data": {"type": "token", "token": "t"}});
    let second = office.post(list, second).await;
    let page = office.call("GET", &format!("{list}?limit=1&sort=name"), None).await;
    assert_eq!(page.body[0]["id"], made["id"]);
    let next = page.header("link").strip_prefix('<').unwrap().strip_suffix(">; rel=\"next\"").unwrap().to_owned();
    let page = office.call("GET", &format!("{list}{next}&sort=name"), None).await;
    assert_eq!((&page.body[0]["id"], page.header("link")), (&second["id"], ""));
    let wrong = json!({"name": "x", "entity_id": "x", "data": {"type": "token", "token": "t"}});
    assert_eq!(office.refused("POST", list, Some(wrong)).await.0, 400);
    let sealed = office.scene.zone.store().dump("SELECT data_sealed FROM secrets").await;
    assert!(!sealed.contains("hunter"));
    office.delete(&path).await;
}

/// The plans themselves are looked at by the store, in each list of each test.
#[tokio::test]
async fn no_filter_and_no_order_reads_a_whole_table() {
    let office = Office::new().await;
    let app = office.application("a").await;
    let named = "identifier=x slug=x filter[id]=x filter[identifier]=x filter[slug]=x query[]=x query[name]=x \
        query[identifier]=x sort=name sort=-name sort=identifier sort=updated_at sort=-created_at expand[]=total_count";
    let lists = [
        ("/zones", "slug=x filter[organization_id]=x sort=name"),
        ("/zones/{zone}/applications", named),
        ("/zones/{zone}/application-credentials", "applicationId=x slug=x"),
        ("/zones/{zone}/applications/{app}/application-credentials", ""),
        ("/zones/{zone}/applications/{app}/resources", named),
        ("/zones/{zone}/applications/{app}/dependencies", "when_accessing=x"),
        ("/zones/{zone}/providers", &format!("{named} type=external filter[type]=external")),
        ("/zones/{zone}/resources", &format!("{named} credentialProviderId=x filter[owner_type]=platform")),
        (
            "/zones/{zone}/delegated-grants",
            "user_id=x resource_id=x status=active status=expired status=revoked active=true expand[]=user \
            expand[]=resource expand[]=provider",
        ),
        (
            "/zones/{zone}/sessions",
            "user_id=x session_type=user status=active status=expired status=revoked include_nested=true \
            expand[]=user expand[]=application expand[]=user_agent",
        ),
        (
            "/zones/{zone}/users",
            "filter[id]=x filter[email]=x filter[identifier]=x filter[issuer]=x filter[subject]=x \
            filter[external]=true query[]=x query[email]=x query[subject]=x sort=email sort=identifier sort=updated_at",
        ),
        ("/zones/{zone}/user-agents", "sort=name sort=identifier sort=updated_at"),
        ("/zones/{zone}/members", ""),
        ("/organizations", ""),
        ("/zones/{zone}/secrets", "entity_id=x type=token owner_type=customer sort=name"),
    ];
    for (list, queries) in lists {
        let list = list.replace("{app}", &app);
        office.get(&list).await;
        for query in queries.split_whitespace() {
            let page = office.get(&format!("{list}?{query}&limit=1")).await;
            if let Some(after) = page["page_info"]["end_cursor"].as_str() {
                office.get(&format!("{list}?{query}&limit=1&after={after}")).await;
                office.get(&format!("{list}?{query}&limit=1&before={after}")).await;
            }
        }
    }
}
