//! What the lines of a record say.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

use super::Entry;
use super::Verdict;
use crate::agent::Session;
use crate::audit::Completion;
use crate::audit::chain;
use crate::audit::line::Body;
use crate::audit::line::cut;
use crate::credential::Provenance;
use crate::limits::LEDGER_PATH_BYTES_MAX;
use crate::limits::LEDGER_POLICIES_MAX;
use crate::model::PolicyId;
use crate::model::Timestamp;

impl Entry {
    pub(super) fn write_decided(&self, bytes: &mut Vec<u8>, now: Timestamp, verdict: &Verdict<'_>) {
        let mut body = Body::begin(bytes, "decided");
        body.record(self.id).time("time", now);
        if let Some(session) = &self.session {
            body.text("user", session.user().as_str());
            body.text("agent", session.agent().as_str());
            body.text("session", session.id().as_str());
        }
        self.write_caller(&mut body);
        self.write_request(&mut body);
        if let Some(resource) = &self.resource {
            body.text("resource", resource.as_str());
        }
        if let Some(action) = verdict.action {
            body.text("action", action.as_str());
        }
        body.text("decision", verdict.decision.as_str());
        if let Some(reason) = verdict.reason {
            body.text("reason", reason);
        }
        if let Some(policy_set) = verdict.policy_set {
            body.texts("policies", verdict.policies.iter().take(LEDGER_POLICIES_MAX).map(PolicyId::as_str));
            let more = verdict.policies.len().saturating_sub(LEDGER_POLICIES_MAX);
            if more > 0 {
                body.number("policies_more", u64::try_from(more).unwrap_or(u64::MAX));
            }
            body.text("policy_set", policy_set.as_str());
        }
        body.end();
    }

    fn write_caller(&self, body: &mut Body<'_>) {
        let caller = self.session.as_deref().map(Session::caller);
        if let Some(pid) = self.opening.pid.or_else(|| caller?.pid) {
            body.number("pid", pid.into());
        }
        if let Some(program) = self.opening.program.as_deref().or_else(|| caller?.program.as_deref()) {
            body.foreign("program", &program.to_string_lossy());
        }
    }

    fn write_request(&self, body: &mut Body<'_>) {
        body.foreign("method", self.opening.method.as_str());
        if let Some(scheme) = self.opening.scheme {
            body.text("scheme", scheme.as_str());
        }
        if let Some(authority) = &self.opening.authority {
            body.text("host", authority.host.as_str()).number("port", authority.port.into());
        }
        let Some(path) = self.opening.path.as_ref().map(crate::model::Path::as_str) else { return };
        let kept = cut(path, LEDGER_PATH_BYTES_MAX);
        if kept.len() == path.len() {
            body.text("path", path);
        } else {
            body.text("path", &format!("{kept}…"));
            body.text("path_sha256", std::str::from_utf8(&chain::sha256_hex(path.as_bytes())).unwrap_or(""));
        }
    }

    pub(super) fn write_completed(&self, bytes: &mut Vec<u8>, completion: &Completion) {
        let clock = self.ledger.clock();
        let micros = |until: Duration| u64::try_from(until.saturating_sub(self.begun).as_micros()).unwrap_or(u64::MAX);
        let mut body = Body::begin(bytes, "completed");
        body.record(self.id).time("time", clock.now());
        if completion.status != 0 {
            body.number("status", completion.status.into());
        }
        body.number("bytes_in", completion.bytes_in).number("bytes_out", completion.bytes_out);
        if let Some(first_byte) = self.first_byte {
            body.number("first_byte_us", micros(first_byte));
        }
        body.number("total_us", micros(clock.monotonic())).text("outcome", completion.outcome.as_str());
        if let Some(error) = completion.error.or(self.late_error) {
            body.text("error", error);
        }
        if let Some(credential) = &self.credential {
            body.ready("credential", credential);
        }
        body.end();
    }
}

/// The credential as JSON. A thread remembers the last one: most requests carry the credential of another.
pub(super) fn credential(provenance: &Provenance) -> Arc<[u8]> {
    thread_local!(static LAST: RefCell<Option<(Provenance, Arc<[u8]>)>> = const { RefCell::new(None) });
    LAST.with_borrow_mut(|last| match last {
        Some((known, json)) if known == provenance => Arc::clone(json),
        _ => {
            let json: Arc<[u8]> = render(provenance).into();
            *last = Some((provenance.clone(), Arc::clone(&json)));
            json
        }
    })
}

fn render(provenance: &Provenance) -> Vec<u8> {
    Body::object(|body| {
        body.text("source", provenance.source.as_str());
        if let Some(issuer) = &provenance.issuer {
            body.foreign("issuer", issuer);
        }
        if !provenance.scopes.is_empty() {
            body.foreign("scopes", &provenance.scopes.to_string());
        }
        body.shown("fingerprint", provenance.fingerprint);
        if let Some(expires_at) = provenance.expires_at {
            body.time("expires_at", expires_at);
        }
        body.flag("cached", provenance.cached);
    })
}
