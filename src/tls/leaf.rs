//! Leaves: one name, one day, one key for all of them, made once per host and kept.
//!
//! The leg to the agent never leaves this machine, so that its cryptography is chosen by what it costs, by us.

use std::fmt;
use std::sync::Arc;

use moka::ops::compute::CompResult;
use moka::ops::compute::Op;
use moka::policy::EvictionPolicy;
use moka::sync::Cache;
use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs;
use rustls::crypto::aws_lc_rs::Ticketer;
use rustls::server::ProducesTickets;
use rustls::server::ServerSessionMemoryCache;
use rustls::server::StoresServerSessions;
use rustls::sign::CertifiedKey;
use rustls::sign::SigningKey;
use rustls::sign::SingleCertAndKey;
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::PrivatePkcs8KeyDer;

use crate::limits::AGENT_TLS_SESSIONS_MAX;
use crate::limits::LEAF_BACKDATED;
use crate::limits::LEAF_LIFETIME;
use crate::limits::LEAVES_MAX;
use crate::model::Host;
use crate::model::Timestamp;
use crate::tls::certificate::leaf_params;
use crate::tls::generation::Intermediate;
use crate::tls::key::Key;
use crate::tls::provider;
use crate::tls::state::State;

/// Which protocols an agent may choose inside TLS (RFC 7301). One that names none gets HTTP/1.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Alpn {
    /// `h2`, then `http/1.1`.
    Http2AndHttp1,
    /// `http/1.1` alone.
    Http1,
}

/// Why there is no leaf for a host.
#[derive(Debug, thiserror::Error)]
pub enum LeafError {
    /// Certificates are made for names alone.
    #[error("`{0}` is an address, and certificates are made for names only")]
    Address(Host),
    /// No resource has this host.
    #[error("`{0}` is no configured host, so that no certificate is made for it")]
    NotPermitted(Host),
    /// No living intermediate may sign for it: the folder was not looked after for long, or the clock jumped.
    #[error("no certificate of ours is valid now that may sign for `{0}`")]
    Expired(Host),
    /// The certificate could not be made.
    #[error("could not make a certificate for `{host}`")]
    Make {
        /// For whom.
        host: Host,
        /// What rcgen said.
        source: rcgen::Error,
    },
    /// rustls did not take it.
    #[error("could not prepare TLS for `{host}`")]
    Tls {
        /// For whom.
        host: Host,
        /// What rustls said.
        source: rustls::Error,
    },
}

/// All leaves and what they share.
pub(super) struct Leaves {
    key: Key,
    signer: Arc<dyn SigningKey>,
    provider: Arc<CryptoProvider>,
    tickets: Arc<dyn ProducesTickets>,
    sessions: Arc<dyn StoresServerSessions>,
    kept: Cache<Host, Leaf>,
}

#[derive(Clone)]
struct Leaf {
    http2_and_http1: Arc<ServerConfig>,
    http1: Arc<ServerConfig>,
    generation: Arc<str>,
    from: Timestamp,
    renewed_at: Timestamp,
}

impl Leaves {
    /// With a key of their own that is only ever in memory.
    pub(super) fn new() -> Result<Self, rustls::Error> {
        let failed = |_| rustls::Error::General("no key for leaves".to_owned());
        let key = Key::generate().map_err(failed)?;
        let document = key.to_pkcs8().map_err(failed)?;
        let der = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(document.as_ref()));
        Ok(Self {
            signer: aws_lc_rs::sign::any_ecdsa_type(&der)?,
            key,
            provider: Arc::new(provider::for_loopback()),
            tickets: Ticketer::new()?,
            sessions: ServerSessionMemoryCache::new(AGENT_TLS_SESSIONS_MAX),
            kept: Cache::builder().max_capacity(LEAVES_MAX).eviction_policy(EvictionPolicy::lru()).build(),
        })
    }

    pub(super) fn server_config(
        &self,
        host: &Host,
        alpn: Alpn,
        state: &State,
        now: Timestamp,
    ) -> Result<Arc<ServerConfig>, LeafError> {
        let (generation, intermediate) = state.signer(host, now)?;
        if let Some(leaf) = self.kept.get(host)
            && leaf.serves(&generation.name, now)
        {
            return Ok(leaf.config(alpn));
        }
        // moka lets one thread at a time in here per host, so that a leaf is made once
        let made = self.kept.entry_by_ref(host).and_try_compute_with(|kept| match kept {
            Some(kept) if kept.value().serves(&generation.name, now) => Ok(Op::Nop),
            _ => {
                let until = now.after(LEAF_LIFETIME).min(generation.not_after);
                self.make(host, intermediate, &generation.name, now, until).map(Op::Put)
            }
        })?;
        match made {
            CompResult::Inserted(entry) | CompResult::ReplacedWith(entry) | CompResult::Unchanged(entry) => {
                Ok(entry.into_value().config(alpn))
            }
            CompResult::StillNone(_) | CompResult::Removed(_) => Err(LeafError::Expired(host.clone())),
        }
    }

    /// How many leaves are kept.
    pub(super) fn count(&self) -> u64 {
        self.kept.run_pending_tasks();
        self.kept.entry_count()
    }

    fn make(
        &self,
        host: &Host,
        intermediate: &Intermediate,
        generation: &str,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Leaf, LeafError> {
        let from = now.before(LEAF_BACKDATED);
        let failed = |source| LeafError::Make { host: host.clone(), source };
        let params = leaf_params(host, from, until).map_err(failed)?;
        let leaf = params.signed_by(&self.key, &intermediate.issuer).map_err(failed)?;
        let chain = vec![leaf.into(), intermediate.certificate.clone()];
        let refused = |source| LeafError::Tls { host: host.clone(), source };
        let http1 = self.config(CertifiedKey::new(chain, Arc::clone(&self.signer))).map_err(refused)?;
        let mut http2_and_http1 = http1.clone();
        http2_and_http1.alpn_protocols.insert(0, b"h2".to_vec());
        Ok(Leaf {
            http2_and_http1: Arc::new(http2_and_http1),
            http1: Arc::new(http1),
            generation: generation.into(),
            from,
            renewed_at: until.before(until.since(from) / 4),
        })
    }

    fn config(&self, certified: CertifiedKey) -> Result<ServerConfig, rustls::Error> {
        let mut config = ServerConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(SingleCertAndKey::from(certified)));
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        config.ignore_client_order = true;
        // one to begin with; each resumption brings another
        config.send_tls13_tickets = 1;
        // rustls resumes a session only for the name it was made for, so that all hosts can share these
        config.ticketer = Arc::clone(&self.tickets);
        config.session_storage = Arc::clone(&self.sessions);
        // INVARIANT: no early data: it could be replayed past a decision
        config.max_early_data_size = 0;
        Ok(config)
    }
}

impl Leaf {
    fn serves(&self, generation: &str, now: Timestamp) -> bool {
        *self.generation == *generation && self.from <= now && now < self.renewed_at
    }

    fn config(self, alpn: Alpn) -> Arc<ServerConfig> {
        match alpn {
            Alpn::Http2AndHttp1 => self.http2_and_http1,
            Alpn::Http1 => self.http1,
        }
    }
}

impl fmt::Debug for Leaves {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Leaves").field("kept", &self.kept.entry_count()).finish_non_exhaustive()
    }
}
