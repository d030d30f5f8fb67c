//! The management API as its clients use it.

use super::*;

/// A scene with a token that may do all.
pub(super) struct Office {
    pub(super) scene: Scene,
    pub(super) token: String,
    /// The home zone's id.
    pub(super) zone: String,
}

impl Office {
    pub(super) async fn new() -> Self {
        Self::of(Scene::new().await).await
    }

    /// The office of a scene that there is.
    pub(super) async fn of(scene: Scene) -> Self {
        let token = scene.token(&["admin"]).await;
        let office = Self { scene, token, zone: String::new() };
        let zones = office.get("/zones").await;
        Self { zone: zones["items"][0]["id"].as_str().unwrap().to_owned(), ..office }
    }

    pub(super) async fn call_as(&self, token: &str, method: &str, path: &str, body: Option<&Value>) -> Reply {
        let path = path.replace("{zone}", &self.zone);
        let mut request =
            Request::builder().method(method).uri(path).header("authorization", format!("Bearer {token}"));
        if body.is_some() {
            request = request.header("content-type", "application/json");
        }
        let body = body.map_or_else(Body::empty, |body| Body::from(body.to_string()));
        self.scene.send(request.body(body).unwrap()).await
    }

    pub(super) async fn call(&self, method: &str, path: &str, body: Option<&Value>) -> Reply {
        self.call_as(&self.token, method, path, body).await
    }

    #[track_caller]
    fn ok(reply: Reply) -> Value {
        assert_eq!(reply.status, StatusCode::OK, "{}", reply.body);
        reply.body
    }

    pub(super) async fn get(&self, path: &str) -> Value {
        Self::ok(self.call("GET", path, None).await)
    }

    pub(super) async fn post(&self, path: &str, body: Value) -> Value {
        Self::ok(self.call("POST", path, Some(&body)).await)
    }

    pub(super) async fn patch(&self, path: &str, body: Value) -> Value {
        Self::ok(self.call("PATCH", path, Some(&body)).await)
    }

    pub(super) async fn delete(&self, path: &str) {
        let reply = self.call("DELETE", path, None).await;
        assert_eq!(reply.status, StatusCode::NO_CONTENT, "{}", reply.body);
    }

    /// The status and code of what must be refused.
    pub(super) async fn refused(&self, method: &str, path: &str, body: Option<Value>) -> (u16, String) {
        let reply = self.call(method, path, body.as_ref()).await;
        assert_eq!(reply.body["status"], reply.status.as_u16(), "{}", reply.body);
        assert!(reply.body["message"].is_string());
        (reply.status.as_u16(), reply.word("code"))
    }

    pub(super) async fn application(&self, name: &str) -> String {
        // Two of one moment would come in any order.
        self.scene.clock.advance(Duration::from_millis(1));
        let body = json!({"name": name, "identifier": format!("https://{name}.example")});
        self.post("/zones/{zone}/applications", body).await["id"].as_str().unwrap().to_owned()
    }
}

impl Scene {
    /// An API token with these scopes.
    pub(super) async fn token(&self, scopes: &[&str]) -> String {
        let scopes: Vec<String> = scopes.iter().map(|scope| (*scope).to_owned()).collect();
        let made = self.zone.api_tokens().await.unwrap().create("test", &scopes, None).await.unwrap();
        text(&made.secret).to_owned()
    }
}

pub(super) fn names(page: &Value) -> Vec<&str> {
    page["items"].as_array().unwrap().iter().map(|item| item["name"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn nobody_gets_in_without_a_good_token() {
    let office = Office::new().await;
    let wrong = crate::zone::api_token::generate();
    for token in ["", "x", "vk_live_x", text(&wrong.secret), text(&office.scene.daemon.client_secret)] {
        let reply = office.call_as(token, "GET", "/zones", None).await;
        assert_eq!(reply.status, StatusCode::UNAUTHORIZED, "{token}");
        assert_eq!(reply.body["code"], "unauthorized");
        assert!(reply.header("www-authenticate").starts_with("Bearer "));
    }
    let reply = office.scene.get("/zones").await;
    assert_eq!(reply.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_token_does_what_its_scopes_say_until_it_is_revoked() {
    let office = Office::new().await;
    let tokens = office.scene.zone.api_tokens().await.unwrap();
    let made = tokens.create("ci", &["applications:read".to_owned()], None).await.unwrap();
    let token = text(&made.secret).to_owned();
    let list = "/zones/{zone}/applications";
    assert_eq!(office.call_as(&token, "GET", list, None).await.status, StatusCode::OK);
    let body = json!({"name": "a", "identifier": "https://a.example"});
    assert_eq!(office.call_as(&token, "POST", list, Some(&body)).await.status, StatusCode::FORBIDDEN);
    assert_eq!(office.call_as(&token, "GET", "/zones/{zone}", None).await.status, StatusCode::FORBIDDEN);
    let listed = tokens.list().await.unwrap();
    let listed = listed.iter().find(|token| token.id == made.id).unwrap();
    assert_eq!(listed.status, crate::zone::TokenStatus::Active);
    assert!(listed.last_used_at.is_some() && token.starts_with(&listed.hint));
    // A rotation: the old one stops, the new one goes on with the same scopes.
    let rotated = tokens.rotate(&made.id).await.unwrap();
    assert_eq!(office.call_as(&token, "GET", list, None).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(office.call_as(text(&rotated.secret), "GET", list, None).await.status, StatusCode::OK);
    tokens.revoke(&rotated.id).await.unwrap();
    assert_eq!(office.call_as(text(&rotated.secret), "GET", list, None).await.status, StatusCode::UNAUTHORIZED);
    assert!(tokens.rotate(&rotated.id).await.is_err() && tokens.revoke("tok_none").await.is_err());
    // One that ends by itself.
    let end = Timestamp::from_seconds(NOW + 60);
    let short = tokens.create("short", &["admin".to_owned()], Some(end)).await.unwrap();
    assert_eq!(office.call_as(text(&short.secret), "GET", list, None).await.status, StatusCode::OK);
    office.scene.clock.advance(Duration::from_secs(60));
    assert_eq!(office.call_as(text(&short.secret), "GET", list, None).await.status, StatusCode::UNAUTHORIZED);
    for scope in ["", "applications", "Applications:read", "a b:read", "x:delete"] {
        assert!(tokens.create("x", &[scope.to_owned()], None).await.is_err(), "{scope}");
    }
}

#[tokio::test]
async fn a_token_sees_beside_other_things_what_it_may_look_at_itself() {
    let office = Office::new().await;
    let narrow = office.scene.token(&["users:read", "resources:read"]).await;
    let wide = office.scene.token(&["users:read", "resources:read", "applications:read", "providers:read"]).await;
    for path in [
        "/zones/{zone}/resources?expand[]=application",
        "/zones/{zone}/resources?expand[]=credential_provider",
        "/zones/{zone}/users?expand[]=credentials.provider",
    ] {
        let (bare, _) = path.split_once('?').unwrap();
        assert_eq!(office.call_as(&narrow, "GET", bare, None).await.status, StatusCode::OK, "{bare}");
        assert_eq!(office.call_as(&narrow, "GET", path, None).await.status, StatusCode::FORBIDDEN, "{path}");
        assert_eq!(office.call_as(&wide, "GET", path, None).await.status, StatusCode::OK, "{path}");
    }
}

#[tokio::test]
async fn a_zone_says_where_its_endpoints_are() {
    let office = Office::new().await;
    let zone = office.get("/zones/{zone}").await;
    assert_eq!(zone["protocols"]["oauth2"]["issuer"], ISSUER);
    assert_eq!(zone["protocols"]["oauth2"]["token_endpoint"], format!("{ISSUER}/oauth/2/token"));
    assert_eq!(zone["protocols"]["oauth2"]["pkce_required"], true);
    assert_eq!(zone["protocols"]["oauth2"]["dcr_enabled"], true);
    assert_eq!(zone["protocols"]["openid"]["userinfo_endpoint"], format!("{ISSUER}/openid/connect/userinfo"));
    assert_eq!(zone["owner_type"], "customer");
    assert!(zone.get("permissions").is_none());
    let with = office.get("/zones/{zone}?expand%5B%5D=permissions").await;
    assert_eq!(with["permissions"]["applications"]["create"], true);
}

#[tokio::test]
async fn a_zone_is_made_changed_and_deleted() {
    let office = Office::new().await;
    let made = office.post("/zones", json!({"name": "Team A", "description": "ours"})).await;
    let id = made["id"].as_str().unwrap();
    assert_eq!(id.len(), 26);
    assert_eq!(made["protocols"]["oauth2"]["issuer"], format!("http://{id}.localhost:7980"));
    let path = format!("/zones/{id}");
    let changes = json!({"name": "Team B", "description": null, "encryption_key": null,
        "protocols": {"oauth2": {"dcr_enabled": false, "pkce_required": null}}, "user_identity_provider_id": null});
    let changed = office.patch(&path, changes).await;
    assert_eq!((&changed["name"], &changed["description"]), (&json!("Team B"), &Value::Null));
    assert_eq!(changed["protocols"]["oauth2"]["dcr_enabled"], false);
    assert_eq!(changed["protocols"]["oauth2"]["pkce_required"], true);
    assert!(changed["updated_at"].as_str().unwrap() > made["updated_at"].as_str().unwrap());
    assert_eq!(office.refused("PATCH", &path, Some(json!({"name": ""}))).await.0, 400);
    assert_eq!(office.refused("PATCH", &path, Some(json!({"name": null}))).await.0, 400);
    assert_eq!(office.refused("PATCH", &path, Some(json!({"default_resource_id": "x"}))).await.0, 400);
    assert_eq!(office.get("/zones?slug=nobody").await["items"], json!([]));
    assert_eq!(office.get(&format!("/zones?slug={}", made["slug"].as_str().unwrap())).await["items"][0]["id"], id);
    office.delete(&path).await;
    assert_eq!(office.refused("GET", &path, None).await, (404, "not_found".to_owned()));
    assert_eq!(office.refused("DELETE", "/zones/{zone}", None).await, (409, "conflict".to_owned()));
}

#[tokio::test]
async fn an_application_is_made_read_changed_and_deleted() {
    let office = Office::new().await;
    let body = json!({"name": "My App", "identifier": "https://app.example", "description": "d",
        "metadata": {"docs_url": "https://docs.example"}, "traits": ["gateway"],
        "protocols": {"oauth2": {"redirect_uris": ["http://localhost:8765/callback"]}}});
    let made = office.post("/zones/{zone}/applications", body.clone()).await;
    let path = format!("/zones/{{zone}}/applications/{}", made["id"].as_str().unwrap());
    assert_eq!(made["slug"], "my-app");
    assert_eq!(made["consent"], "required");
    assert_eq!(made["owner_type"], "customer");
    assert_eq!(made["dependencies_count"], 0);
    assert_eq!(made["protocols"]["oauth2"]["redirect_uris"], json!(["http://localhost:8765/callback"]));
    assert_eq!(office.get(&path).await, made);
    assert_eq!(office.refused("POST", "/zones/{zone}/applications", Some(body)).await, (409, "conflict".to_owned()));
    // As terraform changes: every field, nulls for what is gone.
    let changes = json!({"name": "New", "identifier": "https://app.example", "description": null, "metadata": null,
        "protocols": null, "traits": null});
    let changed = office.patch(&path, changes).await;
    assert_eq!(changed["name"], "New");
    assert_eq!(changed["slug"], "my-app");
    for gone in ["description", "metadata", "protocols", "traits"] {
        assert_eq!(changed[gone], Value::Null, "{gone}");
    }
    assert_eq!(office.patch(&path, json!({"consent": "implicit"})).await["consent"], "implicit");
    for (field, value) in [
        ("consent", json!("explicit")),
        ("name", json!("")),
        ("name", json!("x".repeat(256))),
        ("name", json!(5)),
        ("identifier", json!("x".repeat(2049))),
        ("protocols", json!({"oauth2": {"redirect_uris": ["javascript:alert(1)"]}})),
        ("metadata", json!({"docs_url": "no url"})),
        ("name", json!("a\u{0}b")),
    ] {
        let reply = office.call("PATCH", &path, Some(&json!({field: value}))).await;
        assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{field}: {}", reply.body);
    }
    office.delete(&path).await;
    assert_eq!(office.refused("GET", &path, None).await.0, 404);
    assert_eq!(office.refused("PATCH", &path, Some(json!({"name": "x"}))).await.0, 404);
    assert_eq!(office.refused("DELETE", &path, None).await.0, 404);
}

#[tokio::test]
async fn a_change_that_somebody_else_overtook_is_refused() {
    let office = Office::new().await;
    let path = format!("/zones/{{zone}}/applications/{}", office.application("a").await);
    let tag = office.call("GET", &path, None).await.header("etag").to_owned();
    let with_tag = async |tag: &str| {
        let request = Request::patch(path.replace("{zone}", &office.zone))
            .header("authorization", format!("Bearer {}", office.token))
            .header("content-type", "application/json")
            .header("if-match", tag)
            .body(Body::from(r#"{"name": "mine"}"#));
        office.scene.send(request.unwrap()).await.status
    };
    assert_eq!(with_tag(&tag).await, StatusCode::OK);
    assert_eq!(with_tag(&tag).await, StatusCode::PRECONDITION_FAILED);
    assert_eq!(with_tag("\"rubbish\"").await, StatusCode::PRECONDITION_FAILED);
    assert_eq!(with_tag("*").await, StatusCode::OK);
}

#[tokio::test]
async fn pages_follow_each_other_forth_and_back() {
    let office = Office::new().await;
    for name in ["e", "b", "d", "a", "c"] {
        office.application(name).await;
    }
    // The daemon's own client is an application, too.
    let list = "/zones/{zone}/applications?query%5Bidentifier%5D=.example&sort=name&limit=2&expand[]=total_count";
    let first = office.get(list).await;
    assert_eq!(names(&first), ["a", "b"]);
    assert_eq!(first["pagination"]["total_count"], 5);
    assert_eq!(first["page_info"]["has_next_page"], true);
    assert_eq!(first["page_info"]["has_previous_page"], false);
    assert_eq!(first["pagination"]["before_cursor"], Value::Null);
    let after = first["pagination"]["after_cursor"].as_str().unwrap();
    let second = office.get(&format!("{list}&after={after}")).await;
    assert_eq!(names(&second), ["c", "d"]);
    let third = office.get(&format!("{list}&cursor={}", second["page_info"]["end_cursor"].as_str().unwrap())).await;
    assert_eq!(names(&third), ["e"]);
    assert_eq!(third["page_info"]["has_next_page"], false);
    assert_eq!(third["pagination"]["after_cursor"], Value::Null);
    let before = third["pagination"]["before_cursor"].as_str().unwrap();
    let back = office.get(&format!("{list}&before={before}")).await;
    assert_eq!(names(&back), ["c", "d"]);
    let backward = office.get(&list.replace("sort=name", "sort=-name")).await;
    assert_eq!(names(&backward), ["e", "d"]);
    for wrong in ["limit=0", "limit=1001", "after=x", "sort=color", "filter[color]=x", "expand[]=x", "order=x"] {
        let path = format!("/zones/{{zone}}/applications?{wrong}");
        assert_eq!(office.refused("GET", &path, None).await.0, 400, "{wrong}");
    }
}

#[tokio::test]
async fn filters_name_and_searches_find() {
    let office = Office::new().await;
    let (one, two) = (office.application("alpha").await, office.application("beta").await);
    office.application("gamma").await;
    let ask = async |query: &str| {
        let page = office.get(&format!("/zones/{{zone}}/applications?{query}")).await;
        names(&page).into_iter().map(str::to_owned).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(ask(&format!("filter[id]={one}&filter[id]={two}&sort=name")).await, "alpha beta");
    assert_eq!(ask("identifier=https://beta.example").await, "beta");
    assert_eq!(ask("slug=gamma").await, "gamma");
    assert_eq!(ask("query[]=ALPH").await, "alpha");
    assert_eq!(ask("query[name]=%25").await, "");
    assert_eq!(ask("filter[slug]=nobody").await, "");
}

#[tokio::test]
async fn another_zones_things_are_not_to_be_seen() {
    let office = Office::new().await;
    let own = office.application("a").await;
    let other = office.post("/zones", json!({"name": "Other"})).await["id"].as_str().unwrap().to_owned();
    for method in ["GET", "PATCH", "DELETE"] {
        let body = (method == "PATCH").then(|| json!({"name": "stolen"}));
        let path = format!("/zones/{other}/applications/{own}");
        assert_eq!(office.refused(method, &path, body).await, (404, "not_found".to_owned()), "{method}");
    }
    assert_eq!(office.get(&format!("/zones/{other}/applications")).await["items"], json!([]));
    assert_eq!(office.get(&format!("/zones/{{zone}}/applications/{own}")).await["name"], "a");
    assert_eq!(office.refused("GET", "/zones/nosuchzone/applications", None).await.0, 404);
    assert_eq!(office.refused("GET", "/zones/%00/applications", None).await.0, 404);
}

#[tokio::test]
async fn a_body_that_is_none_is_refused() {
    let office = Office::new().await;
    let send = async |kind: &str, body: String| {
        let request = Request::post(format!("/zones/{}/applications", office.zone))
            .header("authorization", format!("Bearer {}", office.token))
            .header("content-type", kind)
            .body(Body::from(body));
        office.scene.send(request.unwrap()).await.status
    };
    assert_eq!(send("application/json", "{".to_owned()).await, StatusCode::BAD_REQUEST);
    assert_eq!(send("application/json", "[]".to_owned()).await, StatusCode::BAD_REQUEST);
    assert_eq!(send("application/json", "{}".to_owned()).await, StatusCode::BAD_REQUEST);
    assert_eq!(send("text/plain", "{}".to_owned()).await, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    let large = " ".repeat(crate::limits::ZONE_MANAGEMENT_BODY_BYTES_MAX + 1);
    assert_eq!(send("application/json", large).await, StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn the_description_has_every_operation() {
    let office = Office::new().await;
    let description = office.scene.get("/openapi.json").await.body;
    let paths = description["paths"].as_object().unwrap();
    // Nothing that it names is missing.
    let text = description.to_string();
    for reference in text.split("#/components/schemas/").skip(1) {
        let name = reference.split('"').next().unwrap();
        assert!(description["components"]["schemas"][name].is_object(), "{name}");
    }
    assert!(paths["/zones/{zone_id}/applications/{id}"]["patch"]["responses"]["412"].is_object());
    assert!(paths["/zones"]["post"]["requestBody"].is_object());
}
