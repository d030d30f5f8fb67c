//! The catalogue, and what installing a package makes.

use super::management::Office;
use super::*;

const LIST: &str = "/catalog/zones/{zone}/packages";
const INSTALL: &str = "/catalog/zones/{zone}/install";

fn with_client(package: &str) -> Value {
    json!({"package_id": package, "fields": {"client_id": "c", "client_secret": "hunter2"}})
}

/// What must be there for a package to be: by their identifiers.
async fn there(office: &Office) -> (Vec<Value>, Vec<Value>) {
    let providers = office.get("/zones/{zone}/providers?type=external").await;
    let resources = office.get("/zones/{zone}/resources?filter[owner_type]=customer").await;
    let items = |page: Value| page["items"].as_array().unwrap().clone();
    (items(providers), items(resources))
}

#[tokio::test]
async fn every_package_is_installed_once_and_whole() {
    let office = Office::new().await;
    let catalogue = office.get(&format!("{LIST}?expand[]=total_count")).await;
    let packages = catalogue["items"].as_array().unwrap();
    assert_eq!(catalogue["pagination"]["total_count"], packages.len());
    assert!(packages.len() >= 7);
    for package in packages {
        let id = package["id"].as_str().unwrap();
        assert_eq!(package["installed"], false, "{id}");
        let asks = package["fields"].as_array().unwrap();
        let fields: serde_json::Map<String, Value> =
            asks.iter().map(|field| (field["name"].as_str().unwrap().to_owned(), json!("hunter2"))).collect();
        let before = there(&office).await;
        let body = json!({"package_id": id, "fields": fields});
        let made = office.call("POST", INSTALL, Some(&body)).await;
        assert_eq!((made.status, &made.body), (StatusCode::CREATED, &Value::Null), "{id}: {}", made.body);
        let (providers, resources) = there(&office).await;
        assert_eq!(providers.len() - before.0.len(), usize::from(!package["provider"].is_null()), "{id}");
        let named = package["resources"].as_array().unwrap();
        assert_eq!(resources.len() - before.1.len(), named.len(), "{id}");
        for resource in named {
            let made = resources.iter().find(|made| made["identifier"] == resource["identifier"]).unwrap();
            assert!(made["credential_provider_id"].is_string() && made["prefix"] == true, "{made}");
        }
        assert_eq!(office.refused("POST", INSTALL, Some(body)).await, (409, "conflict".to_owned()), "{id}");
        let after = there(&office).await;
        assert_eq!((after.0.len(), after.1.len()), (providers.len(), resources.len()), "{id}");
    }
    let catalogue = office.get(LIST).await;
    assert!(catalogue["items"].as_array().unwrap().iter().all(|package| package["installed"] == true));
}

#[tokio::test]
async fn slack_speaks_its_own_dialect_and_keeps_its_secret() {
    let office = Office::new().await;
    assert_eq!(office.call("POST", INSTALL, Some(&with_client("slack"))).await.status, StatusCode::CREATED);
    let (providers, resources) = there(&office).await;
    let oauth2 = &providers[0]["protocols"]["oauth2"];
    assert_eq!((&oauth2["scope_parameter"], &oauth2["scope_separator"]), (&json!("user_scope"), &json!(",")));
    assert_eq!(oauth2["token_response_access_token_pointer"], "authed_user.access_token");
    assert_eq!((&providers[0]["client_id"], &providers[0]["client_secret_set"]), (&json!("c"), &json!(true)));
    assert_eq!(resources[0]["credential_provider_id"], providers[0]["id"]);
    assert!(!office.get(LIST).await.to_string().contains("hunter2"));
    let sealed = office.scene.zone.store().dump("SELECT coalesce(client_secret_sealed, '') FROM providers").await;
    assert!(!sealed.contains("hunter2") && sealed.len() > 20);
}

#[tokio::test]
async fn the_zone_itself_vouches_at_anthropic() {
    let office = Office::new().await;
    assert_eq!(
        office.call("POST", INSTALL, Some(&json!({"package_id": "anthropic"}))).await.status,
        StatusCode::CREATED
    );
    let (_, resources) = there(&office).await;
    let own = office.get("/zones/{zone}/providers?type=keycard-sts").await["items"][0]["id"].clone();
    assert_eq!((&resources[0]["credential_provider_id"], &resources[0]["scopes"]), (&own, &Value::Null));
    assert_eq!(resources[0]["credential_lifetime_seconds"], 3600);
}

#[tokio::test]
async fn what_is_off_is_named_and_nothing_is_made() {
    let office = Office::new().await;
    let secret = json!({"client_id": "c", "client_secret": "s"});
    for (body, field) in [
        (json!({"package_id": "nothing", "fields": secret}), "package_id"),
        (json!({"package_id": "github", "fields": {"client_id": "c"}}), "fields.client_secret"),
        (json!({"package_id": "github"}), "fields.client_id"),
        (json!({"package_id": "github", "fields": {"client_id": "", "client_secret": "s"}}), "fields.client_id"),
        (json!({"package_id": "anthropic", "fields": secret}), "fields.client_id"),
    ] {
        let reply = office.call("POST", INSTALL, Some(&body)).await;
        assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{body}");
        assert!(reply.word("message").starts_with(&format!("`{field}`")), "{}", reply.body);
    }
    for wrong in [json!({}), json!({"package_id": 1}), json!({"package_id": "github", "fields": {"client_id": 1}})] {
        assert_eq!(office.refused("POST", INSTALL, Some(wrong)).await.0, 400);
    }
    // One of three resources is there: none is made, and no provider.
    let drive = json!({"identifier": "https://www.googleapis.com/drive/v3", "name": "mine"});
    office.post("/zones/{zone}/resources", drive).await;
    assert_eq!(office.refused("POST", INSTALL, Some(with_client("google"))).await.0, 409);
    let (providers, resources) = there(&office).await;
    assert_eq!((providers.len(), resources.len()), (0, 1));
    // Who may not write both may not install, and who knows nothing of the zone hears of none.
    for scopes in
        [&["packages:write", "providers:write"][..], &["packages:write", "resources:write"], &["packages:read"]]
    {
        let token = office.scene.token(scopes).await;
        let reply = office.call_as(&token, "POST", INSTALL, Some(&with_client("github"))).await;
        assert_eq!(reply.status, StatusCode::FORBIDDEN, "{scopes:?}");
        assert_eq!(office.call_as(&token, "GET", LIST, None).await.status, StatusCode::OK);
    }
    let token = office.scene.token(&["packages:write", "providers:write", "resources:write"]).await;
    assert_eq!(office.call_as(&token, "POST", INSTALL, Some(&with_client("github"))).await.status, StatusCode::CREATED);
    assert_eq!(office.refused("GET", "/catalog/zones/nothing/packages", None).await.0, 404);
    assert_eq!(office.refused("POST", "/catalog/zones/nothing/install", Some(with_client("slack"))).await.0, 404);
}
