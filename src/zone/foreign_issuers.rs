//! Providers through which people sign in: where their endpoints are.
//!
//! Promises: what an administrator said goes before what the provider publishes; a document is fetched once and kept for
//! a while, and a failure is not repeated at once. Never: an endpoint in the clear but on this machine, when the zone
//! itself is on it; the document of another issuer (RFC 8414 §3.3).

use std::sync::Arc;
use std::time::Duration;

use moka::sync::Cache;
use serde::Deserialize;

use crate::limits::ZONE_FOREIGN_KEYS_LIFETIME;
use crate::limits::ZONE_FOREIGN_KEYS_MAX;
use crate::limits::ZONE_FOREIGN_KEYS_REST;
use crate::zone::foreign_keys::NamedBy;
use crate::zone::issuer::Issuer;
use crate::zone::store::SignInProvider;

/// The documents that were fetched.
pub(in crate::zone) struct ForeignIssuers {
    kept: Cache<String, Kept>,
}

/// Where a provider is asked.
#[derive(Clone, Debug)]
pub(in crate::zone) struct Endpoints {
    pub(in crate::zone) authorization: String,
    pub(in crate::zone) token: String,
    pub(in crate::zone) keys: String,
    /// What goes along with every request for a sign-in.
    pub(in crate::zone) parameters: Vec<(String, String)>,
    pub(in crate::zone) scopes: Vec<String>,
    /// Whether the secret goes into the form, for a header is not understood.
    pub(in crate::zone) secret_in_form: bool,
    /// Whether each answer says whose it is (RFC 9207).
    pub(in crate::zone) names_itself: bool,
}

#[derive(Clone)]
struct Kept {
    /// None after a failure.
    document: Option<Arc<Document>>,
    at: Duration,
}

/// OpenID Connect Discovery §3, as far as it is needed.
#[derive(Debug, Deserialize)]
struct Document {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    jwks_uri: String,
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
}

/// What an administrator said.
#[derive(Debug, Default, Deserialize)]
struct Said {
    oauth2: Option<SaidOauth2>,
    openid: Option<SaidOpenid>,
}

#[derive(Debug, Default, Deserialize)]
struct SaidOauth2 {
    authorization_endpoint: Option<String>,
    authorization_parameters: Option<std::collections::BTreeMap<String, String>>,
    jwks_uri: Option<String>,
    token_endpoint: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
struct SaidOpenid {
    scopes: Option<Vec<String>>,
}

impl ForeignIssuers {
    pub(in crate::zone) fn new() -> Self {
        Self { kept: Cache::new(ZONE_FOREIGN_KEYS_MAX) }
    }

    /// Where `provider` is asked; none when that can't be known.
    pub(in crate::zone) async fn endpoints(&self, issuer: &Issuer, provider: &SignInProvider) -> Option<Endpoints> {
        let said: Said = match &provider.protocols {
            Some(protocols) => serde_json::from_str(protocols).ok()?,
            None => Said::default(),
        };
        let (oauth2, openid) = (said.oauth2.unwrap_or_default(), said.openid.unwrap_or_default());
        let scopes = scopes(openid.scopes);
        let parameters = oauth2.authorization_parameters.unwrap_or_default().into_iter().collect();
        let published = match (&oauth2.authorization_endpoint, &oauth2.token_endpoint, &oauth2.jwks_uri) {
            (Some(_), Some(_), Some(_)) => None,
            _ => Some(self.document(issuer, &provider.issuer).await?),
        };
        let published = published.as_deref();
        let methods = published.and_then(|document| document.token_endpoint_auth_methods_supported.as_deref());
        let knows = |method: &str| methods.is_some_and(|methods| methods.iter().any(|known| known == method));
        let endpoints = Endpoints {
            authorization: oauth2.authorization_endpoint.or(published.map(|it| it.authorization_endpoint.clone()))?,
            token: oauth2.token_endpoint.or(published.map(|it| it.token_endpoint.clone()))?,
            keys: oauth2.jwks_uri.or(published.map(|it| it.jwks_uri.clone()))?,
            parameters,
            scopes,
            secret_in_form: !knows("client_secret_basic") && knows("client_secret_post"),
            names_itself: published.is_some_and(|document| document.authorization_response_iss_parameter_supported),
        };
        let all = [&endpoints.authorization, &endpoints.token, &endpoints.keys];
        let may_be_asked = all.into_iter().all(|endpoint| issuer.foreign_keys.may_ask(endpoint));
        may_be_asked.then_some(endpoints)
    }

    async fn document(&self, issuer: &Issuer, named: &str) -> Option<Arc<Document>> {
        let address = format!("{}/.well-known/openid-configuration", named.trim_end_matches('/'));
        let fetch = async || {
            let document = issuer.foreign_keys.get(&address).await;
            let document: Option<Document> = document.and_then(|document| serde_json::from_slice(&document).ok());
            let document = document.filter(|document| document.issuer == named).map(Arc::new);
            let kept = Kept { document: document.clone(), at: issuer.clock.monotonic() };
            self.kept.insert(named.to_owned(), kept);
            document
        };
        let known = || self.known(named, issuer.clock.monotonic());
        issuer.foreign_keys.once(NamedBy::Administrator, &address, known, fetch).await?
    }

    /// None when it must be fetched.
    #[allow(clippy::option_option, reason = "not fetched, fetched in vain, fetched")]
    fn known(&self, named: &str, now: Duration) -> Option<Option<Arc<Document>>> {
        let kept = self.kept.get(named)?;
        let lifetime = if kept.document.is_some() { ZONE_FOREIGN_KEYS_LIFETIME } else { ZONE_FOREIGN_KEYS_REST };
        (now.saturating_sub(kept.at) < lifetime).then_some(kept.document)
    }
}

/// Always `openid`, without which there is no ID token.
fn scopes(said: Option<Vec<String>>) -> Vec<String> {
    let mut scopes = said.unwrap_or_else(|| ["profile", "email"].map(str::to_owned).to_vec());
    if !scopes.iter().any(|scope| scope == "openid") {
        scopes.insert(0, "openid".to_owned());
    }
    scopes
}
