//! How often one address may try to sign in, whomever it tries.

use super::people::*;
use super::*;
use crate::limits::ZONE_ADDRESS_ATTEMPTS_MAX;
use crate::limits::ZONE_SIGN_IN_WINDOW;
use crate::zone::TrustedProxies;
use crate::zone::peer::Peer;
use crate::zone::people::place;

fn peer(address: &str) -> Peer {
    TrustedProxies::default().peer(address.parse().unwrap(), &HeaderMap::new())
}

/// One attempt from an address, by a browser that was never here.
async fn attempt(zone: &Zone, from: &str, name: &str, password: &str) -> StatusCode {
    let request = Request::get("/sign-in").body(Body::empty()).unwrap();
    let page = zone.router().oneshot(request).await.unwrap();
    let cookie = page.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
    let text = String::from_utf8(page.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap();
    let page = Page { status: StatusCode::OK, headers: HeaderMap::new(), text };
    let mark = page.field("mark");
    let form = [("mark", mark.as_str()), ("continue", "/account"), ("name", name), ("password", password)];
    let request = Request::post("/sign-in")
        .header("cookie", cookie)
        .header("content-type", "application/x-www-form-urlencoded")
        .extension(peer(from))
        .body(Body::from(encode(&form)));
    zone.router().oneshot(request.unwrap()).await.unwrap().status()
}

/// Many wrong attempts from an address, without the wait for the passwords.
async fn flood(scene: &Scene, from: &str, times: i64) {
    for _ in 0..times {
        let now = scene.clock.now();
        scene.zone.store().attempt(&place(peer(from)), ZONE_SIGN_IN_WINDOW, now).await.unwrap();
    }
}

#[tokio::test]
async fn who_tries_everybodys_name_from_one_address_is_stopped_and_nobody_else_is() {
    let scene = Scene::of_people().await;
    let replica = scene.open_again().await;
    flood(&scene, "192.0.2.1", ZONE_ADDRESS_ATTEMPTS_MAX - 1).await;
    let wrong = attempt(&scene.zone, "192.0.2.1", "nobody@example.com", "wrong password").await;
    assert_eq!(wrong, StatusCode::UNAUTHORIZED);
    // Not even with the right password, and at no replica.
    for zone in [&scene.zone, &replica] {
        let right = attempt(zone, "192.0.2.1", ADA, PASSWORD).await;
        assert_eq!(right, StatusCode::TOO_MANY_REQUESTS);
    }
    assert_eq!(attempt(&replica, "192.0.2.2", ADA, PASSWORD).await, StatusCode::SEE_OTHER);
    scene.clock.advance(ZONE_SIGN_IN_WINDOW);
    assert_eq!(attempt(&scene.zone, "192.0.2.1", ADA, PASSWORD).await, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn the_addresses_of_one_machine_count_together_and_what_was_right_does_not_count() {
    let scene = Scene::of_people().await;
    flood(&scene, "2001:db8::1", ZONE_ADDRESS_ATTEMPTS_MAX - 1).await;
    for _ in 0..3 {
        assert_eq!(attempt(&scene.zone, "2001:db8::2", ADA, PASSWORD).await, StatusCode::SEE_OTHER);
    }
    // An account of one's own is no way to go on guessing.
    assert_eq!(attempt(&scene.zone, "2001:db8::3", ADA, "wrong password").await, StatusCode::UNAUTHORIZED);
    let last = attempt(&scene.zone, "2001:db8::4", ADA, PASSWORD).await;
    assert_eq!(last, StatusCode::TOO_MANY_REQUESTS);
    // What an address is refused for is not held against the person.
    flood(&scene, "2001:db8::1", 20).await;
    assert_eq!(attempt(&scene.zone, "2001:db8:0:1::1", ADA, PASSWORD).await, StatusCode::SEE_OTHER);
}
