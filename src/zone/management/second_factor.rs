//! Operations that a stolen session must not be enough for: a person shows a second factor first, and lately.
//!
//! It is asked of people's sessions only. An API token and a service account are programs: what they may do, an
//! administrator said when they were made.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use crate::limits::ZONE_SECOND_FACTOR_FRESH;
use crate::zone::issuer::Issuer;
use crate::zone::management::caller;
use crate::zone::management::caller::Caller;
use crate::zone::management::refused::Refused;

/// Whether the request comes with a second factor, where its caller is a person.
pub(super) enum SecondFactor {
    /// Shown within [`ZONE_SECOND_FACTOR_FRESH`], or not needed.
    Fresh,
    /// Never, or too long ago.
    Wanted,
}

impl SecondFactor {
    /// Fails with `auth.mfa_required` unless it is there.
    pub(super) fn require(&self) -> Result<(), Refused> {
        match self {
            Self::Fresh => Ok(()),
            Self::Wanted => Err(Refused::mfa_required()),
        }
    }
}

impl FromRequestParts<Arc<Issuer>> for SecondFactor {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, issuer: &Arc<Issuer>) -> Result<Self, Refused> {
        let Caller::User { id } = Caller::from_request_parts(parts, issuer).await? else { return Ok(Self::Fresh) };
        let shown_at = caller::second_factor_at(issuer, parts, &id).await?;
        let is_fresh = shown_at.is_some_and(|shown_at| issuer.clock.now().since(shown_at) <= ZONE_SECOND_FACTOR_FRESH);
        Ok(if is_fresh { Self::Fresh } else { Self::Wanted })
    }
}
