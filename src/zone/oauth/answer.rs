//! A successful token response (RFC 6749 §5.1, RFC 8693 §2.2.1): the one place where a token is written out.

use axum::Json;
use axum::http::header::CACHE_CONTROL;
use axum::http::header::PRAGMA;
use axum::response::IntoResponse;
use axum::response::Response;
use serde::Serialize;

use crate::model::Secret;
use crate::zone::issuer::Issued;

/// What a grant gives.
pub(super) struct Answer {
    issued: Issued,
    kind: Kind,
}

enum Kind {
    Plain,
    Exchanged,
    Refreshed(Secret),
}

impl Answer {
    /// An access token.
    pub(super) fn plain(issued: Issued) -> Self {
        Self { issued, kind: Kind::Plain }
    }

    /// An access token for another token.
    pub(super) fn exchanged(issued: Issued) -> Self {
        Self { issued, kind: Kind::Exchanged }
    }

    /// An access token and the next refresh token.
    pub(super) fn refreshed(issued: Issued, refresh_token: Secret) -> Self {
        Self { issued, kind: Kind::Refreshed(refresh_token) }
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let (issued_token_type, refresh_token) = match &self.kind {
            Kind::Plain => (None, None),
            Kind::Exchanged => (Some(ACCESS_TOKEN), None),
            Kind::Refreshed(token) => (None, token.expose_str()),
        };
        let body = Body {
            access_token: self.issued.token.expose_str().unwrap_or_default(),
            issued_token_type,
            token_type: "Bearer",
            expires_in: self.issued.lifetime.as_secs(),
            scope: (!self.issued.scopes.is_empty()).then(|| self.issued.scopes.to_string()),
            refresh_token,
        };
        ([(CACHE_CONTROL, "no-store"), (PRAGMA, "no-cache")], Json(body)).into_response()
    }
}

#[derive(Serialize)]
struct Body<'a> {
    access_token: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    issued_token_type: Option<&'a str>,
    token_type: &'a str,
    expires_in: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<&'a str>,
}

/// RFC 8693 §3.
pub(super) const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
