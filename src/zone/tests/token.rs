//! The metadata, client authentication and client credentials.

use super::*;

const CLIENT_CREDENTIALS: (&str, &str) = ("grant_type", "client_credentials");

#[tokio::test]
async fn both_metadata_documents_are_the_same_and_list_what_exists() {
    let scene = Scene::new().await;
    let document = scene.get("/.well-known/oauth-authorization-server").await.body;
    assert_eq!(document["issuer"], ISSUER);
    assert_eq!(document["token_endpoint"], "http://127.0.0.1:7980/oauth/2/token");
    assert_eq!(document["jwks_uri"], "http://127.0.0.1:7980/openidconnect/jwks");
    assert_eq!(document["registration_endpoint"], "http://127.0.0.1:7980/oauth/2/registration");
    let grants = document["grant_types_supported"].as_array().unwrap();
    for grant in ["authorization_code", "refresh_token", "client_credentials", EXCHANGE, people::DEVICE_CODE] {
        assert!(grants.contains(&json!(grant)), "{grant}");
    }
    assert_eq!(document["code_challenge_methods_supported"], json!(["S256"]));
    assert_eq!(document["authorization_response_iss_parameter_supported"], true);
    for endpoint in ["authorization", "userinfo", "introspection", "revocation", "end_session", "device_authorization"]
    {
        let address = document[format!("{endpoint}_endpoint")].as_str().unwrap();
        let path = address.strip_prefix(ISSUER).unwrap();
        let request = Request::builder().method("OPTIONS").uri(path).body(Body::empty()).unwrap();
        assert_ne!(scene.send(request).await.status, StatusCode::NOT_FOUND, "{endpoint} is told of and does not exist");
    }
    for path in ["/.well-known/openid-configuration", "//.well-known/oauth-authorization-server"] {
        assert_eq!(scene.get(path).await.body, document, "{path}");
    }
}

#[tokio::test]
async fn metadata_does_not_mind_an_authorization_header() {
    let scene = Scene::new().await;
    let request = Request::get("/.well-known/oauth-authorization-server").header("authorization", "Basic eDp5");
    assert_eq!(scene.send(request.body(Body::empty()).unwrap()).await.status, StatusCode::OK);
}

#[tokio::test]
async fn client_credentials_give_a_token_about_the_application() {
    let scene = Scene::new().await;
    let agent = scene.register("curl").await;
    // A stray subject_token_type, as some clients send it.
    let form = [CLIENT_CREDENTIALS, ("resource", WHOAMI), ("subject_token_type", ACCESS_TOKEN)];
    let reply = scene.ask(&agent, &form).await;
    assert_eq!(reply.status, StatusCode::OK, "{}", reply.body);
    assert_eq!(reply.header("cache-control"), "no-store");
    assert_eq!(reply.body["token_type"], "Bearer");
    assert_eq!(reply.body["expires_in"], 600);
    assert_eq!(reply.body["scope"], "read write");
    let claims = reply.claims();
    assert_eq!(claims["iss"], ISSUER);
    assert_eq!(claims["aud"], WHOAMI);
    assert_eq!(claims["sub"], agent.id);
    assert_eq!(claims["client_id"], agent.id);
    assert_eq!(claims["client_name"], "curl");
    assert_eq!(claims["sub_profile"], "app");
    assert_eq!(claims["iat"], NOW);
    assert_eq!(claims["exp"], NOW + 600);
    assert!(claims.get("act").is_none());
    // Its own session, not a person's.
    assert_eq!(claims["sid"].as_str().unwrap().len(), 26);
    let header = header(&reply.word("access_token"));
    assert_eq!(header["alg"], "RS256");
    assert_eq!(header["kid"], scene.get("/openidconnect/jwks").await.body["keys"][0]["kid"]);
}

#[tokio::test]
async fn a_token_lives_as_long_as_its_resource_says_and_names_the_session() {
    let scene = Scene::new().await;
    let agent = scene.register("curl").await;
    let form = [CLIENT_CREDENTIALS, ("audience", NOTES), ("session_id", "ses_0123")];
    let claims = scene.ask(&agent, &form).await.claims();
    assert_eq!(claims["exp"], NOW + 120);
    assert_eq!(claims["sid"], "ses_0123");
    let form = [CLIENT_CREDENTIALS, ("audience", NOTES), ("session_id", "a b")];
    scene.ask(&agent, &form).await.refused(400, "invalid_request", "The session_id is not legal");
}

#[tokio::test]
async fn scopes_are_what_was_asked_for_and_the_resource_has() {
    let scene = Scene::new().await;
    let agent = scene.register("curl").await;
    let ask =
        async |scope: &str| scene.ask(&agent, &[CLIENT_CREDENTIALS, ("resource", WHOAMI), ("scope", scope)]).await;
    assert_eq!(ask("read admin").await.claims()["scope"], "read");
    assert_eq!(ask("").await.claims()["scope"], "read write");
    ask("admin").await.refused(400, "invalid_scope", "The resource has none of the requested scopes");
    ask("re\"ad").await.refused(400, "invalid_scope", "The scope is malformed");
}

#[tokio::test]
async fn the_target_is_one_declared_resource_spelled_exactly() {
    let scene = Scene::new().await;
    let agent = scene.register("curl").await;
    for unknown in ["https://whoami.valetkey.internal/", "https://else.example", "not a uri", ISSUER] {
        let reply = scene.ask(&agent, &[CLIENT_CREDENTIALS, ("resource", unknown)]).await;
        reply.refused(400, "invalid_target", "Requested authorization for unknown resource");
    }
    let two = scene.ask(&agent, &[CLIENT_CREDENTIALS, ("resource", WHOAMI), ("resource", NOTES)]).await;
    two.refused(400, "invalid_target", "A token is for one resource only");
    let none = scene.ask(&agent, &[CLIENT_CREDENTIALS]).await;
    none.refused(400, "invalid_request", "The resource parameter is missing");
}

#[tokio::test]
async fn a_client_shows_its_secret_in_one_of_two_ways() {
    let scene = Scene::new().await;
    let agent = scene.register("curl").await;
    let target = [CLIENT_CREDENTIALS, ("resource", WHOAMI)];
    let id_and_secret = [("client_id", agent.id.as_str()), ("client_secret", agent.secret.as_str())];
    let in_body = [&target[..], &id_and_secret[..]].concat();
    assert_eq!(scene.ask_with(None, &in_body).await.status, StatusCode::OK);
    let encoded = format!("Basic {}", STANDARD.encode(format!("{}:{}", agent.id.replace('_', "%5F"), agent.secret)));
    assert_eq!(scene.ask_with(Some(&encoded), &target).await.status, StatusCode::OK);
    let both = scene.ask(&agent, &in_body).await;
    both.refused(400, "invalid_request", "The client authenticates in more than one way");
}

#[tokio::test]
async fn a_client_that_can_not_show_who_it_is_gets_401_and_a_challenge() {
    let scene = Scene::new().await;
    let agent = scene.register("curl").await;
    let other = scene.register("git").await;
    let target = [CLIENT_CREDENTIALS, ("resource", WHOAMI)];
    let wrong = [
        Agent { id: agent.id.clone(), secret: "wrong".to_owned() },
        Agent { id: agent.id.clone(), secret: other.secret.clone() },
        Agent { id: "app_unknown".to_owned(), secret: agent.secret.clone() },
    ];
    for agent in &wrong {
        let reply = scene.ask(agent, &target).await;
        reply.refused(401, "invalid_client", "Client authentication failed");
        assert!(reply.header("www-authenticate").starts_with("Basic "));
    }
    for authorization in [None, Some("Bearer abc"), Some("Basic ???")] {
        scene.ask_with(authorization, &target).await.refused(401, "invalid_client", "Client authentication failed");
    }
    let named_otherwise = [CLIENT_CREDENTIALS, ("resource", WHOAMI), ("client_id", other.id.as_str())];
    scene.ask(&agent, &named_otherwise).await.refused(401, "invalid_client", "Client authentication failed");
}

#[tokio::test]
async fn a_request_that_is_no_token_request_says_why() {
    let scene = Scene::new().await;
    let agent = scene.register("curl").await;
    scene.ask(&agent, &[]).await.refused(400, "invalid_request", "The grant_type parameter is missing");
    let reply = scene.ask(&agent, &[("grant_type", "password")]).await;
    reply.refused(400, "unsupported_grant_type", "The grant type is not supported");
    let reply = scene.ask(&agent, &[CLIENT_CREDENTIALS, CLIENT_CREDENTIALS]).await;
    reply.refused(400, "invalid_request", "A parameter is repeated");
    let json = Request::post("/oauth/2/token").header("content-type", "application/json").body(Body::from("{}"));
    let reply = scene.send(json.unwrap()).await;
    reply.refused(400, "invalid_request", "The body must be application/x-www-form-urlencoded");
    let large = "x".repeat(crate::limits::ZONE_BODY_BYTES_MAX + 1);
    let reply = scene.ask(&agent, &[CLIENT_CREDENTIALS, ("resource", &large)]).await;
    reply.refused(413, "invalid_request", "The request is too large");
    let get = scene.get("/oauth/2/token").await;
    assert_eq!(get.status, StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test]
async fn a_body_that_never_comes_is_not_waited_for() {
    let scene = Scene::new().await;
    let never = Body::new(http_body_util::StreamBody::new(futures_util::stream::pending::<
        Result<hyper::body::Frame<bytes::Bytes>, std::io::Error>,
    >()));
    let request = Request::post("/oauth/2/token").header("content-type", "application/x-www-form-urlencoded");
    let router = scene.zone.router_within(Duration::from_millis(20));
    let reply = Reply::read(router.oneshot(request.body(never).unwrap()).await.unwrap()).await;
    reply.refused(503, "temporarily_unavailable", "The request took too long");
}
