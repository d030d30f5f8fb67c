//! Leaves: for whom, for how long, how many.

use rustls::HandshakeKind;

use super::*;
use crate::limits::LEAVES_MAX;

#[test]
fn no_leaf_for_an_address_or_for_a_host_that_is_not_configured() {
    let world = World::new(&["api.example.com", "127.0.0.1"]);
    let refused = |name: &str| world.authority.server_config(&host(name), Alpn::Http1).unwrap_err();
    assert!(matches!(refused("127.0.0.1"), LeafError::Address(_)));
    assert!(matches!(refused("[::1]"), LeafError::Address(_)));
    for name in ["example.com", "evil.example", "xapi.example.com", "com"] {
        assert!(matches!(refused(name), LeafError::NotPermitted(_)), "{name}");
    }
    // a host that is configured no longer is refused, although the intermediate still permits it
    let _ = world.authority.ensure(&hosts(&["other.example.com"])).unwrap();
    assert!(matches!(refused("api.example.com"), LeafError::NotPermitted(_)));
}

#[test]
fn a_leaf_is_made_anew_before_it_ends() {
    let world = World::new(&["api.example.com"]);
    let first = world.server("api.example.com");
    world.clock.wind(Duration::from_hours(16));
    assert!(Arc::ptr_eq(&first, &world.server("api.example.com")));
    world.clock.wind(Duration::from_hours(2));
    assert!(!Arc::ptr_eq(&first, &world.server("api.example.com")));
}

#[test]
fn a_clock_that_jumps_back_gets_a_leaf_of_its_own_time() {
    let world = World::new(&["api.example.com"]);
    world.clock.wind(Duration::from_hours(10));
    let late = world.server("api.example.com");
    *world.clock.0.lock().unwrap() = SystemClock::new().now();
    assert!(!Arc::ptr_eq(&late, &world.server("api.example.com")));
}

#[test]
fn threads_that_ask_at_once_get_one_leaf() {
    let world = World::new(&["api.example.com"]);
    let start = std::sync::Barrier::new(8);
    let configs: Vec<_> = std::thread::scope(|scope| {
        let ask = || {
            start.wait();
            world.server("api.example.com")
        };
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(ask)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(configs.iter().all(|config| Arc::ptr_eq(config, &configs[0])));
}

#[test]
fn ten_thousand_hosts_stay_within_the_cache() {
    let world = World::new(&["example.com"]);
    for number in 0..10_000 {
        world.server(&format!("h{number}.example.com"));
    }
    assert!(world.authority.leaves() <= LEAVES_MAX);
    assert!(world.authority.leaves() > 0);
}

#[test]
fn a_second_connection_resumes_the_session() {
    let world = World::new(&["api.example.com"]);
    let client = client(&world.trust());
    let first = handshake(&world.server("api.example.com"), &client, "api.example.com").unwrap();
    assert_eq!(first.handshake_kind(), Some(HandshakeKind::Full));
    let second = handshake(&world.server("api.example.com"), &client, "api.example.com").unwrap();
    assert_eq!(second.handshake_kind(), Some(HandshakeKind::Resumed));
}
