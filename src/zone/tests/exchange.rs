//! Token exchange: the token names user, agent and session, and nobody acts without a grant.

use super::*;

#[tokio::test]
async fn the_token_names_the_user_the_agent_and_the_session() {
    let scene = Scene::new().await;
    let (agent, subject) = (scene.register("claude").await, scene.session_token().await);
    let reply = scene.exchange(&agent, &subject, &[("resource", WHOAMI), ("session_id", "ses_42")]).await;
    assert_eq!(reply.status, StatusCode::OK, "{}", reply.body);
    assert_eq!(reply.body["issued_token_type"], ACCESS_TOKEN);
    assert!(reply.body.get("refresh_token").is_none());
    let token = reply.claims();
    assert_eq!(token["sub"], claims(&subject)["sub"]);
    assert_eq!(token["sub"].as_str().unwrap().len(), 26);
    assert_eq!(token["sub_profile"], "user");
    assert_eq!(token["preferred_username"], "ada@example.com");
    assert_eq!(token["act"], json!({"sub": agent.id, "name": "claude"}));
    assert_eq!(token["client_id"], agent.id);
    assert_eq!(token["aud"], WHOAMI);
    assert_eq!(token["sid"], "ses_42");
    assert_ne!(token["jti"], claims(&subject)["jti"]);
}

#[tokio::test]
async fn without_a_session_of_the_agent_the_token_names_the_subjects_own() {
    let scene = Scene::new().await;
    let (agent, subject) = (scene.register("claude").await, scene.session_token().await);
    let token = scene.exchange(&agent, &subject, &[("resource", WHOAMI), ("scope", "read")]).await.claims();
    assert_eq!(token["sid"], claims(&subject)["sid"]);
    assert_eq!(token["scope"], "read");
}

#[tokio::test]
async fn an_application_without_the_users_grant_gets_nothing() {
    let scene = Scene::new().await;
    let (agent, subject) = (scene.register("claude").await, scene.session_token().await);
    // Another user of the same zone registers an agent of their own.
    let bob = Settings {
        owner: UserName::parse("bob").unwrap(),
        ..settings(&scene.database, scene.folder.path(), &scene.clock)
    };
    let bob = Zone::open(bob).await.unwrap().sign_in().await.unwrap();
    let stranger = scene.register_with(text(&bob.registration_token), &json!({"client_name": "claude"})).await;
    let stranger = Agent { id: stranger.word("client_id"), secret: stranger.word("client_secret") };
    assert_ne!(stranger.id, agent.id);
    let reply = scene.exchange(&stranger, &subject, &[("resource", WHOAMI)]).await;
    reply.refused(400, "insufficient_authorization", "User consent is required");
    assert_eq!(scene.exchange(&agent, &subject, &[("resource", WHOAMI)]).await.status, StatusCode::OK);
}

#[tokio::test]
async fn only_a_users_session_token_of_this_zone_is_a_subject() {
    let scene = Scene::new().await;
    let (agent, subject) = (scene.register("claude").await, scene.session_token().await);
    let target = [("resource", WHOAMI)];
    // A token for an API must not be turned into one for another: its API could do that.
    let for_api = scene.exchange(&agent, &subject, &target).await.word("access_token");
    let reply = scene.exchange(&agent, &for_api, &target).await;
    reply.refused(400, "invalid_grant", "Client is not allowed to exchange token for this resource");
    let form = [("grant_type", "client_credentials"), ("resource", WHOAMI)];
    let own = scene.ask(&agent, &form).await.word("access_token");
    let reply = scene.exchange(&agent, &own, &target).await;
    reply.refused(400, "invalid_grant", "Client is not allowed to exchange token for this resource");
    let stranger = SigningKey::generate().unwrap();
    let forged = stranger.sign("at+jwt", &claims(&subject)).unwrap();
    let unsigned = format!("{}.", subject.rsplit_once('.').unwrap().0);
    for bad in [text(&forged), &unsigned, "rubbish"] {
        let reply = scene.exchange(&agent, bad, &target).await;
        reply.refused(400, "invalid_request", "The subject token is not valid");
    }
    scene.clock.advance(Duration::from_secs(3600 + 61));
    let reply = scene.exchange(&agent, &subject, &target).await;
    reply.refused(400, "invalid_request", "The subject token has expired");
}

#[tokio::test]
async fn a_session_that_has_ended_is_no_subject_any_more() {
    let scene = Scene::new().await;
    let (agent, subject) = (scene.register("claude").await, scene.session_token().await);
    scene.zone.sign_in().await.unwrap();
    let reply = scene.exchange(&agent, &subject, &[("resource", WHOAMI)]).await;
    reply.refused(400, "invalid_request", "The session of the subject token has ended");
}

#[tokio::test]
async fn what_an_exchange_can_not_do_it_says() {
    let scene = Scene::new().await;
    let (agent, subject) = (scene.register("claude").await, scene.session_token().await);
    let reply = scene.exchange(&agent, &subject, &[]).await;
    reply.refused(400, "invalid_request", "The resource parameter is missing");
    let reply = scene.exchange(&agent, &subject, &[("resource", "https://unknown.example")]).await;
    reply.refused(400, "invalid_target", "Requested authorization for unknown resource");
    let reply = scene.exchange(&agent, &subject, &[("resource", WHOAMI), ("actor_token", "x")]).await;
    reply.refused(400, "invalid_request", "The actor is the client, an actor_token is not supported");
    let id_token = ("requested_token_type", "urn:ietf:params:oauth:token-type:id_token");
    let reply = scene.exchange(&agent, &subject, &[("resource", WHOAMI), id_token]).await;
    reply.refused(400, "invalid_request", "The requested_token_type is not supported");
    let reply = scene.ask(&agent, &[("grant_type", EXCHANGE), ("subject_token", &subject)]).await;
    reply.refused(400, "invalid_request", "The subject_token_type parameter is missing");
    let substitute = ("subject_token_type", "urn:keycard:params:oauth:token-type:substitute-user");
    let reply = scene.ask(&agent, &[("grant_type", EXCHANGE), ("subject_token", &subject), substitute]).await;
    reply.refused(400, "invalid_request", "The subject token is not valid");
    let saml = ("subject_token_type", "urn:ietf:params:oauth:token-type:saml2");
    let reply = scene.ask(&agent, &[("grant_type", EXCHANGE), ("subject_token", &subject), saml]).await;
    reply.refused(400, "invalid_request", "The subject_token_type is not supported");
    let reply = scene.ask(&agent, &[("grant_type", EXCHANGE), ("subject_token_type", ACCESS_TOKEN)]).await;
    reply.refused(400, "invalid_request", "The subject_token parameter is missing");
}
