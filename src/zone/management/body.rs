//! The body of a request: JSON, and what its texts must be.

use axum::Json;
use axum::extract::FromRequest;
use axum::extract::Request;
use axum::extract::rejection::BytesRejection;
use bytes::Bytes;
use serde::de::DeserializeOwned;

use crate::zone::management::refused::Refused;

/// A JSON body read as `T`. Fields that `T` does not have are not looked at: clients send those of other versions.
pub(super) struct Body<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Refused;

    async fn from_request(request: Request, state: &S) -> Result<Self, Refused> {
        let kind = request.headers().get(axum::http::header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        let kind = kind.and_then(|kind| kind.split(';').next()).map(str::trim).unwrap_or_default();
        if !kind.eq_ignore_ascii_case("application/json") && !kind.to_ascii_lowercase().ends_with("+json") {
            return Err(Refused::unsupported());
        }
        let bytes = Bytes::from_request(request, state).await.map_err(|rejection| match rejection {
            BytesRejection::FailedToBufferBody(failed) if failed.status().as_u16() == 413 => Refused::too_large(),
            _ => Refused::body("The body could not be read".to_owned()),
        })?;
        // No database takes a null in a text.
        if bytes.windows(6).any(|window| window == br"\u0000") {
            return Err(Refused::body("The body holds a null character".to_owned()));
        }
        let read = Json::<T>::from_bytes(&bytes);
        let Json(body) = read.map_err(|rejection| Refused::body(rejection.body_text()))?;
        Ok(Self(body))
    }
}

/// A text of so many characters.
pub(super) fn text(field: &str, value: String, length: std::ops::RangeInclusive<usize>) -> Result<String, Refused> {
    if length.contains(&value.chars().count()) {
        return Ok(value);
    }
    Err(Refused::bad(field, &format!("must have {} to {} characters", length.start(), length.end())))
}

/// A name that people give.
pub(super) fn name(value: String) -> Result<String, Refused> {
    text("name", value, 1..=255)
}

/// An identifier that clients give.
pub(super) fn identifier(value: String) -> Result<String, Refused> {
    text("identifier", value, 1..=2048)
}

/// A description, where there is one.
pub(super) fn description(value: Option<String>) -> Result<Option<String>, Refused> {
    value.map(|value| text("description", value, 0..=2048)).transpose()
}

/// An absolute URL.
pub(super) fn url(field: &str, value: String) -> Result<String, Refused> {
    let parsed: Result<axum::http::Uri, _> = value.parse();
    let absolute = parsed.is_ok_and(|uri| uri.scheme().is_some() && uri.authority().is_some());
    if absolute && value.len() <= 2048 { Ok(value) } else { Err(Refused::bad(field, "must be a URL")) }
}
