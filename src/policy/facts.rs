//! What is known of a request when it is decided.

use hyper::Method;

use crate::model::Authority;
use crate::model::Scheme;
use crate::model::Timestamp;
use crate::policy::Action;

/// The context of a decision; the same values that are recorded and sent.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The exact method token.
    pub method: &'a Method,
    /// The scheme.
    pub scheme: Scheme,
    /// Host and port.
    pub authority: &'a Authority,
    /// The canonical path; empty for a tunnel.
    pub path: &'a str,
    /// When the request was received.
    pub time: Timestamp,
    /// Whether it asks for a WebSocket, which carries anything both ways once it is open.
    pub websocket: bool,
}

impl Facts<'_> {
    /// `read` for GET, HEAD and OPTIONS, `write` for the rest and for a WebSocket.
    pub fn action(&self) -> Action {
        match *self.method {
            Method::GET | Method::HEAD | Method::OPTIONS if !self.websocket => Action::Read,
            _ => Action::Write,
        }
    }
}

/// Which attributes of the context a policy set reads: what it can't see can't change its verdict.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Reads {
    pub(super) method: bool,
    pub(super) path: bool,
    pub(super) host: bool,
    pub(super) scheme: bool,
    pub(super) port: bool,
    pub(super) session: bool,
    pub(super) user: bool,
    pub(super) time: bool,
}

impl Reads {
    /// Everything: for a set that handles the context as a whole.
    const ALL: Self =
        Self { method: true, path: true, host: true, scheme: true, port: true, session: true, user: true, time: true };

    /// Finds each `context.x` and `context has x` in a policy's JSON form (Cedar's EST).
    pub(super) fn add(&mut self, policy: &serde_json::Value) {
        match policy {
            serde_json::Value::Object(fields) => {
                for (operator, operand) in fields {
                    match (operator.as_str(), attribute_of_context(operand)) {
                        ("." | "has", Some(attribute)) => self.mark(attribute),
                        ("Var", _) if operand == "context" => *self = Self::ALL,
                        _ => self.add(operand),
                    }
                }
            }
            serde_json::Value::Array(items) => items.iter().for_each(|item| self.add(item)),
            _ => {}
        }
    }

    fn mark(&mut self, attribute: &str) {
        match attribute {
            "method" => self.method = true,
            "path" => self.path = true,
            "host" => self.host = true,
            "scheme" => self.scheme = true,
            "port" => self.port = true,
            "session" => self.session = true,
            "user" => self.user = true,
            "time" => self.time = true,
            _ => *self = Self::ALL,
        }
    }
}

fn attribute_of_context(operand: &serde_json::Value) -> Option<&str> {
    let of_context = operand.get("left")?.get("Var")? == "context";
    operand.get("attr")?.as_str().filter(|_| of_context)
}
