//! What policies do to tokens: enforced at once and at each replica, denied in words, stripped, only compared.

use super::policies::SCHEMA;
use super::*;

impl Scene {
    /// Binds the managed policies together with these as the active set.
    pub(super) async fn enforce(&self, set: &str, policies: &[(&str, &str)]) {
        let version = self.compose(set, policies, true).await;
        self.manage("PATCH", &version, Some(json!({"active": true}))).await;
    }

    /// A set of these policies, and the managed ones where those are wanted: the path of its version.
    async fn compose(&self, set: &str, policies: &[(&str, &str)], with_managed: bool) -> String {
        let word = |body: &Value, name: &str| body[name].as_str().unwrap().to_owned();
        let mut entries = Vec::new();
        if with_managed {
            let known = self.manage("GET", "/zones/{zone}/policies?filter[owner_type]=platform", None).await;
            for policy in known["items"].as_array().unwrap() {
                entries.push(json!({"policy_id": policy["id"], "policy_version_id": policy["latest_version_id"]}));
            }
        }
        for (name, cedar) in policies {
            let policy = self.manage("POST", "/zones/{zone}/policies", Some(json!({ "name": name }))).await;
            let path = format!("/zones/{{zone}}/policies/{}/versions", word(&policy, "id"));
            let body = json!({"schema_version": SCHEMA, "cedar_raw": cedar});
            let version = self.manage("POST", &path, Some(body)).await;
            entries.push(json!({"policy_id": policy["id"], "policy_version_id": version["id"]}));
        }
        let made = self.manage("POST", "/zones/{zone}/policy-sets", Some(json!({ "name": set }))).await;
        let path = format!("/zones/{{zone}}/policy-sets/{}/versions", word(&made, "id"));
        let body = json!({"schema_version": SCHEMA, "manifest": {"entries": entries}});
        format!("{path}/{}", word(&self.manage("POST", &path, Some(body)).await, "id"))
    }

    async fn own_token(&self, client: &Agent, scope: &str) -> Reply {
        let form = [("grant_type", "client_credentials"), ("resource", WHOAMI), ("scope", scope)];
        self.ask(client, &form).await
    }
}

#[tokio::test]
async fn a_set_that_permits_nothing_denies_everything() {
    let scene = Scene::of_people().await;
    let batch = scene.software("batch").await;
    scene.let_depend(&batch.id, WHOAMI).await;
    assert_eq!(scene.own_token(&batch.client, "read").await.status, StatusCode::OK);
    let never = "permit(principal, action, resource) when { false };";
    let version = scene.compose("nothing", &[("never", never)], false).await;
    scene.manage("PATCH", &version, Some(json!({"active": true}))).await;
    let denied = scene.own_token(&batch.client, "read").await;
    denied.refused(400, "access_denied", &format!("Application \"batch\" is not allowed to access \"{WHOAMI}\"."));
    let agent = scene.register("claude-code").await;
    let reply = scene.exchange(&agent, &scene.session_token().await, &[("resource", WHOAMI)]).await;
    reply.refused(400, "access_denied", &format!("Application \"claude-code\" is not allowed to access \"{WHOAMI}\"."));
}

#[tokio::test]
async fn a_denial_names_the_policy_the_version_and_the_set() {
    let scene = Scene::of_people().await;
    let batch = scene.software("batch").await;
    scene.let_depend(&batch.id, WHOAMI).await;
    let forbid = r#"forbid(principal is Keycard::Application, action, resource) when { principal.name == "batch" };"#;
    scene.enforce("careful", &[("no-batch", forbid)]).await;
    let words =
        format!("Access to \"{WHOAMI}\" is denied by Policy \"no-batch\" in version 1 of Policy Set \"careful\".");
    scene.own_token(&batch.client, "read").await.refused(400, "access_denied", &words);
    let other = scene.software("other").await;
    scene.let_depend(&other.id, WHOAMI).await;
    assert_eq!(scene.own_token(&other.client, "read").await.status, StatusCode::OK);
}

#[tokio::test]
async fn another_replica_obeys_at_once() {
    let scene = Scene::of_people().await;
    let batch = scene.software("batch").await;
    scene.let_depend(&batch.id, WHOAMI).await;
    let replica = scene.open_again().await;
    let ask = async |client: &Agent| {
        let basic = format!("Basic {}", STANDARD.encode(format!("{}:{}", client.id, client.secret)));
        let request = Request::post("/oauth/2/token").header("content-type", "application/x-www-form-urlencoded");
        let form = encode(&[("grant_type", "client_credentials"), ("resource", WHOAMI)]);
        let request = request.header("authorization", basic).body(Body::from(form)).unwrap();
        Reply::read(replica.router().oneshot(request).await.unwrap()).await
    };
    assert_eq!(ask(&batch.client).await.status, StatusCode::OK);
    scene.enforce("closed", &[("closed", "forbid(principal, action, resource);")]).await;
    let denied = ask(&batch.client).await;
    assert_eq!(denied.status, StatusCode::BAD_REQUEST);
    assert!(denied.word("error_description").contains("Policy \"closed\""), "{}", denied.body);
}

#[tokio::test]
async fn scopes_that_no_policy_permits_are_stripped() {
    let scene = Scene::of_people().await;
    let batch = scene.software("batch").await;
    scene.let_depend(&batch.id, WHOAMI).await;
    let read_only =
        r#"forbid(principal, action, resource) when { context has scopes && context.scopes.contains("write") };"#;
    scene.enforce("read-only", &[("read-only", read_only)]).await;
    assert_eq!(scene.own_token(&batch.client, "read write").await.claims()["scope"], "read");
    assert_eq!(scene.own_token(&batch.client, "write").await.body["error"], "access_denied");
    // In a user's name too.
    let client = scene.public_client().await;
    let code = scene.code(&client, &[("resource", WHOAMI), ("scope", "read write")]).await;
    assert_eq!(scene.redeem(&client, &code, &[]).await.claims()["scope"], "read");
}

#[tokio::test]
async fn a_user_who_is_not_permitted_gets_nothing_through_anybody() {
    let scene = Scene::of_people().await;
    let forbid =
        r#"forbid(principal is Keycard::User, action, resource) when { principal.email == "ada@example.com" };"#;
    scene.enforce("no-ada", &[("no-ada", forbid)]).await;
    let agent = scene.register("claude-code").await;
    let reply = scene.exchange(&agent, &scene.session_token().await, &[("resource", WHOAMI)]).await;
    assert!(reply.word("error_description").contains("Policy \"no-ada\""), "{}", reply.body);
    let batch = scene.software("batch").await;
    scene.let_depend(&batch.id, WHOAMI).await;
    assert_eq!(scene.own_token(&batch.client, "read").await.status, StatusCode::OK, "its own name is another");
}

#[tokio::test]
async fn a_policy_that_can_not_be_evaluated_denies() {
    let scene = Scene::of_people().await;
    let batch = scene.software("batch").await;
    scene.let_depend(&batch.id, WHOAMI).await;
    let overflow = "permit(principal, action, resource) when { 9223372036854775807 + 1 > 0 };";
    scene.enforce("broken", &[("overflow", overflow)]).await;
    let denied = scene.own_token(&batch.client, "read").await;
    denied.refused(400, "access_denied", &format!("Application \"batch\" is not allowed to access \"{WHOAMI}\"."));
}

/// Keeps what an auditor is told.
#[derive(Default)]
pub(super) struct Told(std::sync::Mutex<Vec<(String, String)>>);

impl crate::zone::Events for Told {
    fn record(&self, event: &crate::zone::Event<'_>) {
        self.0.lock().unwrap().push((event.name.to_owned(), format!("{:?}", event.fields)));
    }
}

impl Told {
    pub(super) fn take(&self) -> Vec<(String, String)> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

#[tokio::test]
async fn a_set_in_the_shadow_changes_nothing_and_is_told() {
    let told = Arc::new(Told::default());
    let events: Arc<dyn crate::zone::Events> = Arc::<Told>::clone(&told);
    let scene = Scene::of_people_under(Rules { events, ..Rules::default() }).await;
    let batch = scene.software("batch").await;
    scene.let_depend(&batch.id, WHOAMI).await;
    let closed = "forbid(principal is Keycard::Application, action, resource);";
    let version = scene.compose("tomorrow", &[("closed", closed)], false).await;
    scene.manage("PATCH", &version, Some(json!({"shadow": true}))).await;
    let bound = told.take();
    assert_eq!((bound.len(), bound[0].0.as_str()), (1, "policies:bind"));
    assert!(bound[0].1.contains(r#"("mode", Text("shadow"))"#), "{bound:?}");
    assert_eq!(scene.own_token(&batch.client, "read").await.status, StatusCode::OK);
    let events = told.take();
    let names: Vec<&str> = events.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["policies:shadow", "credentials:issue"]);
    for part in [
        r#"("decision", Text("deny"))"#,
        r#"("enforced", Text("permit"))"#,
        r#"("agrees", Flag(false))"#,
        &batch.id,
        WHOAMI,
    ] {
        assert!(events[0].1.contains(part), "{part}: {events:?}");
    }
    assert!(events[1].1.contains(r#"("scopes", Text("read"))"#) && events[1].1.contains(&batch.id), "{events:?}");
    let set = version.split("/versions/").next().unwrap();
    let set = scene.manage("GET", set, None).await;
    assert_eq!((&set["mode"], &set["active"]), (&json!("shadow"), &json!(false)));
    // What is enforced and denied is told too.
    let other = scene.software("other").await;
    assert_eq!(scene.own_token(&other.client, "read").await.status, StatusCode::BAD_REQUEST);
    let names: Vec<String> = told.take().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["policies:shadow", "credentials:deny"]);
}

#[tokio::test]
async fn a_damaged_policy_set_denies_everything() {
    let scene = Scene::of_people().await;
    let batch = scene.software("batch").await;
    scene.let_depend(&batch.id, WHOAMI).await;
    let sql = "UPDATE policy_versions SET cedar_raw = $1 WHERE policy_id IN
        (SELECT id FROM policies WHERE name = 'default-user-grants')";
    scene.zone.store().execute(sql, "permit everything").await;
    assert_eq!(scene.own_token(&batch.client, "read").await.body["error"], "access_denied");
}
