//! Which header fields travel. Pure.
//!
//! Fields of one hop end here (RFC 9110 §7.6.1), with those that a client nominated; so do fields that speak
//! of the way a request took, or ask a server to take another method or path than the one decided on.

use hyper::HeaderMap;
use hyper::header::CONNECTION;
use hyper::header::HeaderName;

/// Removes what may not go from an agent to an API, whatever the client nominated.
pub fn strip_request(headers: &mut HeaderMap) {
    strip(headers, |name| is_of_the_hop(name) || is_of_the_way(name));
}

/// Removes what may not go from an API to an agent.
pub fn strip_response(headers: &mut HeaderMap) {
    strip(headers, |name| is_of_the_hop(name) || name == "alt-svc");
}

fn strip(headers: &mut HeaderMap, unwanted: impl Fn(&str) -> bool) {
    let mut remove: Vec<HeaderName> = Vec::new();
    for value in headers.get_all(CONNECTION) {
        let tokens = value.to_str().unwrap_or_default().split(',');
        remove.extend(tokens.filter_map(|token| HeaderName::from_bytes(token.trim().as_bytes()).ok()));
    }
    remove.extend(headers.keys().filter(|name| unwanted(name.as_str())).cloned());
    for name in remove {
        headers.remove(name);
    }
}

/// Belongs to one connection.
fn is_of_the_hop(name: &str) -> bool {
    matches!(name, "connection" | "keep-alive" | "te" | "trailer" | "transfer-encoding" | "upgrade" | "http2-settings")
        || name.starts_with("proxy-")
}

/// Speaks of where a request came from, or would have it read as another one.
fn is_of_the_way(name: &str) -> bool {
    if !name.starts_with("x-") {
        return matches!(name, "forwarded" | "via" | "true-client-ip" | "cf-connecting-ip" | "fastly-client-ip");
    }
    matches!(
        name,
        "x-real-ip"
            | "x-client-ip"
            | "x-cluster-client-ip"
            | "x-host"
            | "x-original-host"
            | "x-original-method"
            | "x-original-url"
            | "x-original-uri"
            | "x-rewrite-url"
            | "x-override-url"
            | "x-http-method"
            | "x-http-method-override"
            | "x-method-override"
            | "x-proxyuser-ip"
    ) || [
        "x-forwarded",
        "x-envoy-",
        "x-goog-authenticated-user",
        "x-goog-iap-",
        "x-amzn-oidc-",
        "x-ms-client-principal",
    ]
    .iter()
    .any(|prefix| name.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left(fields: &[(&str, &str)], strip: fn(&mut HeaderMap)) -> Vec<String> {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(HeaderName::from_bytes(name.as_bytes()).unwrap(), value.parse().unwrap());
        }
        strip(&mut headers);
        headers.keys().map(ToString::to_string).collect()
    }

    #[test]
    fn what_a_client_nominates_ends_here() {
        let fields =
            [("Connection", "close, X-Mine"), ("Connection", "accept"), ("X-Mine", "1"), ("Accept", "*"), ("A", "1")];
        assert_eq!(left(&fields, strip_request), ["a"]);
    }

    #[test]
    fn the_way_of_a_request_is_not_told() {
        for name in [
            "Proxy-Authorization",
            "Proxy-Connection",
            "X-Forwarded-For",
            "X-Forwarded",
            "Forwarded",
            "Via",
            "X-Real-IP",
            "X-Original-URL",
            "X-HTTP-Method-Override",
            "X-Amzn-Oidc-Data",
            "TE",
            "Upgrade",
            "Keep-Alive",
            "Trailer",
        ] {
            assert!(left(&[(name, "x")], strip_request).is_empty(), "{name}");
        }
        assert_eq!(left(&[("X-Api-Version", "1"), ("Content-Type", "a/b")], strip_request).len(), 2);
    }

    #[test]
    fn an_api_steers_no_client_elsewhere() {
        assert_eq!(left(&[("Alt-Svc", "h3"), ("ETag", "1"), ("Proxy-Authenticate", "x")], strip_response), ["etag"]);
    }
}
