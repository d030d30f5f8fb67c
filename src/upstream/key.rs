//! What a connection was made for: it serves nothing else.

use std::collections::HashSet;
use std::hash::Hash;
use std::hash::Hasher;
use std::sync::Arc;
use std::thread;
use std::thread::ThreadId;

use crate::agent::Session;
use crate::model::Authority;
use crate::model::Scheme;
use crate::resource::ResourceInstance;
use crate::upstream::Protocol;

/// What a connection was made for.
#[derive(Clone, Debug)]
pub(super) struct Key {
    /// One and the same value for as long as it lasts.
    session: Arc<Session>,
    owner: Owner,
    host: Authority,
    protocol: Protocol,
    /// A connection is woken by the thread that made it, so that it is used there only.
    thread: ThreadId,
}

/// By whose rules it was dialled and verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Owner {
    /// This resource's; not those of another one of the same identifier.
    Resource(ResourceInstance),
    /// Those for hosts that are no resource.
    Passage(Scheme),
}

impl Key {
    pub(super) fn new(session: &Arc<Session>, owner: Owner, host: &Authority, protocol: Protocol) -> Self {
        Self { session: Arc::clone(session), owner, host: host.clone(), protocol, thread: thread::current().id() }
    }

    /// For whom, as long as it is open.
    pub(super) fn session(&self) -> &Session {
        &self.session
    }

    pub(super) fn owner(&self) -> Owner {
        self.owner
    }

    /// Whom it reaches.
    pub(super) fn host(&self) -> &Authority {
        &self.host
    }

    /// What the agent speaks.
    pub(super) fn protocol(&self) -> Protocol {
        self.protocol
    }
}

impl Owner {
    /// Whether they are still in force; those for hosts that are no resource always are.
    pub(super) fn is_in(self, in_force: &HashSet<ResourceInstance>) -> bool {
        match self {
            Self::Resource(instance) => in_force.contains(&instance),
            Self::Passage(_) => true,
        }
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.thread == other.thread
            && Arc::ptr_eq(&self.session, &other.session)
            && self.owner == other.owner
            && self.protocol == other.protocol
            && self.host == other.host
    }
}

impl Eq for Key {}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        std::ptr::hash(Arc::as_ptr(&self.session), state);
        self.thread.hash(state);
        self.owner.hash(state);
        self.host.hash(state);
    }
}
