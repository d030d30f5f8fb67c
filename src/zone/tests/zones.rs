//! The zones beside the home zone: each is served at its own name, by its own key, and knows nothing of the others.

use super::management::Office;
use super::people::*;
use super::*;
use crate::zone::OWN_CLIENT;
use crate::zone::id::ZoneId;
use crate::zone::rotate_key;

const HOME: &str = "127.0.0.1:7980";

/// An office with a second zone, where Ada has the same password as at home.
struct Town {
    office: Office,
    other: String,
    host: String,
}

impl Town {
    async fn new() -> Self {
        let scene = Scene::of_people().await;
        let token = scene.token(&["admin"]).await;
        let office = Office { scene, token, zone: String::new() };
        let made = office.post("/zones", json!({"name": "Other"})).await;
        let other = made["id"].as_str().unwrap().to_owned();
        let host = format!("{other}.localhost:7980");
        assert_eq!(made["protocols"]["oauth2"]["issuer"], format!("http://{host}"));
        let (home, now) = (office.scene.zone.store(), office.scene.clock.now());
        let (_, phc) = home.password_of(ADA).await.unwrap().unwrap();
        let store = home.of(ZoneId::known(other.clone()));
        let ada = store.welcome_user(ADA, now).await.unwrap();
        store.set_password(&ada.id, &phc.unwrap(), now).await.unwrap();
        Self { office, other, host }
    }

    fn scene(&self) -> &Scene {
        &self.office.scene
    }

    async fn get(&self, host: &str, path: &str) -> Reply {
        self.scene().send_to(host, Request::get(path).body(Body::empty()).unwrap()).await
    }

    async fn form(&self, host: &str, path: &str, form: &[(&str, &str)]) -> Reply {
        let request = Request::post(path).header("content-type", "application/x-www-form-urlencoded");
        self.scene().send_to(host, request.body(Body::from(encode(form))).unwrap()).await
    }

    /// A code of the command line's client, which each zone knows by the same name.
    async fn code(&self, host: &str) -> String {
        let browser = Browser::at(self.scene(), host);
        let page = browser.open(&self.scene().request(OWN_CLIENT, &[("scope", "openid")])).await;
        browser.consent(&page, "allow").await.answer("code").unwrap()
    }

    async fn redeem(&self, host: &str, code: &str) -> Reply {
        let form = [
            ("grant_type", "authorization_code"),
            ("client_id", OWN_CLIENT),
            ("code", code),
            ("redirect_uri", CALLBACK),
            ("code_verifier", VERIFIER),
        ];
        self.form(host, "/oauth/2/token", &form).await
    }

    async fn refresh(&self, host: &str, token: &str) -> Reply {
        let form = [("grant_type", "refresh_token"), ("client_id", OWN_CLIENT), ("refresh_token", token)];
        self.form(host, "/oauth/2/token", &form).await
    }

    async fn userinfo(&self, host: &str, token: &str) -> StatusCode {
        let request = Request::get("/openid/connect/userinfo").header("authorization", format!("Bearer {token}"));
        self.scene().send_to(host, request.body(Body::empty()).unwrap()).await.status
    }
}

#[tokio::test]
async fn a_zone_is_served_at_its_own_name_with_its_own_key() {
    let town = Town::new().await;
    let metadata = town.get(&town.host, "/.well-known/openid-configuration").await;
    assert_eq!(metadata.status, StatusCode::OK);
    let url = format!("http://{}", town.host);
    assert_eq!(metadata.word("issuer"), url);
    assert_eq!(metadata.word("jwks_uri"), format!("{url}/openidconnect/jwks"));
    let kid = async |host: &str| town.get(host, "/openidconnect/jwks").await.body["keys"][0]["kid"].clone();
    assert!(kid(&town.host).await.is_string());
    assert_ne!(kid(&town.host).await, kid(HOME).await);
    // The private half is sealed, and was there as soon as the zone was.
    let sealed = town.scene().zone.store().dump("SELECT sealed FROM signing_keys WHERE sealed IS NOT NULL").await;
    assert_eq!(sealed.split(' ').count(), 4, "two for each zone");
    // The management API is at the home zone's address only.
    assert_eq!(town.get(&town.host, "/zones").await.status, StatusCode::NOT_FOUND);
    assert_eq!(town.get(&town.host, "/openapi.json").await.status, StatusCode::NOT_FOUND);
    let tokens = town.redeem(&town.host, &town.code(&town.host).await).await;
    assert_eq!(tokens.status, StatusCode::OK, "{}", tokens.body);
    assert_eq!((&tokens.claims()["iss"], &tokens.claims()["aud"]), (&json!(url), &json!(url)));
    assert_eq!(header(&tokens.word("access_token"))["kid"], kid(&town.host).await);
    assert_eq!(town.userinfo(&town.host, &tokens.word("access_token")).await, StatusCode::OK);
}

#[tokio::test]
async fn a_name_that_is_no_zones_gets_the_same_answer_whether_there_is_such_a_zone_or_not() {
    let town = Town::new().await;
    let unknown = ZoneId::random();
    let (other, home) = (&town.other, town.scene().zone.store().zone().to_string());
    for host in [
        format!("{unknown}.localhost:7980"),
        // The home zone has one name, and this is not it.
        format!("{home}.localhost:7980"),
        format!("{other}.localhost:7980."),
        format!("{other}.localhost.:7980"),
        format!("{other}.localhost"),
        format!("{other}.localhost:7981"),
        format!("{other}.127.0.0.1:7980"),
        format!("{other}@localhost:7980"),
        format!("user:pass@{other}.localhost:7980"),
        format!("{other}.localhost:7980@evil.test"),
        format!("{other}.localhost.evil.test:7980"),
        format!("x.{other}.localhost:7980"),
        format!("{other}:7980"),
        other.clone(),
        "evil.test".to_owned(),
    ] {
        for path in ["/.well-known/openid-configuration", "/zones", "/"] {
            let request = Request::get(path).header("host", &host).body(Body::empty()).unwrap();
            let response = town.scene().zone.front(&[]).answer(request).await;
            assert_eq!(response.status(), StatusCode::MISDIRECTED_REQUEST, "{host}");
            assert!(response.headers().is_empty());
            assert!(response.into_body().collect().await.unwrap().to_bytes().is_empty());
        }
    }
    let upper = town.host.to_uppercase();
    assert_eq!(town.get(&upper, "/openidconnect/jwks").await.status, StatusCode::OK);
    // What stands in front says where it is, and nobody else.
    let forwarded = Request::get("/openidconnect/jwks").header("x-forwarded-host", &town.host);
    let answer = town.scene().send_to("evil.test", forwarded.body(Body::empty()).unwrap()).await;
    assert_eq!(answer.status, StatusCode::MISDIRECTED_REQUEST);
}

#[tokio::test]
async fn a_code_or_token_of_one_zone_is_worth_nothing_at_another() {
    let town = Town::new().await;
    for (own, stranger) in [(town.host.as_str(), HOME), (HOME, town.host.as_str())] {
        let code = town.code(own).await;
        town.redeem(stranger, &code).await.refused(400, "invalid_grant", "The code is not valid");
        // It was not spent there.
        let tokens = town.redeem(own, &code).await;
        assert_eq!(tokens.status, StatusCode::OK, "{}", tokens.body);
        let (access, refresh) = (tokens.word("access_token"), tokens.word("refresh_token"));
        assert_eq!(town.userinfo(stranger, &access).await, StatusCode::UNAUTHORIZED);
        let request = Request::get("/zones").header("authorization", format!("Bearer {access}"));
        let managed = town.scene().send_to(HOME, request.body(Body::empty()).unwrap()).await.status;
        assert!(own == HOME || managed == StatusCode::UNAUTHORIZED, "{managed}");
        let exchange = [
            ("grant_type", EXCHANGE),
            ("client_id", OWN_CLIENT),
            ("subject_token", access.as_str()),
            ("subject_token_type", ACCESS_TOKEN),
            ("resource", WHOAMI),
        ];
        let exchanged = town.form(stranger, "/oauth/2/token", &exchange).await;
        assert_eq!(exchanged.status, StatusCode::BAD_REQUEST, "{}", exchanged.body);
        assert_eq!(town.refresh(stranger, &refresh).await.body["error"], "invalid_grant");
        // Nobody can end a session of another zone either.
        town.form(stranger, "/oauth/2/revoke", &[("client_id", OWN_CLIENT), ("token", &refresh)]).await;
        assert_eq!(town.userinfo(own, &access).await, StatusCode::OK);
        assert_eq!(town.refresh(own, &refresh).await.status, StatusCode::OK);
    }
}

#[tokio::test]
async fn a_device_code_of_one_zone_is_worth_nothing_at_another() {
    let town = Town::new().await;
    let asked = town.form(&town.host, "/oauth/2/device_authorization", &[("client_id", OWN_CLIENT)]).await;
    assert_eq!(asked.status, StatusCode::OK, "{}", asked.body);
    let (code, user_code) = (asked.word("device_code"), asked.word("user_code"));
    assert!(asked.word("verification_uri").starts_with(&format!("http://{}/", town.host)));
    let stranger = Browser::new(town.scene());
    let page = stranger.open(&format!("/device?user_code={user_code}")).await;
    assert_eq!(page.status, StatusCode::NOT_FOUND);
    let browser = Browser::at(town.scene(), &town.host);
    let page = browser.open(&format!("/device?user_code={user_code}")).await;
    let (mark, user_code) = (page.field("mark"), page.field("user_code"));
    let form = [("mark", mark.as_str()), ("user_code", &user_code), ("decision", "allow")];
    assert!(browser.post("/device", &form).await.text.contains("Device connected"));
    let form = [("grant_type", DEVICE_CODE), ("client_id", OWN_CLIENT), ("device_code", code.as_str())];
    let poll = async |host: &str| town.form(host, "/oauth/2/token", &form).await;
    poll(HOME).await.refused(400, "invalid_grant", "The device code is not valid");
    assert_eq!(poll(&town.host).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_cookie_or_form_of_one_zone_is_worth_nothing_at_another() {
    let town = Town::new().await;
    for (own, stranger) in [(town.host.as_str(), HOME), (HOME, town.host.as_str())] {
        let browser = Browser::at(town.scene(), own);
        let account = browser.open("/account").await;
        assert!(account.text.contains("Browsers where you are signed in"), "{}", account.text);
        let abroad = browser.with_cookie_at(stranger);
        let page = abroad.get("/account").await;
        assert!(page.text.contains("<h1>Sign in</h1>"), "{}", page.text);
        // The mark of a form is one zone's, even for the same cookie.
        assert_ne!(page.field("mark"), account.field("mark"));
        let form = [
            ("mark", account.field("mark")),
            ("continue", "/account".to_owned()),
            ("name", ADA.to_owned()),
            ("password", PASSWORD.to_owned()),
        ];
        let form: Vec<(&str, &str)> = form.iter().map(|(name, value)| (*name, value.as_str())).collect();
        assert_eq!(abroad.post("/sign-in", &form).await.status, StatusCode::BAD_REQUEST);
        assert!(browser.get("/account").await.text.contains("Browsers where you are signed in"));
    }
}

#[tokio::test]
async fn clients_of_one_zone_are_strangers_at_another() {
    let town = Town::new().await;
    let scene = town.scene();
    let agent = Agent { id: scene.daemon.client_id.clone(), secret: text(&scene.daemon.client_secret).to_owned() };
    let basic = format!("Basic {}", STANDARD.encode(format!("{}:{}", agent.id, agent.secret)));
    let form = [("grant_type", "refresh_token"), ("refresh_token", text(&scene.daemon.refresh_token))];
    let request = Request::post("/oauth/2/token")
        .header("content-type", "application/x-www-form-urlencoded")
        .header("authorization", basic)
        .body(Body::from(encode(&form)));
    assert_eq!(scene.send_to(&town.host, request.unwrap()).await.body["error"], "invalid_client");
    let client = scene.public_client().await;
    let browser = Browser::at(scene, &town.host);
    let page = browser.get(&scene.request(&client, &[])).await;
    assert_eq!(page.status, StatusCode::BAD_REQUEST);
    assert!(page.text.contains("No such client is known here"), "{}", page.text);
    assert_eq!(scene.refresh(text(&scene.daemon.refresh_token)).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_zone_that_another_replica_made_is_served_at_once_and_one_that_is_removed_no_more() {
    let town = Town::new().await;
    let replica = town.scene().open_again().await;
    let made = town.office.post("/zones", json!({"name": "Third"})).await["id"].as_str().unwrap().to_owned();
    let front = replica.front(&[]);
    let jwks = async |zone: &str| {
        let request = Request::get("/openidconnect/jwks").header("host", format!("{zone}.localhost:7980"));
        Reply::read(front.answer(request.body(Body::empty()).unwrap()).await).await
    };
    let here = town.get(&format!("{made}.localhost:7980"), "/openidconnect/jwks").await;
    assert_eq!(jwks(&made).await.body, here.body);
    assert_eq!(jwks(&town.other).await.status, StatusCode::OK);
    // A code of one replica is redeemed at the other, once.
    let code = town.code(&town.host).await;
    let form = [
        ("grant_type", "authorization_code"),
        ("client_id", OWN_CLIENT),
        ("code", code.as_str()),
        ("redirect_uri", CALLBACK),
        ("code_verifier", VERIFIER),
    ];
    let request = Request::post("/oauth/2/token").header("content-type", "application/x-www-form-urlencoded");
    let request = request.header("host", &town.host).body(Body::from(encode(&form))).unwrap();
    assert_eq!(front.answer(request).await.status(), StatusCode::OK);
    town.redeem(&town.host, &code).await.refused(400, "invalid_grant", "The code is not valid");
    town.office.delete(&format!("/zones/{made}")).await;
    let gone = town.form(&format!("{made}.localhost:7980"), "/oauth/2/token", &form).await;
    assert_eq!(gone.body["error"], "invalid_client", "{}", gone.body);
    town.scene().clock.advance(Duration::from_secs(31));
    assert_eq!(jwks(&made).await.status, StatusCode::MISDIRECTED_REQUEST);
    let here = town.get(&format!("{made}.localhost:7980"), "/openidconnect/jwks").await;
    assert_eq!(here.status, StatusCode::MISDIRECTED_REQUEST);
    assert_eq!(jwks(&town.other).await.status, StatusCode::OK);
}

#[tokio::test]
async fn each_zones_key_is_rotated_by_itself() {
    let town = Town::new().await;
    let (scene, sealing_key) = (town.scene(), town.scene().folder.path().join("zone.seal"));
    let kids = async |host: &str| {
        let keys = town.get(host, "/openidconnect/jwks").await.body["keys"].clone();
        keys.as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let (home, other) = (kids(HOME).await, kids(&town.host).await);
    let tokens = town.redeem(&town.host, &town.code(&town.host).await).await;
    let now = scene.clock.now();
    let rotated = rotate_key(&scene.database, &sealing_key, Some(&town.other), now).await.unwrap();
    assert_eq!(rotated, town.other);
    let after = kids(&town.host).await;
    assert_eq!(after.len(), 4);
    assert!(other.iter().all(|kid| after[2..].contains(kid)), "{after:?}");
    assert_eq!(kids(HOME).await, home);
    // What the old key signed is good, and the new one signs.
    assert_eq!(town.userinfo(&town.host, &tokens.word("access_token")).await, StatusCode::OK);
    let renewed = town.refresh(&town.host, &tokens.word("refresh_token")).await;
    assert_eq!(header(&renewed.word("access_token"))["kid"], after[0]);
    rotate_key(&scene.database, &sealing_key, None, now).await.unwrap();
    assert_eq!(kids(HOME).await.len(), 4);
    assert_eq!(kids(&town.host).await, after);
    let unknown = rotate_key(&scene.database, &sealing_key, Some("nothing"), now).await.unwrap_err();
    assert_eq!(unknown.to_string(), "there is no zone `nothing`");
    let missing = scene.folder.path().join("missing.seal");
    assert!(rotate_key(&scene.database, &missing, None, now).await.is_err() && !missing.exists());
}

#[tokio::test]
async fn an_invitation_is_good_at_the_home_zone_only() {
    let town = Town::new().await;
    let wish = json!({"email": "bob@example.com", "role": "org_viewer"});
    let made = town.office.post("/organizations/own/invitations", wish).await;
    let path = made["url"].as_str().unwrap().strip_prefix(ISSUER).unwrap().to_owned();
    assert_eq!(town.get(HOME, &path).await.status, StatusCode::OK);
    assert_eq!(town.get(&town.host, &path).await.status, StatusCode::BAD_REQUEST);
}
