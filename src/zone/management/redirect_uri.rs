//! Where an application may have its users sent back to.

use crate::zone::management::refused::Refused;

/// Absolute URIs without a fragment (RFC 6749 §3.1.2), none of them a script.
pub(super) fn checked(uris: Vec<String>) -> Result<Vec<String>, Refused> {
    match uris.len() <= COUNT_MAX && uris.iter().all(|uri| is_legal(uri)) {
        true => Ok(uris),
        false => Err(Refused::bad("redirect_uris", "must be absolute URIs without a fragment")),
    }
}

fn is_legal(uri: &str) -> bool {
    let Some((scheme, rest)) = uri.split_once(':') else { return false };
    let is_scheme = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
    let is_web = scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https");
    let has_host = uri.parse::<axum::http::Uri>().is_ok_and(|uri| uri.host().is_some_and(|host| !host.is_empty()));
    let dangerous = ["javascript", "data", "vbscript", "file", "blob", "about"];
    is_scheme
        && !rest.is_empty()
        && uri.len() <= 2048
        && uri.chars().all(|c| c.is_ascii_graphic() && !"#\\\"<>^`{|}".contains(c))
        && !dangerous.iter().any(|known| scheme.eq_ignore_ascii_case(known))
        && (!is_web || (rest.starts_with("//") && has_host && !uri.contains('@')))
}

/// More than anybody has.
const COUNT_MAX: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_that_can_be_compared_exactly_are_taken() {
        for good in ["https://a.example/cb", "http://localhost:8765/callback", "com.example.app:/cb", "http://[::1]:1/"]
        {
            assert!(is_legal(good), "{good}");
        }
        for bad in [
            "",
            "/cb",
            "https://a.example/#x",
            "javascript:alert(1)",
            "JavaScript:alert(1)",
            "data:text/html,x",
            "https://a@b/",
            "https://",
            "https:///x",
            "https://a.example/ x",
            "https://a\\b/",
            "ü:x",
            "https:a",
        ] {
            assert!(!is_legal(bad), "{bad}");
        }
    }
}
