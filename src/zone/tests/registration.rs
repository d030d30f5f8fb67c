//! Registration: only with the initial access token, once per name.

use super::*;

#[tokio::test]
async fn the_same_name_gives_the_same_application_and_drops_its_old_secret() {
    let scene = Scene::new().await;
    let (first, second) = (scene.register("curl").await, scene.register("curl").await);
    assert_eq!(first.id, second.id);
    assert!(first.id.starts_with("app_"));
    let target = [("grant_type", "client_credentials"), ("resource", WHOAMI)];
    scene.ask(&first, &target).await.refused(401, "invalid_client", "Client authentication failed");
    assert_eq!(scene.ask(&second, &target).await.status, StatusCode::OK);
    assert_ne!(scene.register("git").await.id, first.id);
}

#[tokio::test]
async fn an_agent_with_the_daemons_name_does_not_take_the_daemons_place() {
    let scene = Scene::new().await;
    let agent = scene.register("valetkey").await;
    assert_ne!(agent.id, scene.daemon.client_id);
    scene.session_token().await;
}

#[tokio::test]
async fn the_answer_is_what_rfc_7591_says() {
    let scene = Scene::new().await;
    let metadata = json!({"client_name": "curl", "redirect_uris": null, "token_endpoint_auth_method": null});
    let reply = scene.register_with(text(&scene.daemon.registration_token), &metadata).await;
    assert_eq!(reply.status, StatusCode::CREATED);
    assert_eq!(reply.header("cache-control"), "no-store");
    assert_eq!(reply.body["client_name"], "curl");
    assert_eq!(reply.body["client_id_issued_at"], NOW);
    assert_eq!(reply.body["client_secret_expires_at"], 0);
    assert_eq!(reply.body["token_endpoint_auth_method"], "client_secret_basic");
    assert_eq!(reply.body["grant_types"], json!(["client_credentials", EXCHANGE]));
}

#[tokio::test]
async fn without_the_initial_access_token_nothing_is_registered() {
    let scene = Scene::new().await;
    let session = scene.session_token().await;
    for token in ["wrong", "", session.as_str(), text(&scene.daemon.client_secret)] {
        let reply = scene.register_with(token, &json!({"client_name": "curl"})).await;
        reply.refused(401, "invalid_token", "The initial access token is not valid");
        assert!(reply.header("www-authenticate").starts_with("Bearer "));
    }
    let request = Request::post("/oauth/2/registration").header("content-type", "application/json");
    let reply = scene.send(request.body(Body::from(r#"{"client_name":"curl"}"#)).unwrap()).await;
    reply.refused(401, "invalid_token", "An initial access token is required");
}

#[tokio::test]
async fn metadata_that_can_not_be_is_refused() {
    let scene = Scene::new().await;
    let token = text(&scene.daemon.registration_token);
    for metadata in [json!({}), json!({"client_name": null}), json!({"client_name": "a b\n"})] {
        let reply = scene.register_with(token, &metadata).await;
        reply.refused(400, "invalid_client_metadata", "The client_name is missing or not legal");
    }
    let public = json!({"client_name": "curl", "token_endpoint_auth_method": "none"});
    let reply = scene.register_with(token, &public).await;
    reply.refused(400, "invalid_redirect_uri", "The redirect_uris are missing");
    let tls = json!({"client_name": "curl", "token_endpoint_auth_method": "tls_client_auth"});
    let reply = scene.register_with(token, &tls).await;
    reply.refused(400, "invalid_client_metadata", "The token_endpoint_auth_method is not supported");
    let reply = scene.register_with(token, &json!([1])).await;
    reply.refused(400, "invalid_client_metadata", "The body must be a JSON object of client metadata");
}
