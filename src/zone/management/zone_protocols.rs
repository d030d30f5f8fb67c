//! What a zone says about its protocols, and what of it can be changed.

use serde::Deserialize;
use serde::Serialize;
use utoipa::ToSchema;

use crate::zone::management::body;
use crate::zone::management::patch::Patch;
use crate::zone::management::refused::Refused;
use crate::zone::store::Column;

/// Protocol configuration for a zone
#[derive(Serialize, ToSchema)]
#[schema(as = ZoneProtocols)]
pub(super) struct Protocols {
    oauth2: Oauth2,
    openid: Openid,
}

/// OAuth 2.0 protocol configuration for a zone
#[derive(Serialize, ToSchema)]
#[schema(as = ZoneProtocolsOauth2)]
struct Oauth2 {
    issuer: String,
    authorization_server_metadata: String,
    authorization_endpoint: String,
    token_endpoint: String,
    redirect_uri: String,
    registration_endpoint: String,
    jwks_uri: String,
    pkce_required: bool,
    dcr_enabled: bool,
    cimd: CimdSent,
}

/// OpenID Connect protocol configuration for a zone
#[derive(Serialize, ToSchema)]
#[schema(as = ZoneProtocolsOpenid)]
struct Openid {
    provider_configuration: String,
    userinfo_endpoint: String,
}

/// Client-id metadata documents: whether they are taken, and whose.
#[derive(Serialize, Deserialize, ToSchema)]
#[schema(as = ZoneProtocolsOauth2Cimd)]
pub(super) struct CimdSent {
    pub(super) enabled: bool,
    pub(super) allowed_client_ids: Vec<String>,
}

/// What can be said at the creation.
#[derive(Deserialize, ToSchema)]
#[schema(as = ZoneProtocolsCreate)]
pub(super) struct ProtocolsSent {
    oauth2: Option<Oauth2Sent>,
}

#[derive(Deserialize, ToSchema)]
#[schema(as = ZoneProtocolsOauth2Create)]
struct Oauth2Sent {
    pkce_required: Option<bool>,
    dcr_enabled: Option<bool>,
    cimd: Option<CimdSent>,
}

/// What can be changed.
#[derive(Deserialize, ToSchema)]
#[schema(as = ZoneProtocolsUpdate)]
pub(super) struct ProtocolsChanged {
    oauth2: Option<Oauth2Changed>,
}

#[derive(Deserialize, ToSchema)]
#[schema(as = ZoneProtocolsOauth2Update)]
struct Oauth2Changed {
    #[serde(default)]
    #[schema(value_type = Option<bool>)]
    pkce_required: Patch<bool>,
    #[serde(default)]
    #[schema(value_type = Option<bool>)]
    dcr_enabled: Patch<bool>,
    cimd: Option<CimdSent>,
}

impl Protocols {
    /// Of the zone at this address.
    pub(super) fn new(url: &str, pkce_required: bool, dcr_enabled: bool, cimd: CimdSent) -> Self {
        Self {
            oauth2: Oauth2 {
                issuer: url.to_owned(),
                authorization_server_metadata: format!("{url}/.well-known/oauth-authorization-server"),
                authorization_endpoint: format!("{url}/oauth/2/authorize"),
                token_endpoint: format!("{url}/oauth/2/token"),
                redirect_uri: format!("{url}/oauth/2/redirect"),
                registration_endpoint: format!("{url}/oauth/2/registration"),
                jwks_uri: format!("{url}/openidconnect/jwks"),
                pkce_required,
                dcr_enabled,
                cimd,
            },
            openid: Openid {
                provider_configuration: format!("{url}/.well-known/openid-configuration"),
                userinfo_endpoint: format!("{url}/openid/connect/userinfo"),
            },
        }
    }
}

impl ProtocolsSent {
    /// As columns of a new zone.
    pub(super) fn columns(self) -> Result<Vec<Column>, Refused> {
        let Some(Oauth2Sent { pkce_required, dcr_enabled, cimd }) = self.oauth2 else { return Ok(Vec::new()) };
        let mut columns: Vec<Column> = vec![
            ("pkce_required", pkce_required.unwrap_or(true).into()),
            ("dcr_enabled", dcr_enabled.unwrap_or(true).into()),
        ];
        columns.extend(cimd.map(CimdSent::columns).transpose()?.unwrap_or_default());
        Ok(columns)
    }
}

impl ProtocolsChanged {
    /// As columns; null is the default.
    pub(super) fn columns(self) -> Result<Vec<Column>, Refused> {
        let Some(Oauth2Changed { pkce_required, dcr_enabled, cimd }) = self.oauth2 else { return Ok(Vec::new()) };
        let mut columns: Vec<Column> = Vec::new();
        for (name, sent) in [("pkce_required", pkce_required), ("dcr_enabled", dcr_enabled)] {
            match sent {
                Patch::Keep => {}
                Patch::Clear => columns.push((name, true.into())),
                Patch::Set(yes) => columns.push((name, yes.into())),
            }
        }
        columns.extend(cimd.map(CimdSent::columns).transpose()?.unwrap_or_default());
        Ok(columns)
    }
}

impl CimdSent {
    fn columns(self) -> Result<Vec<Column>, Refused> {
        let allowed: Result<Vec<String>, Refused> =
            self.allowed_client_ids.into_iter().map(|id| body::url("allowed_client_ids", id)).collect();
        let allowed = serde_json::to_string(&allowed?).map_err(|_| Refused::failed())?;
        Ok(vec![("cimd_enabled", self.enabled.into()), ("cimd_allowed_client_ids", allowed.into())])
    }
}
