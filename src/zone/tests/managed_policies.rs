//! The managed policies of a newer release, in zones that were made by an earlier one.

use super::management::Office;
use super::management::names;
use super::policies::SCHEMA;
use super::policy_decisions::Told;
use super::*;
use crate::zone::access::MANAGED;
use crate::zone::access::ManagedPolicy;
use crate::zone::access::ManagedSet;
use crate::zone::renewal::renew_policies;

const TIGHTENED: &str = "permit(principal is Keycard::Application, action, resource)
    when { principal.dependencies.contains(resource) } unless { principal.name == \"batch\" };";

/// What a later release might carry: one text is another, two are as before, and one is new.
const LATER: ManagedSet = ManagedSet {
    revision: 3,
    policies: &[
        MANAGED.policies[0],
        MANAGED.policies[1],
        ManagedPolicy { name: "default-app-direct-access", description: "Tightened", text: TIGHTENED },
        ManagedPolicy {
            name: "default-nothing",
            description: "",
            text: "forbid(principal, action, resource) when { false };",
        },
    ],
};

async fn renew(zone: &Zone, told: &Told) {
    let now = Timestamp::from_seconds(NOW + 60);
    renew_policies(zone.store(), &LATER, told, now).await.unwrap();
}

/// The managed set, as the API shows it.
async fn managed(office: &Office) -> Value {
    office.get("/zones/{zone}/policy-sets?filter[owner_type]=platform").await["items"][0].clone()
}

async fn own_token(scene: &Scene, client: &Agent) -> StatusCode {
    scene.ask(client, &[("grant_type", "client_credentials"), ("resource", WHOAMI)]).await.status
}

#[tokio::test]
async fn zones_get_a_newer_releases_policies_as_a_version_that_decides_at_once() {
    let scene = Scene::of_people().await;
    let batch = scene.software("batch").await;
    scene.let_depend(&batch.id, WHOAMI).await;
    let office = Office::of(scene).await;
    let other = office.post("/zones", json!({"name": "Other"})).await["id"].as_str().unwrap().to_owned();
    assert_eq!(own_token(&office.scene, &batch.client).await, StatusCode::OK);
    let before = managed(&office).await;
    let versions = format!("/zones/{{zone}}/policy-sets/{}/versions", before["id"].as_str().unwrap());
    let first = office.get(&format!("{versions}/{}", before["active_version_id"].as_str().unwrap())).await;

    let told = Told::default();
    renew(&office.scene.zone, &told).await;
    let events = told.take();
    assert_eq!(events.len(), 2, "{events:?}");
    for zone in [&office.zone, &other] {
        let event = events.iter().find(|(_, fields)| fields.contains(zone.as_str())).unwrap();
        assert_eq!(event.0, "policies:renew");
        assert!(event.1.contains(r#"("mode", Text("active"))"#), "{event:?}");
    }
    let after = managed(&office).await;
    assert_eq!((&after["active_version"], &after["latest_version"]), (&json!(3), &json!(3)));
    assert_eq!((&after["id"], &after["active_version_id"]), (&before["id"], &after["latest_version_id"]));
    assert_eq!(own_token(&office.scene, &batch.client).await, StatusCode::BAD_REQUEST);

    // A text that did not change is the version that there was; what was, stays readable.
    let second = office.get(&format!("{versions}/{}", after["active_version_id"].as_str().unwrap())).await;
    let (old, new) = (&first["manifest"]["entries"], &second["manifest"]["entries"]);
    assert_eq!((&old[0], &old[1]), (&new[0], &new[1]));
    assert_eq!(old[2]["policy_id"], new[2]["policy_id"]);
    assert_ne!(old[2]["policy_version_id"], new[2]["policy_version_id"]);
    assert!(events.iter().any(|(_, fields)| fields.contains(second["manifest_sha"].as_str().unwrap())));
    assert_eq!(
        office.get(&format!("{versions}/{}", first["id"].as_str().unwrap())).await["manifest"],
        first["manifest"]
    );
    assert_eq!(office.get(&versions).await["items"].as_array().unwrap().len(), 2);
    let policies = office.get("/zones/{zone}/policies?filter[owner_type]=platform").await;
    assert_eq!(policies["items"].as_array().unwrap().len(), 4);
    let direct = format!("/zones/{{zone}}/policies/{}", new[2]["policy_id"].as_str().unwrap());
    let direct = office.get(&direct).await;
    assert_eq!((&direct["description"], &direct["latest_version"]), (&json!("Tightened"), &json!(3)));
}

#[tokio::test]
async fn a_revision_is_given_once_by_one_replica_and_taken_back_by_none() {
    let scene = Scene::new().await;
    let (told, replica) = (Told::default(), scene.open_again().await);
    tokio::join!(renew(&scene.zone, &told), renew(&replica, &told));
    renew(&replica, &told).await;
    let events = told.take();
    assert_eq!(events.len(), 1, "{events:?}");
    // A program of before starts once more, and one that lends itself a sign-in.
    let earlier = scene.open_again().await;
    renew_policies(earlier.store(), &MANAGED, &told, Timestamp::from_seconds(NOW + 90)).await.unwrap();
    assert!(told.take().is_empty());
    let office = Office::of(scene).await;
    let set = managed(&office).await;
    assert_eq!((&set["active_version"], &set["latest_version"]), (&json!(3), &json!(3)));
}

#[tokio::test]
async fn what_a_zones_people_chose_goes_on_to_decide() {
    let scene = Scene::of_people().await;
    scene.enforce("ours", &[("never", "forbid(principal, action, resource) when { false };")]).await;
    let told = Told::default();
    renew(&scene.zone, &told).await;
    let events = told.take();
    assert!(events.len() == 1 && events[0].1.contains(r#"("mode", Text("none"))"#), "{events:?}");
    let office = Office::of(scene).await;
    let active = office.get("/zones/{zone}/policy-sets?filter[active]=true").await;
    assert_eq!(names(&active), ["ours"]);
    let set = managed(&office).await;
    assert_eq!((&set["active_version"], &set["latest_version"]), (&Value::Null, &json!(3)));
    // They may take the new one now.
    let (set, version) = (set["id"].as_str().unwrap(), set["latest_version_id"].as_str().unwrap());
    let path = format!("/zones/{{zone}}/policy-sets/{set}/versions/{version}");
    assert_eq!(office.patch(&path, json!({"active": true})).await["schema_version"], SCHEMA);
    assert_eq!(managed(&office).await["active_version"], 3);
}

#[tokio::test]
async fn whoever_went_back_to_an_earlier_version_stays_there() {
    let office = Office::new().await;
    let first = managed(&office).await;
    renew(&office.scene.zone, &Told::default()).await;
    let path = |set: &Value, version: &str| {
        format!(
            "/zones/{{zone}}/policy-sets/{}/versions/{}",
            set["id"].as_str().unwrap(),
            set[version].as_str().unwrap()
        )
    };
    office.patch(&path(&first, "active_version_id"), json!({"active": true})).await;
    let latest = ManagedSet { revision: 4, policies: LATER.policies };
    renew_policies(office.scene.zone.store(), &latest, &Told::default(), Timestamp::from_seconds(NOW + 90))
        .await
        .unwrap();
    let set = managed(&office).await;
    assert_eq!((&set["active_version"], &set["latest_version"]), (&json!(1), &json!(4)));
}
