//! Where well-known documents are (RFC 8615).

/// The well-known `part` goes between host and path (RFC 8414 §3.1, RFC 9728 §3.1), and a slash at the end is dropped.
pub(super) fn well_known(url: &str, part: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("https", url));
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let path = path.trim_end_matches('/');
    let slash = if path.is_empty() { "" } else { "/" };
    format!("{scheme}://{host}{part}{slash}{path}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_well_known_part_goes_between_host_and_path() {
        assert_eq!(well_known("https://a.example", "/.well-known/x"), "https://a.example/.well-known/x");
        assert_eq!(well_known("https://a.example:8443/", "/.well-known/x"), "https://a.example:8443/.well-known/x");
        assert_eq!(well_known("https://a.example/v1/y", "/.well-known/x"), "https://a.example/.well-known/x/v1/y");
    }
}
