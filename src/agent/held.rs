//! What the registry keeps: sessions with the digests of their secrets.
//!
//! The digests never leave this file; they are compared in a time that does not depend on where they differ.

use std::collections::HashMap;
use std::collections::VecDeque;
use std::sync::Arc;

use aws_lc_rs::constant_time;
use aws_lc_rs::digest;

use crate::agent::Session;
use crate::limits;
use crate::model::Secret;

/// The open ones by id, and the last that ended, so that their callers hear why they are refused.
#[derive(Default)]
pub(in crate::agent) struct Sessions {
    pub(in crate::agent) open: HashMap<Box<str>, Held>,
    pub(in crate::agent) ended: VecDeque<Held>,
}

/// A session, and what proves that a caller is its own.
pub(in crate::agent) struct Held {
    pub(in crate::agent) session: Arc<Session>,
    secret_digest: SecretDigest,
}

/// SHA-256 of a secret. The secret is random and long, so that nothing slower is called for.
pub(in crate::agent) struct SecretDigest(digest::Digest);

impl Sessions {
    pub(in crate::agent) fn insert(&mut self, held: Held) {
        self.open.insert(held.session.id().as_str().into(), held);
    }

    pub(in crate::agent) fn remember(&mut self, held: Held) {
        if self.ended.len() >= limits::SESSIONS_ENDED_REMEMBERED {
            self.ended.pop_front();
        }
        self.ended.push_back(held);
    }

    pub(in crate::agent) fn remembers(&self, id: &str, presented: &SecretDigest) -> bool {
        self.ended.iter().any(|held| held.session.id().as_str() == id && held.has_secret(presented))
    }
}

impl Held {
    pub(in crate::agent) fn new(session: Arc<Session>, secret: &Secret) -> Self {
        Self { session, secret_digest: SecretDigest::of(secret.expose()) }
    }

    pub(in crate::agent) fn has_secret(&self, presented: &SecretDigest) -> bool {
        constant_time::verify_slices_are_equal(self.secret_digest.0.as_ref(), presented.0.as_ref()).is_ok()
    }
}

impl SecretDigest {
    pub(in crate::agent) fn of(secret: &[u8]) -> Self {
        Self(digest::digest(&digest::SHA256, secret))
    }
}
