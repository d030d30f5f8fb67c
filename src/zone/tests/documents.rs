//! Clients that are described by the document at their own address.

use std::sync::Mutex;

use super::clients::*;
use super::management::Office;
use super::people::*;
use super::*;
use crate::zone::Registration;

/// Whose address is its client id, and what is to be read there.
struct Author {
    client_id: String,
    document: Arc<Mutex<Value>>,
    asked: Arc<Mutex<usize>>,
}

impl Author {
    async fn start(change: impl FnOnce(&mut Value)) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client_id = format!("http://{}/client.json", listener.local_addr().unwrap());
        let mut document = json!({
            "client_id": client_id, "client_name": "Editor", "redirect_uris": ["http://127.0.0.1/callback"],
            "token_endpoint_auth_method": "none", "grant_types": ["authorization_code", "refresh_token"],
        });
        change(&mut document);
        let (document, asked) = (Arc::new(Mutex::new(document)), Arc::new(Mutex::new(0)));
        let (shown, counted) = (Arc::clone(&document), Arc::clone(&asked));
        let answer = move |request: axum::extract::Request| {
            *counted.lock().unwrap() += 1;
            let (elsewhere, body) = (request.uri().path() == "/moved.json", shown.lock().unwrap().clone());
            async move {
                use axum::response::IntoResponse as _;
                match elsewhere {
                    true => axum::response::Redirect::to("/client.json").into_response(),
                    false => axum::Json(body).into_response(),
                }
            }
        };
        tokio::spawn(axum::serve(listener, axum::Router::new().fallback(answer)).into_future());
        Self { client_id, document, asked }
    }

    fn asked(&self) -> usize {
        *self.asked.lock().unwrap()
    }
}

async fn office() -> Office {
    let rules = Rules { registration: Registration::Open, outbound: Some(outbound()), ..Rules::default() };
    Office::of(Scene::of_people_under(rules).await).await
}

impl Office {
    async fn allow(&self, client_ids: &[&str]) {
        self.set(json!({"cimd": {"enabled": true, "allowed_client_ids": client_ids}})).await;
    }
}

#[tokio::test]
async fn a_listed_client_is_taken_by_the_document_at_its_address() {
    let (office, author) = (office().await, Author::start(|_| {}).await);
    let (scene, client) = (&office.scene, author.client_id.as_str());
    let browser = Browser::new(scene);
    let document = async || scene.get("/.well-known/oauth-authorization-server").await.body;
    assert_eq!(document().await["client_id_metadata_document_supported"], false);
    let unknown = async || {
        let page = browser.get(&scene.request(client, &[("resource", WHOAMI)])).await;
        assert_eq!(page.status, StatusCode::BAD_REQUEST);
        assert!(page.text.contains("No such client is known here"), "{}", page.text);
    };
    unknown().await;
    office.allow(&["https://other.example/client.json"]).await;
    assert_eq!(document().await["client_id_metadata_document_supported"], true);
    unknown().await;
    assert_eq!(author.asked(), 0, "a document that nobody listed was fetched");
    office.allow(&["https://other.example/client.json", client]).await;
    let page = browser.open(&scene.request(client, &[("resource", WHOAMI), ("scope", "read")])).await;
    assert!(page.text.contains("Allow “Editor” to act for you?"), "{}", page.text);
    let code = browser.consent(&page, "allow").await.answer("code").unwrap();
    let tokens = scene.redeem(client, &code, &[]).await;
    assert_eq!(tokens.claims()["client_id"], json!(client));
    assert_eq!(author.asked(), 1, "the document is kept");
    let sid = tokens.claims()["sid"].as_str().unwrap().to_owned();
    let session = office.get(&format!("/zones/{{zone}}/sessions/{sid}?expand[]=user_agent")).await;
    assert_eq!(
        (&session["user_agent"]["identifier"], &session["metadata"]["name"]),
        (&json!(client), &json!("Editor"))
    );
    let elsewhere = browser.get(&scene.request(client, &[("redirect_uri", "https://evil.test/callback")])).await;
    assert_eq!(elsewhere.status, StatusCode::BAD_REQUEST);
    // A changed document counts when the one of before has been kept long enough.
    author.document.lock().unwrap()["redirect_uris"] = json!(["https://editor.example/callback"]);
    assert!(
        browser.get(&scene.request(client, &[("resource", WHOAMI), ("scope", "read")])).await.answer("code").is_some()
    );
    scene.clock.advance(Duration::from_secs(301));
    let page = browser.get(&scene.request(client, &[("resource", WHOAMI)])).await;
    assert_eq!(page.status, StatusCode::BAD_REQUEST);
    // Taken off the list, it is nobody, though its row is there.
    office.allow(&[]).await;
    unknown().await;
    scene.refresh_as(client, &tokens.word("refresh_token"), &[]).await.refused(
        401,
        "invalid_client",
        "Client authentication failed",
    );
}

#[tokio::test]
async fn a_document_that_is_off_in_anything_makes_no_client() {
    let office = office().await;
    let scene = &office.scene;
    let browser = Browser::new(scene);
    let changes: [fn(&mut Value); 10] = [
        |document| document["client_id"] = json!("https://other.example/client.json"),
        |document| document["client_id"] = json!(format!("{}#x", document["client_id"].as_str().unwrap())),
        |document| document["client_secret"] = json!("x"),
        |document| document["token_endpoint_auth_method"] = json!("client_secret_basic"),
        |document| document["token_endpoint_auth_method"] = json!("private_key_jwt"),
        |document| document["redirect_uris"] = json!(["javascript:alert(1)"]),
        |document| document["redirect_uris"] = json!(["http://example.com/callback"]),
        |document| document["client_name"] = json!("a\u{202e}b"),
        |document| document["more"] = json!("x".repeat(40_000)),
        |document| *document = json!([]),
    ];
    for (number, change) in changes.into_iter().enumerate() {
        let author = Author::start(change).await;
        office.allow(&[&author.client_id]).await;
        for _ in 0..3 {
            let page = browser.get(&scene.request(&author.client_id, &[])).await;
            assert_eq!(page.status, StatusCode::BAD_REQUEST, "{number}");
        }
        assert_eq!(author.asked(), 1, "{number}: after a failure it is let be for a while");
    }
    let author = Author::start(|_| {}).await;
    let base = author.client_id.strip_suffix("/client.json").unwrap();
    for address in ["/client.json?x=1", "/client.json#x", "/a/../client.json", "/", "", "/moved.json"] {
        let client_id = format!("{base}{address}");
        office.allow(&[&client_id]).await;
        assert_eq!(browser.get(&scene.request(&client_id, &[])).await.status, StatusCode::BAD_REQUEST, "{address}");
    }
    assert_eq!(author.asked(), 1, "only the redirect was asked for, and not followed");
}

#[tokio::test]
async fn an_application_with_a_url_credential_signs_with_the_key_of_its_document() {
    let office = office().await;
    let scene = &office.scene;
    let author = Author::start(|document| {
        document["token_endpoint_auth_method"] = json!("private_key_jwt");
        document["jwks"] = own_jwks();
    })
    .await;
    let client = author.client_id.as_str();
    let token = async || token_by(scene, &assertion(client, |_| {}), &[("client_id", client)]).await;
    token().await.is_not_the_client();
    let id = scene.application("deploy").await;
    scene.let_depend(&id, WHOAMI).await;
    let made = scene.credential(json!({"application_id": id, "type": "url", "identifier": client})).await;
    let reply = token().await;
    assert_eq!(reply.status, StatusCode::OK, "{}", reply.body);
    assert_eq!((&reply.claims()["sub"], &reply.claims()["client_id"]), (&json!(id), &json!(client)));
    let path = format!("/zones/{{zone}}/sessions/{}", reply.claims()["sid"].as_str().unwrap());
    assert_eq!(office.get(&path).await["application_id"], json!(id));
    let stranger = assertion(client, |claims| claims["sub"] = json!("x"));
    token_by(scene, &stranger, &[]).await.is_not_the_client();
    // Nobody is it by its name alone.
    let form = [("grant_type", "client_credentials"), ("client_id", client), ("resource", WHOAMI)];
    scene.post("/oauth/2/token", &form).await.is_not_the_client();
    let page = Browser::new(scene).get(&scene.request(client, &[("resource", WHOAMI)])).await;
    assert!(page.text.contains("<h1>Sign in</h1>"), "its pages are those of the document: {}", page.text);
    office.delete(&format!("/zones/{{zone}}/application-credentials/{}", made["id"].as_str().unwrap())).await;
    token().await.is_not_the_client();
}

#[tokio::test]
async fn a_document_is_written_down_when_it_changed_and_not_at_each_request() {
    let (office, author) = (office().await, Author::start(|_| {}).await);
    let (scene, client) = (&office.scene, author.client_id.as_str());
    office.allow(&[client]).await;
    let browser = Browser::new(scene);
    let ask = async || browser.get(&scene.request(client, &[("resource", WHOAMI)])).await.status;
    assert_eq!(ask().await, StatusCode::OK);
    // The same to whoever reads it, and another text: it would be gone if the row were written once more.
    let blank = "UPDATE user_agents SET metadata = metadata || ' ' WHERE identifier = $1";
    scene.zone.store().execute(blank, client).await;
    let kept = async || {
        let rows = "SELECT name || metadata FROM user_agents WHERE metadata LIKE '%document%'";
        scene.zone.store().dump(rows).await
    };
    scene.clock.advance(Duration::from_secs(301));
    for _ in 0..3 {
        assert_eq!(ask().await, StatusCode::OK);
    }
    assert_eq!(author.asked(), 2, "it was read anew");
    assert!(kept().await.ends_with(' '), "{}", kept().await);
    author.document.lock().unwrap()["client_name"] = json!("Other editor");
    scene.clock.advance(Duration::from_secs(301));
    assert_eq!(ask().await, StatusCode::OK);
    assert!(kept().await.starts_with("Other editor") && !kept().await.ends_with(' '), "{}", kept().await);
}
