//! All sessions that are open, and the one way to become one.
//!
//! Keeps of a session's secret only its SHA-256 and compares in constant time. A lookup costs a read lock,
//! a hash lookup and one digest. Never logs what a caller presented.

use std::fmt;
use std::sync::Arc;
use std::sync::PoisonError;
use std::sync::RwLock;
use std::sync::RwLockReadGuard;
use std::sync::RwLockWriteGuard;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hyper::header::HeaderValue;

use crate::agent::Caller;
use crate::agent::Session;
use crate::agent::basic;
use crate::agent::held::Held;
use crate::agent::held::SecretDigest;
use crate::agent::held::Sessions;
use crate::agent::session::Ended;
use crate::limits;
use crate::model::AgentName;
use crate::model::Clock;
use crate::model::Secret;
use crate::model::SessionId;
use crate::model::UserName;
use crate::os::random;

/// Opens, identifies and ends sessions.
pub struct Registry {
    clock: Arc<dyn Clock>,
    anonymous: Option<Arc<Session>>,
    sessions: RwLock<Sessions>,
    open_max: usize,
}

/// Who wants a session.
#[derive(Clone, Debug)]
pub struct Opening {
    /// Which agent.
    pub agent: AgentName,
    /// For whom.
    pub user: UserName,
    /// The process that asks.
    pub caller: Caller,
}

/// A fresh session, and its secret: told once, kept nowhere.
#[derive(Debug)]
pub struct Opened {
    /// The session.
    pub session: Arc<Session>,
    /// URL-safe text of 256 random bits.
    pub secret: Secret,
}

/// Why no session was opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotOpened {
    /// The bound is reached.
    #[error("{open} sessions are open, which is the most at one time")]
    TooMany {
        /// How many there are.
        open: usize,
    },
    /// The name stands for clients that did not identify themselves.
    #[error("the agent name `{name}` is reserved for clients without a session")]
    Reserved {
        /// The name.
        name: AgentName,
    },
}

/// Why a caller is nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unidentified {
    /// No `Proxy-Authorization`.
    #[error("no proxy credentials were sent")]
    Missing,
    /// Not the Basic credentials of a session.
    #[error("the proxy credentials are not those of a session")]
    Malformed,
    /// No such session, or not its secret: the caller is not told which.
    #[error("no session has these proxy credentials")]
    Unknown,
    /// It was one of ours; told only to who knows its secret.
    #[error("the session of these proxy credentials has ended")]
    Ended,
}

/// Why a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The child of its `run` is done.
    Closed,
    /// The connection of its `run` broke.
    CallerLost,
    /// Someone ended it.
    Revoked,
    /// The daemon stops.
    Stopping,
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Closed => "its command ended",
            Self::CallerLost => "its `run` is gone",
            Self::Revoked => "it was ended",
            Self::Stopping => "the daemon stops",
        })
    }
}

impl Registry {
    /// An empty one. Clients without a session are nobody.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, anonymous: None, sessions: RwLock::default(), open_max: limits::SESSIONS_OPEN_MAX }
    }

    /// Serves clients without a session as the agent [`ANONYMOUS`] of `user`.
    pub fn with_anonymous(mut self, user: UserName) -> Self {
        self.anonymous = AgentName::parse(ANONYMOUS)
            .ok()
            .map(|agent| Arc::new(self.new_session(Opening { agent, user, caller: Caller::default() })));
        self
    }

    /// The session of clients that have none, where the configuration has one.
    pub fn anonymous(&self) -> Option<Arc<Session>> {
        self.anonymous.clone()
    }

    /// Whether it is the session of clients that have none.
    pub fn is_anonymous(&self, session: &Session) -> bool {
        self.anonymous.as_ref().is_some_and(|anonymous| anonymous.id() == session.id())
    }

    /// Opens a session with an id and a secret of its own.
    pub fn open(&self, opening: Opening) -> Result<Opened, NotOpened> {
        if opening.agent.as_str() == ANONYMOUS {
            return Err(NotOpened::Reserved { name: opening.agent });
        }
        let secret = Secret::new(URL_SAFE_NO_PAD.encode(random::bytes::<32>()));
        let session = Arc::new(self.new_session(opening));
        let held = Held::new(session.clone(), &secret);
        let mut sessions = self.write();
        let open = sessions.open.len();
        if open >= self.open_max {
            return Err(NotOpened::TooMany { open });
        }
        sessions.insert(held);
        drop(sessions);
        tracing::info!(session = %session.id(), agent = %session.agent(), user = %session.user(), "session opened");
        Ok(Opened { session, secret })
    }

    /// Who sent this `Proxy-Authorization`.
    pub fn identify_basic(&self, header: Option<&HeaderValue>) -> Result<Arc<Session>, Unidentified> {
        let value = header.ok_or(Unidentified::Missing)?;
        basic::with_credentials(value, |id, secret| self.identify(id, secret)).ok_or(Unidentified::Malformed)?
    }

    /// Ends a session: its connections close, its credentials are worth nothing. None when it is not open.
    pub fn end(&self, id: &SessionId, why: Ending) -> Option<Arc<Session>> {
        let mut sessions = self.write();
        let held = sessions.open.remove(id.as_str())?;
        let session = held.session.clone();
        sessions.remember(held);
        drop(sessions);
        end(&session, why);
        Some(session)
    }

    /// Ends them all, the anonymous one too.
    pub fn end_all(&self, why: Ending) {
        let ending: Vec<Held> = self.write().open.drain().map(|(_, held)| held).collect();
        ending.iter().map(|held| &held.session).chain(&self.anonymous).for_each(|session| end(session, why));
    }

    /// The open ones, oldest first, without the anonymous one.
    pub fn list(&self) -> Vec<Arc<Session>> {
        let mut all: Vec<_> = self.read().open.values().map(|held| held.session.clone()).collect();
        all.sort_by(|a, b| (a.opened_at(), a.id()).cmp(&(b.opened_at(), b.id())));
        all
    }

    /// How many are open.
    pub fn count(&self) -> usize {
        self.read().open.len()
    }

    fn identify(&self, id: &str, secret: &[u8]) -> Result<Arc<Session>, Unidentified> {
        // The digest is made before the lookup, so that an unknown id takes as long as a wrong secret.
        let presented = SecretDigest::of(secret);
        let sessions = self.read();
        match sessions.open.get(id) {
            Some(held) if held.has_secret(&presented) => Ok(held.session.clone()),
            Some(_) => Err(Unidentified::Unknown),
            None if sessions.remembers(id, &presented) => Err(Unidentified::Ended),
            None => Err(Unidentified::Unknown),
        }
    }

    fn new_session(&self, opening: Opening) -> Session {
        Session {
            id: SessionId::from_random(random::bytes()),
            agent: opening.agent,
            user: opening.user,
            opened_at: self.clock.now(),
            caller: opening.caller,
            ended: Ended::default(),
        }
    }

    // Nothing in here panics while it holds the lock; a poisoned one is therefore still whole.
    fn read(&self) -> RwLockReadGuard<'_, Sessions> {
        self.sessions.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Sessions> {
        self.sessions.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry").field("open", &self.count()).finish_non_exhaustive()
    }
}

/// The agent name of clients without a session.
pub const ANONYMOUS: &str = "anonymous";

fn end(session: &Session, why: Ending) {
    session.ended.end();
    tracing::info!(session = %session.id(), agent = %session.agent(), %why, "session ended");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::os::SystemClock;

    fn registry() -> Registry {
        Registry::new(Arc::new(SystemClock::new()))
    }

    fn opening(agent: &str) -> Opening {
        Opening {
            agent: AgentName::parse(agent).unwrap(),
            user: UserName::parse("ada").unwrap(),
            caller: Caller::default(),
        }
    }

    fn basic_of(id: &str, secret: &str) -> HeaderValue {
        let encoded = base64::engine::general_purpose::STANDARD.encode(format!("{id}:{secret}"));
        HeaderValue::from_str(&format!("Basic {encoded}")).unwrap()
    }

    fn credentials(opened: &Opened) -> HeaderValue {
        basic_of(opened.session.id().as_str(), opened.secret.expose_str().unwrap())
    }

    #[test]
    fn a_session_is_identified_by_its_id_and_secret() {
        let registry = registry();
        let (one, two) = (registry.open(opening("curl")).unwrap(), registry.open(opening("git")).unwrap());
        let found = registry.identify_basic(Some(&credentials(&two))).unwrap();
        assert_eq!(found.id(), two.session.id());
        assert_eq!(found.agent().as_str(), "git");
        assert_ne!(one.session.id(), two.session.id());
        assert!(one.secret.expose().len() * 6 >= 160, "at least 160 bits of text");
        assert!(one.secret.expose().iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(byte)));
    }

    #[test]
    fn who_is_not_a_session_learns_nothing_but_that() {
        let registry = registry();
        let (one, two) = (registry.open(opening("curl")).unwrap(), registry.open(opening("git")).unwrap());
        let mut almost = one.secret.expose_str().unwrap().to_owned();
        let last = if almost.pop() == Some('A') { 'B' } else { 'A' };
        almost.push(last);
        let id = one.session.id().as_str();
        let swapped = basic_of(id, two.secret.expose_str().unwrap());
        for wrong in [basic_of(id, &almost), basic_of(id, ""), basic_of("ses_0", &almost), basic_of("", ""), swapped] {
            assert_eq!(registry.identify_basic(Some(&wrong)).unwrap_err(), Unidentified::Unknown);
        }
        assert_eq!(registry.identify_basic(None).unwrap_err(), Unidentified::Missing);
        let bearer = HeaderValue::from_static("Bearer abc");
        assert_eq!(registry.identify_basic(Some(&bearer)).unwrap_err(), Unidentified::Malformed);
    }

    #[test]
    fn an_ended_session_is_told_so_only_to_who_knows_its_secret() {
        let registry = registry();
        let opened = registry.open(opening("curl")).unwrap();
        let id = opened.session.id().clone();
        assert_eq!(registry.count(), 1);
        assert!(registry.end(&id, Ending::Closed).is_some());
        assert!(opened.session.ended().is_cancelled());
        assert!(!opened.session.is_open());
        assert_eq!(registry.count(), 0);
        assert!(registry.end(&id, Ending::Closed).is_none(), "only once");
        assert_eq!(registry.identify_basic(Some(&credentials(&opened))).unwrap_err(), Unidentified::Ended);
        let guess = basic_of(id.as_str(), "guess");
        assert_eq!(registry.identify_basic(Some(&guess)).unwrap_err(), Unidentified::Unknown);
    }

    #[test]
    fn the_memory_of_ended_sessions_is_bounded() {
        let registry = registry();
        let first = registry.open(opening("curl")).unwrap();
        registry.end(first.session.id(), Ending::Closed);
        for _ in 0..limits::SESSIONS_ENDED_REMEMBERED {
            let next = registry.open(opening("curl")).unwrap();
            registry.end(next.session.id(), Ending::Closed);
        }
        assert_eq!(registry.identify_basic(Some(&credentials(&first))).unwrap_err(), Unidentified::Unknown);
        assert_eq!(registry.read().ended.len(), limits::SESSIONS_ENDED_REMEMBERED);
    }

    #[test]
    fn one_session_too_many_is_refused_and_room_is_made_by_ending_one() {
        let mut registry = registry();
        registry.open_max = 2;
        let first = registry.open(opening("a")).unwrap();
        registry.open(opening("b")).unwrap();
        assert_eq!(registry.open(opening("c")).unwrap_err(), NotOpened::TooMany { open: 2 });
        registry.end(first.session.id(), Ending::Revoked);
        assert!(registry.open(opening("c")).is_ok());
        assert_eq!(registry.count(), 2);
    }

    #[test]
    fn the_anonymous_session_exists_only_when_asked_for_and_cannot_be_opened() {
        let none = registry();
        assert!(none.anonymous().is_none());
        assert!(matches!(none.open(opening(ANONYMOUS)), Err(NotOpened::Reserved { .. })));
        let some = registry().with_anonymous(UserName::parse("ada").unwrap());
        let anonymous = some.anonymous().unwrap();
        assert_eq!(anonymous.agent().as_str(), ANONYMOUS);
        assert!(some.is_anonymous(&anonymous));
        assert!(!some.is_anonymous(&some.open(opening("curl")).unwrap().session));
        let guess = basic_of(anonymous.id().as_str(), "");
        assert_eq!(some.identify_basic(Some(&guess)).unwrap_err(), Unidentified::Unknown);
    }

    #[test]
    fn when_the_daemon_stops_every_session_ends() {
        let registry = registry().with_anonymous(UserName::parse("ada").unwrap());
        let opened: Vec<_> = ["a", "b"].into_iter().map(|agent| registry.open(opening(agent)).unwrap()).collect();
        assert_eq!(registry.list().len(), 2);
        registry.end_all(Ending::Stopping);
        assert!(opened.iter().all(|opened| !opened.session.is_open()));
        assert!(!registry.anonymous().unwrap().is_open());
        assert_eq!(registry.count(), 0);
    }
}
