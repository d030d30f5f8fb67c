//! Delegated grants: the same on the consent page, on the account page and in the management API.

use super::management::Office;
use super::people::*;
use super::*;

const LIST: &str = "/zones/{zone}/delegated-grants";

impl Office {
    pub(super) async fn of_people() -> Self {
        Self::of(Scene::of_people().await).await
    }

    /// The one thing in a list.
    #[track_caller]
    pub(super) fn only(page: &Value) -> Value {
        let [one] = page["items"].as_array().unwrap().as_slice() else { panic!("not one: {page}") };
        one.clone()
    }
}

impl Scene {
    pub(super) async fn refresh_as(&self, client: &str, token: &str, more: &[(&str, &str)]) -> Reply {
        let mut form = vec![("grant_type", "refresh_token"), ("client_id", client), ("refresh_token", token)];
        form.extend_from_slice(more);
        self.post("/oauth/2/token", &form).await
    }

    async fn exchange_as(&self, client: &str, subject: &str) -> Reply {
        let form = [
            ("grant_type", EXCHANGE),
            ("client_id", client),
            ("subject_token", subject),
            ("subject_token_type", ACCESS_TOKEN),
            ("resource", WHOAMI),
        ];
        self.post("/oauth/2/token", &form).await
    }
}

#[tokio::test]
async fn a_consent_on_the_page_is_a_grant_in_the_management_api() {
    let office = Office::of_people().await;
    let client = office.scene.public_client().await;
    office.scene.code(&client, &[("resource", WHOAMI), ("scope", "read")]).await;
    let grant = Office::only(&office.get(LIST).await);
    assert_eq!((&grant["status"], &grant["active"]), (&json!("active"), &json!(true)));
    assert_eq!((&grant["scopes"], &grant["refresh_token_set"]), (&json!(["read"]), &json!(false)));
    assert_eq!(grant["expires_at"], "2028-01-15T08:00:00.000Z");
    let (user, resource) = (grant["user_id"].as_str().unwrap(), grant["resource_id"].as_str().unwrap());
    let path = format!("{LIST}/{}", grant["id"].as_str().unwrap());
    assert_eq!(office.get(&path).await, grant);
    let same = format!("{LIST}?user_id={user}&resource_id={resource}&status=active");
    assert_eq!(Office::only(&office.get(&same).await), grant);
    for nothing in ["user_id=x", "resource_id=x", "status=revoked", "status=expired"] {
        assert_eq!(office.get(&format!("{LIST}?{nothing}")).await["items"], json!([]), "{nothing}");
    }
    let expanded = format!("{path}?expand[]=user&expand[]=resource&expand[]=provider");
    let expanded = office.get(&expanded).await;
    assert_eq!((&expanded["user"]["email"], &expanded["user"]["id"]), (&json!(ADA), &grant["user_id"]));
    assert_eq!(
        (&expanded["resource"]["identifier"], &expanded["provider"]["name"]),
        (&json!(WHOAMI), &json!("Zone Provider"))
    );
    assert!(grant.get("user").is_none());
    assert_eq!(office.refused("GET", &format!("{path}?expand[]=secrets"), None).await.0, 400);
    // More scopes later are beside those of before, in the same grant.
    office.scene.clock.advance(Duration::from_secs(5));
    office.scene.code(&client, &[("resource", WHOAMI), ("scope", "write")]).await;
    let more = Office::only(&office.get(LIST).await);
    assert_eq!((&more["id"], &more["scopes"]), (&grant["id"], &json!(["read", "write"])));
    // Of another zone nothing is to be seen.
    let other = office.post("/zones", json!({"name": "Other"})).await["id"].as_str().unwrap().to_owned();
    let elsewhere = format!("/zones/{other}/delegated-grants/{}", grant["id"].as_str().unwrap());
    for method in ["GET", "DELETE"] {
        assert_eq!(office.refused(method, &elsewhere, None).await.0, 404);
    }
    assert_eq!(office.refused("PATCH", &elsewhere, Some(json!({"status": "revoked"}))).await.0, 404);
}

#[tokio::test]
async fn a_grant_that_is_revoked_or_deleted_stops_refresh_exchange_and_codes_at_once() {
    for method in ["PATCH", "DELETE"] {
        let office = Office::of_people().await;
        let scene = &office.scene;
        let client = scene.public_client().await;
        let code = scene.code(&client, &[("resource", WHOAMI)]).await;
        let tokens = scene.redeem(&client, &code, &[]).await;
        let code = scene.code(&client, &[("scope", "openid")]).await;
        let own = scene.redeem(&client, &code, &[]).await;
        let outstanding = scene.code(&client, &[("resource", WHOAMI)]).await;
        assert_eq!(scene.exchange_as(&client, &own.word("access_token")).await.status, StatusCode::OK);
        // The sign-in is granted too, but for no resource.
        let grant = Office::only(&office.get(LIST).await);
        let path = format!("{LIST}/{}", grant["id"].as_str().unwrap());
        match method {
            "PATCH" => {
                let stale = office.call("PATCH", &path, Some(&json!({"status": "active"}))).await;
                assert_eq!(stale.status, StatusCode::BAD_REQUEST);
                assert_eq!(office.patch(&path, json!({"status": "revoked"})).await["status"], "revoked");
                assert_eq!(office.patch(&path, json!({"status": "revoked"})).await["status"], "revoked");
                assert_eq!(Office::only(&office.get(&format!("{LIST}?status=revoked")).await)["active"], false);
            }
            _ => {
                office.delete(&path).await;
                assert_eq!(office.refused("GET", &path, None).await.0, 404);
                assert_eq!(office.refused("DELETE", &path, None).await.0, 404);
            }
        }
        let refreshed = scene.refresh_as(&client, &tokens.word("refresh_token"), &[]).await;
        refreshed.refused(400, "invalid_grant", "The refresh token is not valid");
        let exchanged = scene.exchange_as(&client, &own.word("access_token")).await;
        exchanged.refused(400, "insufficient_authorization", "User consent is required");
        let redeemed = scene.redeem(&client, &outstanding, &[]).await;
        redeemed.refused(400, "insufficient_authorization", "User consent is required");
        // A session that began for nothing but this is over, one for the sign-in is not.
        let living = office.get("/zones/{zone}/sessions?include_nested=true&status=active").await;
        let living: Vec<&str> =
            living["items"].as_array().unwrap().iter().filter_map(|item| item["id"].as_str()).collect();
        assert!(living.contains(&own.claims()["sid"].as_str().unwrap()));
        assert!(!living.contains(&tokens.claims()["sid"].as_str().unwrap()));
        assert_eq!(scene.refresh_as(&client, &own.word("refresh_token"), &[]).await.status, StatusCode::OK);
        // The person sees the same, and is asked again.
        let browser = Browser::new(scene);
        let page = browser.open("/account").await;
        assert!(!page.text.contains(WHOAMI) && page.text.contains("to know who you are"), "{}", page.text);
        let page = browser.get(&scene.request(&client, &[("resource", WHOAMI)])).await;
        assert!(page.text.contains("to act for you?"), "{}", page.text);
    }
}

#[tokio::test]
async fn what_a_person_takes_back_is_revoked_in_the_management_api() {
    let office = Office::of_people().await;
    let client = office.scene.public_client().await;
    office.scene.code(&client, &[("resource", WHOAMI)]).await;
    let browser = Browser::new(&office.scene);
    let page = browser.open("/account").await;
    let grant = Office::only(&office.get(LIST).await)["id"].as_str().unwrap().to_owned();
    assert!(page.text.contains(&grant));
    let form = [("mark", page.field("mark")), ("id", grant.clone())];
    let form: Vec<(&str, &str)> = form.iter().map(|(name, value)| (*name, value.as_str())).collect();
    browser.post("/account/revoke-grant", &form).await;
    assert_eq!(office.get(&format!("{LIST}/{grant}")).await["status"], "revoked");
    // Consented to once more, it is the same grant.
    office.scene.code(&client, &[("resource", WHOAMI)]).await;
    assert_eq!(office.get(&format!("{LIST}/{grant}")).await["status"], "active");
}

#[tokio::test]
async fn nobody_takes_back_what_another_person_granted() {
    let office = Office::of_people().await;
    let client = office.scene.public_client().await;
    office.scene.code(&client, &[("resource", WHOAMI)]).await;
    let grant = Office::only(&office.get(LIST).await)["id"].as_str().unwrap().to_owned();
    office.scene.zone.set_password("eve@example.com", Secret::new(PASSWORD)).await.unwrap();
    let browser = Browser::new(&office.scene);
    let page = browser.get("/account").await;
    let (mark, going_on) = (page.field("mark"), page.field("continue"));
    let form = [("mark", mark.as_str()), ("continue", &going_on), ("name", "eve@example.com"), ("password", PASSWORD)];
    browser.post("/sign-in", &form).await;
    let mark = browser.get("/account").await.field("mark");
    browser.post("/account/revoke-grant", &[("mark", &mark), ("id", &grant)]).await;
    assert_eq!(office.get(&format!("{LIST}/{grant}")).await["status"], "active");
}

#[tokio::test]
async fn a_grant_ends_after_a_year_and_with_its_resource() {
    let office = Office::of_people().await;
    let client = office.scene.public_client().await;
    office.scene.code(&client, &[("resource", WHOAMI)]).await;
    let tokens = {
        let code = office.scene.code(&client, &[("scope", "openid")]).await;
        office.scene.redeem(&client, &code, &[]).await
    };
    office.scene.clock.advance(Duration::from_secs(365 * 24 * 3600));
    assert_eq!(Office::only(&office.get(LIST).await)["status"], "expired");
    assert_eq!(office.get(&format!("{LIST}?active=true")).await["items"], json!([]));
    office.scene.refresh_as(&client, &tokens.word("refresh_token"), &[]).await.is_not_valid();
    let browser = Browser::new(&office.scene);
    let page = browser.open(&office.scene.request(&client, &[("resource", WHOAMI)])).await;
    assert!(page.text.contains("to act for you?"), "{}", page.text);
    office.scene.zone.declare(vec![resource(NOTES, "notes:read", None)]).await.unwrap();
    assert_eq!(office.get(LIST).await["items"], json!([]));
}
