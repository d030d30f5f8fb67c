//! Endpoints that are down, slow or lying: each has its words, none is hammered, none is believed.

use serde_json::json;
use tokio::io::AsyncReadExt as _;
use tokio::io::AsyncWriteExt as _;

use super::*;
use crate::credential::Fault;
use crate::resource::TokenEndpoint;

/// The vault speaks to the zone as one client and asks for its own credentials, so that the first token request
/// is the one that matters.
async fn world() -> (World, Arc<Resource>) {
    let issuer = Issuer::start().await;
    let access = one_client(&issuer.url, None, Persist::nowhere());
    let source =
        Source::ClientCredentials { scopes: Scopes::default(), target: TargetParameter::Resource, endpoint: None };
    (World::with(issuer, access), resource("urn:api", source, CredentialHeader::bearer()))
}

#[tokio::test]
async fn a_lying_endpoint_is_not_believed() {
    let good = json!({"access_token": "t", "token_type": "Bearer", "expires_in": 60});
    let with = |name: &str, value: serde_json::Value| {
        let mut answer = good.clone();
        answer[name] = value;
        answer.to_string()
    };
    for (status, body, words) in [
        (200, "{".to_owned(), "no JSON"),
        (200, "<html>sign in</html>".to_owned(), "no JSON"),
        (200, "[]".to_owned(), "no JSON"),
        (200, r#"{"access_token":"a","access_token":"b","token_type":"Bearer"}"#.to_owned(), "no JSON"),
        (200, with("access_token", json!("")), "no `access_token`"),
        (200, with("access_token", json!(null)), "no `access_token`"),
        (200, with("access_token", json!("a\nx-evil: 1")), "no header may carry"),
        (200, with("access_token", json!("a b")), "no header may carry"),
        (200, with("access_token", json!("ü")), "no header may carry"),
        (200, with("access_token", json!("x".repeat(16 * 1024 + 1))), "too long"),
        (200, with("token_type", json!("mac")), "token_type"),
        (200, with("token_type", json!("N_A")), "token_type"),
        (200, with("token_type", json!(null)), "token_type"),
        (200, with("expires_in", json!(-1)), "expires_in"),
        (200, with("expires_in", json!(0)), "expires_in"),
        (200, with("expires_in", json!("soon")), "expires_in"),
        (200, with("scope", json!(7)), "scope"),
        (200, with("issued_token_type", json!("urn:ietf:params:oauth:token-type:refresh_token")), "issued_token_type"),
        (200, "x".repeat(65 * 1024), "too large"),
        (302, String::new(), "redirects"),
        (307, good.to_string(), "redirects"),
        (404, "<h1>not found</h1>".to_owned(), "status 404"),
        (204, String::new(), "status 204"),
    ] {
        let (world, resource) = world().await;
        world.issuer.script(status, "application/json", body);
        let error = world.refused(&resource).await;
        assert_eq!((error.code(), error.fault()), ("token-answer-unusable", Fault::Provider), "{error}");
        assert!(error.to_string().contains(words), "{error} does not say `{words}`");
        world.clock.pass(Duration::from_secs(4));
        world.obtain(&session("ses_1"), &resource).await.expect("an endpoint that recovered is asked again");
    }
}

#[tokio::test]
async fn what_servers_really_send_is_taken() {
    for body in [
        json!({"access_token": "t", "token_type": "bEaReR"}),
        json!({"access_token": "t", "token_type": "Bearer", "expires_in": "3600", "scope": ["a", "b"]}),
        json!({"access_token": "t", "token_type": "Bearer", "expires_in": 99_999_999, "scope": null, "more": {"x": 1}}),
        json!({"access_token": "t", "token_type": "Bearer", "issued_token_type": "urn:ietf:params:oauth:token-type:access_token"}),
    ] {
        let (world, resource) = world().await;
        world.issuer.script(200, "text/plain", body.to_string());
        let credential = world.obtain(&session("ses_1"), &resource).await.unwrap();
        assert_eq!(credential.value(), "Bearer t");
        assert!(credential.provenance().expires_at.unwrap() <= world.clock.now().after(Duration::from_secs(24 * 3600)));
    }
}

#[tokio::test]
async fn a_denial_carries_the_servers_reason() {
    for (status, error, fault) in [
        (403, "access_denied", Fault::Denied),
        (400, "insufficient_authorization", Fault::Person),
        (400, "invalid_target", Fault::Provider),
        (401, "invalid_client", Fault::Provider),
        (200, "access_denied", Fault::Denied),
    ] {
        let (world, resource) = world().await;
        let echoed = "no \u{1b}[2J \"x\" for other canary%";
        world
            .issuer
            .script_json(status, &json!({"error": error, "error_description": "Access to \"urn:api\" is denied."}));
        let refused = world.refused(&resource).await;
        assert_eq!((refused.code(), refused.fault()), ("token-denied", fault), "{refused}");
        assert!(refused.to_string().ends_with(&format!("{error} (Access to \"urn:api\" is denied.)")), "{refused}");

        world.clock.pass(Duration::from_secs(4));
        world.issuer.script_json(status, &json!({"error": error, "error_description": echoed}));
        world.refused(&resource).await;
    }
}

#[tokio::test]
async fn a_failing_endpoint_is_the_servers_fault() {
    for status in [500, 502, 503, 429] {
        let (world, resource) = world().await;
        world.issuer.script(status, "text/html", "<h1>down</h1>");
        let error = world.refused(&resource).await;
        assert_eq!((error.code(), error.fault()), ("token-endpoint-failing", Fault::Provider));
        assert!(error.to_string().contains(&status.to_string()));
    }
}

#[tokio::test]
async fn an_endpoint_that_is_down_or_slow_is_the_networks_fault() {
    let (world, resource) = world().await;
    let gone = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    world.vault.replace_zone(one_client(&format!("http://{gone}"), None, Persist::nowhere()));
    let error = world.refused(&resource).await;
    assert_eq!((error.code(), error.fault()), ("token-endpoint-unreachable", Fault::Network));

    world.vault.replace_zone(one_client(&world.issuer.url, None, Persist::nowhere()));
    world.issuer.shut();
    let error = world.refused(&resource).await;
    assert_eq!((error.code(), error.fault()), ("token-endpoint-slow", Fault::Slow));
}

#[tokio::test]
async fn a_failing_refresh_ahead_leaves_the_credential_in_use() {
    let (world, resource) = world().await;
    let first = world.obtain(&session("ses_1"), &resource).await.unwrap();
    world.clock.pass(Duration::from_secs(250));
    world.issuer.script(500, "text/plain", "");
    for _ in 0..20 {
        assert_eq!(world.obtain(&session("ses_1"), &resource).await.unwrap().value(), first.value());
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    world.issuer.arrived(2).await;
    assert_eq!(world.issuer.count("/token"), 2, "one attempt in the background, and no more for a while");
    world.clock.pass(Duration::from_secs(45));
    assert_ne!(world.obtain(&session("ses_1"), &resource).await.unwrap().value(), first.value());
}

#[tokio::test]
async fn metadata_of_another_issuer_is_refused() {
    for (document, code, words) in [
        (
            json!({"issuer": "https://evil.example", "token_endpoint": "https://evil.example/token"}),
            "token-answer-unusable",
            "another issuer",
        ),
        (json!({"issuer": "URL/other", "token_endpoint": "URL/token"}), "token-answer-unusable", "another issuer"),
        (json!({"issuer": "URL"}), "token-answer-unusable", "token_endpoint"),
        (
            json!({"issuer": "URL", "token_endpoint": "http://idp.example/token"}),
            "token-endpoint-insecure",
            "not https",
        ),
        (json!({"hello": 1}), "token-answer-unusable", "no metadata"),
    ] {
        let (world, resource) = world().await;
        let document = document.to_string().replace("URL", &world.issuer.url);
        world.issuer.discovery(serde_json::from_str(&document).unwrap());
        let error = world.refused(&resource).await;
        assert_eq!(error.code(), code, "{error}");
        assert!(error.to_string().contains(words), "{error} does not say `{words}`");
        assert_eq!(world.issuer.count("/token"), 0);
    }
}

#[tokio::test]
async fn a_zone_without_registration_says_so() {
    let world = World::new().await;
    let document = json!({"issuer": world.issuer.url, "token_endpoint": format!("{}/token", world.issuer.url)});
    world.issuer.discovery(document);
    assert_eq!(world.refused(&api()).await.code(), "registration-unavailable");
}

#[tokio::test]
async fn an_answer_that_breaks_off_or_is_no_http_is_not_believed() {
    for (bytes, words) in [
        ("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"access_token\":\"t\"", "breaks off"),
        ("SSH-2.0-OpenSSH_9.2\r\n", "not HTTP"),
        ("", "not HTTP"),
    ] {
        let (world, _) = world().await;
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = TokenEndpoint {
            url: format!("http://{}/token", listener.local_addr().unwrap()),
            client_id: "c".into(),
            client_secret: "client".into(),
        };
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut head = [0; 1024];
            let _ = stream.read(&mut head).await.unwrap();
            stream.write_all(bytes.as_bytes()).await.unwrap();
        });
        let source = Source::ClientCredentials {
            scopes: Scopes::default(),
            target: TargetParameter::Resource,
            endpoint: Some(endpoint),
        };
        let error = world.refused(&resource("urn:api", source, CredentialHeader::bearer())).await;
        assert_eq!(error.code(), "token-answer-unusable");
        assert!(error.to_string().contains(words), "{error} does not say `{words}`");
    }
}
