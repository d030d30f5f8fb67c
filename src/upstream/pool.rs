//! Idle connections, kept apart by everything that must not be shared.

use std::collections::HashMap;
use std::future::poll_fn;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::task::Context;
use std::task::Poll;
use std::task::Waker;

use crate::agent::Session;
use crate::limits;
use crate::model::Authority;
use crate::model::ResourceId;
use crate::model::SessionId;
use crate::resource::Resource;
use crate::upstream::Protocol;
use crate::upstream::connection::Sender;

/// What a connection was made for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    session: SessionId,
    resource: ResourceId,
    host: Authority,
    protocol: Protocol,
}

impl Key {
    pub(super) fn new(session: &Session, resource: &Resource, host: &Authority, protocol: Protocol) -> Self {
        Self { session: session.id().clone(), resource: resource.identifier.clone(), host: host.clone(), protocol }
    }

    /// Whom it was made for.
    pub(super) fn host(&self) -> &Authority {
        &self.host
    }

    /// What was offered when it was made.
    pub(super) fn protocol(&self) -> Protocol {
        self.protocol
    }
}

/// Idle HTTP/1 connections, and HTTP/2 connections that many requests share. The last one used is the first
/// taken, so that what isn't needed grows old; the API closes what it no longer wants.
#[derive(Debug, Default)]
pub(super) struct Pool {
    idle: Mutex<HashMap<Key, Vec<Sender>>>,
}

impl Pool {
    /// A connection that takes another request now. A look at its socket tells whether the API has closed it
    /// meanwhile.
    pub(super) async fn take(&self, key: &Key) -> Option<Sender> {
        loop {
            let mut sender = self.pop(key)?;
            if poll_fn(|cx| Poll::Ready(sender.is_idle(cx))).await {
                return Some(sender);
            }
        }
    }

    /// Gives a connection back once its body has passed.
    pub(super) fn put(&self, key: Key, sender: Sender) {
        if sender.is_closed() {
            return;
        }
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let senders = idle.entry(key).or_default();
        // one HTTP/2 connection serves all; a second one from a race may go
        let room = match sender.protocol() {
            Protocol::Http1 => limits::UPSTREAM_IDLE_PER_KEY_MAX,
            Protocol::Http2 => 1,
        };
        if senders.len() < room {
            senders.push(sender);
        }
    }

    /// Whether a connection is at hand.
    pub(super) fn has(&self, key: &Key) -> bool {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.get(key).is_some_and(|senders| senders.iter().any(|sender| !sender.is_closed()))
    }

    pub(super) fn end_session(&self, session: &SessionId) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|key, _| key.session != *session);
    }

    pub(super) fn clear(&self) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Drops connections that the other side has closed. Nobody drives an idle one, so that it is looked at here.
    pub(super) fn sweep(&self) {
        let mut nobody = Context::from_waker(Waker::noop());
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|_, senders| {
            senders.retain_mut(|sender| sender.is_idle(&mut nobody));
            !senders.is_empty()
        });
    }

    fn pop(&self, key: &Key) -> Option<Sender> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let senders = idle.get_mut(key)?;
        match senders.last()?.protocol() {
            Protocol::Http1 => senders.pop(),
            Protocol::Http2 => {
                let shared = senders.last().and_then(Sender::share).filter(|sender| !sender.is_closed());
                if shared.is_none() {
                    senders.clear();
                }
                shared
            }
        }
    }
}
