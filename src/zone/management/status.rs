//! Whether a grant or a session still holds.

use serde::Deserialize;
use serde::Serialize;
use utoipa::ToSchema;

use crate::model::Timestamp;
use crate::zone::management::query::Query;
use crate::zone::management::refused::Refused;
use crate::zone::store::Conditions;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Status {
    Active,
    Expired,
    Revoked,
}

/// The one change that there is: it ends, for good.
#[derive(Deserialize, ToSchema)]
pub(super) struct Revoke {
    #[allow(dead_code, reason = "its one value is the change")]
    status: Revoked,
}

#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Revoked {
    Revoked,
}

impl Status {
    /// By what is written down.
    pub(super) fn of(revoked_at: Option<i64>, expires_at: i64, now: Timestamp) -> Self {
        match revoked_at {
            Some(_) => Self::Revoked,
            None if expires_at <= now.as_millis() => Self::Expired,
            None => Self::Active,
        }
    }

    /// What a list is asked for: by `status`, or by the older `active`.
    pub(super) fn asked(query: &Query) -> Result<Option<Self>, Refused> {
        let sent = query.choices("status", &["active", "expired", "revoked"])?;
        let active = match query.flag("active")? {
            Some(false) => return Err(Refused::bad("active", "can only be true; ask by `status`")),
            Some(true) => Some(Self::Active),
            None => None,
        };
        match sent.as_slice() {
            [] => Ok(active),
            [one] => Ok(Some(match one.as_str() {
                "active" => Self::Active,
                "expired" => Self::Expired,
                _ => Self::Revoked,
            })),
            _ => Err(Refused::bad("status", "is sent more than once")),
        }
    }

    /// Only rows of this status.
    pub(super) fn narrow(
        self,
        conditions: Conditions,
        revoked_at: &'static str,
        expires_at: &'static str,
        now: Timestamp,
    ) -> Conditions {
        match self {
            Self::Revoked => conditions.empty(revoked_at, false),
            Self::Active => conditions.empty(revoked_at, true).greater(expires_at, now.as_millis(), true),
            Self::Expired => conditions.empty(revoked_at, true).greater(expires_at, now.as_millis(), false),
        }
    }
}
