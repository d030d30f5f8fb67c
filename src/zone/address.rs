//! Addresses that others give us, and what may be said about them before anything is sent there.
//!
//! A redirect address is compared exactly (RFC 9700 §2.1), but for one rule: a native application on this machine
//! listens on any free port, so that the port of a loopback address is not compared (RFC 8252 §7.3).

use url::Host;
use url::Url;

use crate::limits::ZONE_PARAMETER_BYTES_MAX;

/// Whether the URL names this machine.
pub(in crate::zone) fn is_loopback(url: &str) -> bool {
    Url::parse(url).is_ok_and(|url| is_loopback_host(&url))
}

/// Whether `sent` is one of the `registered` redirect addresses.
pub(in crate::zone) fn is_registered(registered: &[String], sent: &str) -> bool {
    registered.iter().any(|known| known == sent) || registered.iter().any(|known| differs_in_port_only(known, sent))
}

/// Whether a redirect address may be registered: https, http on this machine, or an application's own scheme; no
/// fragment, no name or password, no scheme that a browser carries out.
pub(in crate::zone) fn may_be_registered(address: &str) -> bool {
    if address.len() > ZONE_PARAMETER_BYTES_MAX || !address.chars().all(|c| c.is_ascii_graphic()) {
        return false;
    }
    let Ok(url) = Url::parse(address) else { return false };
    if url.fragment().is_some() || address.contains('#') || !url.username().is_empty() || url.password().is_some() {
        return false;
    }
    // What the parser would mend, a browser and a client may read in two ways.
    if address.contains('\\') || address.split('/').any(|part| matches!(part, ".." | "." | "%2e" | "%2e%2e")) {
        return false;
    }
    match url.scheme() {
        "https" => url.host().is_some(),
        "http" => is_loopback_host(&url),
        scheme => !CARRIED_OUT.contains(&scheme) && (scheme.contains('.') || NATIVE.contains(&scheme)),
    }
}

/// What a form on a page may lead to, as `form-action` names it: the origin, or the scheme of an application.
pub(in crate::zone) fn form_action(address: &str) -> Option<String> {
    let url = Url::parse(address).ok()?;
    let source = match url.scheme() {
        "http" | "https" => url.origin().ascii_serialization(),
        scheme => format!("{scheme}:"),
    };
    // INVARIANT: it stands in a header, between other words of the policy.
    source.chars().all(|c| c.is_ascii_graphic() && !matches!(c, ';' | ',' | '\'' | '"')).then_some(source)
}

/// `address` with these parameters added to its query.
pub(in crate::zone) fn with_parameters(address: &str, parameters: &[(&str, &str)]) -> Option<String> {
    let mut url = Url::parse(address).ok()?;
    url.query_pairs_mut().extend_pairs(parameters);
    Some(url.into())
}

fn differs_in_port_only(known: &str, sent: &str) -> bool {
    let (Ok(mut known), Ok(parsed)) = (Url::parse(known), Url::parse(sent)) else { return false };
    // The parser must not have mended anything: the rule is about the port, and nothing else may differ.
    let as_sent = parsed.as_str() == sent || (parsed.path() == "/" && parsed.as_str().strip_suffix('/') == Some(sent));
    if known.scheme() != "http" || !is_loopback_host(&known) || !as_sent {
        return false;
    }
    known.set_port(parsed.port()).is_ok() && known == parsed
}

fn is_loopback_host(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        // Names below it mean this machine too (RFC 6761 §6.3).
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        None => false,
    }
}

/// Schemes that do something in the browser itself.
const CARRIED_OUT: [&str; 9] =
    ["javascript", "data", "vbscript", "file", "blob", "about", "view-source", "filesystem", "ws"];

/// Applications whose schemes have no dot (RFC 8252 §7.1 asks for one), but are in use.
const NATIVE: [&str; 5] = ["cursor", "vscode", "vscode-insiders", "windsurf", "claude"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redirect_address_is_compared_exactly() {
        let known = ["https://app.example/callback".to_owned()];
        assert!(is_registered(&known, "https://app.example/callback"));
        for trick in [
            "https://app.example/callback/",
            "https://app.example/callback?x=1",
            "https://app.example/callback#x",
            "https://app.example:443/callback",
            "https://app.example:8443/callback",
            "https://APP.example/callback",
            "https://app.example/callback/../callback",
            "https://app.example.evil.test/callback",
            "https://app.example@evil.test/callback",
            "https://evil.test\\@app.example/callback",
            "https://app.example/%63allback",
            "http://app.example/callback",
            "",
        ] {
            assert!(!is_registered(&known, trick), "{trick}");
        }
    }

    #[test]
    fn only_the_port_of_a_loopback_address_is_free() {
        let known = ["http://127.0.0.1/callback".to_owned(), "http://localhost:8080/cb".to_owned()];
        for good in ["http://127.0.0.1:51004/callback", "http://127.0.0.1/callback", "http://localhost:1/cb"] {
            assert!(is_registered(&known, good), "{good}");
        }
        for bad in [
            "http://127.0.0.2:80/callback",
            "http://localhost:80/callback",
            "https://127.0.0.1/callback",
            "http://127.0.0.1:80/callback?x",
            "http://127.0.0.1:80@evil.test/callback",
            "http://127.0.0.1.evil.test/callback",
            "http://127.1:80/callback",
            "http://0x7f000001:80/callback",
            "http://user@127.0.0.1:80/callback",
            "http://127.0.0.1:99999/callback",
            "http://127.0.0.1:80/x/../callback",
        ] {
            assert!(!is_registered(&known, bad), "{bad}");
        }
    }

    #[test]
    fn what_a_browser_would_carry_out_is_no_redirect_address() {
        for good in
            ["https://a.example/cb?x=1", "http://localhost:8765/callback", "com.example.app:/cb", "cursor://a/b"]
        {
            assert!(may_be_registered(good), "{good}");
        }
        for bad in [
            "http://a.example/cb",
            "javascript:alert(1)",
            "data:text/html,x",
            "https://a.example/#x",
            "https://u:p@a.example/",
            "https://a.example\\b",
            "https://a.example/../b",
            "https://a example/",
            "mailto:x",
            "/callback",
            "*",
            "",
        ] {
            assert!(!may_be_registered(bad), "{bad}");
        }
    }

    #[test]
    fn parameters_are_added_to_what_is_there() {
        let with = with_parameters("https://a.example/cb?x=1", &[("code", "a b"), ("state", "ü")]).unwrap();
        assert_eq!(with, "https://a.example/cb?x=1&code=a+b&state=%C3%BC");
        assert_eq!(form_action("https://a.example/cb").unwrap(), "https://a.example");
        assert_eq!(form_action("cursor://x").unwrap(), "cursor:");
    }
}
