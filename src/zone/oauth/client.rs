//! Who is asking: client authentication by Basic or in the body (RFC 6749 §2.3.1), by an assertion (RFC 7523), or not
//! at all for a public client.

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::percent_decode_str;

use crate::model::Secret;
use crate::zone::issuer::Issuer;
use crate::zone::oauth::assertion;
use crate::zone::oauth::parameters::Parameters;
use crate::zone::oauth::refusal::Refusal;
use crate::zone::opaque::Hash;
use crate::zone::store::Application;
use crate::zone::store::Authentication;
use crate::zone::store::Consent;
use crate::zone::store::RegisteredClient;

/// The client that sent the request.
#[derive(Debug)]
pub(in crate::zone) struct Client {
    pub(in crate::zone) application: Application,
    /// None for the personal zone's own: the daemon, and the agents that it registered.
    pub(in crate::zone) registration: Option<RegisteredClient>,
}

impl Client {
    /// One that was registered.
    pub(in crate::zone) fn registered(registration: RegisteredClient) -> Self {
        let (id, client_id) = (registration.id.clone(), registration.client_id.clone());
        let application = Application { id, client_id, name: registration.name.clone() };
        Self { application, registration: Some(registration) }
    }

    /// Whether it shows who it is by nothing but its name.
    pub(in crate::zone) fn is_public(&self) -> bool {
        self.registration.as_ref().is_some_and(|client| client.authentication == Authentication::None)
    }

    /// Whether a person is asked before it acts for them.
    pub(in crate::zone) fn asks(&self) -> bool {
        self.registration.as_ref().is_none_or(|client| client.consent == Consent::Required)
    }

    /// Fails unless it registered for this grant. The personal zone's own may use those that they always could.
    pub(in crate::zone) fn may_use(&self, grant: &str) -> Result<(), Refusal> {
        match &self.registration {
            Some(client)
                if client.grant_types.as_ref().is_some_and(|known| known.iter().all(|known| known != grant)) =>
            {
                Err(Refusal::unauthorized_client("The client may not use this grant type"))
            }
            Some(_) | None => Ok(()),
        }
    }
}

/// The client that sent the request. One that shows who it is in two ways at once is refused.
pub(super) async fn authenticate(
    issuer: &Issuer,
    headers: &HeaderMap,
    parameters: &Parameters,
) -> Result<Client, Refusal> {
    let client_id = parameters.one("client_id")?;
    let (secret, assertion) = (parameters.secret("client_secret")?, parameters.secret("client_assertion")?);
    let header = basic(headers)?;
    if usize::from(header.is_some()) + usize::from(secret.is_some()) + usize::from(assertion.is_some()) > 1 {
        return Err(Refusal::invalid_request("The client authenticates in more than one way"));
    }
    if let Some(assertion) = assertion {
        return assertion::authenticate(issuer, parameters, &assertion, client_id).await;
    }
    let candidates = match (header, client_id, secret) {
        (Some(pairs), client_id, _) => {
            if client_id.is_some_and(|client_id| pairs.iter().all(|(id, _)| id != client_id)) {
                return Err(Refusal::invalid_client());
            }
            pairs
        }
        (None, Some(client_id), Some(secret)) => vec![(client_id.to_owned(), secret)],
        (None, Some(client_id), None) => return public(issuer, client_id).await,
        (None, None, _) => return Err(Refusal::invalid_client()),
    };
    for (client_id, secret) in candidates {
        let hash = Hash::of(&secret);
        if let Some(client) = issuer.store.client_with(&client_id, &hash).await? {
            return Ok(Client::registered(client));
        }
        if let Some(application) = issuer.store.application_with(&client_id, &hash).await? {
            return Ok(Client { application, registration: None });
        }
    }
    Err(Refusal::invalid_client())
}

async fn public(issuer: &Issuer, client_id: &str) -> Result<Client, Refusal> {
    let client = issuer.client(client_id).await?;
    let client = client.filter(|client| client.authentication == Authentication::None);
    client.map(Client::registered).ok_or_else(Refusal::invalid_client)
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
    let mut pairs = vec![raw, decoded];
    // The name of a client that registered itself has a colon in it, which those who send it raw do not escape.
    if let Some((id, secret)) = secret.split_once(':').filter(|_| id == "ua") {
        pairs.push((format!("ua:{id}"), Secret::new(secret)));
    }
    Ok(Some(pairs))
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
pub(super) const AUTHENTICATION_METHODS: [&str; 4] =
    ["client_secret_basic", "client_secret_post", "private_key_jwt", "none"];

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
        let pairs = basic(&header("ua:0a1b:se:cret")).unwrap().unwrap();
        assert!(pairs.iter().any(|(id, secret)| id == "ua:0a1b" && secret.expose() == b"se:cret"));
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
