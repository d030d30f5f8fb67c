//! The proof of step 4: a header for one resource and one session; and what makes one differ from another.

use std::fmt;
use std::hash::Hash;
use std::hash::Hasher;
use std::sync::Arc;

use hyper::header::HeaderName;
use hyper::header::HeaderValue;

use crate::agent::Session;
use crate::credential::Provenance;
use crate::credential::Secrets;
use crate::credential::cache::Key;
use crate::model::HeaderNotLegal;
use crate::model::Secret;
use crate::resource::Resource;

/// A header that carries a token, for one resource and one session. Cheap to clone.
#[derive(Clone)]
pub struct Credential(Arc<Parts>);

/// What a refused credential's owner should do.
#[must_use = "it says whether to try again"]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// It is dropped: asking again gives another.
    AskAgain,
    /// Asking again would give the same: it is a stored secret, or its successor was refused just now.
    Final,
}

struct Parts {
    value: HeaderValue,
    purpose: Purpose,
    provenance: Provenance,
}

/// One credential twice: as it is when fetched, and as it is when found again.
#[derive(Clone)]
pub(super) struct Pair {
    pub(super) fetched: Credential,
    pub(super) at_hand: Credential,
}

/// Everything that makes a credential different. The zone is not in it: each zone has its own entries,
/// because a vault that is given another zone drops all.
#[derive(Clone)]
pub(super) struct Purpose {
    pub(super) session: Arc<Session>,
    pub(super) resource: Arc<Resource>,
    /// Those that were loaded together with the resource: another load is another purpose.
    pub(super) secrets: Arc<Secrets>,
}

impl Credential {
    pub(super) fn purpose(&self) -> &Purpose {
        &self.0.purpose
    }

    /// Which header.
    pub fn name(&self) -> &HeaderName {
        self.0.purpose.resource.header.name()
    }

    /// Its value, which is sensitive. A clone costs a reference count.
    pub fn value(&self) -> &HeaderValue {
        &self.0.value
    }

    /// All that may be said of it.
    pub fn provenance(&self) -> &Provenance {
        &self.0.provenance
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credential")
            .field("name", self.name())
            .field("provenance", self.provenance())
            .finish_non_exhaustive()
    }
}

impl Purpose {
    /// Renders `secret` as the resource wants it.
    pub(super) fn pair(&self, secret: &Secret, provenance: Provenance) -> Result<Pair, HeaderNotLegal> {
        let value = self.resource.header.render(secret)?;
        let found = Provenance { cached: true, ..provenance.clone() };
        let credential =
            |provenance| Credential(Arc::new(Parts { value: value.clone(), purpose: self.clone(), provenance }));
        Ok(Pair { fetched: credential(provenance), at_hand: credential(found) })
    }
}

impl Key for Purpose {
    fn is_live(&self) -> bool {
        self.session.is_open()
    }
}

// INVARIANT: everything of session and resource that `fetch` or `pair` reads is compared here.
impl PartialEq for Purpose {
    fn eq(&self, other: &Self) -> bool {
        let same_session = Arc::ptr_eq(&self.session, &other.session)
            || (self.session.id() == other.session.id()
                && self.session.user() == other.session.user()
                && self.session.agent() == other.session.agent());
        let same_resource = Arc::ptr_eq(&self.resource, &other.resource)
            || (self.resource.identifier == other.resource.identifier
                && self.resource.source == other.resource.source
                && self.resource.header == other.resource.header);
        same_session && same_resource && Arc::ptr_eq(&self.secrets, &other.secrets)
    }
}

impl Eq for Purpose {}

impl Hash for Purpose {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.session.id().hash(state);
        self.resource.identifier.hash(state);
    }
}
