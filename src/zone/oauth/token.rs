//! The token endpoint: the client shows who it is, and one of the grants answers.

use std::sync::Arc;

use axum::extract::State;
use axum::http::HeaderMap;

use crate::zone::issuer::Issuer;
use crate::zone::oauth::TOKEN;
use crate::zone::oauth::answer::Answer;
use crate::zone::oauth::client;
use crate::zone::oauth::client_credentials;
use crate::zone::oauth::code;
use crate::zone::oauth::exchange;
use crate::zone::oauth::parameters::Parameters;
use crate::zone::oauth::parameters::Sent;
use crate::zone::oauth::possession::proven_key;
use crate::zone::oauth::refresh;
use crate::zone::oauth::refusal::Refusal;

/// `POST /oauth/2/token`.
pub(super) async fn endpoint(
    State(issuer): State<Arc<Issuer>>,
    headers: HeaderMap,
    sent: Sent,
) -> Result<Answer, Refusal> {
    let parameters = Parameters::read(sent)?;
    let grant = parameters.one("grant_type")?;
    let grant = grant.ok_or_else(|| Refusal::invalid_request("The grant_type parameter is missing"))?;
    let client = client::authenticate(&issuer, &headers, &parameters).await?;
    if !GRANT_TYPES.contains(&grant) {
        return Err(Refusal::unsupported_grant_type());
    }
    client.may_use(grant)?;
    let key = proven_key(&issuer, &headers, "POST", TOKEN, None).await?;
    let key = key.as_deref();
    match grant {
        CLIENT_CREDENTIALS => client_credentials::grant(&issuer, &client, &parameters, key).await,
        TOKEN_EXCHANGE => exchange::grant(&issuer, &client, &parameters, key).await,
        REFRESH_TOKEN => refresh::grant(&issuer, &client, &parameters, key).await,
        AUTHORIZATION_CODE => code::grant(&issuer, &client, &parameters, key).await,
        DEVICE_CODE => code::device(&issuer, &client, &parameters, key).await,
        _ => Err(Refusal::unsupported_grant_type()),
    }
}

pub(super) const AUTHORIZATION_CODE: &str = "authorization_code";
pub(super) const CLIENT_CREDENTIALS: &str = "client_credentials";
pub(super) const DEVICE_CODE: &str = "urn:ietf:params:oauth:grant-type:device_code";
pub(super) const REFRESH_TOKEN: &str = "refresh_token";
pub(super) const TOKEN_EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";

/// As the metadata names them.
pub(in crate::zone) const GRANT_TYPES: [&str; 5] =
    [AUTHORIZATION_CODE, REFRESH_TOKEN, CLIENT_CREDENTIALS, TOKEN_EXCHANGE, DEVICE_CODE];

/// Those of our own command line.
pub(in crate::zone) const OWN_CLIENT_GRANTS: [&str; 4] =
    [AUTHORIZATION_CODE, REFRESH_TOKEN, TOKEN_EXCHANGE, DEVICE_CODE];
