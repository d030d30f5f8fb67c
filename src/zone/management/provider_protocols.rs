//! What a provider speaks.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::Serialize;
use utoipa::ToSchema;

use crate::zone::management::body;
use crate::zone::management::refused::Refused;

/// Protocol-specific configuration
#[derive(Serialize, Deserialize, ToSchema)]
#[schema(as = ProviderProtocols)]
pub(super) struct Protocols {
    oauth2: Option<Oauth2>,
    openid: Option<Openid>,
}

/// OAuth 2.0 protocol configuration
#[derive(Serialize, Deserialize, ToSchema)]
#[schema(as = ProviderProtocolsOauth2)]
struct Oauth2 {
    /// OIDC issuer URL used for discovery and token validation.
    issuer: Option<String>,
    authorization_endpoint: Option<String>,
    /// Custom query parameters appended to authorization redirect URLs.
    authorization_parameters: Option<BTreeMap<String, String>>,
    /// Whether to include the resource parameter in authorization requests.
    authorization_resource_enabled: Option<bool>,
    /// Defaults to "resource" when authorization_resource_enabled is true.
    authorization_resource_parameter: Option<String>,
    code_challenge_methods_supported: Option<Vec<String>>,
    jwks_uri: Option<String>,
    registration_endpoint: Option<String>,
    /// The query parameter name for scopes in authorization requests. Defaults to "scope".
    scope_parameter: Option<String>,
    /// The separator character for scope values. Defaults to " " (space).
    scope_separator: Option<String>,
    scopes_supported: Option<Vec<String>>,
    token_endpoint: Option<String>,
    /// Dot-separated path to the access token in the token response body. Defaults to "access_token".
    token_response_access_token_pointer: Option<String>,
}

/// OpenID Connect protocol configuration
#[derive(Serialize, Deserialize, ToSchema)]
#[schema(as = ProviderProtocolsOpenid)]
struct Openid {
    scopes: Option<Vec<String>>,
    single_logout_enabled: Option<bool>,
    user_identifier_claim: Option<String>,
    userinfo_endpoint: Option<String>,
}

impl Protocols {
    /// With endpoints that are URLs, and an issuer: where none is named, the provider's identifier is it.
    pub(super) fn checked(mut self, identifier: &str) -> Result<Self, Refused> {
        if let Some(oauth2) = &mut self.oauth2 {
            let endpoints = [
                ("protocols.oauth2.issuer", &oauth2.issuer),
                ("protocols.oauth2.authorization_endpoint", &oauth2.authorization_endpoint),
                ("protocols.oauth2.token_endpoint", &oauth2.token_endpoint),
                ("protocols.oauth2.registration_endpoint", &oauth2.registration_endpoint),
                ("protocols.oauth2.jwks_uri", &oauth2.jwks_uri),
            ];
            for (field, endpoint) in endpoints {
                endpoint.clone().map(|endpoint| body::url(field, endpoint)).transpose()?;
            }
            oauth2.issuer.get_or_insert_with(|| identifier.to_owned());
        }
        if let Some(endpoint) = self.openid.as_ref().and_then(|openid| openid.userinfo_endpoint.clone()) {
            body::url("protocols.openid.userinfo_endpoint", endpoint)?;
        }
        Ok(self)
    }

    /// Where a code is exchanged, and the client secret sent; none where the issuer's discovery document says it.
    pub(super) fn token_endpoint(protocols: Option<&Self>) -> Option<&str> {
        protocols?.oauth2.as_ref()?.token_endpoint.as_deref()
    }

    /// Whose tokens are the provider's: of the issuer that is named, else of the identifier where it is a URL. A
    /// platform that only vouches for workloads has no protocols to speak of.
    pub(super) fn issuer(protocols: Option<&Self>, identifier: &str) -> Option<String> {
        let named = protocols.and_then(|protocols| protocols.oauth2.as_ref()?.issuer.clone());
        named.or_else(|| body::url("identifier", identifier.to_owned()).ok())
    }
}
