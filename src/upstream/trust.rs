//! How TLS is spoken to each resource: what its server must show, and which HTTP it is offered.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;

use arc_swap::ArcSwap;
use rustls::ClientConfig;

use crate::resource::Resource;
use crate::resource::ResourceInstance;
use crate::tls;
use crate::tls::Roots;
use crate::upstream::NotForwarded;
use crate::upstream::Protocol;

/// TLS with the resources in force, made ready.
pub(super) struct Trust {
    /// The platform's; a resource adds its own.
    roots: Roots,
    prepared: ArcSwap<HashMap<ResourceInstance, Arc<Speech>>>,
}

/// TLS with one resource, by what is offered.
#[derive(Debug)]
pub(super) struct Speech {
    http1: Arc<ClientConfig>,
    http2: Arc<ClientConfig>,
    /// Learnt from a refusal of HTTP/1.
    http2_only: AtomicBool,
    /// Learnt from a server that had the choice.
    http1_only: AtomicBool,
}

impl Trust {
    pub(super) fn new(roots: Roots) -> Self {
        Self { roots, prepared: ArcSwap::default() }
    }

    /// Makes ready for these and forgets the others. A resource whose own roots can't be used is told when it is
    /// asked for.
    pub(super) fn prepare(&self, resources: &[&Arc<Resource>]) {
        let known = self.prepared.load();
        let speech = |resource: &Resource| {
            known.get(&resource.instance).map_or_else(|| self.make(resource), |known| Ok(Arc::clone(known)))
        };
        let prepared =
            resources.iter().filter_map(|resource| Some((resource.instance, speech(resource).ok()?))).collect();
        self.prepared.store(Arc::new(prepared));
    }

    /// For this resource and no other, of the same identifier neither.
    pub(super) fn of(&self, resource: &Resource) -> Result<Arc<Speech>, NotForwarded> {
        let known = self.prepared.load().get(&resource.instance).cloned();
        known.map_or_else(|| self.make(resource), Ok)
    }

    /// An agent that speaks HTTP/1 needs no more upstream, and one connection for each of its own carries no
    /// head-of-line wait; one that speaks HTTP/2 is offered both.
    fn make(&self, resource: &Resource) -> Result<Arc<Speech>, NotForwarded> {
        let config = |alpn: &[&[u8]]| {
            tls::client_config(&self.roots, &resource.extra_roots, alpn).map_err(NotForwarded::OwnRoots)
        };
        let (http1, http2) = (config(&[b"http/1.1"])?, config(&[b"h2", b"http/1.1"])?);
        Ok(Arc::new(Speech { http1, http2, http2_only: AtomicBool::default(), http1_only: AtomicBool::default() }))
    }
}

impl Speech {
    /// What is offered for an agent that speaks `protocol`.
    pub(super) fn offered(&self, protocol: Protocol) -> &Arc<ClientConfig> {
        match protocol {
            Protocol::Http1 if !self.http2_only.load(Ordering::Relaxed) => &self.http1,
            Protocol::Http1 | Protocol::Http2 => &self.http2,
        }
    }

    /// The server refused HTTP/1: a server of gRPC alone knows none, whatever the agent speaks.
    pub(super) fn refuses_http1(&self) {
        self.http2_only.store(true, Ordering::Relaxed);
    }

    /// What the server chose for an agent that speaks `asked`.
    pub(super) fn chose(&self, asked: Protocol, chosen: Protocol) {
        if asked == Protocol::Http2 {
            self.http1_only.store(chosen == Protocol::Http1, Ordering::Relaxed);
        }
    }

    /// Whether one connection is expected to serve many requests.
    pub(super) fn is_shared(&self, protocol: Protocol) -> bool {
        match protocol {
            Protocol::Http1 => self.http2_only.load(Ordering::Relaxed),
            Protocol::Http2 => !self.http1_only.load(Ordering::Relaxed),
        }
    }
}
