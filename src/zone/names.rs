//! The names under which zones are asked: the home zone at its own address, each other zone at a name of its own below
//! it, so that no cookie and no CORS rule of one zone reaches the next.
//!
//! Never: a name that is merely like one of ours (RFC 9110 §7.4), or a port, a dot or a user name more or less.

use hyper::Request;
use hyper::header::HOST;

use crate::model::Authority;
use crate::model::Host;

/// The address of a zone of the database whose home zone is at `home`: a name below it. An address of numbers has no
/// names below; `localhost` has (RFC 6761 §6.3), so that it stands for a home zone on this machine.
pub(in crate::zone) fn url_below(home: &str, zone: &str) -> String {
    let (scheme, authority) = home.split_once("://").unwrap_or(("http", home));
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|digit| digit.is_ascii_digit()) => (host, format!(":{port}")),
        _ => (authority, String::new()),
    };
    let is_address = host.starts_with('[') || host.parse::<std::net::Ipv4Addr>().is_ok();
    let host = if is_address { "localhost" } else { host };
    format!("{scheme}://{zone}.{host}{port}")
}

/// Whom a request is for.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::zone) enum Asked {
    /// The home zone, and the management API.
    Home,
    /// The zone of this id, if there is one.
    Zone(String),
}

/// What one listener is called.
#[derive(Clone, Debug)]
pub(in crate::zone) struct Names {
    default_port: u16,
    home: Vec<Authority>,
    /// The host and port that zones' names end in.
    below: Option<Authority>,
}

impl Names {
    /// Those of the zones of `home`, whose own zone is also asked for as `more`.
    pub(in crate::zone) fn new(home: &str, more: &[String]) -> Self {
        let default_port = if home.starts_with("https://") { 443 } else { 80 };
        let read = |url: &str| {
            let authority = url.split_once("://").map_or(url, |(_, authority)| authority);
            Authority::parse_or(authority, default_port).ok()
        };
        let home_names = std::iter::once(home).chain(more.iter().map(String::as_str)).filter_map(read).collect();
        // What every zone's address ends in is what is left of one without its first label.
        let below = url_below(home, "z");
        let below = below.split_once("://z.").and_then(|(_, rest)| read(rest));
        Self { default_port, home: home_names, below }
    }

    /// Whom the request is for; none of ours, or nobody can say: none.
    pub(in crate::zone) fn asked<B>(&self, request: &Request<B>) -> Option<Asked> {
        let mut hosts = request.headers().get_all(HOST).iter();
        let (Some(host), None) = (hosts.next(), hosts.next()) else { return None };
        let asked = self.read(host.to_str().ok()?)?;
        // An absolute address in the request line goes before the header (RFC 9112 §3.2.2); two opinions are a trick.
        match request.uri().authority() {
            Some(other) if self.read(other.as_str())? != asked => None,
            _ => Some(asked),
        }
    }

    fn read(&self, text: &str) -> Option<Asked> {
        let sent = Authority::parse_or(text, self.default_port).ok()?;
        // A name with a dot at its end is another origin to a browser, and another place for its cookies.
        if host_of(text).ends_with('.') {
            return None;
        }
        if self.home.contains(&sent) {
            return Some(Asked::Home);
        }
        let below = self.below.as_ref().filter(|below| below.port == sent.port)?;
        let zone = sent.host.as_str().strip_suffix(below.host.as_str())?.strip_suffix('.')?;
        is_zone_id(zone).then(|| Asked::Zone(zone.to_owned()))
    }
}

/// The host of `host[:port]`.
fn host_of(text: &str) -> &str {
    match text.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|digit| digit.is_ascii_digit()) => host,
        _ => text,
    }
}

/// Whether the zones of `home` have names: below an address of another machine there are none.
pub(in crate::zone) fn has_names_below(home: &str) -> bool {
    let authority = home.split_once("://").map_or(home, |(_, authority)| authority);
    let address = Host::parse(host_of(authority)).ok().and_then(|host| host.address());
    address.is_none_or(|address| address.is_loopback())
}

fn is_zone_id(text: &str) -> bool {
    text.len() == ZONE_ID_LENGTH && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
}

/// As `ZoneId::random` makes them.
const ZONE_ID_LENGTH: usize = 26;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::zone::id::ZoneId;

    fn asked(names: &Names, host: &str) -> Option<Asked> {
        names.asked(&Request::get("/").header(HOST, host).body(()).unwrap())
    }

    #[test]
    fn a_zone_is_asked_for_by_its_name_only() {
        let zone = ZoneId::random().to_string();
        let names = Names::new("https://zone.example", &[]);
        let at = |host: String| asked(&names, &host);
        for home in ["zone.example", "ZONE.example", "zone.example:443"] {
            assert_eq!(at(home.to_owned()), Some(Asked::Home), "{home}");
        }
        let found = Some(Asked::Zone(zone.clone()));
        assert_eq!(at(format!("{zone}.zone.example")), found);
        assert_eq!(at(format!("{}.Zone.Example:443", zone.to_uppercase())), found);
        for trick in [
            "zone.example.".to_owned(),
            "zone.example:80".to_owned(),
            "zone.example:".to_owned(),
            "zone.example:0443".to_owned(),
            "user@zone.example".to_owned(),
            "zone.example@evil.test".to_owned(),
            "zone.example, evil.test".to_owned(),
            "evilzone.example".to_owned(),
            "zone.example.evil.test".to_owned(),
            "evil.test".to_owned(),
            String::new(),
            format!("{zone}.zone.example."),
            format!("{zone}.zone.example:8443"),
            format!("{zone}@zone.example"),
            format!("user@{zone}.zone.example"),
            format!("{zone}.{zone}.zone.example"),
            format!("x{zone}.zone.example"),
            format!(".{zone}.zone.example"),
            format!("{zone}..zone.example"),
            format!("{zone}.evil.test"),
            format!("{zone}.zone.example.evil.test"),
            format!("{zone}.zone.example/"),
            format!("{zone}%2ezone.example"),
            zone.clone(),
            "z.zone.example".to_owned(),
        ] {
            assert_eq!(at(trick.clone()), None, "{trick}");
        }
    }

    #[test]
    fn two_opinions_are_none() {
        let names = Names::new("http://127.0.0.1:7980", &["localhost:7980".to_owned()]);
        let zone = ZoneId::random().to_string();
        assert_eq!(asked(&names, "localhost:7980"), Some(Asked::Home));
        assert_eq!(asked(&names, &format!("{zone}.localhost:7980")), Some(Asked::Zone(zone.clone())));
        assert_eq!(asked(&names, &format!("{zone}.127.0.0.1:7980")), None);
        let twice = Request::get("/").header(HOST, "localhost:7980").header(HOST, "localhost:7980").body(()).unwrap();
        assert_eq!(names.asked(&twice), None);
        assert_eq!(names.asked(&Request::get("/").body(()).unwrap()), None);
        let absolute = |uri: String| names.asked(&Request::get(uri).header(HOST, "localhost:7980").body(()).unwrap());
        assert_eq!(absolute("http://localhost:7980/zones".to_owned()), Some(Asked::Home));
        assert_eq!(absolute(format!("http://{zone}.localhost:7980/")), None);
        assert_eq!(absolute("http://evil.test/".to_owned()), None);
    }

    #[test]
    fn an_address_of_another_machine_has_no_names_below_it() {
        for home in ["http://127.0.0.1:7980", "http://[::1]:7980", "https://zone.example", "http://localhost:1"] {
            assert!(has_names_below(home), "{home}");
        }
        assert!(!has_names_below("https://192.0.2.1") && !has_names_below("https://[2001:db8::1]:8443"));
        assert_eq!(url_below("http://[::1]:7980", "z"), "http://z.localhost:7980");
        assert_eq!(url_below("https://zone.example:8443", "z"), "https://z.zone.example:8443");
    }
}
