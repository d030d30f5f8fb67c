//! `proxy.toml`: the example works as it stands, faults come all at once with their place, a reload is whole or not.

use std::fs;

use crate::world::Listing;
use crate::world::PATIENCE;
use crate::world::Plan;
use crate::world::TOKEN;
use crate::world::UP;
use crate::world::Upstream;
use crate::world::World;
use crate::world::valetkey;

#[tokio::test(flavor = "multi_thread")]
async fn the_example_at_the_root_works_as_it_stands() {
    let folder = tempfile::tempdir().unwrap();
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/proxy.toml");
    let outcome = valetkey(folder.path(), &[], &["config", "check", "--config", example]).await;
    outcome.expect(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_init_writes_passes_the_check_and_is_never_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    valetkey(folder.path(), &[], &["init"]).await.expect(0);
    assert!(folder.path().join("proxy.toml").exists() && folder.path().join("policies").is_dir());
    valetkey(folder.path(), &[], &["config", "check"]).await.expect(0);
    fs::write(folder.path().join("proxy.toml"), "# mine\n").unwrap();
    let again = valetkey(folder.path(), &[], &["init"]).await;
    assert_ne!(again.code, Some(0), "{again:?}");
    assert_eq!(fs::read_to_string(folder.path().join("proxy.toml")).unwrap(), "# mine\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn all_faults_are_told_at_once_with_their_place_and_a_hint() {
    let folder = tempfile::tempdir().unwrap();
    let text = "[proxy]\nlistne = \"127.0.0.1:7979\"\nunlisted = \"maybe\"\n\n\
                [[resource]]\nidentifier = \"https://a.example.com\"\nhosts = [\"a.example.com\"]\n\
                credential = { source = \"stored\", secret = \"nowhere\" }\n\n\
                [[resource]]\nidentifier = \"http://b.example.com\"\nhosts = [\"b.example.com\"]\nscheme = \"http\"\n\
                credential = \"token-exchange\"\n\n\
                [[resource]]\nidentifier = \"https://c.example.com\"\nhosts = [\"a.example.com\"]\ncredential = \"none\"\n";
    fs::write(folder.path().join("proxy.toml"), text).unwrap();
    let outcome = valetkey(folder.path(), &[], &["config", "check"]).await.expect(78);
    let said = outcome.stdout + &outcome.stderr;
    for (place, word) in [
        ("2", "listne"),
        ("3", "maybe"),
        ("8", "no `[[secret]]` has this name"),
        ("14", "in the clear"),
        ("18", "a.example.com"),
    ] {
        assert!(
            said.contains(&format!("proxy.toml:{place}:")) && said.contains(word),
            "line {place}, `{word}`:\n{said}"
        );
    }
    assert!(said.contains("did you mean `listen`?"), "{said}");
    assert!(said.contains('^'), "a caret:\n{said}");
    let daemon = valetkey(folder.path(), &[], &["daemon"]).await.expect(78);
    assert!(daemon.stderr.contains("listne"), "{daemon:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_in_the_wrong_place_is_not_repeated() {
    let folder = tempfile::tempdir().unwrap();
    let text = "[[secret]]\nname = \"a\"\nvalue = \"marker-of-a-secret\"\n";
    fs::write(folder.path().join("proxy.toml"), text).unwrap();
    let outcome = valetkey(folder.path(), &[], &["config", "check"]).await.expect(78);
    assert!(!format!("{outcome:?}").contains("marker-of-a-secret"), "{outcome:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_others_can_read_or_write_are_refused() {
    use std::os::unix::fs::PermissionsExt as _;
    let up = Upstream::h1().await;
    let world = Plan::usual(&up).write();
    let secret = world.home().join("api.secret");
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o644)).unwrap();
    let outcome = world.valetkey(&["config", "check"]).await.expect(78);
    assert!(format!("{outcome:?}").contains("api.secret"), "{outcome:?}");
    assert!(!format!("{outcome:?}").contains(TOKEN));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_that_does_not_hold_against_the_schema_stops_the_start() {
    let world = Plan::new().policy("bad", "permit(principal, action, resource) when { context.nope == 1 };\n").write();
    let outcome = world.valetkey(&["daemon"]).await.expect(78);
    assert!(outcome.stderr.contains("bad.cedar") && outcome.stderr.contains("nope"), "{outcome:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_the_file_holds_and_a_bad_one_keeps_what_runs() {
    let up = Upstream::h1().await;
    let second = Upstream::tls(&["second.example.test"], &[b"http/1.1"]).await;
    let world = World::usual(&up).await;
    let session = world.session("claude").await;
    assert_eq!(session.get(UP, "/echo").await.status, 200);
    let file = world.home().join("proxy.toml");
    let good = fs::read_to_string(&file).unwrap();
    fs::write(&file, format!("{good}\n[nonsense]\n")).unwrap();
    world.daemon.as_ref().unwrap().signal("HUP");
    let more = Plan::new().resource(&Listing::of("second.example.test", &second)).write();
    let section = fs::read_to_string(more.home().join("proxy.toml")).unwrap();
    let section = section.split_once("[[resource]]").unwrap().1;
    assert_eq!(session.get(UP, "/echo").await.status, 200, "a bad file keeps the old one");
    crate::world::until("the daemon to say so", || world.said().contains("nonsense").then_some(())).await;
    fs::write(&file, format!("{good}\n[[resource]]{section}")).unwrap();
    world.daemon.as_ref().unwrap().signal("HUP");
    let deadline = tokio::time::Instant::now() + PATIENCE;
    // A session that was there before trusts the new host's certificates as well: its file holds both roots now.
    loop {
        if let Ok(tcp) = session.connect("second.example.test:443").await
            && session.tls_over(tcp, "second.example.test", &["http/1.1"]).await.is_ok()
        {
            break;
        }
        assert!(tokio::time::Instant::now() < deadline, "the new resource never came");
    }
    assert_eq!(session.get("second.example.test", "/echo").await.status, 200);
    assert_eq!(session.get(UP, "/echo").await.status, 200);
}

#[test]
fn the_units_pass_systemds_own_check() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("systemd");
    let units: Vec<_> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "service" || extension == "socket"))
        .collect();
    assert!(!units.is_empty(), "no units in {}", folder.display());
    let scratch = tempfile::tempdir().unwrap();
    let mut copies = Vec::new();
    for unit in units {
        // The program need not be installed for the check.
        let copy = scratch.path().join(unit.file_name().unwrap());
        let lines = fs::read_to_string(&unit).unwrap();
        let lines = lines.lines().map(|line| match line.strip_prefix("ExecStart=") {
            Some(command) => format!("ExecStart=/bin/true {}", command.split_once(' ').map_or("", |(_, rest)| rest)),
            None => line.to_owned(),
        });
        fs::write(&copy, lines.collect::<Vec<_>>().join("\n") + "\n").unwrap();
        copies.push(copy);
    }
    let output = std::process::Command::new("systemd-analyze")
        .args(["verify", "--user", "--man=no"])
        .args(&copies)
        .env("XDG_RUNTIME_DIR", scratch.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    let about_ours = said.lines().filter(|line| line.contains("valetkey")).collect::<Vec<_>>();
    assert!(output.status.success() && about_ours.is_empty(), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_comes_from_the_keychain() {
    let up = Upstream::h1().await;
    let section = "[[secret]]\nname = \"api\"\nkeychain = { service = \"valetkey-test\", account = \"api\" }\n";
    let world = Plan::new().section(section).resource(&Listing::of(UP, &up)).permit_all().write();
    let missing = world.valetkey(&["config", "check"]).await.expect(78);
    assert!(format!("{missing:?}").contains("keychain"), "{missing:?}");
    // A session bus and a keychain of this test alone; the daemon that `run` starts lives inside. Whoever asks for the
    // keychain before it is there has the bus start another one, which nobody unlocked.
    let script = "printf pw | gnome-keyring-daemon --unlock --components=secrets --foreground >keyring.log 2>&1 &\n\
                  keyring=$!\n\
                  owned=\"dbus-send --session --print-reply --dest=org.freedesktop.DBus /org/freedesktop/DBus org.freedesktop.DBus.NameHasOwner string:org.freedesktop.secrets\"\n\
                  for try in $(seq 100); do $owned | grep -q 'boolean true' && break; sleep 0.1; done\n\
                  for try in $(seq 100); do\n\
                  \x20 printf keychain-secret | secret-tool store --label=test service valetkey-test username api target default && break\n\
                  \x20 sleep 0.1\n\
                  done\n\
                  \"$VALETKEY\" run --agent curl -- curl -sS https://up.example.test/echo\n\
                  code=$?\n\
                  \"$VALETKEY\" stop >&2\n\
                  kill $keyring\n\
                  exit $code\n";
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
        .stdin(std::process::Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = crate::world::within("the session with a keychain", output).await.unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(up.only_request().header("authorization"), Some("Bearer keychain-secret"));
}
