//! Who calls: an API token, a service account, or a signed-in user; and what each may do where.

use axum::extract::FromRequestParts;
use axum::http::Method;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use serde::Deserialize;
use sqlx::FromRow;
use std::sync::Arc;

use crate::jose::Verifier;
use crate::model::Secret;
use crate::model::Timestamp;
use crate::zone::OWN_CLIENT;
use crate::zone::api_token;
use crate::zone::id::UserId;
use crate::zone::issuer::Issuer;
use crate::zone::management::refused::Refused;
use crate::zone::opaque::Hash;
use crate::zone::store::Conditions;

/// Somebody the zone knows.
#[derive(Clone, Debug)]
pub(super) enum Caller {
    /// A program with an API token: all of its organisation's zones, as far as its scopes go.
    Token { id: String, organization: String, scopes: Vec<String>, expires_at: Option<Timestamp> },
    /// A service account: all of its organisation's zones.
    ServiceAccount { id: String, organization: String },
    /// A person.
    User { id: String },
}

/// What somebody may do in a zone or an organisation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Everything.
    Manager,
    /// Look.
    Viewer,
}

/// What a request does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    Read,
    Write,
}

impl Access {
    /// By the method.
    pub(super) fn of(method: &Method) -> Self {
        if matches!(*method, Method::GET | Method::HEAD) { Self::Read } else { Self::Write }
    }
}

/// What a service account's token says.
#[derive(Deserialize)]
struct ServiceAccountClaims {
    sub: String,
    sub_profile: String,
    #[serde(rename = "https://api.keycard.sh/organization_id")]
    organization: String,
}

#[derive(FromRow)]
struct TokenRow {
    id: String,
    organization_id: String,
    scopes: String,
    expires_at: Option<i64>,
    revoked_at: Option<i64>,
    last_used_at: Option<i64>,
}

#[derive(FromRow)]
struct RoleRow {
    role: String,
}

impl Caller {
    /// As a row says who made it.
    pub(super) fn id(&self) -> &str {
        match self {
            Self::Token { id, .. } | Self::ServiceAccount { id, .. } | Self::User { id } => id,
        }
    }

    /// What the caller is in an organisation; none where it is a stranger.
    pub(super) async fn role_in_organization(
        &self,
        issuer: &Issuer,
        organization: &str,
    ) -> Result<Option<Role>, Refused> {
        match self {
            Self::Token { organization: own, .. } | Self::ServiceAccount { organization: own, .. } => {
                Ok((own == organization).then_some(Role::Manager))
            }
            Self::User { id } => {
                let conditions =
                    Conditions::default().equals("t.organization_id", organization).equals("t.user_id", id.as_str());
                let row: Option<RoleRow> = issuer.store.find("t.role", "organization_members t", conditions).await?;
                Ok(row.and_then(|row| match row.role.as_str() {
                    "org_admin" => Some(Role::Manager),
                    "org_viewer" => Some(Role::Viewer),
                    _ => None,
                }))
            }
        }
    }

    /// The organisation that the caller belongs to; of a person's several, the one that the database was made with.
    pub(super) async fn organization(&self, issuer: &Issuer) -> Result<String, Refused> {
        match self {
            Self::Token { organization, .. } | Self::ServiceAccount { organization, .. } => Ok(organization.clone()),
            Self::User { .. } => Ok(issuer.store.home_organization().await?),
        }
    }

    /// What the caller is in a zone of the organisation; none where it is a stranger.
    pub(super) async fn role_in_zone(
        &self,
        issuer: &Issuer,
        organization: &str,
        zone: &str,
    ) -> Result<Option<Role>, Refused> {
        let wide = self.role_in_organization(issuer, organization).await?;
        let Self::User { id } = self else { return Ok(wide) };
        if wide == Some(Role::Manager) {
            return Ok(wide);
        }
        let conditions = Conditions::default().equals("t.zone_id", zone).equals("t.user_id", id.as_str());
        let row: Option<RoleRow> = issuer.store.find("t.role", "zone_members t", conditions).await?;
        Ok(match row.as_ref().map(|row| row.role.as_str()) {
            Some("zone_manager") => Some(Role::Manager),
            Some("zone_viewer") => Some(Role::Viewer),
            _ => wide,
        })
    }

    /// Whether the scopes allow it, where the caller has scopes: `things:write` includes `things:read`, `*` stands for
    /// each collection, and `admin` is all.
    pub(super) fn may(&self, collection: &str, access: Access) -> bool {
        let Self::Token { scopes, .. } = self else { return true };
        scopes.iter().any(|scope| match scope.split_once(':') {
            None => scope == ADMIN,
            Some((name, verb)) => {
                (name == collection || name == "*") && (verb == "write" || (verb == "read" && access == Access::Read))
            }
        })
    }

    /// Whether it may do everything in the organisation.
    pub(super) async fn administers(&self, issuer: &Issuer, organization: &str) -> Result<bool, Refused> {
        let all = match self {
            Self::Token { scopes, .. } => scopes.iter().any(|scope| may_everything(scope)),
            Self::ServiceAccount { .. } | Self::User { .. } => true,
        };
        Ok(all && self.role_in_organization(issuer, organization).await? == Some(Role::Manager))
    }

    /// Refuses what the caller's role or scopes do not allow.
    pub(super) fn check(&self, role: Role, collection: &str, access: Access) -> Result<(), Refused> {
        if access == Access::Write && role != Role::Manager {
            return Err(Refused::forbidden("This role can only look"));
        }
        match self.may(collection, access) {
            true => Ok(()),
            false => Err(Refused::forbidden("The token's scopes do not allow this")),
        }
    }
}

impl FromRequestParts<Arc<Issuer>> for Caller {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, issuer: &Arc<Issuer>) -> Result<Self, Refused> {
        // Found out once for a request, however many of its parts ask.
        if let Some(known) = parts.extensions.get::<Self>() {
            return Ok(known.clone());
        }
        let token = bearer(parts)?;
        let caller = match token.starts_with(api_token::PREFIX) {
            true => by_api_token(issuer, token).await?,
            false => by_jwt(issuer, token).await?,
        };
        parts.extensions.insert(caller.clone());
        Ok(caller)
    }
}

/// Whether whoever has this scope may do whatever an administrator may.
pub(super) fn may_everything(scope: &str) -> bool {
    scope == ADMIN || scope == "*:write"
}

fn bearer(parts: &Parts) -> Result<&str, Refused> {
    let mut sent = parts.headers.get_all(AUTHORIZATION).iter();
    let (Some(value), None) = (sent.next(), sent.next()) else { return Err(Refused::unauthorized()) };
    let (scheme, token) =
        value.to_str().ok().and_then(|value| value.split_once(' ')).ok_or_else(Refused::unauthorized)?;
    match scheme.eq_ignore_ascii_case("bearer") {
        true => Ok(token.trim_matches(' ')),
        false => Err(Refused::unauthorized()),
    }
}

/// When the person who calls showed a second factor in the session of their token, where they did.
pub(super) async fn second_factor_at(issuer: &Issuer, parts: &Parts, user: &str) -> Result<Option<Timestamp>, Refused> {
    let session = issuer.read_session(bearer(parts)?).map_err(|_| Refused::unauthorized())?;
    let standing = issuer.store.standing(&session.sign_in(), &UserId::known(user.to_owned())).await?;
    Ok(standing.and_then(|standing| standing.second_factor_at))
}

async fn by_api_token(issuer: &Issuer, token: &str) -> Result<Caller, Refused> {
    if !api_token::is_well_formed(token) {
        return Err(Refused::unauthorized());
    }
    let now = issuer.clock.now();
    let columns = "t.id, t.organization_id, t.scopes, t.expires_at, t.revoked_at, t.last_used_at";
    let conditions = Conditions::default().equals("t.hash", Hash::of(&Secret::new(token)).as_str());
    let row: Option<TokenRow> = issuer.store.find(columns, "api_tokens t", conditions).await?;
    let row = row.ok_or_else(Refused::unauthorized)?;
    if row.revoked_at.is_some() || row.expires_at.is_some_and(|expires_at| expires_at <= now.as_millis()) {
        return Err(Refused::unauthorized());
    }
    issuer.store.note_api_token_use(&row.id, row.last_used_at, now).await?;
    let scopes = row.scopes.split(' ').map(str::to_owned).collect();
    let expires_at = row.expires_at.map(Timestamp::from_millis);
    Ok(Caller::Token { id: row.id, organization: row.organization_id, scopes, expires_at })
}

async fn by_jwt(issuer: &Issuer, token: &str) -> Result<Caller, Refused> {
    if let Ok(session) = issuer.read_session(token) {
        let user = session.user().ok_or_else(Refused::unauthorized)?;
        // A person who lets a client know who they are does not let it manage their zones: only our own clients may,
        // and none whose token is bound to a key, which is not looked at here.
        let is_own = session.client_id == OWN_CLIENT || issuer.store.is_daemon(&session.client_id).await?;
        if !is_own || session.key().is_some() || !issuer.is_live(&session).await? {
            return Err(Refused::unauthorized());
        }
        if issuer.store.user(&user).await?.is_none() {
            return Err(Refused::unauthorized());
        }
        return Ok(Caller::User { id: user.to_string() });
    }
    let verifier = Verifier::new(issuer.url().to_owned(), audience(issuer), Arc::clone(&issuer.clock));
    let claims: Result<ServiceAccountClaims, _> = verifier.verify(token, issuer.keyring.keys().verifying());
    let claims = claims.map_err(|_| Refused::unauthorized())?;
    if claims.sub_profile != SERVICE_ACCOUNT {
        return Err(Refused::unauthorized());
    }
    // A service account that was removed takes its tokens with it.
    let conditions = Conditions::default()
        .equals("t.id", claims.sub.as_str())
        .equals("t.organization_id", claims.organization.as_str());
    if issuer.store.count("service_accounts t", conditions).await? == 0 {
        return Err(Refused::unauthorized());
    }
    Ok(Caller::ServiceAccount { id: claims.sub, organization: claims.organization })
}

/// The audience of service accounts' tokens: another one than a user session's.
pub(super) fn audience(issuer: &Issuer) -> String {
    format!("{}/management", issuer.url())
}

/// The profile of service accounts' tokens.
pub(super) const SERVICE_ACCOUNT: &str = "service-account";

/// The scope that is all scopes.
const ADMIN: &str = "admin";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_allow_what_they_name_and_no_more() {
        let may = |scopes: &str, collection, access| {
            let scopes = scopes.split(' ').map(str::to_owned).collect();
            Caller::Token { id: String::new(), organization: String::new(), scopes, expires_at: None }
                .may(collection, access)
        };
        assert!(may("applications:read", "applications", Access::Read));
        assert!(!may("applications:read", "applications", Access::Write));
        assert!(may("applications:write", "applications", Access::Read));
        assert!(!may("applications:write zones:read", "zones", Access::Write));
        assert!(may("*:read", "secrets", Access::Read) && !may("*:read", "secrets", Access::Write));
        assert!(may("admin", "secrets", Access::Write));
        for none in ["", "write", "applications", "applications:", "application:write"] {
            assert!(!may(none, "applications", Access::Read), "{none}");
        }
    }
}
