//! A request for something of an organisation: the caller is known, the organisation is there, and the caller may do
//! this in it.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::extract::Path;
use axum::http::request::Parts;

use crate::model::Timestamp;
use crate::zone::issuer::Issuer;
use crate::zone::management::caller::Access;
use crate::zone::management::caller::Caller;
use crate::zone::management::caller::Role;
use crate::zone::management::in_zone::collection;
use crate::zone::management::refused::Refused;
use crate::zone::store::Conditions;

/// Where a request takes place, and who makes it.
pub(super) struct InOrganization {
    pub(super) issuer: Arc<Issuer>,
    pub(super) caller: Caller,
    pub(super) role: Role,
    pub(super) now: Timestamp,
    path: HashMap<String, String>,
}

impl InOrganization {
    /// A part of the path.
    pub(super) fn part(&self, name: &str) -> &str {
        self.path.get(name).map_or("", String::as_str)
    }

    /// The id of the organisation.
    pub(super) fn id(&self) -> &str {
        self.part("organization_id")
    }

    /// All rows of the organisation, in a table that is called `t`.
    pub(super) fn rows(&self) -> Conditions {
        Conditions::default().equals("t.organization_id", self.id())
    }

    /// The row that the path names, without the name of the table, as a change needs it.
    pub(super) fn own(&self) -> Conditions {
        Conditions::default().equals("organization_id", self.id()).equals("id", self.part("id"))
    }
}

impl FromRequestParts<Arc<Issuer>> for InOrganization {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, issuer: &Arc<Issuer>) -> Result<Self, Refused> {
        let caller = Caller::from_request_parts(parts, issuer).await?;
        let path = Path::<HashMap<String, String>>::from_request_parts(parts, issuer).await;
        let Path(mut path) = path.map_err(|_| Refused::not_found("organization"))?;
        if let Some(named) = path.get_mut("organization_id")
            && named == OWN
        {
            *named = caller.organization(issuer).await?;
        }
        // No database takes a null in a text.
        let organization = path.get("organization_id").filter(|_| path.values().all(|part| !part.contains('\0')));
        let organization = organization.ok_or_else(|| Refused::not_found("organization"))?;
        let role = caller.role_in_organization(issuer, organization).await?;
        // One that the caller has no business in does not exist for it.
        let role = role.ok_or_else(|| Refused::not_found("organization"))?;
        // Whoever makes service accounts or invitations hands out everything: `organizations:write` is not enough.
        caller.check(role, collection(parts.uri.path(), "organizations"), Access::of(&parts.method))?;
        Ok(Self { issuer: Arc::clone(issuer), caller, role, now: issuer.clock.now(), path })
    }
}

/// The name of the caller's own organisation, whichever that is: a program that holds only a token need not look it up.
const OWN: &str = "own";
