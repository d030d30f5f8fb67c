//! How the API says no (RFC 6750 §3), and where it says to look (RFC 9728 §5.1).

use axum::Json;
use axum::http::HeaderValue;
use axum::http::StatusCode;
use axum::http::header::CACHE_CONTROL;
use axum::http::header::RETRY_AFTER;
use axum::http::header::WWW_AUTHENTICATE;
use axum::response::IntoResponse as _;
use axum::response::Response;
use serde_json::json;

use crate::jose::Refused;
use crate::whoami::issuer_keys::Unreachable;

/// Why a request is not answered.
#[derive(Debug)]
pub(super) enum Challenge {
    /// No token.
    Missing,
    /// Not one `Authorization: Bearer …`.
    Malformed,
    /// A token that is not good here.
    Refused(Refused),
    /// The issuer's keys are not to be had, so that nobody can say whether the token is good.
    Unreachable(Unreachable),
}

impl From<Refused> for Challenge {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused)
    }
}

impl From<Unreachable> for Challenge {
    fn from(unreachable: Unreachable) -> Self {
        Self::Unreachable(unreachable)
    }
}

impl Challenge {
    /// Status, challenge and the reason in words; nothing of the token.
    pub(super) fn respond(&self, metadata_url: &str) -> Response {
        let (status, error, description) = match self {
            Self::Missing => (StatusCode::UNAUTHORIZED, "invalid_token", "Authentication required"),
            Self::Malformed => (StatusCode::BAD_REQUEST, "invalid_request", "Malformed Authorization header"),
            Self::Refused(_) => (StatusCode::UNAUTHORIZED, "invalid_token", "Token verification failed"),
            Self::Unreachable(_) => (StatusCode::SERVICE_UNAVAILABLE, "temporarily_unavailable", ""),
        };
        let reason = match self {
            Self::Missing => "the request has no token".to_owned(),
            Self::Malformed => "the request needs exactly one `Authorization: Bearer` header".to_owned(),
            Self::Refused(refused) => refused.to_string(),
            Self::Unreachable(unreachable) => {
                tracing::warn!(error = unreachable as &dyn std::error::Error, "the issuer's keys can't be fetched");
                unreachable.to_string()
            }
        };
        let body = Json(json!({ "error": error, "error_description": reason }));
        let mut response = (status, [(CACHE_CONTROL, "no-store")], body).into_response();
        if let Self::Unreachable(_) = self {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("5"));
            return response;
        }
        let challenge = match self {
            // who sent no credentials has made no error (RFC 6750 §3.1)
            Self::Missing => format!(r#"Bearer resource_metadata="{metadata_url}""#),
            Self::Malformed | Self::Refused(_) | Self::Unreachable(_) => {
                format!(
                    r#"Bearer error="{error}", error_description="{description}", resource_metadata="{metadata_url}""#
                )
            }
        };
        if let Ok(challenge) = HeaderValue::from_str(&challenge) {
            response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
        }
        response
    }
}
