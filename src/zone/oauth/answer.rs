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
    kind: Option<&'static str>,
    refresh_token: Option<Secret>,
    id_token: Option<Secret>,
}

impl Answer {
    /// An access token.
    pub(super) fn plain(issued: Issued) -> Self {
        Self { issued, kind: None, refresh_token: None, id_token: None }
    }

    /// An access token for another token.
    pub(super) fn exchanged(issued: Issued) -> Self {
        Self { kind: Some(ACCESS_TOKEN), ..Self::plain(issued) }
    }

    /// An access token and the next refresh token.
    pub(super) fn refreshed(issued: Issued, refresh_token: Secret) -> Self {
        Self { refresh_token: Some(refresh_token), ..Self::plain(issued) }
    }

    /// The first tokens of a person's session.
    pub(super) fn begun(issued: Issued, refresh_token: Option<Secret>, id_token: Option<Secret>) -> Self {
        Self { refresh_token, id_token, ..Self::plain(issued) }
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let body = Body {
            access_token: self.issued.token.expose_str().unwrap_or_default(),
            issued_token_type: self.kind,
            token_type: if self.issued.bound { "DPoP" } else { "Bearer" },
            expires_in: self.issued.lifetime.as_secs(),
            scope: (!self.issued.scopes.is_empty()).then(|| self.issued.scopes.to_string()),
            refresh_token: self.refresh_token.as_ref().and_then(Secret::expose_str),
            id_token: self.id_token.as_ref().and_then(Secret::expose_str),
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
    #[serde(skip_serializing_if = "Option::is_none")]
    id_token: Option<&'a str>,
}

/// RFC 8693 §3.
pub(super) const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
