//! Providers: where their secrets go.

use super::management::Office;
use super::*;

#[tokio::test]
async fn a_secret_goes_nowhere_else_unless_whoever_says_so_knows_it() {
    let office = Office::new().await;
    let list = "/zones/{zone}/providers";
    let made = office
        .post(
            list,
            json!({
                "identifier": "https://idp.example", "name": "p", "client_id": "us", "client_secret": "hunter22",
                "protocols": {"oauth2": {"token_endpoint": "https://idp.example/token"}},
            }),
        )
        .await;
    let path = format!("{list}/{}", made["id"].as_str().unwrap());
    for elsewhere in [
        json!({"protocols": {"oauth2": {"token_endpoint": "https://evil.test/token"}}}),
        json!({"protocols": {"oauth2": {"token_endpoint": null}}}),
        json!({"protocols": {"oauth2": {"issuer": "https://evil.test"}}}),
        json!({"protocols": {"oauth2": null}, "identifier": "https://evil.test"}),
        json!({"protocols": null}),
    ] {
        let before = office.get(&path).await;
        let refused = office.call("PATCH", &path, Some(&elsewhere)).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{elsewhere}: {}", refused.body);
        assert!(refused.word("message").contains("`client_secret`"), "{}", refused.body);
        assert_eq!(office.get(&path).await, before, "something was written");
    }
    // What does not move it needs no secret.
    for here in [
        json!({"name": "q", "client_id": "we", "description": "d"}),
        json!({"protocols": {"oauth2": {"authorization_endpoint": "https://idp.example/in"}}}),
        json!({"protocols": {"oauth2": {"token_endpoint": "https://idp.example/token"}}}),
    ] {
        assert_eq!(office.patch(&path, here).await["client_secret_set"], true);
    }
    // Whoever sends it again knows it; without a secret there is nothing to be sent astray.
    let mut moved = json!({"protocols": {"oauth2": {"token_endpoint": "https://idp.example/2/token"}}});
    moved["client_secret"] = json!("hunter22");
    assert_eq!(office.patch(&path, moved).await["client_secret_set"], true);
    let moved = json!({"protocols": {"oauth2": {"issuer": "https://new.example"}}, "client_secret": null});
    assert_eq!(office.patch(&path, moved).await["client_secret_set"], false);
    office.patch(&path, json!({"protocols": {"oauth2": {"token_endpoint": "https://new.example/token"}}})).await;
}
