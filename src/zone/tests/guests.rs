//! First passwords: of the first administrator, and of people who were invited.

use super::management::Office;
use super::people::*;
use super::*;

pub(super) async fn invite(office: &Office, email: &str, role: &str) -> Value {
    let organizations = office.get("/organizations").await;
    let list = format!("/organizations/{}/invitations", organizations["items"][0]["id"].as_str().unwrap());
    office.post(&list, json!({"email": email, "role": role})).await
}

pub(super) fn path_of(url: &str) -> &str {
    url.strip_prefix(ISSUER).unwrap()
}

pub(super) async fn choose(browser: &Browser<'_>, path: &str, password: &str) -> Page {
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
    assert!(browser.get("/account").await.text.contains("<h1>bob-"));
    let roles = "SELECT m.role FROM organization_members m JOIN users u ON u.id = m.user_id
                 WHERE u.email = 'bob@example.com'";
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

/// The name that the page says the guest has.
fn name_on(page: &Page) -> String {
    page.text
        .split("You sign in here as <strong class=\"address\">")
        .nth(1)
        .unwrap()
        .split('<')
        .next()
        .unwrap()
        .to_owned()
}

#[tokio::test]
async fn an_address_that_was_merely_invited_is_nobodys_name() {
    let office = Office::new().await;
    let scene = &office.scene;
    let mut names = Vec::new();
    // The inviter sees the token and is quicker; whom the address belongs to is not locked out by that.
    for password in ["the inviter's words", "the invited one's words"] {
        let invitation = invite(&office, "bob@example.com", "org_member").await;
        let path = path_of(invitation["url"].as_str().unwrap()).to_owned();
        let browser = Browser::new(scene);
        let page = browser.get(&path).await;
        assert!(
            page.text.contains("You were invited as <span class=\"address\">bob@example.com</span>"),
            "{}",
            page.text
        );
        names.push(name_on(&page));
        assert_eq!(choose(&browser, &path, password).await.location(), "/account");
        assert!(browser.get("/account").await.text.contains(&format!("<h1>{}</h1>", name_on(&page))));
        let sign_in = async |name: &str| {
            let browser = Browser::new(scene);
            browser.sign_in_as(&browser.get("/sign-in").await, name, password).await.status
        };
        assert_eq!(sign_in(&name_on(&page)).await, StatusCode::SEE_OTHER);
        // By the address as long as it is one person's.
        let by_address = if names.len() == 1 { StatusCode::SEE_OTHER } else { StatusCode::UNAUTHORIZED };
        assert_eq!(sign_in("bob@example.com").await, by_address);
    }
    assert!(
        names[0] != names[1] && names.iter().all(|name| name.starts_with("bob-") && !name.contains('@')),
        "{names:?}"
    );
    let listed = office.get("/zones/{zone}/users?filter[email]=bob@example.com").await;
    let listed = listed["items"].as_array().unwrap();
    assert_eq!(listed.len(), 2);
    assert!(listed.iter().all(|user| user["email_verified"] == false), "{listed:?}");
    // Whoever may write the database says whose name is whose.
    let ada = office.get(&format!("/zones/{{zone}}/users?filter[email]={ADA}")).await;
    assert_eq!(ada["items"][0]["email_verified"], true);
}

/// What the version before this one wrote.
const BEFORE: [&str; 6] = [
    "INSERT INTO organizations (id, name, label, home, created_at, updated_at) VALUES ('o1', 'Home', 'home', 1, 1, 1)",
    "INSERT INTO zones (id, organization_id, home, slug, name, created_at, updated_at)
     VALUES ('z1', 'o1', 1, 'home', 'Home', 1, 1)",
    "INSERT INTO users (id, zone_id, identifier, email, created_at, updated_at) VALUES
     ('u1', 'z1', 'ada@example.com', 'ada@example.com', 1, 1), ('u2', 'z1', 'bob@example.com', 'bob@example.com', 7, 7),
     ('u3', 'z1', 'carol@example.com', 'carol@example.com', 8, 8), ('u4', 'z1', 'root', 'root', 9, 9)",
    "INSERT INTO users (id, zone_id, identifier, email, email_verified, issuer, subject, created_at, updated_at)
     VALUES ('u5', 'z1', 'https://idp.example/5', '', 0, 'https://idp.example', '5', 1, 1)",
    "INSERT INTO invitations (id, organization_id, hash, email, role, created_by, created_at, updated_at, expires_at,
     accepted_at) VALUES ('i1', 'o1', 'h1', 'bob@example.com', 'org_member', 'u1', 1, 7, 100, 7),
     ('i2', 'o1', 'h2', 'carol@example.com', 'org_member', 'u1', 1, 50, 100, 50)",
    "INSERT INTO sessions (id, zone_id, session_type, user_id, name, cookie_hash, authenticated_at, expires_at,
     created_at, updated_at) VALUES ('s1', 'z1', 'user', 'u1', 'Firefox', 'c1', 1, 1800009000000, 1, 1)",
];

#[tokio::test]
async fn guests_of_an_earlier_version_lose_an_address_that_nobody_knows_to_be_theirs() {
    let scene = Scene::new().await;
    let database = new_database(&scene.folder.path().join("earlier")).await;
    if let Database::Sqlite(file) = &database {
        private_file::prepare_folder(file).unwrap();
        private_file::create_or_check(file).unwrap();
    }
    crate::zone::store::write_before(&database, 9, &BEFORE).await;
    let zone = open(&database, scene.folder.path(), &scene.clock).await;
    let people =
        "SELECT identifier || ' ' || email || ' ' || CAST(email_verified AS TEXT) || ';' FROM users ORDER BY id";
    // Bob came in by an invitation; Carol, whom it found here, did not.
    assert_eq!(
        zone.store().dump(people).await,
        "ada@example.com ada@example.com 1; guest-u2 bob@example.com 0; carol@example.com carol@example.com 1; \
         root root 0; https://idp.example/5  0;"
    );
    assert_eq!(zone.store().dump("SELECT amr FROM sessions").await, "[\"pwd\"]");
}
