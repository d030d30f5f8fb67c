//! First passwords: of the first administrator, and of people who were invited.

use super::management::Office;
use super::people::*;
use super::*;

async fn invite(office: &Office, email: &str, role: &str) -> Value {
    let organizations = office.get("/organizations").await;
    let list = format!("/organizations/{}/invitations", organizations["items"][0]["id"].as_str().unwrap());
    office.post(&list, json!({"email": email, "role": role})).await
}

fn path_of(url: &str) -> &str {
    url.strip_prefix(ISSUER).unwrap()
}

async fn choose(browser: &Browser<'_>, path: &str, password: &str) -> Page {
    let page = browser.get(path).await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.text);
    let name = if path.starts_with("/welcome") { "ticket" } else { "token" };
    let (mark, subject) = (page.field("mark"), page.field(name));
    let form = [("mark", mark.as_str()), (name, &subject), ("new", password)];
    browser.post(path.split('?').next().unwrap(), &form).await
}

#[tokio::test]
async fn the_first_administrator_chooses_a_password_once() {
    let scene = Scene::new().await;
    let link = scene.zone.welcome_link().await.unwrap().unwrap();
    let link = path_of(text(&link)).to_owned();
    let (browser, late) = (Browser::new(&scene), Browser::new(&scene));
    let short = choose(&browser, &link, "short").await;
    assert_eq!(short.status, StatusCode::BAD_REQUEST);
    assert!(short.text.contains("A password has between 10 and 256 characters."));
    let page = late.get(&link).await;
    assert!(page.text.contains(&format!("<h1>Welcome, {ADA}</h1>")));
    let chosen = choose(&browser, &link, PASSWORD).await;
    assert_eq!((chosen.status, chosen.location()), (StatusCode::SEE_OTHER, "/account"));
    assert!(browser.get("/account").await.text.contains(ADA));
    // The link is spent, at whoever had the page open too, and no other is made.
    assert_eq!(late.get(&link).await.status, StatusCode::BAD_REQUEST);
    let form = [("mark", page.field("mark")), ("ticket", page.field("ticket")), ("new", "another password".to_owned())];
    let form: Vec<(&str, &str)> = form.iter().map(|(name, value)| (*name, value.as_str())).collect();
    assert_eq!(late.post("/welcome", &form).await.status, StatusCode::BAD_REQUEST);
    assert!(scene.zone.welcome_link().await.unwrap().is_none());
    assert!(scene.open_again().await.welcome_link().await.unwrap().is_none());
    let again = Browser::new(&scene);
    assert_eq!(again.sign_in(&again.get("/sign-in").await, PASSWORD).await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn a_welcome_dies_in_a_day_and_is_no_other_ticket() {
    let scene = Scene::new().await;
    let link = scene.zone.welcome_link().await.unwrap().unwrap();
    let link = path_of(text(&link)).to_owned();
    let browser = Browser::new(&scene);
    assert_eq!(browser.get(&link.replace("/welcome", "/sign-in/link")).await.status, StatusCode::BAD_REQUEST);
    for wrong in ["/welcome", "/welcome?ticket=", "/welcome?ticket=AAAA"] {
        assert_eq!(browser.get(wrong).await.status, StatusCode::BAD_REQUEST, "{wrong}");
    }
    scene.clock.advance(Duration::from_secs(24 * 3600 - 1));
    assert_eq!(browser.get(&link).await.status, StatusCode::OK);
    scene.clock.advance(Duration::from_secs(1));
    assert_eq!(browser.get(&link).await.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_guest_chooses_a_password_and_is_a_member() {
    let office = Office::new().await;
    let invitation = invite(&office, "bob@example.com", "org_viewer").await;
    let path = path_of(invitation["url"].as_str().unwrap()).to_owned();
    let browser = Browser::new(&office.scene);
    assert_eq!(choose(&browser, &path, "short").await.status, StatusCode::BAD_REQUEST);
    assert_eq!(choose(&browser, &path, PASSWORD).await.location(), "/account");
    assert!(browser.get("/account").await.text.contains("<h1>bob@example.com</h1>"));
    let roles = "SELECT m.role FROM organization_members m JOIN users u ON u.id = m.user_id
                 WHERE u.identifier = 'bob@example.com'";
    assert_eq!(office.scene.zone.store().dump(roles).await, "org_viewer");
    let organization = invitation["organization_id"].as_str().unwrap();
    let listed = office.get(&format!("/organizations/{organization}/invitations")).await;
    assert_eq!((&listed["items"][0]["status"], &listed["items"][0]["url"]), (&json!("accepted"), &Value::Null));
    // Once.
    assert_eq!(Browser::new(&office.scene).get(&path).await.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn an_invitation_gives_nobody_another_password() {
    let office = Office::new().await;
    let scene = &office.scene;
    scene.zone.set_password(ADA, Secret::new(PASSWORD)).await.unwrap();
    let invitation = invite(&office, ADA, "org_member").await;
    let path = path_of(invitation["url"].as_str().unwrap()).to_owned();
    let browser = Browser::new(scene);
    let page = browser.get(&path).await;
    assert!(page.text.contains("<h1>Sign in</h1>") && page.text.contains(ADA), "{}", page.text);
    assert_eq!(page.field("continue"), path);
    let token = path.split('=').nth(1).unwrap().to_owned();
    let mark = page.field("mark");
    let form = [("mark", mark.as_str()), ("token", &token), ("new", "another password")];
    assert_eq!(browser.post("/invitation", &form).await.status, StatusCode::BAD_REQUEST);
    let signed_in = browser.sign_in(&page, PASSWORD).await;
    let page = browser.get(signed_in.location()).await;
    assert!(page.text.contains("<h1>Join Home?</h1>"), "{}", page.text);
    let (mark, token) = (page.field("mark"), page.field("token"));
    assert_eq!(browser.post("/invitation", &[("mark", &mark), ("token", &token)]).await.location(), "/account");
    // An administrator who is invited as less stays one.
    let roles = "SELECT role FROM organization_members";
    assert_eq!(scene.zone.store().dump(roles).await, "org_admin");
}

#[tokio::test]
async fn an_invitation_that_was_revoked_or_is_too_old_lets_nobody_in() {
    let office = Office::new().await;
    let (revoked, late) =
        (invite(&office, "a@b.example", "org_admin").await, invite(&office, "c@d.example", "org_admin").await);
    let browser = Browser::new(&office.scene);
    let page = browser.get(path_of(revoked["url"].as_str().unwrap())).await;
    let id = |invitation: &Value| {
        let part = |name: &str| invitation[name].as_str().unwrap().to_owned();
        format!("/organizations/{}/invitations/{}", part("organization_id"), part("id"))
    };
    office.delete(&id(&revoked)).await;
    let (mark, token) = (page.field("mark"), page.field("token"));
    let form = [("mark", mark.as_str()), ("token", &token), ("new", PASSWORD)];
    assert_eq!(browser.post("/invitation", &form).await.status, StatusCode::BAD_REQUEST);
    office.scene.clock.advance(Duration::from_secs(8 * 24 * 3600));
    assert_eq!(browser.get(path_of(late["url"].as_str().unwrap())).await.status, StatusCode::BAD_REQUEST);
    let people = office.scene.zone.store().dump("SELECT identifier FROM users").await;
    assert_eq!(people, ADA);
}
