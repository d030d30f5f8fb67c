//! Several zones on one database, and a database that goes away.

use super::*;

const CLIENT_CREDENTIALS: (&str, &str) = ("grant_type", "client_credentials");

#[tokio::test]
async fn replicas_that_start_at_once_are_one_zone_with_one_key() {
    let scene = Scene::new().await;
    let folder = tempfile::tempdir().unwrap();
    private_file::replace(&folder.path().join("zone.seal"), &[1; 32]).unwrap();
    let database = new_database(folder.path()).await;
    let (one, two) = (open(&database, folder.path(), &scene.clock), open(&database, folder.path(), &scene.clock));
    let (one, two) = tokio::join!(one, two);
    let jwks = async |zone: &Zone| {
        let request = Request::get("/openidconnect/jwks").body(Body::empty()).unwrap();
        Reply::read(zone.router().oneshot(request).await.unwrap()).await.body
    };
    assert_eq!(jwks(&one).await, jwks(&two).await);
}

#[tokio::test]
async fn what_one_replica_knows_the_other_knows() {
    let scene = Scene::new().await;
    let agent = scene.register("curl").await;
    let other = Scene {
        folder: tempfile::tempdir().unwrap(),
        database: scene.database.clone(),
        clock: Arc::<HandClock>::clone(&scene.clock),
        zone: scene.open_again().await,
        daemon: SignIn {
            client_id: scene.daemon.client_id.clone(),
            client_secret: scene.daemon.client_secret.clone(),
            refresh_token: scene.daemon.refresh_token.clone(),
            registration_token: scene.daemon.registration_token.clone(),
        },
    };
    let target = [CLIENT_CREDENTIALS, ("resource", WHOAMI)];
    let token = other.ask(&agent, &target).await.word("access_token");
    // A rotation at one shows at the other's JWKS at once, and the other signs with the new key after it.
    scene.zone.rotate_key().await.unwrap();
    let keys = other.get("/openidconnect/jwks").await.body["keys"].clone();
    assert_eq!(keys, scene.get("/openidconnect/jwks").await.body["keys"]);
    let retired = keys.as_array().unwrap().get(2..).unwrap();
    assert_eq!(retired.len(), 2, "of each algorithm the one before");
    assert!(retired.iter().any(|key| key["kid"] == header(&token)["kid"]));
    assert_eq!(header(&other.ask(&agent, &target).await.word("access_token"))["kid"], keys[0]["kid"]);
    // Both rotate at once: one after the other, or one key for both.
    let (one, two) = tokio::join!(scene.zone.rotate_key(), other.zone.rotate_key());
    one.unwrap();
    two.unwrap();
    assert_eq!(scene.get("/openidconnect/jwks").await.body, other.get("/openidconnect/jwks").await.body);
    // A refresh token that one replica took is used at the other too.
    let first = scene.refresh(text(&scene.daemon.refresh_token)).await;
    assert_eq!(first.status, StatusCode::OK);
    assert_eq!(other.refresh(&first.word("refresh_token")).await.status, StatusCode::OK);
    scene.refresh(text(&scene.daemon.refresh_token)).await.is_not_valid();
}

#[tokio::test]
async fn a_refresh_token_shown_at_two_replicas_at_once_never_has_two_good_successors() {
    let scene = Scene::new().await;
    let other = scene.open_again().await;
    let form = [("grant_type", "refresh_token"), ("refresh_token", text(&scene.daemon.refresh_token))];
    let basic = STANDARD.encode(format!("{}:{}", scene.daemon().id, scene.daemon().secret));
    let ask = async |zone: &Zone| {
        let request = Request::post("/oauth/2/token")
            .header("content-type", "application/x-www-form-urlencoded")
            .header("authorization", format!("Basic {basic}"))
            .body(Body::from(encode(&form)));
        Reply::read(zone.router().oneshot(request.unwrap()).await.unwrap()).await
    };
    let (one, two) = tokio::join!(ask(&scene.zone), ask(&other));
    // The second counts as a retry of the first: its successor took the other's place, which ends all when it shows up.
    let (one, two) = (one.word("refresh_token"), two.word("refresh_token"));
    let good = [scene.refresh(&one).await.status, scene.refresh(&two).await.status];
    assert!(good.contains(&StatusCode::BAD_REQUEST), "{good:?}");
}

#[tokio::test]
async fn a_database_that_is_away_gives_503_and_a_time_to_come_back() {
    let scene = Scene::new().await;
    let agent = scene.register("curl").await;
    scene.zone.close().await;
    let reply = scene.ask(&agent, &[CLIENT_CREDENTIALS, ("resource", WHOAMI)]).await;
    reply.refused(503, "temporarily_unavailable", "The zone's database is away, try again soon");
    assert_eq!(reply.header("retry-after"), "5");
    // The keys are known without it.
    assert_eq!(scene.get("/openidconnect/jwks").await.status, StatusCode::OK);
}

#[tokio::test]
async fn connections_that_the_server_ended_are_made_anew() {
    if !is_on_postgres() {
        return;
    }
    let scene = Scene::new().await;
    let agent = scene.register("curl").await;
    let target = [CLIENT_CREDENTIALS, ("resource", WHOAMI)];
    let Database::Postgres(url) = &scene.database else { panic!("on PostgreSQL") };
    let schema = text(url).rsplit('=').next().unwrap();
    let mut connection = <sqlx::AnyConnection as sqlx::Connection>::connect(POSTGRES.as_str()).await.unwrap();
    // Those whose last words were about this test's tables.
    let end = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
               WHERE application_name = $1 AND pid <> pg_backend_pid()";
    let ended: i64 = sqlx::query_scalar(end).bind(schema).fetch_one(&mut connection).await.unwrap();
    assert!(ended > 0);
    let mut answers = Vec::new();
    for _ in 0..20 {
        let reply = scene.ask(&agent, &target).await;
        if reply.status != StatusCode::OK {
            reply.refused(503, "temporarily_unavailable", "The zone's database is away, try again soon");
        }
        answers.push(reply.status);
    }
    assert_eq!(answers.last(), Some(&StatusCode::OK), "{answers:?}");
}
