//! How the management API says no: a status, and `{message, code, status}` as its clients read it.

use axum::Json;
use axum::http::HeaderValue;
use axum::http::StatusCode;
use axum::http::header::RETRY_AFTER;
use axum::http::header::WWW_AUTHENTICATE;
use axum::response::IntoResponse;
use axum::response::Response;
use serde::Serialize;
use utoipa::IntoResponses;
use utoipa::ToSchema;

use crate::limits::ZONE_RETRY_AFTER_S;
use crate::zone::keyring::KeyringFailed;
use crate::zone::seal::SealFailed;
use crate::zone::store::Change;
use crate::zone::store::StoreFailed;

/// Why a request was refused.
#[derive(Debug)]
pub(super) struct Refused {
    status: StatusCode,
    code: &'static str,
    message: String,
}

/// An error, as clients read it.
#[derive(Serialize, ToSchema)]
pub(super) struct Problem {
    /// A sentence for people.
    message: String,
    /// A word for programs.
    code: &'static str,
    /// The status once more.
    status: u16,
}

impl Refused {
    /// A parameter or field is off.
    pub(super) fn bad(field: &str, what: &str) -> Self {
        Self { status: StatusCode::BAD_REQUEST, code: "bad_request", message: format!("`{field}` {what}") }
    }

    /// The body is not what it must be.
    pub(super) fn body(message: String) -> Self {
        Self { status: StatusCode::BAD_REQUEST, code: "bad_request", message }
    }

    /// Nobody the zone knows.
    pub(super) fn unauthorized() -> Self {
        let message = "The bearer token is missing or not valid".to_owned();
        Self { status: StatusCode::UNAUTHORIZED, code: "unauthorized", message }
    }

    /// Known, and not allowed.
    pub(super) fn forbidden(message: &str) -> Self {
        Self { status: StatusCode::FORBIDDEN, code: "forbidden", message: message.to_owned() }
    }

    /// The session has no second factor, or none that is fresh.
    pub(super) fn mfa_required() -> Self {
        let message = "A second factor must be shown first: run `valetkey auth mfa challenge`".to_owned();
        Self { status: StatusCode::FORBIDDEN, code: "auth.mfa_required", message }
    }

    /// There is no such thing, or none that the caller may know of.
    pub(super) fn not_found(what: &str) -> Self {
        Self { status: StatusCode::NOT_FOUND, code: "not_found", message: format!("There is no such {what}") }
    }

    /// There is no such thing here, and never will be.
    pub(super) fn not_supported(message: &str) -> Self {
        Self { status: StatusCode::NOT_FOUND, code: "not_supported", message: message.to_owned() }
    }

    /// It would be the second of its name, or is still in use.
    pub(super) fn conflict(message: &str) -> Self {
        Self { status: StatusCode::CONFLICT, code: "conflict", message: message.to_owned() }
    }

    /// Another body than JSON.
    pub(super) fn unsupported() -> Self {
        let message = "The body must be application/json".to_owned();
        Self { status: StatusCode::UNSUPPORTED_MEDIA_TYPE, code: "unsupported_media_type", message }
    }

    /// Another body than a policy bundle.
    pub(super) fn unsupported_bundle() -> Self {
        let message = "The body must be application/vnd.keycard.policy-bundle.v1+tar+gzip".to_owned();
        Self { message, ..Self::unsupported() }
    }

    /// A policy bundle that is none.
    pub(super) fn bundle(why: &str) -> Self {
        let message = format!("The policy bundle is not valid: {why}");
        Self { status: StatusCode::BAD_REQUEST, code: "bundle_invalid", message }
    }

    /// The body is over the bound.
    pub(super) fn too_large() -> Self {
        let message = "The request is too large".to_owned();
        Self { status: StatusCode::PAYLOAD_TOO_LARGE, code: "too_large", message }
    }

    /// Changed by somebody else.
    pub(super) fn stale() -> Self {
        let message = "It was changed since; read it again".to_owned();
        Self { status: StatusCode::PRECONDITION_FAILED, code: "precondition_failed", message }
    }

    /// The zone's own fault.
    pub(super) fn failed() -> Self {
        let message = "The zone failed, its log says why".to_owned();
        Self { status: StatusCode::INTERNAL_SERVER_ERROR, code: "internal", message }
    }
}

/// `Done` goes on.
pub(super) fn settle(change: Change, what: &str) -> Result<(), Refused> {
    match change {
        Change::Done => Ok(()),
        Change::Missing => Err(Refused::not_found(what)),
        Change::Stale => Err(Refused::stale()),
    }
}

impl From<StoreFailed> for Refused {
    fn from(failed: StoreFailed) -> Self {
        if let StoreFailed::Conflict(_) = failed {
            return Self::conflict("There is one of this identifier or name already");
        }
        tracing::error!(error = &failed as &dyn std::error::Error, "the zone could not answer");
        match failed {
            StoreFailed::Unavailable(_) => Self {
                status: StatusCode::SERVICE_UNAVAILABLE,
                code: "unavailable",
                message: "The zone's database is away, try again soon".to_owned(),
            },
            StoreFailed::Conflict(_) | StoreFailed::Query(_) | StoreFailed::Migration(_) | StoreFailed::Damaged(_) => {
                Self::failed()
            }
        }
    }
}

impl From<KeyringFailed> for Refused {
    fn from(failed: KeyringFailed) -> Self {
        match failed {
            KeyringFailed::Store(failed) => failed.into(),
            KeyringFailed::Seal(failed) => failed.into(),
            KeyringFailed::Content(_) | KeyringFailed::Generation | KeyringFailed::None => {
                tracing::error!(error = &failed as &dyn std::error::Error, "the zone could not answer");
                Self::failed()
            }
        }
    }
}

impl From<SealFailed> for Refused {
    fn from(failed: SealFailed) -> Self {
        tracing::error!(error = &failed as &dyn std::error::Error, "the zone could not answer");
        Self::failed()
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let problem = Problem { message: self.message, code: self.code, status: self.status.as_u16() };
        let mut response = (self.status, Json(problem)).into_response();
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static(ZONE_RETRY_AFTER_S));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            let challenge = HeaderValue::from_static(r#"Bearer realm="valetkey management", error="invalid_token""#);
            response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
        }
        response
    }
}

/// The refusals that every operation may give, for its description.
#[derive(IntoResponses)]
#[allow(dead_code, reason = "describes, and is never made")]
pub(super) enum Refusals {
    /// A parameter or field is off.
    #[response(status = 400)]
    BadRequest(Problem),
    /// The bearer token is missing or not valid.
    #[response(status = 401)]
    Unauthorized(Problem),
    /// Not allowed; with the code `auth.mfa_required`, not until the person has shown a second factor.
    #[response(status = 403)]
    Forbidden(Problem),
    /// There is no such thing, or none that the caller may know of.
    #[response(status = 404)]
    NotFound(Problem),
    /// It would be the second of its name, or is still in use.
    #[response(status = 409)]
    Conflict(Problem),
    /// Changed by somebody else.
    #[response(status = 412)]
    PreconditionFailed(Problem),
    /// The body is over the bound.
    #[response(status = 413)]
    TooLarge(Problem),
    /// Another body than JSON.
    #[response(status = 415)]
    Unsupported(Problem),
    /// The database is away; `Retry-After` says when to come back.
    #[response(status = 503)]
    Unavailable(Problem),
}
