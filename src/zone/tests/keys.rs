//! What is on disk, what survives a restart, and keys that change.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use super::management::Office;
use super::*;
use crate::zone::Error;
use crate::zone::KeyringFailed;
use crate::zone::SealFailed;

#[tokio::test]
async fn a_restart_keeps_key_users_and_applications() {
    let scene = Scene::new().await;
    let (agent, before) = (scene.register("curl").await, scene.get("/openidconnect/jwks").await.body);
    let target = [("grant_type", "client_credentials"), ("resource", WHOAMI)];
    scene.zone.close().await;
    let again = Scene { zone: scene.open_again().await, ..scene };
    assert_eq!(again.get("/openidconnect/jwks").await.body, before);
    assert_eq!(again.ask(&agent, &target).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_first_start_makes_the_folder_and_a_key_of_its_own() {
    let scene = Scene::new().await;
    let folder = scene.folder.path().join("deep/er");
    let database = new_database(&folder).await;
    let zone = open(&database, &folder, &scene.clock).await;
    let other = Scene { daemon: zone.sign_in().await.unwrap(), zone, ..scene };
    let kid = other.get("/openidconnect/jwks").await.body["keys"][0]["kid"].as_str().unwrap().to_owned();
    assert_ne!(SigningKey::from_pkcs8(&Secret::new(KEY.as_slice())).unwrap().kid(), kid);
    assert_eq!(fs::metadata(&folder).unwrap().permissions().mode() & 0o777, 0o700);
    assert_eq!(header(&other.session_token().await)["kid"], kid.as_str());
}

#[tokio::test]
async fn every_file_is_the_owners_alone_and_holds_no_secret_in_clear() {
    let scene = Scene::new().await;
    let agent = scene.register("curl").await;
    let refreshed = scene.refresh(text(&scene.daemon.refresh_token)).await;
    scene.zone.close().await;
    let secrets = [
        agent.secret.as_str(),
        text(&scene.daemon.refresh_token),
        text(&scene.daemon.client_secret),
        text(&scene.daemon.registration_token),
        &refreshed.word("refresh_token"),
        &refreshed.word("access_token"),
    ];
    let mut seen = 0;
    for file in fs::read_dir(scene.folder.path()).unwrap().map(Result::unwrap) {
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{}", file.path().display());
        let content = fs::read(file.path()).unwrap();
        for secret in secrets {
            assert!(!content.windows(secret.len()).any(|window| window == secret.as_bytes()));
        }
        seen += 1;
    }
    assert!(seen >= 2, "the sealing key, and the database or an earlier version's key");
}

#[tokio::test]
async fn a_rotated_key_stays_in_the_jwks_until_its_tokens_are_dead() {
    let scene = Scene::new().await;
    let (agent, subject) = (scene.register("curl").await, scene.session_token().await);
    let old = header(&subject)["kid"].clone();
    scene.zone.rotate_key().await.unwrap();
    let keys = scene.get("/openidconnect/jwks").await.body["keys"].clone();
    let [current, quick, former @ ..] = &keys.as_array().unwrap()[..] else { panic!("keys in {keys}") };
    assert_eq!((&current["alg"], &quick["alg"], former.len()), (&json!("RS256"), &json!("ES256"), 2));
    let retired = former.iter().find(|key| key["kid"] == old).unwrap();
    assert!(retired.get("d").is_none() && quick.get("d").is_none());
    // A token of the old key is still good, and the answer is signed with the new one.
    let reply = scene.exchange(&agent, &subject, &[("resource", WHOAMI)]).await;
    assert_eq!(header(&reply.word("access_token"))["kid"], current["kid"]);
    // The same after a restart.
    scene.zone.close().await;
    let again = Scene { zone: scene.open_again().await, ..scene };
    assert_eq!(again.get("/openidconnect/jwks").await.body["keys"], keys);
    again.clock.advance(Duration::from_secs(24 * 3600 + 60));
    let keys = again.get("/openidconnect/jwks").await.body["keys"].clone();
    assert_eq!(keys, json!([current, quick]));
}

#[tokio::test]
async fn a_resource_says_which_of_the_two_keys_signs_for_it() {
    let office = Office::new().await;
    let list = "/zones/{zone}/resources";
    let body = json!({"name": "API", "identifier": "https://api.example", "access_token_signing_alg": "ES256"});
    let made = office.post(list, body).await;
    let path = format!("{list}/{}", made["id"].as_str().unwrap());
    let app = office.application("a").await;
    let secret = json!({"type": "password", "application_id": app});
    let secret = office.post("/zones/{zone}/application-credentials", secret).await;
    let agent = Agent {
        id: secret["identifier"].as_str().unwrap().into(),
        secret: secret["password"].as_str().unwrap().into(),
    };
    let needs = format!("/zones/{{zone}}/applications/{app}/dependencies/{}", made["id"].as_str().unwrap());
    office.call("PUT", &needs, None).await;
    let ask = async || {
        let form = [("grant_type", "client_credentials"), ("resource", "https://api.example")];
        office.scene.ask(&agent, &form).await.word("access_token")
    };
    let keys = office.scene.get("/openidconnect/jwks").await.body;
    let set = crate::jose::KeySet::from_jwks(&crate::jose::Jwks::parse(keys.to_string().as_bytes()).unwrap());
    let clock = Arc::<HandClock>::clone(&office.scene.clock);
    let verifier = crate::jose::Verifier::new(ISSUER.to_owned(), "https://api.example".to_owned(), clock);
    for (change, algorithm, at) in
        [(json!("ES256"), "ES256", 1), (json!(null), "RS256", 0), (json!("ES256"), "ES256", 1)]
    {
        assert_eq!(
            office.patch(&path, json!({"access_token_signing_alg": change})).await["access_token_signing_alg"],
            algorithm
        );
        let token = ask().await;
        let said = header(&token);
        assert_eq!((&said["alg"], &said["kid"]), (&json!(algorithm), &keys["keys"][at]["kid"]));
        assert_eq!(verifier.verify::<Value>(&token, &set).unwrap()["sub"], app);
    }
    assert_eq!(office.refused("PATCH", &path, Some(json!({"access_token_signing_alg": "none"}))).await.0, 400);
    assert_eq!(office.refused("PATCH", &path, Some(json!({"access_token_signing_alg": "HS256"}))).await.0, 400);
    // A rotation changes both.
    office.scene.zone.rotate_key().await.unwrap();
    assert_ne!(header(&ask().await)["kid"], keys["keys"][1]["kid"]);
}

#[tokio::test]
async fn a_file_that_others_can_read_is_refused_with_a_hint() {
    let scene = Scene::new().await;
    scene.zone.close().await;
    let settings = || settings(&scene.database, scene.folder.path(), &scene.clock);
    let sealing_key = scene.folder.path().join("zone.seal");
    let mut files = vec![sealing_key.clone()];
    if let Database::Sqlite(file) = &scene.database {
        files.push(file.clone());
    }
    for file in files {
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
        let error = Zone::open(settings()).await.unwrap_err();
        assert!(matches!(error, Error::Seal(SealFailed::File { .. }) | Error::File { .. }), "{error:?}");
        assert!(error.hint().unwrap().contains("chmod 600"));
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    }
    fs::write(&sealing_key, "rubbish").unwrap();
    let error = Zone::open(settings()).await.unwrap_err();
    assert!(matches!(error, Error::Seal(SealFailed::Content { .. })), "{error:?}");
    fs::write(&sealing_key, [7; 32]).unwrap();
    let error = Zone::open(settings()).await.unwrap_err();
    assert!(matches!(error, Error::Key(KeyringFailed::Seal(SealFailed::Broken))), "{error:?}");
}

#[tokio::test]
async fn a_declaration_replaces_the_one_before() {
    let scene = Scene::new().await;
    let agent = scene.register("curl").await;
    scene.zone.declare(vec![resource(WHOAMI, "read", None)]).await.unwrap();
    let ask = async |target| scene.ask(&agent, &[("grant_type", "client_credentials"), ("resource", target)]).await;
    assert_eq!(ask(WHOAMI).await.claims()["scope"], "read");
    ask(NOTES).await.refused(400, "invalid_target", "Requested authorization for unknown resource");
}

#[tokio::test]
async fn what_can_not_be_declared_or_opened_is_said() {
    let scene = Scene::new().await;
    let declare = async |resource| scene.zone.declare(vec![resource]).await.unwrap_err();
    let error = declare(resource(WHOAMI, "read", Some(Duration::from_secs(1)))).await;
    assert_eq!(
        error.to_string(),
        "a token for `https://whoami.valetkey.internal` must live between a minute and a day"
    );
    let error = declare(resource("http://127.0.0.1:7980/", "read", None)).await;
    assert_eq!(error.to_string(), "`http://127.0.0.1:7980/` is the zone's own address and can't be a resource");
    for issuer in ["", "127.0.0.1:1", "http://a/b", "http://u@a", "ftp://a", "http://a/"] {
        let folder = tempfile::tempdir().unwrap();
        let settings = settings(&scene.database, folder.path(), &scene.clock);
        let error = Zone::open(Settings { issuer: issuer.to_owned(), ..settings }).await.unwrap_err();
        assert!(matches!(error, Error::Issuer(_)), "{issuer}");
    }
}

#[tokio::test]
async fn a_key_is_renewed_in_time_shown_before_it_signs_and_served_until_its_last_token_is_dead() {
    let scene = Scene::new().await;
    let (agent, replica) = (scene.register("curl").await, scene.open_again().await);
    let keys = async || scene.get("/openidconnect/jwks").await.body["keys"].as_array().unwrap().clone();
    let kid = async || {
        let form = [("grant_type", "client_credentials"), ("resource", WHOAMI)];
        header(&scene.ask(&agent, &form).await.word("access_token"))["kid"].clone()
    };
    let both_look = async || tokio::join!(scene.zone.look_for_keys(), replica.look_for_keys());
    let first = keys().await;
    assert_eq!(first.len(), 2);
    let days = |days: u64| Duration::from_secs(days * 24 * 3600);
    scene.clock.advance(days(90) - Duration::from_millis(1));
    both_look().await;
    assert_eq!(keys().await, first, "it is not old enough");
    scene.clock.advance(Duration::from_millis(1));
    both_look().await;
    let shown = keys().await;
    assert_eq!((shown.len(), &shown[..2]), (4, &first[..]), "one successor of each, whoever made it");
    assert_eq!(kid().await, first[0]["kid"], "what verifiers do not know yet signed");
    scene.clock.advance(days(1) - Duration::from_millis(1));
    both_look().await;
    assert_eq!(keys().await, shown);
    scene.clock.advance(Duration::from_millis(1));
    both_look().await;
    let renewed = keys().await;
    let is_in = |keys: &[Value], key: &Value| keys.iter().any(|other| other["kid"] == key["kid"]);
    assert!(shown.iter().all(|key| is_in(&renewed, key)) && renewed.len() == 4, "{renewed:?}");
    assert!(is_in(&shown[2..], &renewed[0]) && is_in(&shown[2..], &renewed[1]));
    assert_eq!(kid().await, renewed[0]["kid"]);
    let private = "SELECT kid FROM signing_keys WHERE sealed IS NOT NULL";
    assert_eq!(scene.zone.store().dump(private).await.split(' ').count(), 2, "a retired key can sign no more");
    scene.clock.advance(days(1) + Duration::from_secs(60));
    both_look().await;
    assert_eq!(keys().await, renewed[..2]);
    // Whoever rotates at once drops what was to sign next, for that may be lost as well.
    scene.clock.advance(days(89));
    both_look().await;
    let shown = keys().await;
    assert_eq!(shown.len(), 4);
    scene.zone.rotate_key().await.unwrap();
    let rotated = keys().await;
    assert!(rotated.len() == 4 && !is_in(&shown, &rotated[0]) && !shown[2..].iter().any(|key| is_in(&rotated, key)));
}
