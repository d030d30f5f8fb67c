//! Who hears what of a token: its client by whichever credential, the API that it is for, and nobody else.

use super::*;

async fn tell(scene: &Scene, path: &str, agent: &Agent, token: &str) -> Reply {
    let form = [("client_id", agent.id.as_str()), ("client_secret", agent.secret.as_str()), ("token", token)];
    scene.post(path, &form).await
}

async fn is_active(scene: &Scene, agent: &Agent, token: &str) -> bool {
    let told = tell(scene, "/oauth/2/introspect", agent, token).await;
    assert_eq!(told.status, StatusCode::OK, "{}", told.body);
    let active = told.body["active"] == true;
    assert!(active || told.body == json!({"active": false}), "{}", told.body);
    active
}

#[tokio::test]
async fn an_agent_hears_of_its_own_tokens_and_the_daemon_of_its_agents() {
    let scene = Scene::new().await;
    let (curl, git, daemon) = (scene.register("curl").await, scene.register("git").await, scene.daemon());
    let session = scene.session_token().await;
    let token = scene.exchange(&curl, &session, &[("resource", WHOAMI)]).await.word("access_token");
    assert!(is_active(&scene, &curl, &token).await);
    assert!(!is_active(&scene, &git, &token).await, "another agent heard of it");
    assert!(!is_active(&scene, &git, &session).await, "an agent heard of the person's own session");
    assert!(is_active(&scene, &daemon, &token).await && is_active(&scene, &daemon, &session).await);
    // Nor can the other agent call it back.
    assert_eq!(tell(&scene, "/oauth/2/revoke", &git, &token).await.status, StatusCode::OK);
    assert!(is_active(&scene, &curl, &token).await);
    assert_eq!(tell(&scene, "/oauth/2/revoke", &curl, &token).await.status, StatusCode::OK);
    assert!(!is_active(&scene, &curl, &token).await && !is_active(&scene, &daemon, &token).await);
}

#[tokio::test]
async fn the_daemons_refresh_token_is_told_to_the_daemon_alone_and_called_back_by_it() {
    let scene = Scene::new().await;
    let (curl, daemon) = (scene.register("curl").await, scene.daemon());
    let refresh = text(&scene.daemon.refresh_token).to_owned();
    assert!(is_active(&scene, &daemon, &refresh).await && !is_active(&scene, &curl, &refresh).await);
    tell(&scene, "/oauth/2/revoke", &curl, &refresh).await;
    assert!(is_active(&scene, &daemon, &refresh).await);
    tell(&scene, "/oauth/2/revoke", &daemon, &refresh).await;
    assert!(!is_active(&scene, &daemon, &refresh).await);
    scene.refresh(&refresh).await.is_not_valid();
}

#[tokio::test]
async fn an_application_hears_of_its_tokens_by_each_of_its_credentials() {
    let scene = Scene::of_people().await;
    let (batch, other) = (scene.software("batch").await, scene.software("other").await.client);
    scene.let_depend(&batch.id, WHOAMI).await;
    let made = scene.credential(json!({"application_id": batch.id, "type": "password"})).await;
    let word = |name: &str| made[name].as_str().unwrap().to_owned();
    let second = Agent { id: word("identifier"), secret: word("password") };
    let form = [("grant_type", "client_credentials"), ("resource", WHOAMI)];
    let token = scene.ask(&batch.client, &form).await.word("access_token");
    assert!(is_active(&scene, &batch.client, &token).await && is_active(&scene, &second, &token).await);
    assert!(!is_active(&scene, &other, &token).await);
    tell(&scene, "/oauth/2/revoke", &second, &token).await;
    assert!(!is_active(&scene, &batch.client, &token).await);
    // Each has a session of its own.
    assert_ne!(scene.ask(&second, &form).await.claims()["sid"], claims(&token)["sid"]);
}
