//! What the terraform provider writes, word for word as it was recorded: nulls, empty lists, and every field each time.

use super::management::Office;
use super::*;

fn id(body: &Value) -> String {
    body["id"].as_str().unwrap_or_else(|| panic!("no id in {body}")).to_owned()
}

/// Its own token, as it gets it: credentials in the form.
async fn signed_in(office: &Office) -> String {
    let account = office.post("/organizations/own/service-accounts", json!({"name": "terraform"})).await;
    let path = format!("/organizations/own/service-accounts/{}/credentials", id(&account));
    let pair = office.post(&path, json!({"name": "ci"})).await;
    let form = [
        ("client_id", pair["client_id"].as_str().unwrap()),
        ("client_secret", pair["client_secret"].as_str().unwrap()),
        ("grant_type", "client_credentials"),
    ];
    let answer = office.scene.post("/service-account-token", &form).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    answer.word("access_token")
}

#[tokio::test]
async fn an_apply_an_update_of_everything_an_import_and_a_destroy() {
    let office = Office::new().await;
    let office = Office { token: signed_in(&office).await, ..office };
    // Apply. Each create answers 200, which `post` holds.
    let zone = office.post("/zones", json!({"description": "d", "name": "n"})).await;
    let at = format!("/zones/{}", id(&zone));
    let endpoints =
        json!({"authorization_endpoint": "https://idp.example/a", "token_endpoint": "https://idp.example/t"});
    let provider = json!({"client_id": "c", "client_secret": "s", "identifier": "https://idp.example", "name": "p",
        "protocols": {"oauth2": endpoints}});
    let provider = office.post(&format!("{at}/providers"), provider).await;
    assert!(provider["client_secret_set"] == true && provider.get("client_secret").is_none());
    let application =
        json!({"identifier": "https://a.example", "name": "a", "protocols": {"oauth2": {"redirect_uris": []}}});
    let application = office.post(&format!("{at}/applications"), application).await;
    assert_eq!(application["protocols"]["oauth2"]["redirect_uris"], json!([]));
    let credentials = format!("{at}/application-credentials");
    let of = application["id"].clone();
    let password = office.post(&credentials, json!({"application_id": of, "type": "password"})).await;
    assert!(password["password"].is_string());
    let url = json!({"application_id": of, "identifier": "https://a.example/client", "type": "url"});
    let url = office.post(&credentials, url).await;
    let token = json!({"application_id": of, "provider_id": provider["id"], "subject": "s", "type": "token"});
    let token = office.post(&credentials, token).await;
    let resource = json!({"identifier": "https://r.example", "name": "r"});
    let resource = office.post(&format!("{at}/resources"), resource).await;
    let dependency = format!("{at}/applications/{}/dependencies/{}", id(&application), id(&resource));
    let put = office.call("PUT", &dependency, None).await;
    assert_eq!((put.status, &put.body), (StatusCode::NO_CONTENT, &Value::Null));
    office.patch(&at, json!({"user_identity_provider_id": provider["id"]})).await;

    // A plan right after: what is read is what was written. An empty `when_accessing` would make it replace the dependency.
    let read = office.get(&dependency).await;
    assert_eq!(read["id"], resource["id"]);
    assert!(read.get("when_accessing").is_none(), "{read}");
    let found = office.get(&format!("{at}/resources?identifier=https://r.example")).await;
    assert_eq!(found["items"].as_array().unwrap().len(), 1);
    let secret = office.get(&format!("{credentials}/{}", id(&password))).await;
    assert!(secret.get("password").is_none());

    // Updates, each with every field, nulls included.
    let change = json!({"description": "e", "encryption_key": null, "name": "m",
        "protocols": {"oauth2": {"dcr_enabled": false, "pkce_required": true}}});
    let changed = office.patch(&at, change).await;
    assert_eq!((&changed["name"], &changed["protocols"]["oauth2"]["dcr_enabled"]), (&json!("m"), &json!(false)));
    assert_eq!(changed["user_identity_provider_id"], provider["id"]);
    let change = json!({"description": null, "identifier": "https://a2.example", "metadata": null, "name": "a2",
        "protocols": null, "traits": null});
    let changed = office.patch(&format!("{at}/applications/{}", id(&application)), change).await;
    assert_eq!((&changed["identifier"], &changed["protocols"]), (&json!("https://a2.example"), &Value::Null));
    let change = json!({"client_id": "c2", "client_secret": null, "description": null, "identifier": "https://idp.example",
        "metadata": null, "name": "p2", "protocols": {"oauth2": endpoints}});
    let changed = office.patch(&format!("{at}/providers/{}", id(&provider)), change).await;
    assert_eq!((&changed["client_id"], &changed["client_secret_set"]), (&json!("c2"), &json!(false)));
    assert_eq!(changed["protocols"]["oauth2"]["token_endpoint"], endpoints["token_endpoint"]);
    let change = json!({"application_id": of, "credential_provider_id": provider["id"], "description": null,
        "identifier": "https://r.example", "metadata": null, "name": "r2", "scopes": null});
    let changed = office.patch(&format!("{at}/resources/{}", id(&resource)), change).await;
    assert_eq!((&changed["application_id"], &changed["scopes"]), (&of, &Value::Null));
    let changed =
        office.patch(&format!("{credentials}/{}", id(&token)), json!({"subject": null, "type": "token"})).await;
    assert_eq!((&changed["subject"], &changed["provider_id"]), (&Value::Null, &provider["id"]));
    let cleared = office.patch(&at, json!({"user_identity_provider_id": null})).await;
    assert_eq!(cleared["user_identity_provider_id"], Value::Null);

    // Import reads by id, and a destroy ends with nothing.
    for path in [&format!("{at}/providers/{}", id(&provider)), &at, &format!("{credentials}/{}", id(&url))] {
        assert_eq!(office.get(path).await["id"].as_str().unwrap(), path.rsplit('/').next().unwrap());
    }
    for path in [
        dependency,
        format!("{at}/resources/{}", id(&resource)),
        format!("{credentials}/{}", id(&token)),
        format!("{credentials}/{}", id(&url)),
        format!("{credentials}/{}", id(&password)),
        format!("{at}/applications/{}", id(&application)),
        format!("{at}/providers/{}", id(&provider)),
        at,
    ] {
        office.delete(&path).await;
        assert_eq!(office.refused("GET", &path, None).await, (404, "not_found".to_owned()));
    }
}

#[tokio::test]
async fn a_single_sign_on_is_enabled_with_201_changed_and_disabled() {
    let office = Office::new().await;
    let organization = office.get("/organizations").await["items"][0]["id"].as_str().unwrap().to_owned();
    let path = format!("/organizations/{organization}/sso-connection");
    let body = json!({"client_id": "c", "client_secret": "s", "identifier": "https://idp.example", "protocols": null});
    let made = office.call("POST", &path, Some(&body)).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.body);
    let change =
        json!({"client_id": "c2", "client_secret": "s2", "identifier": "https://idp2.example", "protocols": null});
    assert_eq!(office.patch(&path, change).await["identifier"], "https://idp2.example");
    office.delete(&path).await;
    assert_eq!(office.refused("GET", &path, None).await, (404, "not_found".to_owned()));
}
