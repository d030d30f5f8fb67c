//! The authorization endpoint and what its codes are exchanged for.

use super::people::*;
use super::*;

#[tokio::test]
async fn a_person_signs_in_consents_and_the_client_gets_a_token_for_the_resource() {
    let scene = Scene::of_people().await;
    let client = scene.public_client().await;
    let browser = Browser::new(&scene);
    let page =
        browser.open(&scene.request(&client, &[("resource", WHOAMI), ("scope", "read openid"), ("nonce", "n1")])).await;
    assert!(page.text.contains("Allow “Claude Code” to act for you?"), "{}", page.text);
    assert!(page.text.contains(WHOAMI) && page.text.contains("<code>read</code>") && page.text.contains(CALLBACK));
    let answered = browser.consent(&page, "allow").await;
    assert!(answered.location().starts_with(CALLBACK));
    assert_eq!(answered.answer("state").unwrap(), "xyz");
    assert_eq!(answered.answer("iss").unwrap(), ISSUER);
    let reply = scene.redeem(&client, &answered.answer("code").unwrap(), &[("resource", WHOAMI)]).await;
    assert_eq!(reply.status, StatusCode::OK, "{}", reply.body);
    assert_eq!(reply.body["token_type"], "Bearer");
    assert_eq!(reply.body["scope"], "read");
    let token = reply.claims();
    assert_eq!((&token["aud"], &token["client_id"]), (&json!(WHOAMI), &json!(client)));
    assert_eq!(token["preferred_username"], ADA);
    let id_token = claims(&reply.word("id_token"));
    assert_eq!((&id_token["aud"], &id_token["nonce"]), (&json!(client), &json!("n1")));
    assert_eq!((&id_token["sub"], &id_token["auth_time"]), (&token["sub"], &json!(NOW)));
    // The consent is remembered, and only for what was consented to.
    let again = browser.get(&scene.request(&client, &[("resource", WHOAMI), ("scope", "read openid")])).await;
    assert!(again.answer("code").is_some());
    let more = browser.get(&scene.request(&client, &[("resource", WHOAMI), ("scope", "read write")])).await;
    assert!(more.text.contains("<code>write</code>"));
}

#[tokio::test]
async fn without_a_resource_the_token_is_the_persons_session_and_can_be_exchanged() {
    let scene = Scene::of_people().await;
    let client = scene.public_client().await;
    let code = scene.code(&client, &[("scope", "openid")]).await;
    let tokens = scene.redeem(&client, &code, &[]).await;
    assert_eq!(tokens.claims()["aud"], ISSUER);
    let exchange = async || {
        let subject = tokens.word("access_token");
        let form = [
            ("grant_type", EXCHANGE),
            ("client_id", client.as_str()),
            ("subject_token", subject.as_str()),
            ("subject_token_type", ACCESS_TOKEN),
            ("resource", WHOAMI),
        ];
        scene.post("/oauth/2/token", &form).await
    };
    exchange().await.refused(400, "insufficient_authorization", "User consent is required");
    scene.code(&client, &[("resource", WHOAMI)]).await;
    let exchanged = exchange().await;
    assert_eq!(exchanged.status, StatusCode::OK, "{}", exchanged.body);
    assert_eq!(exchanged.claims()["act"], json!({"sub": client, "name": "Claude Code"}));
    assert_eq!(exchanged.claims()["sid"], tokens.claims()["sid"]);
}

#[tokio::test]
async fn nobody_is_redirected_until_client_and_address_belong_together() {
    let scene = Scene::of_people().await;
    let client = scene.public_client().await;
    let browser = Browser::new(&scene);
    for (name, value) in [
        ("client_id", "ua_unknown"),
        ("client_id", ""),
        ("redirect_uri", "http://127.0.0.1:51004/other"),
        ("redirect_uri", "https://evil.test/callback"),
        ("redirect_uri", "http://127.0.0.1:51004@evil.test/callback"),
        ("redirect_uri", "http://localhost:51004/callback"),
        ("redirect_uri", ""),
    ] {
        let page = browser.get(&scene.request(&client, &[(name, value)])).await;
        assert_eq!(page.status, StatusCode::BAD_REQUEST, "{name}={value}");
        assert!(page.headers.get("location").is_none());
    }
    let twice = format!("{}&redirect_uri=https%3A%2F%2Fevil.test", scene.request(&client, &[]));
    assert!(browser.get(&twice).await.headers.get("location").is_none());
}

#[tokio::test]
async fn what_is_wrong_with_a_request_is_told_to_its_client() {
    let scene = Scene::of_people().await;
    let client = scene.public_client().await;
    let browser = Browser::new(&scene);
    for (name, value, error) in [
        ("response_type", "token", "unsupported_response_type"),
        ("response_type", "", "invalid_request"),
        ("code_challenge", "", "invalid_request"),
        ("code_challenge", "short", "invalid_request"),
        ("code_challenge_method", "plain", "invalid_request"),
        ("code_challenge_method", "", "invalid_request"),
        ("response_mode", "fragment", "invalid_request"),
        ("request", "eyJ", "request_not_supported"),
        ("request_uri", "https://evil.test", "request_uri_not_supported"),
        ("resource", "https://unknown.example", "invalid_target"),
        ("scope", "\"", "invalid_scope"),
        ("prompt", "what", "invalid_request"),
        ("prompt", "none", "login_required"),
        ("max_age", "-1", "invalid_request"),
    ] {
        let page = browser.get(&scene.request(&client, &[(name, value)])).await;
        assert_eq!(page.answer("error").as_deref(), Some(error), "{name}={value}");
        assert_eq!(page.answer("state").as_deref(), Some("xyz"));
        assert_eq!(page.answer("iss").as_deref(), Some(ISSUER));
    }
    let page = browser.open(&scene.request(&client, &[("resource", WHOAMI)])).await;
    assert_eq!(browser.consent(&page, "deny").await.answer("error").as_deref(), Some("access_denied"));
    let silent = browser.get(&scene.request(&client, &[("resource", WHOAMI), ("prompt", "none")])).await;
    assert_eq!(silent.answer("error").as_deref(), Some("consent_required"));
}

#[tokio::test]
async fn a_client_that_wants_a_new_sign_in_gets_one_and_not_for_ever() {
    let scene = Scene::of_people().await;
    let client = scene.public_client().await;
    let browser = Browser::new(&scene);
    let page = browser.open(&scene.request(&client, &[("scope", "openid")])).await;
    browser.consent(&page, "allow").await;
    for more in [("prompt", "login"), ("max_age", "0")] {
        scene.clock.advance(Duration::from_secs(2));
        let page = browser.get(&scene.request(&client, &[("scope", "openid"), more])).await;
        assert!(page.text.contains("<h1>Sign in</h1>"), "{}", page.text);
        let page = browser.sign_in(&page, PASSWORD).await;
        assert!(browser.get(page.location()).await.answer("code").is_some());
    }
}

#[tokio::test]
async fn a_code_is_good_once_and_a_second_use_ends_what_it_began() {
    let scene = Scene::of_people().await;
    let client = scene.public_client().await;
    let code = scene.code(&client, &[("resource", WHOAMI)]).await;
    let tokens = scene.redeem(&client, &code, &[]).await;
    assert_eq!(tokens.status, StatusCode::OK, "{}", tokens.body);
    scene.redeem(&client, &code, &[]).await.refused(400, "invalid_grant", "The code is not valid");
    let refresh =
        [("grant_type", "refresh_token"), ("client_id", &client), ("refresh_token", &tokens.word("refresh_token"))];
    scene.post("/oauth/2/token", &refresh).await.refused(400, "invalid_grant", "The refresh token is not valid");
}

#[tokio::test]
async fn of_many_redemptions_at_once_one_succeeds() {
    let scene = Scene::of_people().await;
    let client = scene.public_client().await;
    let code = scene.code(&client, &[("resource", WHOAMI)]).await;
    let all = (0..8).map(|_| scene.redeem(&client, &code, &[]));
    let replies = futures_util::future::join_all(all).await;
    assert_eq!(replies.iter().filter(|reply| reply.status == StatusCode::OK).count(), 1);
}

#[tokio::test]
async fn of_two_replicas_one_takes_the_code_and_both_know_the_token() {
    let scene = Scene::of_people().await;
    let client = scene.public_client().await;
    let replica = scene.open_again().await;
    let code = scene.code(&client, &[("scope", "openid")]).await;
    let form = [
        ("grant_type", "authorization_code"),
        ("client_id", client.as_str()),
        ("code", code.as_str()),
        ("redirect_uri", CALLBACK),
        ("code_verifier", VERIFIER),
    ];
    let there = async |path: &str, form: &[(&str, &str)]| {
        let request = Request::post(path).header("content-type", "application/x-www-form-urlencoded");
        let request = request.body(Body::from(encode(form))).unwrap();
        Reply::read(replica.router().oneshot(request).await.unwrap()).await
    };
    let (here, elsewhere) = tokio::join!(scene.post("/oauth/2/token", &form), there("/oauth/2/token", &form));
    let taken = [&here, &elsewhere].into_iter().filter(|reply| reply.status == StatusCode::OK).count();
    assert_eq!(taken, 1, "{} {}", here.body, elsewhere.body);
    // The second use ended what the first one began, wherever it was.
    let won = if here.status == StatusCode::OK { here } else { elsewhere };
    let refresh = won.word("refresh_token");
    let form = [("grant_type", "refresh_token"), ("client_id", client.as_str()), ("refresh_token", refresh.as_str())];
    there("/oauth/2/token", &form).await.refused(400, "invalid_grant", "The refresh token is not valid");
    scene.post("/oauth/2/token", &form).await.refused(400, "invalid_grant", "The refresh token is not valid");
}

#[tokio::test]
async fn a_code_fits_one_client_one_address_one_verifier_and_one_minute() {
    let scene = Scene::of_people().await;
    let (client, other) = (scene.public_client().await, scene.public_client().await);
    for (name, value) in [
        ("code_verifier", "another-verifier-of-more-than-43-characters-as-rfc-7636"),
        ("code_verifier", ""),
        ("redirect_uri", "http://127.0.0.1:51005/callback"),
        ("redirect_uri", ""),
    ] {
        let code = scene.code(&client, &[("resource", WHOAMI)]).await;
        let reply = scene.redeem(&client, &code, &[(name, value)]).await;
        reply.refused(400, "invalid_grant", "The code is not valid");
        // Whoever guesses has one try.
        scene.redeem(&client, &code, &[]).await.refused(400, "invalid_grant", "The code is not valid");
    }
    let code = scene.code(&client, &[("resource", WHOAMI)]).await;
    scene.redeem(&other, &code, &[]).await.refused(400, "invalid_grant", "The code is not valid");
    assert_eq!(scene.redeem(&client, &code, &[]).await.status, StatusCode::OK, "another client's try spent the code");
    let code = scene.code(&client, &[("resource", WHOAMI)]).await;
    scene.clock.advance(Duration::from_secs(61));
    scene.redeem(&client, &code, &[]).await.refused(400, "invalid_grant", "The code is not valid");
}

#[tokio::test]
async fn several_resources_are_allowed_at_once_and_had_one_by_one() {
    let scene = Scene::of_people().await;
    let client = scene.public_client().await;
    let request = format!(
        "{}&resource={}",
        scene.request(&client, &[("resource", WHOAMI)]),
        encode(&[("", NOTES)]).trim_start_matches('=')
    );
    let browser = Browser::new(&scene);
    let page = browser.open(&request).await;
    assert!(page.text.contains(WHOAMI) && page.text.contains(NOTES), "{}", page.text);
    let code = browser.consent(&page, "allow").await.answer("code").unwrap();
    let first = scene.redeem(&client, &code, &[("resource", NOTES)]).await;
    assert_eq!((&first.claims()["aud"], &first.body["scope"]), (&json!(NOTES), &json!("notes:read")));
    let refresh = async |token: &str, resource: &str| {
        let form =
            [("grant_type", "refresh_token"), ("client_id", &client), ("refresh_token", token), ("resource", resource)];
        scene.post("/oauth/2/token", &form).await
    };
    let second = refresh(&first.word("refresh_token"), WHOAMI).await;
    assert_eq!((&second.claims()["aud"], &second.body["scope"]), (&json!(WHOAMI), &json!("read write")));
    let reply = refresh(&second.word("refresh_token"), "https://unknown.example").await;
    reply.refused(400, "invalid_target", "The resource was not allowed");
}

#[tokio::test]
async fn a_public_clients_refresh_token_is_good_once_without_any_grace() {
    let scene = Scene::of_people().await;
    let client = scene.public_client().await;
    let code = scene.code(&client, &[("resource", WHOAMI)]).await;
    let first = scene.redeem(&client, &code, &[]).await.word("refresh_token");
    let refresh = async |token: &str| {
        let form = [("grant_type", "refresh_token"), ("client_id", client.as_str()), ("refresh_token", token)];
        scene.post("/oauth/2/token", &form).await
    };
    let second = refresh(&first).await.word("refresh_token");
    refresh(&first).await.refused(400, "invalid_grant", "The refresh token is not valid");
    refresh(&second).await.refused(400, "invalid_grant", "The refresh token is not valid");
}

#[tokio::test]
async fn a_client_says_what_its_person_is_to_be_asked() {
    let scene = Scene::of_people().await;
    let client = scene.public_client().await;
    let browser = Browser::new(&scene);
    let page = browser.open(&scene.request(&client, &[("scope", "openid")])).await;
    browser.consent(&page, "allow").await;
    let ask =
        async |prompt: &str| browser.get(&scene.request(&client, &[("scope", "openid"), ("prompt", prompt)])).await;
    assert!(ask("none").await.answer("code").is_some());
    assert!(ask("consent").await.text.contains("to act for you?"));
    assert_eq!(ask("none login").await.answer("error").as_deref(), Some("invalid_request"));
    for prompt in ["login consent", "select_account", "select_account login"] {
        let page = ask(prompt).await;
        assert!(page.text.contains("<h1>Sign in</h1>"), "{prompt}: {}", page.text);
        let signed_in = browser.sign_in(&page, PASSWORD).await;
        let page = browser.get(signed_in.location()).await;
        // Once, and what else was asked for is still asked.
        match prompt {
            "login consent" => assert!(page.text.contains("to act for you?"), "{}", page.text),
            _ => assert!(page.answer("code").is_some(), "{prompt}"),
        }
    }
    let page = Browser::new(&scene).get(&scene.request(&client, &[("login_hint", "bob \"b\" <b>")])).await;
    assert!(page.text.contains("value=\"bob &#34;b&#34; &#60;b&#62;\""), "{}", page.text);
}

#[tokio::test]
async fn a_client_that_expects_somebody_gets_nobody_else() {
    let scene = Scene::of_people().await;
    scene.zone.set_password("bob@example.com", Secret::new(PASSWORD)).await.unwrap();
    let client = scene.public_client().await;
    let code = scene.code(&client, &[("scope", "openid")]).await;
    let hint = scene.redeem(&client, &code, &[]).await.word("id_token");
    let request = |more: &[(&'static str, &'static str)]| {
        let mut all = vec![("scope", "openid"), ("id_token_hint", hint.as_str())];
        all.extend_from_slice(more);
        scene.request(&client, &all)
    };
    let browser = Browser::new(&scene);
    // Nobody is signed in: the page knows whom to ask for.
    let page = browser.get(&request(&[])).await;
    assert!(page.text.contains(&format!("value=\"{ADA}\"")), "{}", page.text);
    let signed_in = browser.sign_in_as(&page, "bob@example.com", PASSWORD).await;
    let answered = browser.get(signed_in.location()).await;
    assert_eq!(answered.answer("error").as_deref(), Some("login_required"), "it is not Ada who signed in");
    // Bob is signed in.
    let silent = browser.get(&request(&[("prompt", "none")])).await;
    assert_eq!(silent.answer("error").as_deref(), Some("login_required"));
    let page = browser.get(&request(&[])).await;
    assert!(page.text.contains("<h1>Sign in</h1>"), "{}", page.text);
    let signed_in = browser.sign_in(&page, PASSWORD).await;
    assert!(browser.get(signed_in.location()).await.answer("code").is_some());
    assert!(browser.get(&request(&[("prompt", "none")])).await.answer("code").is_some());
    let forged = browser.get(&scene.request(&client, &[("id_token_hint", "rubbish")])).await;
    assert_eq!(forged.answer("error").as_deref(), Some("invalid_request"));
}

#[tokio::test]
async fn an_id_token_says_only_what_is_known() {
    let scene = Scene::of_people().await;
    let web = scene.software("web").await;
    scene
        .manage(
            "PATCH",
            &format!("/zones/{{zone}}/applications/{}", web.id),
            Some(json!({
                "protocols": {"oauth2": {"redirect_uris": [CALLBACK]}}, "consent": "implicit",
            })),
        )
        .await;
    let code = scene.code(&web.client.id, &[("scope", "openid")]).await;
    let form = [
        ("grant_type", "authorization_code"),
        ("code", &code),
        ("redirect_uri", CALLBACK),
        ("code_verifier", VERIFIER),
    ];
    let reply = scene.ask(&web.client, &form).await;
    assert_eq!(reply.status, StatusCode::OK, "{}", reply.body);
    let told = claims(&reply.word("id_token"));
    // The client compares it with the name that it knows itself by, which is not the application's.
    assert_eq!((&told["aud"], &told["azp"]), (&json!(web.client.id), &json!(web.client.id)));
    assert_eq!((&told["amr"], told.get("acr")), (&json!(["pwd"]), None));
    assert_eq!((&told["email"], &told["email_verified"]), (&json!(ADA), &json!(true)));
    // By a link of this machine's owner: no password was shown, and none is claimed.
    let key = scene.folder.path().join("zone.seal");
    let link = crate::zone::sign_in_link(&scene.database, &key, ISSUER, ADA, scene.clock.now()).await.unwrap();
    let browser = Browser::new(&scene);
    let page = browser.get(text(&link).strip_prefix(ISSUER).unwrap()).await;
    let (mark, ticket) = (page.field("mark"), page.field("ticket"));
    browser.post("/sign-in/link", &[("mark", &mark), ("ticket", &ticket)]).await;
    let code = browser.get(&scene.request(&web.client.id, &[("scope", "openid")])).await.answer("code").unwrap();
    let form = form.map(|(name, value)| (name, if name == "code" { code.as_str() } else { value }));
    let told = claims(&scene.ask(&web.client, &form).await.word("id_token"));
    assert_eq!((told.get("amr"), &told["auth_time"]), (None, &json!(NOW)));
}
