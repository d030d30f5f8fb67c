//! The samples: each file in `samples/` with what is said of it.

use std::ffi::OsString;
use std::path::Path;
use std::path::PathBuf;

use super::*;

/// Everything that the file at the root shows is a default.
#[test]
fn the_example_at_the_root_has_no_fault_and_says_what_holds_anyway() {
    let text = include_str!("../../proxy.toml");
    let config = parse(text, &origin("proxy.toml", Path::new("/"))).unwrap_or_else(|faults| panic!("{faults}"));
    assert!(config.warnings.is_empty(), "{}", config.warnings);
    let shown = |config: Config| format!("{:#?}", Config { warnings: Faults::default(), ..config });
    assert_eq!(shown(config), shown(defaults()));
}

/// What it shows in comments is right as well.
#[test]
fn the_commented_resource_of_the_example_holds() {
    let text = include_str!("../../proxy.toml");
    let from = text.find("# [[resource]]").unwrap();
    let to = text.find("# Other sources").unwrap();
    let home = tempfile::tempdir().unwrap();
    let certificate = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(home.path().join("upstream-ca.pem"), certificate.cert.pem()).unwrap();
    let resource: Vec<_> = text.get(from..to).unwrap().lines().map(strip_example).collect();
    let secret = "[[secret]]\nname = \"github\"\nenv = \"GITHUB_TOKEN\"\n";
    let text = format!("{}\n{secret}", resource.join("\n"));
    let config = parse(&text, &origin("example.toml", home.path())).unwrap_or_else(|faults| panic!("{faults}"));
    assert_eq!((config.resources.len(), config.warnings.len()), (1, 0));
    let resource = &config.resources[0];
    assert_eq!(resource.header, crate::model::CredentialHeader::bearer(), "the header shown is the default");
    assert_eq!((resource.port, resource.path_forms), (443, Default::default()));
    assert_eq!(resource.private_addresses, crate::resource::PrivateAddresses::Refuse);
}

#[test]
fn every_key_that_is_known_stands_in_the_example() {
    let text = include_str!("../../proxy.toml");
    let keys = "listen unlisted unidentified tunnel_ports private_tunnels upstream no_proxy issuer client_id \
        client_secret refresh_token target enabled durability rotate_bytes sign_every folder identifier hosts port \
        scheme paths methods source scopes token_url credential header connect ca cookies private allow_in_path \
        name env file keychain";
    for key in keys.split_whitespace() {
        let stands = text.lines().any(|line| line.trim_start_matches(['#', ' ']).starts_with(&format!("{key} = ")));
        assert!(stands, "{key}");
    }
}

#[test]
fn the_starter_has_no_fault_and_neither_have_its_examples() {
    let home = tempfile::tempdir().unwrap();
    std::fs::create_dir(home.path().join("policies")).unwrap();
    let starter = STARTER_FILES.iter().find(|file| file.path == "proxy.toml").unwrap().text;
    let read = |text: &str| parse(text, &origin("proxy.toml", home.path()));
    let config = read(starter).unwrap_or_else(|faults| panic!("{faults}"));
    assert_eq!((config.resources.len(), config.warnings.len()), (0, 0));

    write_secret(&home.path().join(".secrets/github"));
    let uncommented: Vec<_> = starter.lines().map(strip_example).collect();
    let environment = |name: &str| match name {
        "HOME" => Some(home.path().as_os_str().to_owned()),
        "SHOP_CLIENT_SECRET" => Some("s".into()),
        _ => None,
    };
    let origin = Origin { name: "proxy.toml", folder: home.path(), environment: &environment };
    let config = parse(&uncommented.join("\n"), &origin).unwrap_or_else(|faults| panic!("{faults}"));
    assert_eq!((config.resources.len(), config.secrets.len(), config.warnings.len()), (3, 2, 0));
}

#[test]
fn a_whole_file_becomes_a_whole_configuration() {
    let folder = samples().join("good");
    let text = std::fs::read_to_string(folder.join("whole.toml")).unwrap();
    let home = tempfile::tempdir().unwrap();
    std::fs::create_dir(home.path().join("policies")).unwrap();
    let certificate = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(home.path().join("upstream.pem"), certificate.cert.pem()).unwrap();
    write_secret(&home.path().join("github.txt"));
    let config = parse(&text, &origin("whole.toml", home.path())).unwrap_or_else(|faults| panic!("{faults}"));
    assert!(config.warnings.is_empty(), "{}", config.warnings);

    assert_eq!(config.proxy.unlisted, Unlisted::Deny);
    assert_eq!(config.proxy.unidentified, Unidentified::Anonymous);
    assert_eq!(config.proxy.tunnel_ports, [443, 8443]);
    let upstream = config.proxy.upstream.unwrap();
    assert_eq!(upstream.authority.to_string(), "proxy.corp.example:3128");
    assert_eq!(upstream.login, Some(ProxyLogin { user: "me".to_owned(), password: "corp".to_owned() }));
    assert_eq!(config.proxy.no_proxy.len(), 4);
    assert_eq!(config.proxy.private_tunnels.len(), 1);
    let Zone::Remote(zone) = &config.zone else { panic!("{:?}", config.zone) };
    assert_eq!((zone.issuer.as_str(), zone.client_id.as_str()), ("https://zone.example.com/realms/a", "valetkey"));
    assert_eq!(zone.refresh_token.as_deref(), Some("user"));
    assert_eq!(config.whoami, Whoami { enabled: false, ..Whoami::default() });
    let folder = Some(home.path().join("ledger"));
    assert_eq!(config.audit, Audit { folder, durability: Durability::Disk, rotate_bytes: 1 << 20, sign_every: 10 });
    assert_eq!(config.policy.folder, Some(home.path().join("policies")));

    let resource =
        |identifier: &str| config.resources.iter().find(|resource| resource.identifier.as_str() == identifier).unwrap();
    use crate::resource::*;
    let github = resource("https://api.github.com");
    assert_eq!((github.port, github.hosts.len(), github.paths.len(), github.methods.len()), (443, 1, 1, 2));
    assert_eq!(github.source, Source::Stored { secret: "github".to_owned() });
    assert_eq!(github.extra_roots.len(), 1);
    assert_eq!((github.cookies, github.private_addresses), (Cookies::Pass, PrivateAddresses::Permit));
    assert!(github.path_forms.encoded_slash && github.path_forms.empty_segment && github.path_forms.semicolon);
    assert_eq!(github.connect.as_ref().unwrap().to_string(), "127.0.0.1:8443");
    let by_identifier = resource("https://api.example.com:8444/v1");
    assert_eq!((by_identifier.port, by_identifier.hosts[0].to_string().as_str()), (8444, "api.example.com"));
    let Source::TokenExchange { target, .. } = by_identifier.source else { panic!() };
    assert_eq!(target, TargetParameter::Audience, "the zone's own way");
    let Source::ClientCredentials { endpoint, scopes, target } = &resource("urn:shop").source else { panic!() };
    assert_eq!(endpoint.as_ref().unwrap().url, "https://login.example.com/oauth/token");
    assert_eq!((scopes.to_string().as_str(), *target), ("read write", TargetParameter::Resource));
    assert_eq!(resource("urn:shop").header.name(), "x-api-key");
    let local = resource("http://localhost:3000");
    assert_eq!((local.scheme, local.port), (crate::model::Scheme::Http, 3000));
    assert_eq!(local.private_addresses, PrivateAddresses::Permit, "the host says so by itself");
    assert_eq!(by_identifier.private_addresses, PrivateAddresses::Refuse);
    assert_eq!(local.source, Source::TokenExchange { scopes: Default::default(), target: TargetParameter::Audience });
}

/// With VALETKEY_BLESS=1, what is said becomes what is expected: read the difference before it is committed.
#[test]
#[allow(clippy::disallowed_methods, reason = "whether to rewrite the samples is for whoever runs the tests to say")]
fn each_bad_sample_is_told_all_that_is_wrong_with_it() {
    let bless = std::env::var_os("VALETKEY_BLESS").is_some();
    let mut samples: Vec<_> = std::fs::read_dir(samples()).unwrap().map(|entry| entry.unwrap().path()).collect();
    samples.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    samples.sort();
    assert!(samples.len() >= 10);
    for path in samples {
        let name = path.file_name().unwrap().to_str().unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        let faults = match parse(&text, &origin(name, &crate_folder())) {
            Err(faults) => faults,
            Ok(config) => config.warnings,
        };
        assert!(!faults.is_empty(), "{name} has no fault");
        let said = format!("{}\n", faults.render(Style::Plain)).replace(crate_folder().to_str().unwrap(), "FOLDER");
        assert!(!said.contains("canary"), "a secret is shown:\n{said}");
        assert!(!faults.to_string().contains("canary"), "a secret is logged:\n{faults}");
        let expected = path.with_extension("txt");
        if bless {
            std::fs::write(&expected, &said).unwrap();
        }
        assert_eq!(said, std::fs::read_to_string(&expected).unwrap_or_default(), "{name}");
    }
}

/// Cut off, with a byte taken out, with one put in: always an answer, and always one that can be drawn.
#[test]
fn no_damage_to_a_file_goes_beyond_a_fault() {
    let text = std::fs::read_to_string(samples().join("good/whole.toml")).unwrap();
    let read = |damaged: &str| {
        if let Err(faults) = parse(damaged, &origin("damaged.toml", Path::new("/"))) {
            let first = faults.iter().next().unwrap();
            assert!(faults.position(first).is_some() && !faults.render(Style::Plain).is_empty());
        }
    };
    for at in (0..text.len()).step_by(13) {
        let (before, after) = text.split_at(at);
        read(before);
        read(&format!("{before}{}", after.get(1..).unwrap()));
        for piece in ["\"", "[", "=", "é\u{feff}", "\n", "#", "\0", "\r"] {
            read(&format!("{before}{piece}{after}"));
        }
    }
    for odd in ["", "\u{feff}[proxy]\n", "a", "=", "[", "[[", "\r\n\r\n", &"[a.".repeat(1000), &"a=[".repeat(1000)] {
        read(odd);
    }
}

#[test]
fn a_log_has_one_line_for_each_fault() {
    let text = "[proxy]\nlisen = \"127.0.0.1:1\"\nunlisted = 3\n";
    let faults = parse(text, &origin("p.toml", Path::new("/"))).unwrap_err();
    assert_eq!(
        faults.to_string(),
        "p.toml:2:1: error: unknown key `lisen` in `[proxy]` (did you mean `listen`?)\n\
         p.toml:3:12: error: `unlisted` must be a string, not an integer (write it in quotes)"
    );
}

#[test]
fn a_file_that_is_not_there_is_a_fault_of_the_file() {
    let faults = load(Path::new("/nowhere/proxy.toml"), &|_| None).unwrap_err();
    assert!(faults.to_string().starts_with("/nowhere/proxy.toml: error: can't be opened: No such file"), "{faults}");
}

#[test]
fn a_loaded_file_is_known_by_its_absolute_path_and_its_folder_counts() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("proxy.toml");
    std::fs::write(&path, "[audit]\nfolder = \"ledger\"\n").unwrap();
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let config = open(&Place::File(path.clone()), &|_| None).unwrap();
    assert_eq!((config.source, config.audit.folder), (Some(path), Some(home.path().join("ledger"))));
}

fn origin<'a>(name: &'a str, folder: &'a Path) -> Origin<'a> {
    fn environment(name: &str) -> Option<OsString> {
        ["CORP", "ZONE", "USER_TOKEN", "SHOP", "GITHUB_TOKEN"].contains(&name).then(|| "canary".into())
    }
    Origin { name, folder, environment: &environment }
}

fn write_secret(path: &Path) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, "canary\n").unwrap();
    std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
}

/// A commented example's line without its `#`; prose stays a comment.
fn strip_example(line: &str) -> &str {
    match line.strip_prefix("# ") {
        Some(rest) if rest.starts_with('[') || rest.split(' ').nth(1) == Some("=") => rest,
        _ => line,
    }
}

fn crate_folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn samples() -> PathBuf {
    crate_folder().join("src/config/samples")
}
