use super::*;

fn head(method: &str, target: &str, fields: &[(&str, &str)], version: Version) -> Request<()> {
    let mut builder = Request::builder().method(method).uri(target).version(version);
    for (name, value) in fields {
        builder = builder.header(*name, *value);
    }
    builder.body(()).unwrap()
}

fn tunnel(target: &str, hosts: &[&str], version: Version) -> Result<Destination, Malformed> {
    let fields: Vec<_> = hosts.iter().map(|host| ("host", *host)).collect();
    let opened = Authority::parse("api.example.com:443").unwrap();
    in_tunnel(&head("GET", target, &fields, version), &opened, PathForms::default())
}

#[test]
fn everything_that_names_the_host_must_agree() {
    let v1 = Version::HTTP_11;
    assert!(tunnel("/a?b=c", &["api.example.com"], v1).is_ok());
    assert!(tunnel("/", &["API.example.com.:443"], v1).is_ok());
    assert_eq!(tunnel("/", &["evil.example.com"], v1), Err(Malformed::Misdirected));
    assert_eq!(tunnel("/", &["api.example.com:8443"], v1), Err(Malformed::Misdirected));
    assert_eq!(tunnel("/", &[], v1), Err(Malformed::HostMissing));
    assert_eq!(tunnel("/", &["api.example.com", "api.example.com"], v1), Err(Malformed::HostRepeated));
    assert!(matches!(tunnel("/", &["u@api.example.com"], v1), Err(Malformed::Authority(_))));
    assert!(matches!(tunnel("/", &["api.example.com, x"], v1), Err(Malformed::Authority(_))));
    assert_eq!(tunnel("https://other.example/", &["api.example.com"], v1), Err(Malformed::Misdirected));
}

#[test]
fn http_2_is_held_to_the_same() {
    let v2 = Version::HTTP_2;
    assert!(tunnel("https://api.example.com/", &[], v2).is_ok());
    assert_eq!(tunnel("https://api.example.com/", &["b.example"], v2), Err(Malformed::HostDisagrees));
    assert_eq!(tunnel("https://b.example/", &[], v2), Err(Malformed::Misdirected));
    assert_eq!(tunnel("http://api.example.com/", &[], v2), Err(Malformed::TargetForm));
    assert!(matches!(tunnel("https://u:p@api.example.com/", &[], v2), Err(Malformed::Authority(_))));
    assert_eq!(tunnel("/x", &[], v2), Err(Malformed::HostMissing));
}

#[test]
fn lengths_over_http_2_have_one_spelling() {
    let opened = Authority::parse("a.example:443").unwrap();
    let ask = |fields: &[(&str, &str)]| {
        let head = head("POST", "https://a.example/", fields, Version::HTTP_2);
        in_tunnel(&head, &opened, PathForms::default()).map(|_| ())
    };
    assert_eq!(ask(&[("content-length", "5")]), Ok(()));
    for length in ["005", "", "+5", "5, 5", "99999999999999999999"] {
        assert_eq!(ask(&[("content-length", length)]), Err(Violation::Framing.into()), "{length:?}");
    }
    assert_eq!(ask(&[("content-length", "5"), ("content-length", "5")]), Err(Violation::Framing.into()));
}

#[test]
fn only_http_1_1_switches_to_a_websocket() {
    let asks = |version| asks_for_websocket(&head("GET", "/", &[("upgrade", "WebSocket")], version));
    assert_eq!([Version::HTTP_10, Version::HTTP_11, Version::HTTP_2].map(asks), [false, true, false]);
}

#[test]
fn methods_are_exact_tokens_that_carry_requests() {
    let opened = Authority::parse("a.example:443").unwrap();
    for method in ["TRACE", "get", "CONNECT", "FOO"] {
        let head = head(method, "/", &[("host", "a.example")], Version::HTTP_11);
        assert_eq!(in_tunnel(&head, &opened, PathForms::default()), Err(Malformed::Method), "{method}");
    }
}

#[test]
fn a_connect_names_its_place_once() {
    let place = |target: &str, fields: &[(&str, &str)]| {
        connect(&head("CONNECT", target, fields, Version::HTTP_11)).map(|authority| authority.to_string())
    };
    assert_eq!(place("A.example:443", &[("host", "a.example:443")]).unwrap(), "a.example:443");
    assert_eq!(place("a.example:443", &[("host", "a.example")]).unwrap(), "a.example:443");
    assert!(place("a.example:443", &[("host", "b.example:443")]).is_err());
    assert!(place("a.example:443@b.example:443", &[]).is_err());
    assert!(place("a.example:65536", &[]).is_err());
    assert!(place("a.example:", &[]).is_err());
}

#[test]
fn the_proxy_port_takes_absolute_http_only() {
    let ask = |target: &str, fields: &[(&str, &str)]| {
        in_the_clear(&head("GET", target, fields, Version::HTTP_11), |_| PathForms::default())
    };
    assert_eq!(ask("/x", &[("host", "127.0.0.1:7979")]), Err(Malformed::OriginForm));
    assert_eq!(ask("https://a.example/", &[("host", "a.example")]), Err(Malformed::HttpsInTheClear));
    assert_eq!(ask("http://a.example/", &[("host", "b.example")]), Err(Malformed::HostDisagrees));
    assert_eq!(ask("http://a.example/", &[]), Err(Malformed::HostMissing));
    assert_eq!(ask("http://a.example", &[("host", "a.example")]).unwrap().path, Path::root());
}
