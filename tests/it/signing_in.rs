//! `valetkey auth` with a person and their things: another device, an authenticator, a keychain.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::path::PathBuf;
use std::process::Stdio;

use serde_json::Value;
use serde_json::json;
use tokio::io::AsyncBufReadExt as _;
use tokio::io::AsyncReadExt as _;
use tokio::io::BufReader;

use crate::world::Outcome;
use crate::world::Plan;
use crate::world::World;
use crate::world::valetkey;

/// A person with a password and an authenticator, who fills in every form and allows everything. The first time, when
/// there is no secret yet, they go on to their account and get both.
const PERSON: &str = r##"#!/usr/bin/env python3
import base64, hashlib, hmac, html, http.cookiejar, os, re, struct, sys, time, urllib.parse, urllib.request
home, password = "{home}", "correct horse battery"
opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()))
read = open(home + "/read.txt", "a")

def one_time_password(ahead):
    key = base64.b32decode(open(home + "/secret.txt").read())
    digest = hmac.new(key, struct.pack(">Q", int(time.time() + ahead) // 30), hashlib.sha1).digest()
    at = digest[-1] & 15
    return "%06d" % ((struct.unpack(">I", digest[at:at + 4])[0] & 0x7fffffff) % 1000000)

def post(page, action, fields):
    to = urllib.parse.urljoin(page.geturl(), action)
    return opener.open(to, urllib.parse.urlencode(fields).encode())

def go(page):
    for _ in range(8):
        text = page.read().decode()
        print(page.geturl(), text, file=read, flush=True)
        form = re.search(r'<form method="post" action="([^"]+)"[^>]*>(.*?)</form>', text, re.S)
        if not form or form.group(1) == "/sign-out":
            return page, text
        action, inner = form.groups()
        fields = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', inner)
        fields = [(html.unescape(name), html.unescape(value)) for name, value in fields]
        if 'name="password"' in inner:
            fields += [("name", open(home + "/name.txt").read()), ("password", password)]
        if 'name="code"' in inner:
            # The one of now was used when the authenticator was added.
            fields.append(("code", one_time_password(30)))
        if 'name="decision"' in inner:
            fields.append(("decision", "allow"))
        page = post(page, action, fields)
    sys.exit("no end")

page, _ = go(opener.open(sys.argv[1]))
if not os.path.exists(home + "/secret.txt"):
    origin = urllib.parse.urlsplit(sys.argv[1])
    account = opener.open(f"{origin.scheme}://{origin.netloc}/account")
    text = account.read().decode()
    open(home + "/name.txt", "w").write(html.unescape(re.search(r"<h1>([^<]*)</h1>", text).group(1)))
    mark = ("mark", re.search(r'name="mark" value="([^"]*)"', text).group(1))
    post(account, "/account/password", [mark, ("new", password)])
    text = post(account, "/account/authenticator", [mark]).read().decode()
    open(home + "/secret.part", "w").write(re.search(r'id="secret">([^<]*)<', text).group(1))
    os.rename(home + "/secret.part", home + "/secret.txt")
    done = post(account, "/account/authenticator/confirm", [mark, ("code", one_time_password(0))]).read().decode()
    print("account", done, file=read, flush=True)
    open(home + "/ready.txt", "w").write("ready")
"##;

fn person(home: &Path) -> PathBuf {
    let file = home.join("person");
    fs::write(&file, PERSON.replace("{home}", home.to_str().unwrap())).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    file
}

fn read_by_person(world: &World) -> String {
    fs::read_to_string(world.home().join("read.txt")).unwrap_or_default()
}

/// Runs a command whose browser is the person's.
async fn as_person(world: &World, args: &[&str]) -> Outcome {
    let person = person(world.home());
    valetkey(world.home(), &[("BROWSER", person.to_str().unwrap())], args).await
}

/// Signs in once in a browser, and waits until the person has a password and an authenticator.
async fn enrol(world: &World) {
    as_person(world, &["auth", "signin", "--browser"]).await.expect(0);
    let ready = world.home().join("ready.txt");
    for _ in 0..400 {
        if ready.exists() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("the person did not get an authenticator: {}", read_by_person(world));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_asks_for_a_second_factor_works_once_it_is_shown() {
    let world = Plan::new().permit_all().start().await;
    let nobody = world.valetkey(&["agent", "api", "/zones"]).await.expect(1);
    assert!(nobody.stderr.contains("you are not signed in"), "{nobody:?}");
    world.valetkey(&["auth", "signin"]).await.expect(0);
    enrol(&world).await;
    let made = world.valetkey(&["agent", "api", "/zones", "-d", r#"{"name": "Other"}"#]).await.expect(0);
    let made: Value = serde_json::from_str(&made.stdout).unwrap();
    let zone = format!("/zones/{}", made["id"].as_str().unwrap());
    let refused = world.valetkey(&["agent", "api", &zone, "-X", "DELETE"]).await.expect(1);
    let told: Value = serde_json::from_str(&refused.stdout).unwrap();
    assert_eq!((&told["code"], &told["status"]), (&json!("auth.mfa_required"), &json!(403)), "{refused:?}");
    assert!(told["message"].as_str().unwrap().contains("valetkey auth mfa challenge"));
    let before = world.valetkey(&["auth", "whoami"]).await.expect(0);
    assert!(!before.stdout.contains("second factor"), "{before:?}");
    let shown = as_person(&world, &["auth", "mfa", "challenge"]).await.expect(0);
    assert!(shown.stderr.contains("the second factor was shown"), "{shown:?}");
    assert!(read_by_person(&world).contains("<h1>Second step</h1>"));
    let after = world.valetkey(&["auth", "whoami"]).await.expect(0);
    assert!(after.stdout.contains("second factor"), "{after:?}");
    world.valetkey(&["agent", "api", &zone, "-X", "DELETE"]).await.expect(0);
    world.valetkey(&["agent", "api", &zone]).await.expect(1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_signs_in_on_another_device() {
    let world = Plan::new().permit_all().start().await;
    enrol(&world).await;
    world.valetkey(&["auth", "signout"]).await.expect(0);
    let mut child = tokio::process::Command::new(env!("CARGO_BIN_EXE_valetkey"))
        .args(["auth", "signin", "--device"])
        .env_clear()
        .env("HOME", world.home())
        .env("VALETKEY_HOME", world.home())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let page = loop {
        let line = lines.next_line().await.unwrap().expect("it says where to go");
        if let Some((page, _)) = line.strip_prefix("go to ").and_then(|rest| rest.split_once(" on any device")) {
            break page.to_owned();
        }
    };
    let code = lines.next_line().await.unwrap().unwrap().trim().to_owned();
    assert_eq!(code.len(), 9, "{code}");
    let elsewhere = tokio::process::Command::new(person(world.home())).arg(format!("{page}?user_code={code}")).output();
    let elsewhere = crate::world::within("the other device", elsewhere).await.unwrap();
    assert!(elsewhere.status.success(), "{elsewhere:?}");
    assert!(read_by_person(&world).contains("Device connected"));
    let mut said = String::new();
    let mut stdout = child.stdout.take().unwrap();
    crate::world::within("the end of the sign-in", stdout.read_to_string(&mut said)).await.unwrap();
    assert!(child.wait().await.unwrap().success());
    assert!(said.starts_with("signed in as "), "{said}");
    // The browser that allowed it showed a second factor.
    let who = world.valetkey(&["auth", "whoami", "--json"]).await.expect(0);
    let who: Value = serde_json::from_str(&who.stdout).unwrap();
    assert_eq!(who["mfa_authenticated"], true, "{who}");
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_in_the_keychain_where_there_is_one() {
    let world = Plan::new().permit_all().write();
    // A session bus and a keychain of this test alone; the daemon that `auth` starts lives inside.
    let script = "printf pw | gnome-keyring-daemon --unlock --components=secrets --foreground >keyring.log 2>&1 &\n\
                  keyring=$!\n\
                  for try in $(seq 100); do\n\
                  \x20 printf x | secret-tool store --label=test service valetkey-test username t target default && break\n\
                  \x20 sleep 0.1\n\
                  done\n\
                  \"$VALETKEY\" auth signin || exit 1\n\
                  ls state/auth 2>/dev/null >files.txt\n\
                  secret-tool search --all service valetkey >held.txt 2>held.attributes\n\
                  \"$VALETKEY\" auth whoami >who.txt || exit 2\n\
                  \"$VALETKEY\" auth signout || exit 3\n\
                  secret-tool search --all service valetkey >after.txt 2>&1\n\
                  \"$VALETKEY\" auth whoami 2>whoami-after.txt\n\
                  code=$?\n\
                  \"$VALETKEY\" stop >&2\n\
                  kill $keyring\n\
                  exit $((code == 1 ? 0 : 4))\n";
    let output = tokio::process::Command::new("dbus-run-session")
        .args(["--", "sh", "-c", script])
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env("HOME", world.home())
        .env("XDG_RUNTIME_DIR", world.home())
        .env("XDG_DATA_HOME", world.home().join("data"))
        .env("VALETKEY_HOME", world.home())
        .env("VALETKEY", env!("CARGO_BIN_EXE_valetkey"))
        .current_dir(world.home())
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = crate::world::within("the session with a keychain", output).await.unwrap();
    assert!(output.status.success(), "{output:?}");
    let read = |name: &str| fs::read_to_string(world.home().join(name)).unwrap();
    assert_eq!(read("files.txt"), "", "the tokens are in a file, too");
    let held = read("held.txt");
    assert!(held.contains("refresh_token") && held.contains("vkr_"), "{held} {}", read("held.attributes"));
    assert!(read("who.txt").contains("scopes "), "{}", read("who.txt"));
    assert!(!read("after.txt").contains("vkr_"), "{}", read("after.txt"));
    assert!(read("whoami-after.txt").contains("you are not signed in"));
}
