//! Who is asking: client authentication by Basic or in the body (RFC 6749 §2.3.1).

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::percent_decode_str;

use crate::model::Secret;
use crate::zone::issuer::Issuer;
use crate::zone::oauth::parameters::Parameters;
use crate::zone::oauth::refusal::Refusal;
use crate::zone::opaque::Hash;
use crate::zone::store::Application;

/// The application that sent the request. A client that shows its secret in two ways at once is refused.
pub(super) async fn authenticate(
    issuer: &Issuer,
    headers: &HeaderMap,
    parameters: &Parameters,
) -> Result<Application, Refusal> {
    let in_body = (parameters.one("client_id")?, parameters.secret("client_secret")?);
    let candidates = match (basic(headers)?, in_body) {
        (Some(_), (_, Some(_))) => {
            return Err(Refusal::invalid_request("The client authenticates in more than one way"));
        }
        (Some(pairs), (client_id, None)) => {
            if client_id.is_some_and(|client_id| pairs.iter().all(|(id, _)| id != client_id)) {
                return Err(Refusal::invalid_client());
            }
            pairs
        }
        (None, (Some(client_id), Some(secret))) => vec![(client_id.to_owned(), secret)],
        (None, _) => return Err(Refusal::invalid_client()),
    };
    for (client_id, secret) in candidates {
        if let Some(application) = issuer.store.application_with(&client_id, &Hash::of(&secret)).await? {
            return Ok(application);
        }
    }
    Err(Refusal::invalid_client())
}

/// The pairs that the header may mean: RFC 6749 has both parts percent-encoded, the clients that are out there send
/// them as they are. None when there is no such header.
fn basic(headers: &HeaderMap) -> Result<Option<Vec<(String, Secret)>>, Refusal> {
    let mut sent = headers.get_all(AUTHORIZATION).iter();
    let (Some(value), None) = (sent.next(), sent.next()) else {
        return if headers.contains_key(AUTHORIZATION) { Err(Refusal::invalid_client()) } else { Ok(None) };
    };
    let pair = value.to_str().ok().and_then(basic_pair).ok_or_else(Refusal::invalid_client)?;
    let pair_text = pair.expose_str().ok_or_else(Refusal::invalid_client)?;
    let (id, secret) = pair_text.split_once(':').ok_or_else(Refusal::invalid_client)?;
    let raw = (id.to_owned(), Secret::new(secret));
    let decoded = (decode(id), Secret::new(decode(secret)));
    Ok(Some(vec![raw, decoded]))
}

fn basic_pair(header: &str) -> Option<Secret> {
    let (scheme, rest) = header.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    STANDARD.decode(rest.trim_matches(' ')).ok().map(Secret::new)
}

fn decode(text: &str) -> String {
    percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned()
}

/// As the metadata names them.
pub(super) const AUTHENTICATION_METHODS: [&str; 2] = ["client_secret_basic", "client_secret_post"];

#[cfg(test)]
mod tests {
    use super::*;

    fn header(pair: &str) -> HeaderMap {
        let value = format!("Basic {}", STANDARD.encode(pair));
        HeaderMap::from_iter([(AUTHORIZATION, value.parse().unwrap())])
    }

    #[test]
    fn basic_is_split_at_the_first_colon_and_read_raw_first() {
        let pairs = basic(&header("app_1:a:b%3Ac+d")).unwrap().unwrap();
        assert_eq!(pairs[0].0, "app_1");
        assert_eq!(pairs[0].1.expose(), b"a:b%3Ac+d");
        assert_eq!(pairs[1].1.expose(), b"a:b:c d");
    }

    #[test]
    fn another_scheme_or_rubbish_is_no_client() {
        assert!(basic(&HeaderMap::new()).unwrap().is_none());
        for value in ["Bearer abc", "Basic", "Basic !!!", "Basic YQ=="] {
            let headers = HeaderMap::from_iter([(AUTHORIZATION, value.parse().unwrap())]);
            assert!(basic(&headers).is_err(), "{value}");
        }
    }
}
