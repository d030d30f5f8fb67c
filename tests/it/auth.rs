//! `valetkey auth`: nothing is asked at the zone of this machine; a page decides about resources.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::path::PathBuf;

use serde_json::Value;

use crate::world::Plan;
use crate::world::World;
use crate::world::valetkey;

const WHOAMI: &str = "https://whoami.valetkey.internal";

/// A person who fills in every form and allows everything; leaves behind what was read.
fn person(home: &Path, decision: &str) -> PathBuf {
    let program = format!(
        r#"#!/usr/bin/env python3
import html, http.cookiejar, re, sys, urllib.parse, urllib.request
opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()))
url, read = sys.argv[1], open("{home}/read.txt", "a")
page = opener.open(url)
for _ in range(6):
    text = page.read().decode()
    print(page.geturl(), text, file=read, flush=True)
    form = re.search(r'<form method="post" action="([^"]+)"', text)
    if not form:
        break
    fields = [(html.unescape(n), html.unescape(v)) for n, v in re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', text)]
    if 'name="decision"' in text:
        fields.append(("decision", "{decision}"))
    to = urllib.parse.urljoin(page.geturl(), form.group(1))
    page = opener.open(to, urllib.parse.urlencode(fields).encode())
"#,
        home = home.display()
    );
    let file = home.join("person");
    fs::write(&file, program).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    file
}

async fn as_person(world: &World, decision: &str, args: &[&str]) -> crate::world::Outcome {
    let person = person(world.home(), decision);
    valetkey(world.home(), &[("BROWSER", person.to_str().unwrap())], args).await
}

#[tokio::test(flavor = "multi_thread")]
async fn at_the_zone_of_this_machine_nothing_is_asked() {
    let world = Plan::new().permit_all().start().await;
    let before = world.valetkey(&["auth", "whoami"]).await.expect(1);
    assert!(
        before.stderr.contains("you are not signed in") && before.stderr.contains("valetkey auth signin"),
        "{before:?}"
    );
    let signed_in = world.valetkey(&["auth", "signin"]).await.expect(0);
    assert!(signed_in.stdout.starts_with("signed in as "), "{signed_in:?}");
    let who = world.valetkey(&["auth", "whoami"]).await.expect(0);
    for line in ["zone ", "user ", "scopes ", "expires "] {
        assert!(who.stdout.contains(line), "{line}: {}", who.stdout);
    }
    let who: Value =
        serde_json::from_str(&world.valetkey(&["auth", "whoami", "--json"]).await.expect(0).stdout).unwrap();
    assert_eq!(who["scope"], "email openid profile", "{who}");
    let kept: Vec<_> =
        fs::read_dir(world.home().join("state/auth")).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(kept.len(), 1);
    assert_eq!(fs::metadata(&kept[0]).unwrap().permissions().mode() & 0o777, 0o600);
    let held: Value = serde_json::from_slice(&fs::read(&kept[0]).unwrap()).unwrap();
    world.valetkey(&["auth", "signout"]).await.expect(0);
    assert!(!kept[0].exists());
    world.valetkey(&["auth", "whoami"]).await.expect(1);
    // The zone has heard it: what was copied before is worth nothing.
    fs::write(&kept[0], held.to_string()).unwrap();
    let after = world.valetkey(&["auth", "whoami"]).await.expect(1);
    assert!(after.stderr.contains("no longer signed in"), "{after:?}");
    world.valetkey(&["auth", "signout", "--zone", "nonsense"]).await.expect(64);
    let clear = world.valetkey(&["auth", "whoami", "--zone", "http://zone.example"]).await.expect(64);
    assert!(clear.stderr.contains("is not https"), "{clear:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_ends_is_renewed_by_itself() {
    let world = Plan::new().permit_all().start().await;
    world.valetkey(&["auth", "signin"]).await.expect(0);
    let file = fs::read_dir(world.home().join("state/auth")).unwrap().next().unwrap().unwrap().path();
    let mut held: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    let first = held["refresh_token"].clone();
    held["expires_at"] = Value::from(1);
    fs::write(&file, held.to_string()).unwrap();
    world.valetkey(&["auth", "whoami"]).await.expect(0);
    let renewed: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    assert_ne!(renewed["refresh_token"], first);
    // The old one was copied by somebody: its use ends the session for both.
    fs::write(&file, held.to_string()).unwrap();
    world.valetkey(&["auth", "whoami"]).await.expect(1);
    fs::write(&file, renewed.to_string()).unwrap();
    world.valetkey(&["auth", "whoami"]).await.expect(1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resource_is_authorized_on_a_page() {
    let world = Plan::new().permit_all().start().await;
    let denied = as_person(&world, "deny", &["auth", "resource", WHOAMI]).await.expect(1);
    assert!(denied.stderr.contains("access_denied"), "{denied:?}");
    let unknown = as_person(&world, "allow", &["auth", "resource", "https://unknown.example"]).await.expect(1);
    assert!(unknown.stderr.contains("invalid_target"), "{unknown:?}");
    let granted = as_person(&world, "allow", &["auth", "resource", WHOAMI]).await.expect(0);
    assert!(granted.stdout.starts_with(WHOAMI), "{granted:?}");
    let read = fs::read_to_string(world.home().join("read.txt")).unwrap();
    assert!(read.contains("valetkey on the command line") && read.contains(WHOAMI), "{read}");
    world.valetkey(&["auth", "whoami"]).await.expect(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_browser_the_zone_of_this_machine_asks_for_no_password() {
    let world = Plan::new().permit_all().start().await;
    let signed_in = as_person(&world, "allow", &["auth", "signin", "--browser"]).await.expect(0);
    assert!(signed_in.stdout.starts_with("signed in as "), "{signed_in:?}");
    let read = fs::read_to_string(world.home().join("read.txt")).unwrap();
    assert!(read.contains("Done. You can close this page") && !read.contains("type=\"password\""), "{read}");
}
