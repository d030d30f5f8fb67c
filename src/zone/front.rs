//! Where requests come in: each is handed to the zone whose name it was sent to, and to no other.
//!
//! The zones beside the home zone are opened when they are first asked for and kept in memory, up to
//! [`ZONE_ISSUERS_MAX`]; one that another replica made is found at once, for what is not in memory is looked up.
//! Never: an answer to a name that is not ours, or one that tells which zones there are.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::HeaderValue;
use axum::http::StatusCode;
use axum::http::header::RETRY_AFTER;
use axum::response::IntoResponse as _;
use axum::response::Response;
use moka::sync::Cache;
use tower::Service as _;

use crate::limits::ZONE_ISSUERS_MAX;
use crate::limits::ZONE_KEYS_LOOK;
use crate::limits::ZONE_REQUEST_TIMEOUT;
use crate::limits::ZONE_RETRY_AFTER_S;
use crate::zone::id::ZoneId;
use crate::zone::issuer::Issuer;
use crate::zone::keyring::KeyringFailed;
use crate::zone::names::Asked;
use crate::zone::names::Names;
use crate::zone::oauth;

/// All zones of a database at one listener. Cheap to clone.
#[derive(Clone)]
pub(in crate::zone) struct Front {
    names: Arc<Names>,
    home: Router,
    zones: Zones,
}

/// The zones beside the home zone, as far as somebody asked for them.
#[derive(Clone)]
pub(in crate::zone) struct Zones {
    home: Arc<Issuer>,
    open: Cache<String, Arc<Open>>,
}

/// A zone in memory.
struct Open {
    issuer: Arc<Issuer>,
    router: Router,
    /// When its keys were read last, on the monotonic clock.
    looked_ms: AtomicU64,
}

impl Front {
    /// `home` answers for the home zone.
    pub(in crate::zone) fn new(names: Names, home: Router, zones: Zones) -> Self {
        Self { names: Arc::new(names), home, zones }
    }

    /// The answer of whomever the request is for.
    pub(in crate::zone) async fn answer(&self, request: Request) -> Response {
        let router = match self.names.asked(&request) {
            Some(Asked::Home) => Ok(Some(self.home.clone())),
            Some(Asked::Zone(zone)) => self.zones.router(&zone).await,
            None => Ok(None),
        };
        match router {
            Ok(Some(mut router)) => router.call(request).await.unwrap_or_else(|never| match never {}),
            // The same for a zone that there is not as for any other name.
            Ok(None) => StatusCode::MISDIRECTED_REQUEST.into_response(),
            Err(failed) => unavailable(&failed),
        }
    }
}

impl Zones {
    /// Those of the database of `home`.
    pub(in crate::zone) fn new(home: Arc<Issuer>) -> Self {
        Self { home, open: Cache::new(ZONE_ISSUERS_MAX) }
    }

    /// The endpoints of a zone; none where there is no such zone, or it is the home zone, which has another name.
    async fn router(&self, zone: &str) -> Result<Option<Router>, KeyringFailed> {
        if let Some(open) = self.open.get(zone)
            && self.is_there(&open).await
        {
            return Ok(Some(open.router.clone()));
        }
        let id = ZoneId::known(zone.to_owned());
        if &id == self.home.store.zone() || !self.home.store.is_zone(&id).await? {
            self.open.invalidate(zone);
            return Ok(None);
        }
        let issuer = Arc::new(self.home.for_zone(id).await?);
        let router = oauth::router(Arc::clone(&issuer), ZONE_REQUEST_TIMEOUT);
        let looked_ms = AtomicU64::new(millis(self.home.clock.monotonic()));
        self.open.insert(zone.to_owned(), Arc::new(Open { issuer, router: router.clone(), looked_ms }));
        Ok(Some(router))
    }

    /// Whether the zone is still there, for all we know. Its keys are renewed and read anew now and then, and a zone that was
    /// removed has none. Until then nothing can be had from it, for its rows are gone.
    async fn is_there(&self, open: &Open) -> bool {
        let now = self.home.clock.monotonic();
        let looked = Duration::from_millis(open.looked_ms.load(Ordering::Relaxed));
        if now.saturating_sub(looked) < ZONE_KEYS_LOOK {
            return true;
        }
        let Issuer { keyring, store, clock, .. } = &*open.issuer;
        match keyring.keep_young(store, clock.now()).await {
            Ok(_) => {
                open.looked_ms.store(millis(now), Ordering::Relaxed);
                true
            }
            Err(KeyringFailed::None) => false,
            Err(failed) => {
                tracing::warn!(error = &failed as &dyn std::error::Error, "the keys could not be read anew");
                true
            }
        }
    }
}

fn unavailable(failed: &KeyringFailed) -> Response {
    tracing::error!(error = failed as &dyn std::error::Error, "a zone could not be opened");
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static(ZONE_RETRY_AFTER_S));
    response
}

fn millis(moment: Duration) -> u64 {
    u64::try_from(moment.as_millis()).unwrap_or(u64::MAX)
}
