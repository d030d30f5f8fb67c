//! A request for something of a zone: the caller is known, the zone is there, and the caller may do this in it.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::extract::Path;
use axum::http::header::IF_MATCH;
use axum::http::request::Parts;
use sqlx::FromRow;

use crate::model::Timestamp;
use crate::zone::id::ZoneId;
use crate::zone::issuer::Issuer;
use crate::zone::management::caller::Access;
use crate::zone::management::caller::Caller;
use crate::zone::management::caller::Role;
use crate::zone::management::refused::Refused;
use crate::zone::management::second_factor::SecondFactor;
use crate::zone::store::Conditions;
use crate::zone::store::Store;

/// Where a request takes place, and who makes it. Another zone's rows are not to be seen through it.
pub(super) struct InZone {
    pub(super) issuer: Arc<Issuer>,
    /// Looks at the zone of the path.
    pub(super) store: Store,
    pub(super) organization: String,
    pub(super) caller: Caller,
    pub(super) role: Role,
    pub(super) now: Timestamp,
    /// When the caller saw the row last, where `If-Match` says so.
    pub(super) expected: Option<i64>,
    path: HashMap<String, String>,
}

#[derive(FromRow)]
struct ZoneRow {
    organization_id: String,
}

impl InZone {
    /// A part of the path.
    pub(super) fn part(&self, name: &str) -> &str {
        self.path.get(name).map_or("", String::as_str)
    }

    /// The id of the zone.
    pub(super) fn zone(&self) -> &str {
        self.store.zone().as_str()
    }

    /// All rows of the zone, in a table that is called `t`.
    pub(super) fn rows(&self) -> Conditions {
        Conditions::default().equals("t.zone_id", self.zone())
    }

    /// The row of the zone that the path names, in a table that is called `t`.
    pub(super) fn row(&self) -> Conditions {
        self.rows().equals("t.id", self.part("id"))
    }

    /// The same without the name of the table, as a change needs it.
    pub(super) fn own(&self) -> Conditions {
        self.own_with("id", self.part("id"))
    }

    /// The row of the zone that has this value.
    pub(super) fn own_with(&self, column: &'static str, value: &str) -> Conditions {
        Conditions::default().equals("zone_id", self.zone()).equals(column, value)
    }

    /// Refuses whoever may not say how the zone's people are known, for whoever says it can be each of them: a person
    /// shows a second factor, a token may write more than providers, and at the home zone, whose people are those who
    /// administer, only one of them may.
    pub(super) async fn keeps_the_door(&self, second_factor: &SecondFactor) -> Result<(), Refused> {
        second_factor.require()?;
        let may = match self.zone() == self.issuer.store.zone().as_str() {
            true => self.caller.administers(&self.issuer, &self.organization).await?,
            false => self.caller.may("zones", Access::Write),
        };
        match may {
            true => Ok(()),
            false => Err(Refused::forbidden("Only an administrator can change how people sign in")),
        }
    }

    /// Refuses to touch what the zone itself put there.
    pub(super) fn customer_only(&self, owner_type: &str) -> Result<(), Refused> {
        match owner_type == "platform" {
            true => Err(Refused::forbidden("It belongs to the platform and can't be changed")),
            false => Ok(()),
        }
    }

    /// The same, and what is archived.
    pub(super) fn changeable(&self, owner_type: &str, archived_at: Option<i64>) -> Result<(), Refused> {
        self.customer_only(owner_type)?;
        match archived_at {
            Some(_) => Err(Refused::conflict("It is archived")),
            None => Ok(()),
        }
    }
}

impl FromRequestParts<Arc<Issuer>> for InZone {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, issuer: &Arc<Issuer>) -> Result<Self, Refused> {
        let caller = Caller::from_request_parts(parts, issuer).await?;
        let path = Path::<HashMap<String, String>>::from_request_parts(parts, issuer).await;
        let Path(path) = path.map_err(|_| Refused::not_found("zone"))?;
        // No database takes a null in a text.
        let zone = path.get("zone_id").filter(|_| path.values().all(|part| !part.contains('\0')));
        let zone = zone.ok_or_else(|| Refused::not_found("zone"))?;
        let conditions = Conditions::default().equals("t.id", zone);
        let row: Option<ZoneRow> = issuer.store.find("t.organization_id", "zones t", conditions).await?;
        let organization = row.ok_or_else(|| Refused::not_found("zone"))?.organization_id;
        // A zone that the caller has no business in does not exist for it.
        let role = caller.role_in_zone(issuer, &organization, zone).await?;
        let role = role.ok_or_else(|| Refused::not_found("zone"))?;
        caller.check(role, collection(parts.uri.path(), "zones"), Access::of(&parts.method))?;
        let store = issuer.store.of(ZoneId::known(zone.clone()));
        let expected = expected(parts)?;
        let now = issuer.clock.now();
        Ok(Self { issuer: Arc::clone(issuer), store, organization, caller, role, now, expected, path })
    }
}

/// What scopes call the things of this path: what comes after the id of the zone or organisation, else `itself`.
pub(super) fn collection<'a>(path: &'a str, itself: &'a str) -> &'a str {
    // The catalogue's paths have a word before the zone, and two after it for the same things.
    if path.starts_with("/catalog/") {
        return "packages";
    }
    path.split('/').nth(3).filter(|name| !name.is_empty()).unwrap_or(itself)
}

/// An entity tag is the moment of the last change.
fn expected(parts: &Parts) -> Result<Option<i64>, Refused> {
    let Some(sent) = parts.headers.get(IF_MATCH) else { return Ok(None) };
    let tag = sent.to_str().unwrap_or_default().trim();
    if tag == "*" {
        return Ok(None);
    }
    let tag = tag.strip_prefix('"').and_then(|tag| tag.strip_suffix('"')).unwrap_or(tag);
    tag.parse().map(Some).map_err(|_| Refused::stale())
}

/// The entity tag of a row that was changed last at this moment.
pub(super) fn tag(updated_at: i64) -> [(axum::http::HeaderName, String); 1] {
    [(axum::http::header::ETAG, format!("\"{updated_at}\""))]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_collection_is_what_comes_after_the_zone() {
        assert_eq!(collection("/zones/z1", "zones"), "zones");
        assert_eq!(collection("/zones/z1/applications/a/dependencies", "zones"), "applications");
        assert_eq!(collection("/catalog/zones/z1/install", "zones"), "packages");
    }
}
