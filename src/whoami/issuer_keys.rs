//! The issuer's public keys: fetched by way of its metadata, kept for a while.
//!
//! One fetch at a time; an unknown key id leads to a fetch no more often than [`WHOAMI_KEYS_LOOK_INTERVAL`], and an
//! issuer that failed is left alone for [`WHOAMI_ISSUER_REST`]: no flood of callers is passed on to the issuer.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use axum::http::Request;
use axum::http::StatusCode;
use axum::http::Uri;
use axum::http::header::ACCEPT;
use bytes::Bytes;
use serde::Deserialize;
use tokio::sync::Semaphore;

use crate::http::Client;
use crate::http::Failed;
use crate::jose::Jwks;
use crate::jose::KeySet;
use crate::limits::WHOAMI_ISSUER_REST;
use crate::limits::WHOAMI_KEYS_LIFETIME;
use crate::limits::WHOAMI_KEYS_LOOK_INTERVAL;
use crate::model::Clock;
use crate::whoami::well_known::well_known;

/// The keys of one issuer.
pub(super) struct IssuerKeys {
    issuer: String,
    client: Client,
    clock: Arc<dyn Clock>,
    kept: ArcSwapOption<Kept>,
    /// When an unknown key id last led to a fetch.
    looked_at: ArcSwapOption<Duration>,
    /// When a fetch last failed.
    failed_at: ArcSwapOption<Duration>,
    turn: Semaphore,
}

struct Kept {
    keys: Arc<KeySet>,
    fetched_at: Duration,
}

/// The keys can't be had.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unreachable {
    /// No answer.
    #[error("the issuer could not be reached")]
    Failed(#[from] Failed),
    /// Another status than 200.
    #[error("the issuer answered with status {0}")]
    Status(StatusCode),
    /// Not the documents that RFC 8414 and RFC 7517 describe, or of another issuer.
    #[error("the issuer's metadata or key set are not usable")]
    Document,
    /// The issuer failed a moment ago and is not asked again yet.
    #[error("the issuer could not be reached a moment ago")]
    Resting,
}

#[derive(Deserialize)]
struct Metadata {
    issuer: String,
    jwks_uri: String,
}

impl IssuerKeys {
    /// Nothing is fetched before somebody asks.
    pub(super) fn new(issuer: String, client: Client, clock: Arc<dyn Clock>) -> Self {
        let (kept, looked_at, failed_at) = (ArcSwapOption::empty(), ArcSwapOption::empty(), ArcSwapOption::empty());
        Self { issuer, client, clock, kept, looked_at, failed_at, turn: Semaphore::new(1) }
    }

    /// Keys that are fresh enough.
    pub(super) async fn current(&self) -> Result<Arc<KeySet>, Unreachable> {
        if let Some(keys) = self.fresh() {
            return Ok(keys);
        }
        let _turn = self.turn.acquire().await.map_err(|_| Unreachable::Resting)?;
        match self.fresh() {
            // Somebody else fetched while we waited for our turn.
            Some(keys) => Ok(keys),
            None => self.fetch().await,
        }
    }

    /// Keys newer than `known`, which lacks one; `known` again when somebody looked a moment ago.
    pub(super) async fn newer_than(&self, known: &Arc<KeySet>) -> Result<Arc<KeySet>, Unreachable> {
        let _turn = self.turn.acquire().await.map_err(|_| Unreachable::Resting)?;
        match self.fresh() {
            Some(keys) if !Arc::ptr_eq(&keys, known) => Ok(keys),
            _ if self.within(WHOAMI_KEYS_LOOK_INTERVAL, &self.looked_at) => Ok(Arc::clone(known)),
            _ => {
                self.looked_at.store(Some(Arc::new(self.clock.monotonic())));
                self.fetch().await
            }
        }
    }

    fn fresh(&self) -> Option<Arc<KeySet>> {
        let kept = self.kept.load();
        let kept = kept.as_ref()?;
        let age = self.clock.monotonic().saturating_sub(kept.fetched_at);
        (age < WHOAMI_KEYS_LIFETIME).then(|| Arc::clone(&kept.keys))
    }

    fn within(&self, interval: Duration, moment: &ArcSwapOption<Duration>) -> bool {
        let moment = moment.load();
        moment.as_ref().is_some_and(|moment| self.clock.monotonic().saturating_sub(**moment) < interval)
    }

    async fn fetch(&self) -> Result<Arc<KeySet>, Unreachable> {
        if self.within(WHOAMI_ISSUER_REST, &self.failed_at) {
            return Err(Unreachable::Resting);
        }
        let fetched = self.fetch_now().await;
        let now = self.clock.monotonic();
        match &fetched {
            Ok(keys) => self.kept.store(Some(Arc::new(Kept { keys: Arc::clone(keys), fetched_at: now }))),
            Err(_) => self.failed_at.store(Some(Arc::new(now))),
        }
        fetched
    }

    async fn fetch_now(&self) -> Result<Arc<KeySet>, Unreachable> {
        let metadata = self.get(&well_known(&self.issuer, METADATA)).await?;
        let metadata: Metadata = serde_json::from_slice(&metadata).map_err(|_| Unreachable::Document)?;
        // RFC 8414 §3.3: another issuer's metadata are not to be used. Keys from elsewhere are no better.
        if metadata.issuer != self.issuer || !same_origin(&metadata.jwks_uri, &self.issuer) {
            return Err(Unreachable::Document);
        }
        let jwks = Jwks::parse(&self.get(&metadata.jwks_uri).await?).ok_or(Unreachable::Document)?;
        Ok(Arc::new(KeySet::from_jwks(&jwks)))
    }

    async fn get(&self, url: &str) -> Result<Bytes, Unreachable> {
        let request = Request::get(url).header(ACCEPT, "application/json").body(Bytes::new());
        let response = self.client.send(request.map_err(|_| Unreachable::Document)?).await?;
        match response.status() {
            StatusCode::OK => Ok(response.into_body()),
            other => Err(Unreachable::Status(other)),
        }
    }
}

fn same_origin(url: &str, issuer: &str) -> bool {
    let (Ok(url), Ok(issuer)) = (url.parse::<Uri>(), issuer.parse::<Uri>()) else { return false };
    url.scheme() == issuer.scheme() && url.authority() == issuer.authority() && url.authority().is_some()
}

/// RFC 8414 §3.
const METADATA: &str = "/.well-known/oauth-authorization-server";
