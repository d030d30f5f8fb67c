//! How the zone says no (RFC 6749 §5.2, RFC 8693 §2.2.2, RFC 8707 §2, RFC 7591 §3.2.2).

use std::borrow::Cow;

use axum::Json;
use axum::http::HeaderValue;
use axum::http::StatusCode;
use axum::http::header::CACHE_CONTROL;
use axum::http::header::PRAGMA;
use axum::http::header::RETRY_AFTER;
use axum::http::header::WWW_AUTHENTICATE;
use axum::response::IntoResponse;
use axum::response::Response;
use serde_json::json;

use crate::jose::NotSigned;
use crate::limits::ZONE_RETRY_AFTER_S;
use crate::zone::store::PolicyWords;
use crate::zone::store::StoreFailed;

/// A refusal: status, code and a sentence. Nothing of the request is in the sentence, but for names that the zone knows.
#[derive(Debug)]
pub(in crate::zone) struct Refusal {
    status: StatusCode,
    error: &'static str,
    description: Cow<'static, str>,
    challenge: Option<&'static str>,
}

impl Refusal {
    /// The request is wrong in itself.
    pub(in crate::zone) fn invalid_request(description: &'static str) -> Self {
        Self::bad("invalid_request", description)
    }

    /// Who the client says it is was not shown, whatever the reason: to say which would help to guess.
    pub(in crate::zone) fn invalid_client() -> Self {
        let challenge = Some(r#"Basic realm="valetkey zone", charset="UTF-8""#);
        Self {
            status: StatusCode::UNAUTHORIZED,
            challenge,
            ..Self::bad("invalid_client", "Client authentication failed")
        }
    }

    /// What the client presented is not good, or not the client's.
    pub(in crate::zone) fn invalid_grant(description: &'static str) -> Self {
        Self::bad("invalid_grant", description)
    }

    /// The client is known, and this is not for it.
    pub(in crate::zone) fn unauthorized_client(description: &'static str) -> Self {
        Self::bad("unauthorized_client", description)
    }

    /// No policy permits it, or a person said no.
    pub(in crate::zone) fn access_denied(description: &'static str) -> Self {
        Self::bad("access_denied", description)
    }

    /// No policy permits this application that resource. The words are those that clients know.
    pub(in crate::zone) fn not_allowed(application: &str, resource: &str) -> Self {
        let description = format!("Application \"{application}\" is not allowed to access \"{resource}\".");
        Self { description: Cow::Owned(description), ..Self::bad("access_denied", "") }
    }

    /// A policy forbids that resource. The words are those that clients know.
    pub(in crate::zone) fn forbidden(resource: &str, by: &PolicyWords) -> Self {
        let PolicyWords { policy, set, version } = by;
        let description = format!(
            "Access to \"{resource}\" is denied by Policy \"{policy}\" in version {version} of Policy Set \"{set}\"."
        );
        Self { description: Cow::Owned(description), ..Self::bad("access_denied", "") }
    }

    /// The proof of possession is not good (RFC 9449 §5).
    pub(in crate::zone) fn invalid_proof(description: &'static str) -> Self {
        Self::bad("invalid_dpop_proof", description)
    }

    /// A redirect address that can't be registered (RFC 7591 §3.2.2).
    pub(in crate::zone) fn invalid_redirect_uri(description: &'static str) -> Self {
        Self::bad("invalid_redirect_uri", description)
    }

    /// What is wrong with an authorization request (RFC 6749 §4.1.2.1, OpenID Connect Core §3.1.2.6).
    pub(in crate::zone) fn request(error: &'static str, description: &'static str) -> Self {
        Self::bad(error, description)
    }

    /// What a waiting device hears (RFC 8628 §3.5).
    pub(in crate::zone) fn device(error: &'static str, description: &'static str) -> Self {
        Self::bad(error, description)
    }

    /// The code, for those answers that are a redirect.
    pub(in crate::zone) fn error(&self) -> &'static str {
        self.error
    }

    /// The sentence.
    pub(in crate::zone) fn description(&self) -> &str {
        &self.description
    }

    /// The status, for those answers that are a page.
    pub(in crate::zone) fn status(&self) -> StatusCode {
        self.status
    }

    /// This zone has no such grant.
    pub(in crate::zone) fn unsupported_grant_type() -> Self {
        Self::bad("unsupported_grant_type", "The grant type is not supported")
    }

    /// The scope is malformed or none of it may be had.
    pub(in crate::zone) fn invalid_scope(description: &'static str) -> Self {
        Self::bad("invalid_scope", description)
    }

    /// A resource that nobody declared.
    pub(in crate::zone) fn unknown_resource() -> Self {
        Self::invalid_target("Requested authorization for unknown resource")
    }

    /// A target that no token can be for.
    pub(in crate::zone) fn invalid_target(description: &'static str) -> Self {
        Self::bad("invalid_target", description)
    }

    /// The user never let this application act for them.
    pub(in crate::zone) fn consent_required() -> Self {
        Self::bad("insufficient_authorization", "User consent is required")
    }

    /// Registration without the initial access token.
    pub(in crate::zone) fn invalid_token(description: &'static str) -> Self {
        let challenge = Some(r#"Bearer realm="valetkey zone", error="invalid_token""#);
        Self { status: StatusCode::UNAUTHORIZED, challenge, ..Self::bad("invalid_token", description) }
    }

    /// Registration of something that can't be.
    pub(in crate::zone) fn invalid_client_metadata(description: &'static str) -> Self {
        Self::bad("invalid_client_metadata", description)
    }

    /// The body is over the bound.
    pub(in crate::zone) fn too_large() -> Self {
        let refusal = Self::invalid_request("The request is too large");
        Self { status: StatusCode::PAYLOAD_TOO_LARGE, ..refusal }
    }

    /// Somebody tries too often.
    pub(in crate::zone) fn too_many(description: &'static str) -> Self {
        Self { status: StatusCode::TOO_MANY_REQUESTS, ..Self::bad("slow_down", description) }
    }

    /// The answer, or the request's body, took too long.
    pub(in crate::zone) fn too_slow() -> Self {
        let refusal = Self::bad("temporarily_unavailable", "The request took too long");
        Self { status: StatusCode::SERVICE_UNAVAILABLE, ..refusal }
    }

    /// The database is away; it may be back soon.
    fn unavailable() -> Self {
        let refusal = Self::bad("temporarily_unavailable", "The zone's database is away, try again soon");
        Self { status: StatusCode::SERVICE_UNAVAILABLE, ..refusal }
    }

    /// The zone's own fault.
    fn server_error() -> Self {
        let refusal = Self::bad("server_error", "The zone failed, its log says why");
        Self { status: StatusCode::INTERNAL_SERVER_ERROR, ..refusal }
    }

    fn bad(error: &'static str, description: &'static str) -> Self {
        Self { status: StatusCode::BAD_REQUEST, error, description: Cow::Borrowed(description), challenge: None }
    }
}

impl From<StoreFailed> for Refusal {
    fn from(failed: StoreFailed) -> Self {
        tracing::error!(error = &failed as &dyn std::error::Error, "the zone could not answer");
        match failed {
            StoreFailed::Unavailable(_) => Self::unavailable(),
            StoreFailed::Conflict(_) | StoreFailed::Query(_) | StoreFailed::Migration(_) | StoreFailed::Damaged(_) => {
                Self::server_error()
            }
        }
    }
}

impl From<NotSigned> for Refusal {
    fn from(failed: NotSigned) -> Self {
        tracing::error!(error = &failed as &dyn std::error::Error, "the zone could not answer");
        Self::server_error()
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let body = Json(json!({ "error": self.error, "error_description": self.description }));
        let mut response = (self.status, [(CACHE_CONTROL, "no-store"), (PRAGMA, "no-cache")], body).into_response();
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static(ZONE_RETRY_AFTER_S));
        }
        if let Some(challenge) = self.challenge {
            response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        }
        response
    }
}
