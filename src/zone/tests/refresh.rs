//! Refresh tokens: good once, forgiving to a retry, the end of the sign-in after a theft.

use super::*;

const NOT_VALID: (u16, &str, &str) = (400, "invalid_grant", "The refresh token is not valid");

impl Reply {
    #[track_caller]
    pub(super) fn is_not_valid(&self) {
        self.refused(NOT_VALID.0, NOT_VALID.1, NOT_VALID.2);
    }
}

#[tokio::test]
async fn a_refresh_gives_a_session_token_and_the_next_refresh_token() {
    let scene = Scene::new().await;
    let first = scene.refresh(text(&scene.daemon.refresh_token)).await;
    assert_eq!(first.status, StatusCode::OK, "{}", first.body);
    let session = first.claims();
    assert_eq!(session["aud"], ISSUER);
    assert_eq!(session["sub_profile"], "user");
    assert_eq!(session["preferred_username"], "ada@example.com");
    assert_eq!(session["client_id"], scene.daemon.client_id);
    assert_eq!(first.body["expires_in"], 3600);
    let second = scene.refresh(&first.word("refresh_token")).await;
    assert_eq!(second.claims()["sid"], session["sid"]);
    assert_ne!(second.word("refresh_token"), first.word("refresh_token"));
}

#[tokio::test]
async fn a_second_use_after_the_window_ends_the_sign_in() {
    let scene = Scene::new().await;
    let first = scene.refresh(text(&scene.daemon.refresh_token)).await;
    scene.clock.advance(Duration::from_secs(16));
    scene.refresh(text(&scene.daemon.refresh_token)).await.is_not_valid();
    scene.refresh(&first.word("refresh_token")).await.is_not_valid();
    let agent = scene.register("curl").await;
    let reply = scene.exchange(&agent, &first.word("access_token"), &[("resource", WHOAMI)]).await;
    reply.refused(400, "invalid_request", "The session of the subject token has ended");
}

#[tokio::test]
async fn a_second_use_after_the_successor_was_used_ends_the_sign_in_at_once() {
    let scene = Scene::new().await;
    let first = scene.refresh(text(&scene.daemon.refresh_token)).await;
    let second = scene.refresh(&first.word("refresh_token")).await;
    scene.refresh(text(&scene.daemon.refresh_token)).await.is_not_valid();
    scene.refresh(&second.word("refresh_token")).await.is_not_valid();
}

#[tokio::test]
async fn a_retry_after_a_lost_answer_gets_another_successor() {
    let scene = Scene::new().await;
    scene.refresh(text(&scene.daemon.refresh_token)).await;
    scene.clock.advance(Duration::from_secs(12));
    let retried = scene.refresh(text(&scene.daemon.refresh_token)).await;
    assert_eq!(retried.status, StatusCode::OK, "{}", retried.body);
    assert_eq!(scene.refresh(&retried.word("refresh_token")).await.status, StatusCode::OK);
}

#[tokio::test]
async fn the_answer_that_a_retry_replaced_ends_the_sign_in_when_it_shows_up() {
    let scene = Scene::new().await;
    let lost = scene.refresh(text(&scene.daemon.refresh_token)).await;
    let retried = scene.refresh(text(&scene.daemon.refresh_token)).await;
    scene.refresh(&lost.word("refresh_token")).await.is_not_valid();
    scene.refresh(&retried.word("refresh_token")).await.is_not_valid();
}

#[tokio::test]
async fn a_refresh_token_is_good_for_its_own_client_only() {
    let scene = Scene::new().await;
    let stranger = scene.register("curl").await;
    let form = [("grant_type", "refresh_token"), ("refresh_token", text(&scene.daemon.refresh_token))];
    scene.ask(&stranger, &form).await.is_not_valid();
    // The stranger's attempt did not use it up.
    assert_eq!(scene.refresh(text(&scene.daemon.refresh_token)).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_refresh_token_expires_and_a_wrong_one_is_refused() {
    let scene = Scene::new().await;
    scene.refresh("vkr_unknown").await.is_not_valid();
    let reply = scene.ask(&scene.daemon(), &[("grant_type", "refresh_token")]).await;
    reply.refused(400, "invalid_request", "The refresh_token parameter is missing");
    let token = text(&scene.daemon.refresh_token);
    let form = [("grant_type", "refresh_token"), ("refresh_token", token), ("resource", WHOAMI)];
    let reply = scene.ask(&scene.daemon(), &form).await;
    reply.refused(400, "invalid_target", "A token for a resource is had by token exchange");
    scene.clock.advance(Duration::from_secs(30 * 24 * 3600));
    scene.refresh(token).await.is_not_valid();
}

#[tokio::test]
async fn each_sign_in_voids_the_one_before() {
    let scene = Scene::new().await;
    let (old_client, old_token) = (scene.daemon(), text(&scene.daemon.refresh_token).to_owned());
    let old_registration = text(&scene.daemon.registration_token).to_owned();
    let again = Scene { daemon: scene.zone.sign_in().await.unwrap(), ..scene };
    assert_eq!(again.daemon.client_id, old_client.id);
    let form = [("grant_type", "refresh_token"), ("refresh_token", old_token.as_str())];
    again.ask(&old_client, &form).await.refused(401, "invalid_client", "Client authentication failed");
    again.refresh(&old_token).await.is_not_valid();
    let reply = again.register_with(&old_registration, &json!({"client_name": "curl"})).await;
    assert_eq!(reply.status, StatusCode::UNAUTHORIZED);
    again.session_token().await;
}
