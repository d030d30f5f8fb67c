//! Policies and sets by the management API: written, checked, bound, archived, attested.

use aws_lc_rs::signature::RSA_PKCS1_2048_8192_SHA256;
use aws_lc_rs::signature::RsaPublicKeyComponents;

use super::management::Office;
use super::management::names;
use super::*;
use crate::zone::canonical;

pub(super) const SCHEMA: &str = "2026-03-16";
const PERMIT: &str = "permit(principal, action, resource);";
/// As everybody writes it.
const CANONICAL: &str = "permit(\n  principal,\n  action,\n  resource\n);";
const POLICIES: &str = "/zones/{zone}/policies";
const SETS: &str = "/zones/{zone}/policy-sets";

fn id(body: &Value) -> String {
    body["id"].as_str().unwrap_or_else(|| panic!("no id in {body}")).to_owned()
}

impl Office {
    async fn policy(&self, name: &str) -> String {
        self.scene.clock.advance(Duration::from_millis(1));
        id(&self.post(POLICIES, json!({ "name": name })).await)
    }

    async fn version(&self, policy: &str, cedar: &str) -> Value {
        self.scene.clock.advance(Duration::from_millis(1));
        let body = json!({"schema_version": SCHEMA, "cedar_raw": cedar});
        self.post(&format!("{POLICIES}/{policy}/versions"), body).await
    }

    /// A set with a version of one policy: their ids, and the policy's and its version's.
    async fn set_of_one(&self, name: &str, cedar: &str) -> [String; 4] {
        let policy = self.policy(&format!("{name}-policy")).await;
        let version = id(&self.version(&policy, cedar).await);
        let set = id(&self.post(SETS, json!({"name": name, "scope_type": "zone"})).await);
        let set_version = id(&self.set_version(&set, &[(&policy, &version)]).await);
        [set, set_version, policy, version]
    }

    async fn set_version(&self, set: &str, entries: &[(&str, &str)]) -> Value {
        self.scene.clock.advance(Duration::from_millis(1));
        self.post(&format!("{SETS}/{set}/versions"), manifest(entries)).await
    }

    async fn conflict(&self, method: &str, path: &str, body: Option<Value>) {
        assert_eq!(self.refused(method, path, body).await, (409, "conflict".to_owned()), "{method} {path}");
    }

    /// What is refused as bad, in words.
    async fn bad(&self, path: &str, body: Value) -> String {
        let reply = self.call("POST", path, Some(&body)).await;
        assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{}", reply.body);
        reply.word("message")
    }
}

fn manifest(entries: &[(&str, &str)]) -> Value {
    let entries: Vec<Value> =
        entries.iter().map(|(policy, version)| json!({"policy_id": policy, "policy_version_id": version})).collect();
    json!({"schema_version": SCHEMA, "manifest": {"entries": entries}})
}

#[tokio::test]
async fn a_zone_has_a_schema_in_both_syntaxes_and_a_default() {
    let office = Office::new().await;
    let list = "/zones/{zone}/policy-schemas";
    let schemas = office.get(&format!("{list}?expand[]=total_count")).await;
    assert_eq!(schemas["pagination"]["total_count"], 1);
    let schema = &schemas["items"][0];
    assert_eq!(
        (&schema["version"], &schema["status"], &schema["is_default"]),
        (&json!(SCHEMA), &json!("active"), &json!(true))
    );
    assert!(schema["cedar_schema_json"]["Keycard"].is_object() && schema["cedar_schema"].is_null());
    let one = office.get(&format!("{list}/{SCHEMA}?format=cedar")).await;
    assert!(one["cedar_schema"].as_str().unwrap().contains("namespace Keycard") && one["cedar_schema_json"].is_null());
    assert_eq!(office.patch(&format!("{list}/{SCHEMA}"), json!({})).await["is_default"], true);
    assert_eq!(office.get(&format!("{list}?is_default=false")).await["items"], json!([]));
    assert_eq!(office.get(&format!("{list}?filter[default]=true&format=cedar")).await["items"][0]["version"], SCHEMA);
    let end = schemas["page_info"]["end_cursor"].as_str().unwrap();
    assert_eq!(office.get(&format!("{list}?after={end}")).await["items"], json!([]));
    assert_eq!(office.get(&format!("{list}?before={end}")).await["items"], json!([]));
    for (path, status) in [("/2020-01-01", 404), ("?format=xml", 400), ("?sort=color", 400), ("?filter[x]=1", 400)] {
        assert_eq!(office.refused("GET", &format!("{list}{path}"), None).await.0, status, "{path}");
    }
    assert_eq!(office.refused("PATCH", &format!("{list}/2020-01-01"), Some(json!({}))).await.0, 404);
}

#[tokio::test]
async fn a_policy_is_made_changed_and_archived() {
    let office = Office::new().await;
    let policy = office.policy("One").await;
    let path = format!("{POLICIES}/{policy}");
    let made = office.get(&path).await;
    assert_eq!((&made["owner_type"], &made["latest_version"]), (&json!("customer"), &Value::Null));
    let changed = office.patch(&path, json!({"name": "Uno", "description": "first"})).await;
    assert_eq!((&changed["name"], &changed["description"]), (&json!("Uno"), &json!("first")));
    assert_eq!(office.patch(&path, json!({"description": null})).await["description"], Value::Null);
    let version = office.version(&policy, PERMIT).await;
    let told = office.get(&path).await;
    assert_eq!((&told["latest_version"], &told["latest_version_id"]), (&json!(1), &version["id"]));
    assert_eq!(told["latest_schema_version"], SCHEMA);
    office.policy("Two").await;
    let list = office.get(&format!("{POLICIES}?filter[owner_type]=customer&sort=-created_at")).await;
    assert_eq!(names(&list), ["Two", "Uno"]);
    assert_eq!(names(&office.get(&format!("{POLICIES}?query[name]=uN")).await), ["Uno"]);
    assert_eq!(names(&office.get(&format!("{POLICIES}?query[]=they%20depend")).await), ["default-app-direct-access"]);
    assert_eq!(names(&office.get(&format!("{POLICIES}?query[description]=signed")).await), ["default-app-delegation"]);
    assert_eq!(names(&office.get(&format!("{POLICIES}?filter[id]={policy}")).await), ["Uno"]);
    let all = office.get(&format!("{POLICIES}?limit=2&expand[]=total_count")).await;
    assert_eq!(all["pagination"]["total_count"], 5);
    let next = all["pagination"]["after_cursor"].as_str().unwrap();
    assert_eq!(office.get(&format!("{POLICIES}?limit=2&after={next}")).await["items"].as_array().unwrap().len(), 2);
    let archived = office.call("DELETE", &path, None).await;
    assert_eq!(archived.status, StatusCode::OK);
    assert!(archived.body["archived_at"].is_string());
    assert_eq!(office.get(&path).await["archived_at"], archived.body["archived_at"]);
    assert_eq!(office.call("DELETE", &path, None).await.body["archived_at"], archived.body["archived_at"]);
    assert_eq!(names(&office.get(&format!("{POLICIES}?filter[owner_type]=customer")).await), ["Two"]);
    office.conflict("PATCH", &path, Some(json!({"name": "x"}))).await;
    office
        .conflict("POST", &format!("{path}/versions"), Some(json!({"schema_version": SCHEMA, "cedar_raw": PERMIT})))
        .await;
    for bad in ["?filter[owner_type]=me", "?sort=name", "?expand[]=everything", "?query[color]=x"] {
        assert_eq!(office.refused("GET", &format!("{POLICIES}{bad}"), None).await.0, 400, "{bad}");
    }
    for bad in [json!({}), json!({"name": ""}), json!({"name": "x", "description": "d".repeat(2049)})] {
        assert_eq!(office.refused("POST", POLICIES, Some(bad)).await.0, 400);
    }
    assert_eq!(office.refused("PATCH", &path, Some(json!({"name": null}))).await.0, 409);
}

#[tokio::test]
async fn if_match_tells_who_came_second() {
    let office = Office::new().await;
    let [set, _, policy, _] = office.set_of_one("set", PERMIT).await;
    for path in [format!("{POLICIES}/{policy}"), format!("{SETS}/{set}")] {
        let path = path.replace("{zone}", &office.zone);
        let seen = office.call("GET", &path, None).await;
        let tag = seen.header("etag").to_owned();
        let send = async |method: &str, tag: &str| {
            let request = Request::builder().method(method).uri(&path).header("if-match", tag);
            let request = request.header("authorization", format!("Bearer {}", office.token));
            let request = request.header("content-type", "application/json").body(Body::from(r#"{"name": "new"}"#));
            office.scene.send(request.unwrap()).await
        };
        let done = send("PATCH", &tag).await;
        assert_eq!((done.status, &done.body["name"]), (StatusCode::OK, &json!("new")));
        for (method, old) in [("PATCH", tag.as_str()), ("PATCH", "rubbish"), ("DELETE", tag.as_str())] {
            let stale = send(method, old).await;
            assert_eq!(
                (stale.status, &stale.body["code"]),
                (StatusCode::PRECONDITION_FAILED, &json!("precondition_failed"))
            );
        }
        assert_eq!(send("DELETE", done.header("etag")).await.status, StatusCode::OK, "{path}");
    }
}

#[tokio::test]
async fn a_version_is_what_it_says_and_never_changes() {
    let office = Office::new().await;
    let policy = office.policy("One").await;
    let list = format!("{POLICIES}/{policy}/versions");
    let first = office.version(&policy, "// all\npermit ( principal,\n action, resource ) ;").await;
    assert_eq!((&first["version"], &first["cedar_raw"]), (&json!(1), &json!(CANONICAL)));
    assert_eq!(first["sha"], canonical::sha256(CANONICAL.as_bytes()));
    // Two of one moment would come in any order.
    office.scene.clock.advance(Duration::from_millis(1));
    let body = json!({"schema_version": SCHEMA, "cedar_json": first["cedar_json"]});
    let second = office.post(&list, body).await;
    assert_eq!((&second["version"], &second["sha"]), (&json!(2), &first["sha"]));
    let path = format!("{list}/{}", id(&first));
    let (as_json, as_cedar) = (office.get(&path).await, office.get(&format!("{path}?format=cedar")).await);
    assert_eq!((&as_json["cedar_json"], &as_json["cedar_raw"]), (&first["cedar_json"], &Value::Null));
    assert_eq!((&as_cedar["cedar_json"], &as_cedar["cedar_raw"]), (&Value::Null, &json!(CANONICAL)));
    let listed = office.get(&format!("{list}?order=desc&format=cedar")).await;
    let numbers: Vec<_> = listed["items"].as_array().unwrap().iter().map(|item| item["version"].clone()).collect();
    assert_eq!(numbers, [2, 1]);
    let send = |cedar: &str| json!({"schema_version": SCHEMA, "cedar_raw": cedar});
    for (cedar, said) in [
        ("permit(principal, action resource);", "1:26"),
        ("permit(principal, action, resource)\nwhen { principal.colour == 1 };", "2:"),
        ("permit(principal == ?principal, action, resource);", "templates"),
        ("", "0 policies"),
    ] {
        let message = office.bad(&list, send(cedar)).await;
        assert!(message.contains("`cedar_raw`") && message.contains(said), "{message}");
    }
    assert!(
        office
            .bad(&list, json!({"schema_version": SCHEMA, "cedar_json": {"effect": "maybe"}}))
            .await
            .contains("`cedar_json`")
    );
    assert!(office.bad(&list, json!({"schema_version": SCHEMA})).await.contains("is missing"));
    assert!(
        office
            .bad(&list, json!({"schema_version": SCHEMA, "cedar_json": {}, "cedar_raw": PERMIT}))
            .await
            .contains("`cedar_json`")
    );
    assert!(office.bad(&list, send(&" ".repeat(300_000))).await.contains("bytes"));
    let unknown = json!({"schema_version": "2020-01-01", "cedar_raw": PERMIT});
    assert_eq!(office.refused("POST", &list, Some(unknown)).await.0, 404);
    assert_eq!(office.get(&list).await["items"].as_array().unwrap().len(), 2, "nothing bad was written");
    let archived = office.call("DELETE", &path, None).await;
    assert!(
        archived.status == StatusCode::OK
            && archived.body["archived_at"].is_string()
            && archived.body["archived_by"].is_string()
    );
    assert_eq!(office.refused("GET", &format!("{list}/x"), None).await.0, 404);
    let other = office.policy("Two").await;
    assert_eq!(office.refused("GET", &format!("{POLICIES}/{other}/versions/{}", id(&second)), None).await.0, 404);
}

#[tokio::test]
async fn a_manifest_names_what_is_there() {
    let office = Office::new().await;
    let (one, two) = (office.policy("One").await, office.policy("Two").await);
    let (first, second) = (id(&office.version(&one, PERMIT).await), id(&office.version(&two, PERMIT).await));
    let set = id(&office.post(SETS, json!({"name": "s", "scope_type": "zone", "target_type": "zone"})).await);
    let list = format!("{SETS}/{set}/versions");
    let made = office.set_version(&set, &[(&one, &first), (&two, &second)]).await;
    assert_eq!((&made["version"], &made["active"], &made["shadow"]), (&json!(1), &json!(false), &json!(false)));
    let told = made["manifest"].clone();
    assert_eq!(told["entries"][0]["sha"], canonical::sha256(CANONICAL.as_bytes()));
    assert_eq!(made["manifest_sha"], canonical::sha256(canonical::json(&told).unwrap().as_bytes()));
    let mut wrong_sha = manifest(&[(&one, &first)]);
    wrong_sha["manifest"]["entries"][0]["sha"] = json!("00");
    for (body, field) in [
        (manifest(&[]), "manifest.entries"),
        (manifest(&[(&one, "x")]), "manifest.entries[0].policy_version_id"),
        (manifest(&[(&one, &first), (&one, &second)]), "manifest.entries[1].policy_id"),
        (manifest(&[(&one, &first), (&one, &first)]), "manifest.entries[1].policy_id"),
        (wrong_sha, "manifest.entries[0].sha"),
    ] {
        assert!(office.bad(&list, body).await.contains(&format!("`{field}`")), "{field}");
    }
    office.call("DELETE", &format!("{POLICIES}/{two}/versions/{second}"), None).await;
    assert!(office.bad(&list, manifest(&[(&two, &second)])).await.contains("archived"));
    let path = format!("{list}/{}", id(&made));
    let policies = office.get(&format!("{path}/policies?format=cedar")).await;
    assert_eq!(policies["items"].as_array().unwrap().len(), 2);
    assert_eq!(policies["items"][0]["cedar_raw"], CANONICAL);
    let listed = office.get(&list).await;
    assert_eq!(listed["items"][0]["manifest"], told);
    assert!(listed["items"][0].get("attestation").is_none());
    let told_set = office.get(&format!("{SETS}/{set}")).await;
    assert_eq!(
        (&told_set["latest_version"], &told_set["active"], &told_set["mode"]),
        (&json!(1), &json!(false), &Value::Null)
    );
    assert_eq!(office.refused("POST", SETS, Some(json!({"name": "s", "scope_type": "user"}))).await.0, 400);
    let mut unknown = manifest(&[(&one, &first)]);
    unknown["schema_version"] = json!("2020-01-01");
    assert_eq!(office.refused("POST", &list, Some(unknown)).await.0, 404);
}

#[tokio::test]
async fn one_set_is_active_and_what_is_bound_is_not_archived() {
    let office = Office::new().await;
    let active = async || {
        let sets = office.get(&format!("{SETS}?active=true")).await;
        assert_eq!(sets["items"].as_array().unwrap().len(), 1, "{sets}");
        sets["items"][0].clone()
    };
    assert_eq!(active().await["name"], "default-zone-policies");
    let [set, version, policy, policy_version] = office.set_of_one("mine", PERMIT).await;
    let path = format!("{SETS}/{set}/versions/{version}");
    let bound = office.patch(&path, json!({"active": true})).await;
    assert_eq!((&bound["active"], &bound["shadow"]), (&json!(true), &json!(false)));
    let told = active().await;
    assert_eq!(
        (&told["id"], &told["active_version_id"], &told["active_version"]),
        (&json!(set), &json!(version), &json!(1))
    );
    assert_eq!((&told["mode"], &told["target_id"]), (&json!("active"), &json!(office.zone)));
    let archives = [
        format!("{SETS}/{set}"),
        path.clone(),
        format!("{POLICIES}/{policy}"),
        format!("{POLICIES}/{policy}/versions/{policy_version}"),
    ];
    for used in &archives {
        office.conflict("DELETE", used, None).await;
    }
    // The platform's own set takes the place back; the shadow binding holds what it names just the same.
    let sets = office.get(&format!("{SETS}?filter[owner_type]=platform&sort=status")).await;
    let own = &sets["items"][0];
    let own_path = format!("{SETS}/{}/versions/{}", id(own), own["latest_version_id"].as_str().unwrap());
    office.patch(&own_path, json!({"active": true})).await;
    assert_eq!(active().await["name"], "default-zone-policies");
    let shadow = office.patch(&path, json!({"shadow": true})).await;
    assert_eq!((&shadow["active"], &shadow["shadow"]), (&json!(false), &json!(true)));
    let told = office.get(&format!("{SETS}/{set}")).await;
    assert_eq!(
        (&told["mode"], &told["shadow_version_id"], &told["active"]),
        (&json!("shadow"), &json!(version), &json!(false))
    );
    office.conflict("DELETE", &archives[0], None).await;
    assert_eq!(office.patch(&path, json!({"shadow": false})).await["shadow"], false);
    for used in archives.iter().rev() {
        let reply = office.call("DELETE", used, None).await;
        assert!(reply.status == StatusCode::OK && reply.body["archived_at"].is_string(), "{used}: {}", reply.body);
    }
    office.conflict("PATCH", &path, Some(json!({"active": true}))).await;
    office.conflict("PATCH", &path, Some(json!({"shadow": true}))).await;
    assert_eq!(active().await["name"], "default-zone-policies");
    for bad in [json!({}), json!({"active": false}), json!({"active": true, "shadow": true}), json!({"active": "yes"})]
    {
        assert_eq!(office.refused("PATCH", &own_path, Some(bad)).await.0, 400);
    }
    let body = json!({"name": "users", "target_type": "user", "scope_type": "zone"});
    let of_users = id(&office.post(SETS, body).await);
    let other = office.policy("Other").await;
    let other_version = id(&office.version(&other, PERMIT).await);
    let made = id(&office.set_version(&of_users, &[(&other, &other_version)]).await);
    let refused =
        office.refused("PATCH", &format!("{SETS}/{of_users}/versions/{made}"), Some(json!({"active": true}))).await;
    assert_eq!(refused.0, 400);
}

#[tokio::test]
async fn a_set_whose_policy_was_archived_is_not_activated() {
    let office = Office::new().await;
    let [set, version, policy, _] = office.set_of_one("mine", PERMIT).await;
    office.call("DELETE", &format!("{POLICIES}/{policy}"), None).await;
    office.conflict("PATCH", &format!("{SETS}/{set}/versions/{version}"), Some(json!({"active": true}))).await;
}

#[tokio::test]
async fn the_managed_set_is_seen_and_not_changed() {
    let office = Office::new().await;
    let sets = office.get(&format!("{SETS}?filter[owner_type]=platform")).await;
    assert_eq!(names(&sets), ["default-zone-policies"]);
    let (set, version) = (id(&sets["items"][0]), sets["items"][0]["active_version_id"].as_str().unwrap().to_owned());
    let told = office.get(&format!("{SETS}/{set}/versions/{version}/policies?format=cedar")).await;
    assert_eq!(told["items"].as_array().unwrap().len(), 3);
    let entry = &told["items"][0];
    let (policy, policy_version) = (entry["policy_id"].as_str().unwrap(), id(entry));
    let body = json!({"schema_version": SCHEMA, "cedar_raw": PERMIT});
    for (method, path, body) in [
        ("PATCH", format!("{SETS}/{set}"), Some(json!({"name": "x"}))),
        ("DELETE", format!("{SETS}/{set}"), None),
        ("DELETE", format!("{SETS}/{set}/versions/{version}"), None),
        ("POST", format!("{SETS}/{set}/versions"), Some(manifest(&[(policy, &policy_version)]))),
        ("PATCH", format!("{POLICIES}/{policy}"), Some(json!({"name": "x"}))),
        ("POST", format!("{POLICIES}/{policy}/versions"), Some(body)),
        ("DELETE", format!("{POLICIES}/{policy}"), None),
        ("DELETE", format!("{POLICIES}/{policy}/versions/{policy_version}"), None),
    ] {
        assert_eq!(office.refused(method, &path, body).await, (403, "forbidden".to_owned()), "{method} {path}");
    }
    // A set of one's own may build on it.
    let own = id(&office.post(SETS, json!({"name": "own"})).await);
    office.set_version(&own, &[(policy, &policy_version)]).await;
    // Opened once more, the zone has it once.
    let again = office.scene.open_again().await;
    let count = again.store().dump("SELECT name FROM policy_sets WHERE owner_type = 'platform'").await;
    assert_eq!(count, "default-zone-policies");
}

#[tokio::test]
async fn another_zones_policies_are_not_there() {
    let office = Office::new().await;
    let [set, version, policy, policy_version] = office.set_of_one("mine", PERMIT).await;
    let other = id(&office.post("/zones", json!({"name": "Other"})).await);
    for path in [
        format!("policies/{policy}"),
        format!("policies/{policy}/versions"),
        format!("policies/{policy}/versions/{policy_version}"),
        format!("policy-sets/{set}"),
        format!("policy-sets/{set}/versions"),
        format!("policy-sets/{set}/versions/{version}"),
        format!("policy-sets/{set}/versions/{version}/policies"),
    ] {
        assert_eq!(office.refused("GET", &format!("/zones/{other}/{path}"), None).await.0, 404, "{path}");
    }
    let activate = Some(json!({"active": true}));
    let path = format!("/zones/{other}/policy-sets/{set}/versions/{version}");
    assert_eq!(office.refused("PATCH", &path, activate).await.0, 404);
    let theirs = id(&office.post(&format!("/zones/{other}/policy-sets"), json!({"name": "s"})).await);
    let path = format!("/zones/{other}/policy-sets/{theirs}/versions");
    assert!(
        office.bad(&path, manifest(&[(&policy, &policy_version)])).await.contains("no policy version of this zone")
    );
    assert_eq!(names(&office.get(&format!("/zones/{other}/policy-sets?active=true")).await), ["default-zone-policies"]);
}

#[tokio::test]
async fn who_may_only_look_writes_no_policy() {
    let office = Office::new().await;
    let viewer = office.scene.token(&["policies:read", "policy-sets:read", "policy-schemas:read"]).await;
    for list in [POLICIES, SETS, "/zones/{zone}/policy-schemas"] {
        assert_eq!(office.call_as(&viewer, "GET", list, None).await.status, StatusCode::OK);
        assert_eq!(office.call_as("nobody", "GET", list, None).await.status, StatusCode::UNAUTHORIZED);
    }
    let body = json!({"name": "x"});
    for (method, path) in [
        ("POST", POLICIES.to_owned()),
        ("POST", SETS.to_owned()),
        ("PATCH", format!("/zones/{{zone}}/policy-schemas/{SCHEMA}")),
    ] {
        assert_eq!(office.call_as(&viewer, method, &path, Some(&body)).await.status, StatusCode::FORBIDDEN, "{path}");
    }
}

#[tokio::test]
async fn an_attestation_verifies_with_the_jwks_also_after_a_rotation() {
    let office = Office::new().await;
    let [set, version, policy, policy_version] = office.set_of_one("mine", PERMIT).await;
    let path = format!("{SETS}/{set}/versions/{version}");
    let first = office.get(&path).await;
    let statement = verified(&office, &first["attestation"]).await;
    let entry = json!({"policy_id": policy, "policy_version_id": policy_version, "sha": canonical::sha256(CANONICAL.as_bytes())});
    let expected = json!({
        "v": 1, "type": "policy_set_attestation", "status": "committed", "zone_id": office.zone, "policy_set_id": set,
        "policy_set_version": 1, "manifest": [entry], "manifest_sha": first["manifest_sha"],
        "attested_at": statement["attested_at"], "attested_by": first["created_by"],
    });
    assert_eq!(statement, expected);
    // Beside the signed statement the same decoded, in the words of the SDK.
    let attestation = &first["attestation"];
    assert_eq!((&attestation["status"], &attestation["manifest_sha"]), (&json!("created"), &first["manifest_sha"]));
    assert_eq!(office.get(&path).await["attestation"], first["attestation"], "signed once");
    office.scene.zone.rotate_key().await.unwrap();
    office.scene.clock.advance(Duration::from_secs(3 * 24 * 3600));
    let again = office.get(&path).await;
    let statement = verified(&office, &again["attestation"]).await;
    assert_eq!((&statement["status"], &statement["manifest_sha"]), (&json!("re_signed"), &first["manifest_sha"]));
    assert_eq!(office.get(&path).await["attestation"], again["attestation"]);
    // The managed set is attested too.
    let own = office.get(&format!("{SETS}?filter[owner_type]=platform")).await["items"][0].clone();
    let own = office.get(&format!("{SETS}/{}/versions/{}", id(&own), own["active_version_id"].as_str().unwrap())).await;
    assert_eq!(verified(&office, &own["attestation"]).await["attested_by"], "platform");
}

/// What an attestation says, after its signature was checked with the key of the JWKS that its header names.
async fn verified(office: &Office, attestation: &Value) -> Value {
    let part = |name: &str| attestation[name].as_str().unwrap_or_else(|| panic!("no {name} in {attestation}"));
    let decode = |text: &str| URL_SAFE_NO_PAD.decode(text).unwrap();
    let header: Value = serde_json::from_slice(&decode(part("protected"))).unwrap();
    assert_eq!(header["alg"], "RS256");
    let jwks = office.scene.get("/openidconnect/jwks").await.body;
    let key =
        jwks["keys"].as_array().unwrap().iter().find(|key| key["kid"] == header["kid"]).expect("the key is shown");
    let number = |name: &str| decode(key[name].as_str().unwrap());
    let message = format!("{}.{}", part("protected"), part("payload"));
    let key = RsaPublicKeyComponents { n: number("n"), e: number("e") };
    key.verify(&RSA_PKCS1_2048_8192_SHA256, message.as_bytes(), &decode(part("signature"))).unwrap();
    let payload = decode(part("payload"));
    let statement: Value = serde_json::from_slice(&payload).unwrap();
    assert_eq!(canonical::json(&statement).unwrap().as_bytes(), payload);
    statement
}
