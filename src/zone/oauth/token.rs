//! The token endpoint: the client shows who it is, and one of three grants answers.

use std::sync::Arc;

use axum::extract::State;
use axum::http::HeaderMap;

use crate::zone::issuer::Issuer;
use crate::zone::oauth::answer::Answer;
use crate::zone::oauth::client;
use crate::zone::oauth::client_credentials;
use crate::zone::oauth::exchange;
use crate::zone::oauth::parameters::Parameters;
use crate::zone::oauth::parameters::Sent;
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
    match grant {
        CLIENT_CREDENTIALS => client_credentials::grant(&issuer, &client, &parameters).await,
        TOKEN_EXCHANGE => exchange::grant(&issuer, &client, &parameters).await,
        REFRESH_TOKEN => refresh::grant(&issuer, &client, &parameters).await,
        _ => Err(Refusal::unsupported_grant_type()),
    }
}

pub(super) const CLIENT_CREDENTIALS: &str = "client_credentials";
pub(super) const TOKEN_EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const REFRESH_TOKEN: &str = "refresh_token";

/// As the metadata names them.
pub(super) const GRANT_TYPES: [&str; 3] = [CLIENT_CREDENTIALS, TOKEN_EXCHANGE, REFRESH_TOKEN];
