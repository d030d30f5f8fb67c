//! How long a credential is held, for whom, and that it is fetched once.

use super::*;
use crate::credential::Refused;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_at_once_cause_one_exchange() {
    let world = Arc::new(World::new().await);
    world.issuer.shut();
    let (session, resource) = (session("ses_1"), api());
    let mut all = tokio::task::JoinSet::new();
    for _ in 0..1000 {
        let (world, session, resource) = (Arc::clone(&world), Arc::clone(&session), Arc::clone(&resource));
        all.spawn(async move { world.obtain(&session, &resource).await.unwrap().value().clone() });
    }
    world.issuer.arrived(1).await;
    world.issuer.open();
    let values = all.join_all().await;
    assert_eq!(values.len(), 1000);
    assert!(values.iter().all(|value| value == values[0]));
    assert_eq!(world.issuer.grants("token-exchange").len(), 1);
    assert_eq!(world.issuer.grants("refresh_token").len(), 1);
    assert_eq!(world.issuer.count("/register"), 1);
    assert_eq!(world.issuer.count("/.well-known/oauth-authorization-server"), 1);
}

#[tokio::test]
async fn a_caller_who_goes_away_cancels_nothing() {
    let world = Arc::new(World::new().await);
    world.issuer.shut();
    let (session, resource) = (session("ses_1"), api());
    let first = {
        let (world, session, resource) = (Arc::clone(&world), Arc::clone(&session), Arc::clone(&resource));
        tokio::spawn(async move { world.obtain(&session, &resource).await.map(drop) })
    };
    world.issuer.arrived(1).await;
    first.abort();
    assert!(first.await.unwrap_err().is_cancelled());
    world.issuer.open();
    world.obtain(&session, &resource).await.unwrap();
    assert_eq!(world.issuer.grants("refresh_token").len(), 1);
    assert_eq!(world.issuer.grants("token-exchange").len(), 1);
}

#[tokio::test]
async fn a_change_of_any_part_of_the_key_is_a_miss() {
    let world = World::new().await;
    world.obtain(&session("ses_1"), &api()).await.unwrap();
    let bearer = CredentialHeader::bearer;
    let audience =
        Source::TokenExchange { scopes: Scopes::parse("read write").unwrap(), target: TargetParameter::Audience };
    let application = Source::ClientCredentials {
        scopes: Scopes::parse("read write").unwrap(),
        target: TargetParameter::Resource,
        endpoint: None,
    };
    let changed = [
        (session("ses_2"), api()),
        (session_of("ses_1", "claude", "alice"), api()),
        (session("ses_1"), resource("https://api.example.com/", exchange("read write"), bearer())),
        (session("ses_1"), resource("https://api.example.com", exchange("read"), bearer())),
        (session("ses_1"), resource("https://api.example.com", audience, bearer())),
        (session("ses_1"), resource("https://api.example.com", application, bearer())),
        (
            session("ses_1"),
            resource("https://api.example.com", exchange("read write"), CredentialHeader::basic("x").unwrap()),
        ),
    ];
    for (session, resource) in &changed {
        assert!(!world.obtain(session, resource).await.unwrap().provenance().cached, "{session:?} {resource:?}");
        assert!(world.obtain(session, resource).await.unwrap().provenance().cached);
    }
    let other_user = world.obtain(&session_of("ses_1", "curl", "bob"), &api()).await;
    assert_eq!(other_user.unwrap_err().code(), "other-user-signed-in");
    // equal values in other allocations, as after a reload of the configuration, are the same
    assert!(world.obtain(&session("ses_1"), &api()).await.unwrap().provenance().cached);
    world.vault.replace_zone(signed_in(&world.issuer.url));
    assert!(!world.obtain(&session("ses_1"), &api()).await.unwrap().provenance().cached);
}

#[tokio::test]
async fn an_ageing_credential_is_given_while_one_fetch_replaces_it() {
    let world = World::new().await;
    let (session, resource) = (session("ses_1"), api());
    let first = world.obtain(&session, &resource).await.unwrap();
    world.clock.pass(Duration::from_secs(190));
    assert_eq!(world.obtain(&session, &resource).await.unwrap().value(), first.value());
    let before = world.issuer.count("/token");
    world.clock.pass(Duration::from_secs(60));
    for _ in 0..100 {
        assert_eq!(world.obtain(&session, &resource).await.unwrap().value(), first.value());
    }
    let mut second = first.clone();
    for _ in 0..10_000 {
        second = world.obtain(&session, &resource).await.unwrap();
        if second.value() != first.value() {
            break;
        }
        tokio::time::sleep(Duration::from_micros(200)).await;
    }
    assert_ne!(second.value(), first.value());
    assert!(second.provenance().cached);
    assert_eq!(world.issuer.grants("token-exchange").len(), 2);
    assert!(world.issuer.count("/token") > before);
}

#[tokio::test]
async fn a_short_token_is_used_for_most_of_its_life_and_never_past_it() {
    let world = World::new().await;
    world.issuer.lifetime(20);
    let (session, resource) = (session("ses_1"), api());
    world.obtain(&session, &resource).await.unwrap();
    world.clock.pass(Duration::from_secs(8));
    assert!(world.obtain(&session, &resource).await.unwrap().provenance().cached);
    world.clock.pass(Duration::from_secs(8));
    assert!(!world.obtain(&session, &resource).await.unwrap().provenance().cached);
}

#[tokio::test]
async fn a_laptop_that_slept_fetches_anew() {
    let world = World::new().await;
    let (session, resource) = (session("ses_1"), api());
    let first = world.obtain(&session, &resource).await.unwrap();
    world.clock.jump(3_600_000);
    let second = world.obtain(&session, &resource).await.unwrap();
    assert_ne!(first.value(), second.value());
    assert!(!second.provenance().cached);
}

#[tokio::test]
async fn a_wall_clock_set_back_makes_no_token_younger() {
    let world = World::new().await;
    let (session, resource) = (session("ses_1"), api());
    world.obtain(&session, &resource).await.unwrap();
    world.clock.jump(-2_000);
    assert!(world.obtain(&session, &resource).await.unwrap().provenance().cached, "a small step is no reason");
    world.clock.jump(-60_000);
    assert!(!world.obtain(&session, &resource).await.unwrap().provenance().cached);
    world.clock.tick(Duration::from_secs(300));
    assert!(!world.obtain(&session, &resource).await.unwrap().provenance().cached, "the other clock has seen it age");
}

#[tokio::test]
async fn a_refused_credential_goes_and_a_newer_one_stays() {
    let world = World::new().await;
    let (session_1, session_2, resource) = (session("ses_1"), session("ses_2"), api());
    let first = world.obtain(&session_1, &resource).await.unwrap();
    let other = world.obtain(&session_2, &resource).await.unwrap();
    assert_eq!(world.vault.refuse(&first), Refused::AskAgain);
    let second = world.obtain(&session_1, &resource).await.unwrap();
    assert_ne!(first.value(), second.value());
    assert_eq!(world.vault.refuse(&first), Refused::AskAgain, "the same refusal from a second request");
    assert_eq!(world.obtain(&session_1, &resource).await.unwrap().value(), second.value());
    assert_eq!(world.obtain(&session_2, &resource).await.unwrap().value(), other.value());

    assert_eq!(
        world.vault.refuse(&second),
        Refused::Final,
        "an upstream that refuses all is not fetched for each time"
    );
    assert_eq!(world.obtain(&session_1, &resource).await.unwrap().value(), second.value());
    world.clock.pass(Duration::from_secs(6));
    assert_eq!(world.vault.refuse(&second), Refused::AskAgain);
    assert_ne!(world.obtain(&session_1, &resource).await.unwrap().value(), second.value());
}

#[tokio::test]
async fn nothing_is_held_for_a_session_that_ended() {
    let world = World::new().await;
    let (ending, staying, resource) = (session("ses_1"), session("ses_2"), api());
    world.obtain(&ending, &resource).await.unwrap();
    world.obtain(&staying, &resource).await.unwrap();
    ending.ended.end();
    world.vault.end_session(ending.id());
    assert_eq!(world.vault.entries(), 1);
    let error = world.obtain(&ending, &resource).await.unwrap_err();
    assert_eq!(error.code(), "session-ended");
    assert_eq!(world.vault.entries(), 1);
    assert!(world.obtain(&staying, &resource).await.unwrap().provenance().cached);
}

#[tokio::test]
async fn the_vault_closes_when_its_fetches_have_ended() {
    let world = World::new().await;
    world.obtain(&session("ses_1"), &api()).await.unwrap();
    tokio::time::timeout(Duration::from_secs(5), world.vault.close()).await.unwrap();
}

#[tokio::test]
async fn no_type_tells_its_secret() {
    let world = World::new().await;
    let access = one_client("https://zone.example", Some("refresh-canary"), Persist::nowhere());
    let settings =
        Settings { zone: access.clone(), client: client(), clock: Arc::clone(&world.clock) as Arc<dyn Clock> };
    let credential = world.obtain(&session("ses_1"), &api()).await.unwrap();
    assert_no_secret(&format!(
        "{settings:?} {access:?} {credential:?} {:?} {:?}",
        world.vault,
        signed_in("https://z.example")
    ));
    assert_no_secret(&format!("{:?}", credential.value()));
}
