//! Keys of others: of clients that sign their own assertions, and of the platforms whose tokens stand for workloads.
//!
//! Promises: a set is fetched once and kept for a while; an unknown key id or a failure leads to no second fetch within
//! [`ZONE_FOREIGN_KEYS_REST`]; an address is asked once at a time, and no more than [`ZONE_FOREIGN_FETCHES_MAX`] of them
//! at one time. What strangers name has a memory and a queue of its own: whoever registers a client with a dead address
//! holds up other strangers, and nobody whose provider an administrator chose. Never: fetches in the clear but from this
//! machine, when the zone itself is on it; follows a redirect; asks at an address that a stranger gave for anything but
//! a document of keys or of a client.

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
    administrators: Room,
    strangers: Room,
}

/// Who says where a document is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::zone) enum NamedBy {
    /// Somebody who may change the zone: a provider, or an application's own keys.
    Administrator,
    /// Anybody: a client that registered itself, or is described by a document.
    Stranger,
}

/// What is kept, and who waits, on one side.
struct Room {
    keys: Cache<String, Kept<KeySet>>,
    /// The addresses of keys, by issuer.
    issuers: Cache<String, Kept<str>>,
    /// One fetch of an address at a time: the others have its answer.
    addresses: Cache<String, Arc<Semaphore>>,
    turns: Semaphore,
}

struct Kept<T: ?Sized> {
    /// None after a failure.
    value: Option<Arc<T>>,
    at: Duration,
}

impl<T: ?Sized> Clone for Kept<T> {
    fn clone(&self) -> Self {
        Self { value: self.value.clone(), at: self.at }
    }
}

#[derive(Deserialize)]
struct Metadata {
    issuer: String,
    jwks_uri: String,
}

impl Room {
    fn new() -> Self {
        let turns = Semaphore::new(ZONE_FOREIGN_FETCHES_MAX);
        let addresses = Cache::new(ZONE_FOREIGN_KEYS_MAX);
        Self { keys: Cache::new(ZONE_FOREIGN_KEYS_MAX), issuers: Cache::new(ZONE_FOREIGN_KEYS_MAX), addresses, turns }
    }
}

impl ForeignKeys {
    /// Without a client nothing is fetched, and no such key is known.
    pub(in crate::zone) fn new(client: Option<Client>, clock: Arc<dyn Clock>, issuer: &str) -> Self {
        Self { client, clock, local: is_loopback(issuer), administrators: Room::new(), strangers: Room::new() }
    }

    /// Whether keys may be fetched from this address.
    pub(in crate::zone) fn may_ask(&self, url: &str) -> bool {
        url.starts_with("https://") && !is_loopback(url) || self.local && is_loopback(url)
    }

    /// The keys at `jwks_uri`; fetched again when none is named `kid`, for the set may have changed.
    pub(in crate::zone) async fn at(
        &self,
        named_by: NamedBy,
        jwks_uri: &str,
        kid: Option<&str>,
    ) -> Option<Arc<KeySet>> {
        let room = self.room(named_by);
        let known = || {
            let has = |keys: &KeySet| kid.is_none_or(|kid| keys.contains(kid));
            self.fresh(room.keys.get(jwks_uri), has)
        };
        let fetch = async || {
            let fetched = self.get(jwks_uri).await.and_then(|document| Jwks::parse(&document));
            let value = fetched.map(|jwks| Arc::new(KeySet::from_jwks(&jwks)));
            room.keys.insert(jwks_uri.to_owned(), Kept { value: value.clone(), at: self.clock.monotonic() });
            value
        };
        self.once(named_by, jwks_uri, known, fetch).await?
    }

    /// The keys of an issuer that an administrator chose, by its metadata.
    pub(in crate::zone) async fn of_issuer(&self, issuer: &str, kid: Option<&str>) -> Option<Arc<KeySet>> {
        let by = NamedBy::Administrator;
        let known = || self.fresh(self.room(by).issuers.get(issuer), |_| true);
        let document = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
        let fetch = async || {
            let metadata = self.get(&document).await;
            let metadata: Option<Metadata> = metadata.and_then(|document| serde_json::from_slice(&document).ok());
            // Another issuer's metadata is not to be used (RFC 8414 §3.3).
            let metadata = metadata.filter(|metadata| metadata.issuer == issuer);
            let value = metadata.map(|metadata| Arc::from(metadata.jwks_uri));
            self.room(by).issuers.insert(issuer.to_owned(), Kept { value: value.clone(), at: self.clock.monotonic() });
            value
        };
        let jwks_uri: Arc<str> = self.once(by, &document, known, fetch).await??;
        self.at(by, &jwks_uri, kid).await
    }

    /// What `known` has, else what `fetch` brings when it is its turn and `known` still has nothing. `fetch` asks at
    /// `address` and keeps what it found where `known` looks. None when the zone closes.
    pub(in crate::zone) async fn once<T>(
        &self,
        named_by: NamedBy,
        address: &str,
        known: impl Fn() -> Option<T>,
        fetch: impl AsyncFnOnce() -> T,
    ) -> Option<T> {
        if let Some(known) = known() {
            return Some(known);
        }
        let room = self.room(named_by);
        let alone = room.addresses.get_with(address.to_owned(), || Arc::new(Semaphore::new(1)));
        let _alone = alone.acquire().await.ok()?;
        // Somebody else may have fetched it while we waited.
        if let Some(known) = known() {
            return Some(known);
        }
        let _turn = room.turns.acquire().await.ok()?;
        Some(fetch().await)
    }

    fn room(&self, named_by: NamedBy) -> &Room {
        match named_by {
            NamedBy::Administrator => &self.administrators,
            NamedBy::Stranger => &self.strangers,
        }
    }

    /// None when it must be fetched: what will not do, and a failure, are let be for a while only.
    #[allow(clippy::option_option, reason = "not fetched, fetched in vain, fetched")]
    fn fresh<T: ?Sized>(&self, kept: Option<Kept<T>>, will_do: impl Fn(&T) -> bool) -> Option<Option<Arc<T>>> {
        let kept = kept?;
        let age = self.clock.monotonic().saturating_sub(kept.at);
        let will_do = kept.value.as_deref().is_some_and(will_do);
        (age < if will_do { ZONE_FOREIGN_KEYS_LIFETIME } else { ZONE_FOREIGN_KEYS_REST }).then_some(kept.value)
    }

    /// The document at an address. Whoever calls it waited for its turn by [`ForeignKeys::once`].
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
