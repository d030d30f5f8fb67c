//! Client-id metadata documents (draft-ietf-oauth-client-id-metadata-document): a client whose id is the address of a
//! document that describes it.
//!
//! Whose documents are taken, an administrator says: by the zone's list of client ids, or by a `url` credential, which
//! makes the client an application's. Promises: a document is fetched by the guarded outbound client only, once, and
//! kept for [`ZONE_CLIENT_DOCUMENT_LIFETIME`]; after a failure it is let be for a while. Never: a document that names
//! another client than its own address, a secret in one, a redirect followed.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use moka::sync::Cache;
use serde::Deserialize;
use serde_json::Value;
use url::Url;

use crate::jose::Jwks;
use crate::jose::KeySet;
use crate::limits::ZONE_CLIENT_DOCUMENT_BYTES_MAX;
use crate::limits::ZONE_CLIENT_DOCUMENT_LIFETIME;
use crate::limits::ZONE_CLIENT_DOCUMENTS_MAX;
use crate::limits::ZONE_FOREIGN_KEYS_REST;
use crate::limits::ZONE_PARAMETER_BYTES_MAX;
use crate::limits::ZONE_REDIRECT_URIS_MAX;
use crate::zone::address;
use crate::zone::client_name;
use crate::zone::foreign_keys::ForeignKeys;
use crate::zone::foreign_keys::NamedBy;
use crate::zone::id::ApplicationId;
use crate::zone::issuer::Issuer;
use crate::zone::oauth::DOCUMENT_GRANTS;
use crate::zone::store::Authentication;
use crate::zone::store::Consent;
use crate::zone::store::Origin;
use crate::zone::store::RegisteredClient;
use crate::zone::store::StoreFailed;

/// The documents that this zone has read.
pub(in crate::zone) struct ClientDocuments(Cache<String, Kept>);

#[derive(Clone)]
struct Kept {
    /// None after a failure.
    client: Option<Arc<RegisteredClient>>,
    at: Duration,
}

#[derive(Deserialize)]
struct Document {
    client_id: String,
    client_name: Option<String>,
    #[serde(default)]
    redirect_uris: Vec<String>,
    #[serde(default)]
    post_logout_redirect_uris: Vec<String>,
    token_endpoint_auth_method: Option<String>,
    grant_types: Option<Vec<String>>,
    jwks: Option<Value>,
    jwks_uri: Option<String>,
    client_secret: Option<Value>,
}

impl ClientDocuments {
    pub(in crate::zone) fn new() -> Self {
        Self(Cache::new(ZONE_CLIENT_DOCUMENTS_MAX))
    }

    /// None when it must be fetched.
    #[allow(clippy::option_option, reason = "not fetched, fetched in vain, fetched")]
    fn known(&self, client_id: &str, now: Duration) -> Option<Option<Arc<RegisteredClient>>> {
        let kept = self.0.get(client_id)?;
        let lifetime = if kept.client.is_some() { ZONE_CLIENT_DOCUMENT_LIFETIME } else { ZONE_FOREIGN_KEYS_REST };
        (now.saturating_sub(kept.at) < lifetime).then_some(kept.client)
    }
}

impl Issuer {
    /// The client that shows this name: known here, or described by the document at it.
    pub(in crate::zone) async fn client(&self, client_id: &str) -> Result<Option<RegisteredClient>, StoreFailed> {
        let kept = self.store.client(client_id).await?;
        // One of a document is asked for anew: the list may have changed, and so may the document.
        let known = kept.as_ref().filter(|client| client.origin != Origin::Document).cloned();
        if known.is_some() || !may_be_document(&self.foreign_keys, client_id) {
            return Ok(known);
        }
        let application = self.store.url_application(client_id).await?;
        if application.is_none() {
            let allowed = self.store.protocols().await?.documents;
            if !allowed.is_some_and(|allowed| allowed.iter().any(|allowed| allowed == client_id)) {
                return Ok(None);
            }
        }
        let Some(described) = self.described(client_id).await else { return Ok(None) };
        let Some(application) = application else {
            // Sessions and grants speak of it, and administrators see it among the user agents. Anybody may ask in its
            // name, and as often as they like: what is written there already is not written again.
            if kept.as_ref() != Some(&*described) {
                self.store.add_user_agent(&described, None, self.clock.now()).await?;
            }
            return Ok(Some((*described).clone()));
        };
        let software = self.store.software(application.as_str(), client_id, described.authentication).await?;
        // What the administrator said of the application goes before what the document says.
        let or = |own: Vec<String>, told: &Vec<String>| if own.is_empty() { told.clone() } else { own };
        Ok(software.map(|client| RegisteredClient {
            jwks: described.jwks.clone(),
            jwks_uri: described.jwks_uri.clone(),
            redirect_uris: or(client.redirect_uris, &described.redirect_uris),
            post_logout_redirect_uris: or(client.post_logout_redirect_uris, &described.post_logout_redirect_uris),
            ..client
        }))
    }

    /// As the document at the client's own address has it.
    async fn described(&self, client_id: &str) -> Option<Arc<RegisteredClient>> {
        let known = || self.documents.known(client_id, self.clock.monotonic());
        let fetch = async || {
            let document = self.foreign_keys.get(client_id).await;
            let client = document.and_then(|document| read(&self.foreign_keys, client_id, &document)).map(Arc::new);
            if client.is_none() {
                tracing::warn!(client = client_id, "the metadata document of a client can't be used");
            }
            let kept = Kept { client: client.clone(), at: self.clock.monotonic() };
            self.documents.0.insert(client_id.to_owned(), kept);
            client
        };
        self.foreign_keys.once(NamedBy::Stranger, client_id, known, fetch).await?
    }
}

/// Whether the client id is the address of a document: https, or this machine where the zone is on it too; with a path,
/// without query, fragment and user, and such that no parser would mend it.
fn may_be_document(foreign: &ForeignKeys, client_id: &str) -> bool {
    if client_id.len() > ZONE_PARAMETER_BYTES_MAX || !foreign.may_ask(client_id) {
        return false;
    }
    let Ok(url) = Url::parse(client_id) else { return false };
    let is_plain = url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
    is_plain && url.password().is_none() && url.path() != "/" && url.as_str() == client_id
}

fn read(foreign: &ForeignKeys, client_id: &str, bytes: &Bytes) -> Option<RegisteredClient> {
    if bytes.len() > ZONE_CLIENT_DOCUMENT_BYTES_MAX {
        return None;
    }
    let document: Document = serde_json::from_slice(bytes).ok()?;
    // A document that speaks of another client would let its author be that one.
    if document.client_id != client_id || document.client_secret.is_some() {
        return None;
    }
    // A shared secret can't stand in what everybody may read.
    let authentication = match document.token_endpoint_auth_method.as_deref() {
        None | Some("none") => Authentication::None,
        Some("private_key_jwt") => Authentication::PrivateKey,
        Some(_) => return None,
    };
    let (jwks, jwks_uri) = match (authentication, document.jwks, document.jwks_uri) {
        (Authentication::PrivateKey, Some(jwks), None) => (Some(usable(&jwks)?), None),
        (Authentication::PrivateKey, None, Some(uri)) if foreign.may_ask(&uri) => (None, Some(uri)),
        (Authentication::PrivateKey, _, _) => return None,
        _ => (None, None),
    };
    let asked = document.grant_types.unwrap_or_else(|| vec!["authorization_code".to_owned()]);
    let grant_types = DOCUMENT_GRANTS.into_iter().filter(|known| asked.iter().any(|asked| asked == known));
    Some(RegisteredClient {
        id: ApplicationId::known(client_id.to_owned()),
        client_id: client_id.to_owned(),
        origin: Origin::Document,
        name: client_name::read(document.client_name.as_deref().unwrap_or(client_id))?,
        authentication,
        jwks,
        jwks_uri,
        redirect_uris: addresses(document.redirect_uris)?,
        post_logout_redirect_uris: addresses(document.post_logout_redirect_uris)?,
        grant_types: Some(grant_types.map(str::to_owned).collect()),
        consent: Consent::Required,
    })
}

fn usable(jwks: &Value) -> Option<String> {
    let text = jwks.to_string();
    let keys = KeySet::from_jwks(&Jwks::parse(text.as_bytes())?);
    (!keys.is_empty()).then_some(text)
}

fn addresses(sent: Vec<String>) -> Option<Vec<String>> {
    let legal = sent.len() <= ZONE_REDIRECT_URIS_MAX && sent.iter().all(|sent| address::may_be_registered(sent));
    legal.then_some(sent)
}
