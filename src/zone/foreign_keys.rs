//! Keys of others: of clients that sign their own assertions, and of the platforms whose tokens stand for workloads.
//!
//! Promises: a set is fetched once and kept for a while; an unknown key id or a failure leads to no second fetch within
//! [`ZONE_FOREIGN_KEYS_REST`]; no more than [`ZONE_FOREIGN_FETCHES_MAX`] fetches at one time. Never: fetches in the
//! clear but from this machine, when the zone itself is on it; follows a redirect; asks at an address that a stranger
//! gave for anything but a document of keys.

use std::sync::Arc;
use std::time::Duration;

use axum::http::Request;
use axum::http::StatusCode;
use axum::http::header::ACCEPT;
use bytes::Bytes;
use moka::sync::Cache;
use serde::Deserialize;
use tokio::sync::Semaphore;

use crate::http::Client;
use crate::jose::Jwks;
use crate::jose::KeySet;
use crate::limits::ZONE_FOREIGN_FETCHES_MAX;
use crate::limits::ZONE_FOREIGN_KEYS_LIFETIME;
use crate::limits::ZONE_FOREIGN_KEYS_MAX;
use crate::limits::ZONE_FOREIGN_KEYS_REST;
use crate::model::Clock;
use crate::zone::address::is_loopback;

/// The key sets of others that this zone has seen.
pub(in crate::zone) struct ForeignKeys {
    client: Option<Client>,
    clock: Arc<dyn Clock>,
    /// Whether plain http on this machine is as good as https: the zone is here too.
    local: bool,
    kept: Cache<String, Kept>,
    turns: Semaphore,
}

#[derive(Clone)]
struct Kept {
    /// None after a failure.
    keys: Option<Arc<KeySet>>,
    at: Duration,
}

#[derive(Deserialize)]
struct Metadata {
    issuer: String,
    jwks_uri: String,
}

impl ForeignKeys {
    /// Without a client nothing is fetched, and no such key is known.
    pub(in crate::zone) fn new(client: Option<Client>, clock: Arc<dyn Clock>, issuer: &str) -> Self {
        Self {
            client,
            clock,
            local: is_loopback(issuer),
            kept: Cache::new(ZONE_FOREIGN_KEYS_MAX),
            turns: Semaphore::new(ZONE_FOREIGN_FETCHES_MAX),
        }
    }

    /// Whether keys may be fetched from this address.
    pub(in crate::zone) fn may_ask(&self, url: &str) -> bool {
        url.starts_with("https://") && !is_loopback(url) || self.local && is_loopback(url)
    }

    /// The keys at `jwks_uri`; fetched again when none is named `kid`, for the set may have changed.
    pub(in crate::zone) async fn at(&self, jwks_uri: &str, kid: Option<&str>) -> Option<Arc<KeySet>> {
        if let Some(keys) = self.known(jwks_uri, kid) {
            return keys;
        }
        let _turn = self.turns.acquire().await.ok()?;
        // Somebody else may have fetched while we waited for our turn.
        if let Some(keys) = self.known(jwks_uri, kid) {
            return keys;
        }
        let fetched = self.get(jwks_uri).await.and_then(|document| Jwks::parse(&document));
        let keys = fetched.map(|jwks| Arc::new(KeySet::from_jwks(&jwks)));
        self.kept.insert(jwks_uri.to_owned(), Kept { keys: keys.clone(), at: self.clock.monotonic() });
        keys
    }

    /// The keys of an issuer, by its metadata.
    pub(in crate::zone) async fn of_issuer(&self, issuer: &str, kid: Option<&str>) -> Option<Arc<KeySet>> {
        if let Some(keys) = self.known(issuer, kid) {
            return keys;
        }
        let document = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
        let metadata = self.get(&document).await;
        let metadata: Option<Metadata> = metadata.and_then(|document| serde_json::from_slice(&document).ok());
        // Another issuer's metadata is not to be used (RFC 8414 §3.3).
        let metadata = metadata.filter(|metadata| metadata.issuer == issuer);
        let keys = match metadata {
            Some(metadata) => self.at(&metadata.jwks_uri, kid).await,
            None => None,
        };
        self.kept.insert(issuer.to_owned(), Kept { keys: keys.clone(), at: self.clock.monotonic() });
        keys
    }

    /// The document at this address, whatever is in it.
    pub(in crate::zone) async fn document(&self, url: &str) -> Option<Bytes> {
        let _turn = self.turns.acquire().await.ok()?;
        self.get(url).await
    }

    /// None when it must be fetched.
    #[allow(clippy::option_option, reason = "not fetched, fetched in vain, fetched")]
    fn known(&self, name: &str, kid: Option<&str>) -> Option<Option<Arc<KeySet>>> {
        let kept = self.kept.get(name)?;
        let age = self.clock.monotonic().saturating_sub(kept.at);
        let has = kept.keys.as_ref().is_some_and(|keys| kid.is_none_or(|kid| keys.contains(kid)));
        let fresh = age < if has { ZONE_FOREIGN_KEYS_LIFETIME } else { ZONE_FOREIGN_KEYS_REST };
        fresh.then_some(kept.keys)
    }

    /// The document at an address.
    pub(in crate::zone) async fn get(&self, url: &str) -> Option<Bytes> {
        self.send(Request::get(url).header(ACCEPT, "application/json").body(Bytes::new()).ok()?).await
    }

    /// The body of a good answer, from an address that may be asked.
    pub(in crate::zone) async fn send(&self, request: Request<Bytes>) -> Option<Bytes> {
        if !self.may_ask(&request.uri().to_string()) {
            return None;
        }
        match self.client.as_ref()?.send(request).await {
            Ok(answer) if answer.status() == StatusCode::OK => Some(answer.into_body()),
            Ok(answer) => {
                tracing::warn!(status = answer.status().as_u16(), "somebody else's document was refused");
                None
            }
            Err(failed) => {
                tracing::warn!(error = &failed as &dyn std::error::Error, "a document of somebody else can't be had");
                None
            }
        }
    }
}
