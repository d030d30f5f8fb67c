//! The refusal table for agents: from a [`Refusal`] to a status and words, as `application/problem+json`
//! (RFC 9457).

use hyper::HeaderMap;
use hyper::Method;
use hyper::Response;
use hyper::StatusCode;
use hyper::header::CACHE_CONTROL;
use hyper::header::CONTENT_TYPE;
use hyper::header::HeaderValue;
use hyper::header::PROXY_AUTHENTICATE;

use crate::audit::Completion;
use crate::audit::Entry;
use crate::audit::Opening;
use crate::audit::Outcome;
use crate::broker::Answer;
use crate::credential::Fault;
use crate::http::Body;
use crate::http::Malformed;
use crate::http::Violation;
use crate::proxy::recorded::Recorded;
use crate::refusal::Refusal;
use crate::upstream::NotForwarded;
use crate::upstream::Reply;
use crate::upstream::Upgraded;

/// The other side of an opened WebSocket, and its record.
#[derive(Debug)]
pub(super) struct Bridge {
    pub(super) upgraded: Upgraded,
    pub(super) entry: Entry,
}

/// What the agent is sent; a bridge where both sides have switched protocols.
pub(super) fn respond(answer: Answer, method: &Method) -> (Response<Recorded>, Option<Bridge>) {
    let Answer { outcome, mut entry, body_bytes } = answer;
    match outcome {
        Ok(Reply { response, upgraded: Some(upgraded) }) => {
            let (mut head, _) = response.into_parts();
            head.headers.insert(hyper::header::CONNECTION, HeaderValue::from_static("upgrade"));
            head.headers.insert(hyper::header::UPGRADE, HeaderValue::from_static("websocket"));
            (Response::from_parts(head, Recorded::empty()), Some(Bridge { upgraded, entry }))
        }
        Ok(Reply { response, upgraded: None }) => {
            entry.first_byte();
            let (head, body) = response.into_parts();
            let body = if *method == Method::HEAD { Body::Empty } else { body };
            let status = head.status.as_u16();
            let completion = Completion { status, bytes_in: 0, bytes_out: 0, outcome: Outcome::Ok, error: None };
            (Response::from_parts(head, Recorded::new(body, entry, completion, body_bytes)), None)
        }
        Err(refusal) => {
            let bytes_in = body_bytes.load(std::sync::atomic::Ordering::Relaxed);
            (refuse(&refusal, entry, bytes_in), None)
        }
    }
}

/// A refusal as an answer.
pub(super) fn refuse(refusal: &Refusal, entry: Entry, bytes_in: u64) -> Response<Recorded> {
    let status = status(refusal);
    // A web page that found this port gets a status and nothing to read.
    let problem = match refusal {
        Refusal::Malformed(Malformed::OriginForm) => String::new(),
        _ => problem(refusal, status, &entry),
    };
    let outcome = match refusal {
        Refusal::NotObtained(_) | Refusal::NotForwarded(_) => Outcome::Failed,
        Refusal::BodyBroken => Outcome::Aborted,
        Refusal::Malformed(_)
        | Refusal::Unidentified(_)
        | Refusal::Denied(_)
        | Refusal::Unlisted
        | Refusal::Unclaimed
        | Refusal::TunnelPort
        | Refusal::Unrecorded(_) => Outcome::Refused,
    };
    let completion =
        Completion { status: status.as_u16(), bytes_in, bytes_out: 0, outcome, error: Some(refusal.code()) };
    let recorded = Recorded::new(Body::Whole(problem.into()), entry, completion, Default::default());
    let mut response = Response::new(recorded);
    *response.status_mut() = status;
    fields(response.headers_mut(), status);
    response
}

/// The last word on a connection that broke its framing, whole: nothing that follows on it could be trusted.
pub(super) fn last_word(answer: Answer) -> Vec<u8> {
    let Answer { outcome: Err(refusal), entry, .. } = answer else { return Vec::new() };
    let status = status(&refusal);
    let problem = problem(&refusal, status, &entry);
    let completion = Completion {
        status: status.as_u16(),
        bytes_in: 0,
        bytes_out: 0,
        outcome: Outcome::Refused,
        error: Some(refusal.code()),
    };
    entry.complete(completion);
    let word = format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/problem+json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{problem}",
        problem.len()
    );
    word.into_bytes()
}

/// The record of a request of which no more can be told than perhaps its method.
pub(super) fn unread(method: Option<&Method>) -> Opening {
    let unread = || Method::from_bytes(b"UNREAD").unwrap_or(Method::OPTIONS);
    let method = method.cloned().unwrap_or_else(unread);
    Opening { method, scheme: None, authority: None, path: None, pid: None, program: None }
}

fn status(refusal: &Refusal) -> StatusCode {
    match refusal {
        Refusal::Malformed(malformed) => match malformed {
            Malformed::Misdirected => StatusCode::MISDIRECTED_REQUEST,
            Malformed::Method => StatusCode::METHOD_NOT_ALLOWED,
            Malformed::TooManyHeaders | Malformed::Bytes(Violation::TooLarge) => {
                StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE
            }
            Malformed::Bytes(Violation::Stalled) => StatusCode::REQUEST_TIMEOUT,
            Malformed::Bytes(_)
            | Malformed::Path(_)
            | Malformed::Authority(_)
            | Malformed::HostMissing
            | Malformed::HostRepeated
            | Malformed::HostDisagrees
            | Malformed::OriginForm
            | Malformed::TargetForm
            | Malformed::HttpsInTheClear => StatusCode::BAD_REQUEST,
        },
        Refusal::BodyBroken => StatusCode::BAD_REQUEST,
        Refusal::Unidentified(_) => StatusCode::PROXY_AUTHENTICATION_REQUIRED,
        Refusal::Denied(_) | Refusal::Unlisted | Refusal::Unclaimed | Refusal::TunnelPort => StatusCode::FORBIDDEN,
        Refusal::NotObtained(error) => match error.fault() {
            Fault::Session => StatusCode::PROXY_AUTHENTICATION_REQUIRED,
            Fault::Denied | Fault::Person => StatusCode::FORBIDDEN,
            Fault::Provider | Fault::Network => StatusCode::BAD_GATEWAY,
            Fault::Slow => StatusCode::GATEWAY_TIMEOUT,
            Fault::Us => StatusCode::INTERNAL_SERVER_ERROR,
        },
        Refusal::NotForwarded(error) => match error {
            NotForwarded::PrivateAddress { .. }
            | NotForwarded::NotLoopback { .. }
            | NotForwarded::OwnListener { .. } => StatusCode::FORBIDDEN,
            NotForwarded::ConnectTimeout { .. } | NotForwarded::HeadTimeout { .. } => StatusCode::GATEWAY_TIMEOUT,
            NotForwarded::AgentBody | NotForwarded::Target => StatusCode::BAD_REQUEST,
            NotForwarded::OwnRoots(_) => StatusCode::INTERNAL_SERVER_ERROR,
            NotForwarded::Unresolved { .. }
            | NotForwarded::Unreachable { .. }
            | NotForwarded::UpstreamProxy { .. }
            | NotForwarded::Certificate { .. }
            | NotForwarded::Protocol { .. }
            | NotForwarded::Tls { .. }
            | NotForwarded::Closed { .. }
            | NotForwarded::Broken { .. }
            | NotForwarded::UnaskedSwitch
            | NotForwarded::AmbiguousAnswer => StatusCode::BAD_GATEWAY,
        },
        Refusal::Unrecorded(_) => StatusCode::SERVICE_UNAVAILABLE,
    }
}

fn problem(refusal: &Refusal, status: StatusCode, entry: &Entry) -> String {
    let mut detail = refusal.to_string();
    let mut cause = std::error::Error::source(refusal);
    while let Some(error) = cause {
        // transparent errors say the same twice
        let said = error.to_string();
        if !detail.ends_with(&said) {
            detail = format!("{detail}: {said}");
        }
        cause = error.source();
    }
    let problem = serde_json::json!({
        "type": format!("urn:valetkey:problem:{}", refusal.code()),
        "title": status.canonical_reason(),
        "status": status.as_u16(),
        "code": refusal.code(),
        "detail": detail,
        "hint": refusal.hint(),
        "record": entry.id(),
    });
    format!("{problem}\n")
}

fn fields(headers: &mut HeaderMap, status: StatusCode) {
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if status == StatusCode::PROXY_AUTHENTICATION_REQUIRED {
        headers.insert(PROXY_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"valetkey\""));
    }
}
