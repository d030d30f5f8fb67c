//! What stands beside the users of a page when it is asked for by `expand[]`: how many sessions and grants they have, how
//! they show who they are, and their roles in the zone. Each is found once for the whole page.

use std::collections::HashMap;

use serde::Serialize;
use serde_json::Value;
use sqlx::FromRow;
use utoipa::ToSchema;

use crate::model::Timestamp;
use crate::zone::management::expanded;
use crate::zone::management::expanded::Expanded;
use crate::zone::management::in_zone::InZone;
use crate::zone::management::providers::Provider;
use crate::zone::management::query::Query;
use crate::zone::management::refused::Refused;
use crate::zone::management::users::Row;
use crate::zone::store::Tally;

/// What was asked for, by the ids of users; each empty where it was not.
pub(super) struct UserDetails {
    sessions: Option<Tally>,
    grants: Option<Tally>,
    /// When the password was chosen, in milliseconds.
    passwords: Option<HashMap<String, i64>>,
    roles: Option<HashMap<String, String>>,
    providers: Expanded,
    with_groups: bool,
}

/// A user's, as far as it was asked for.
#[derive(Default, Serialize, ToSchema)]
#[schema(as = UserDetails)]
pub(super) struct Details {
    /// Only with `expand[]=session_count`: of the sessions that the list of sessions has, nested ones left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    session_count: Option<i64>,
    /// Only with `expand[]=grant_count`.
    #[serde(skip_serializing_if = "Option::is_none")]
    grant_count: Option<i64>,
    /// Only with `expand[]=credentials`.
    #[serde(skip_serializing_if = "Option::is_none")]
    credentials: Option<Vec<UserCredential>>,
    /// Only with `expand[]=role-assignments`.
    #[serde(skip_serializing_if = "Option::is_none")]
    role_assignments: Option<Vec<RoleAssignment>>,
    /// Only with `expand[]=groups`; always empty, for a zone has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    groups: Option<Vec<Group>>,
}

/// How a user shows who they are.
#[derive(Serialize, ToSchema)]
#[serde(tag = "type", rename_all = "lowercase")]
enum UserCredential {
    /// At another provider.
    Federation(Federation),
    /// With a password, here.
    Password(Password),
}

#[derive(Serialize, ToSchema)]
#[schema(as = UserCredentialFederation)]
struct Federation {
    provider_id: Option<String>,
    issuer: Option<String>,
    subject: Option<String>,
    /// Only with `expand[]=credentials.provider`.
    #[schema(value_type = Option<Provider>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    provider: Option<Value>,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
}

#[derive(Serialize, ToSchema)]
#[schema(as = UserCredentialPassword)]
struct Password {
    /// When this password was chosen.
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
}

/// A role of a user in the zone itself.
#[derive(Serialize, ToSchema)]
struct RoleAssignment {
    role_id: String,
    /// `zone_manager` or `zone_viewer`
    role_identifier: String,
    role_owner_type: &'static str,
    source: &'static str,
}

/// There is none.
#[derive(Serialize, ToSchema)]
struct Group {
    id: String,
    identifier: String,
    name: String,
    external: bool,
}

#[derive(FromRow)]
struct PasswordRow {
    user_id: String,
    changed_at: i64,
}

#[derive(FromRow)]
struct RoleRow {
    user_id: String,
    role: String,
}

impl UserDetails {
    /// Those of the users of a page.
    pub(super) async fn of(place: &InZone, query: &Query, rows: &[Row]) -> Result<Self, Refused> {
        query.expands_only(&EXPANDABLE)?;
        let ids: Vec<String> = rows.iter().map(|row| row.id.clone()).collect();
        let asked = |what: &str| query.expands(what) && !ids.is_empty();
        let of_users = || place.rows().one_of("t.user_id", &ids);
        let sessions = match asked("session_count") {
            true => Some(place.store.tally("t.user_id", "sessions t", of_users().empty("t.parent_id", true)).await?),
            false => None,
        };
        let grants = match asked("grant_count") {
            true => Some(place.store.tally("t.user_id", "grants t", of_users().empty("t.resource_id", false)).await?),
            false => None,
        };
        let with_credentials = asked("credentials") || asked("credentials.provider");
        let passwords = match with_credentials {
            true => Some(passwords(place, &ids).await?),
            false => None,
        };
        let roles = match asked("role-assignments") {
            true => {
                let found = "zone_members t";
                let found: Vec<RoleRow> = place.store.find_all("t.user_id, t.role", found, of_users()).await?;
                Some(found.into_iter().map(|row| (row.user_id, row.role)).collect())
            }
            false => None,
        };
        let vouching = rows.iter().map(|row| row.provider_id.as_ref());
        let providers = expanded::providers_as(place, query.expands("credentials.provider"), vouching).await?;
        Ok(Self { sessions, grants, passwords, roles, providers, with_groups: asked("groups") })
    }

    /// The one's of this row.
    pub(super) fn show(&self, row: &Row) -> Details {
        let count = |tally: &Tally| tally.get(&row.id).copied().unwrap_or_default();
        Details {
            session_count: self.sessions.as_ref().map(count),
            grant_count: self.grants.as_ref().map(count),
            credentials: self.passwords.as_ref().map(|passwords| self.credentials(row, passwords)),
            role_assignments: self
                .roles
                .as_ref()
                .map(|roles| roles.get(&row.id).map(|role| assignment(role)).into_iter().collect()),
            groups: self.with_groups.then(Vec::new),
        }
    }

    fn credentials(&self, row: &Row, passwords: &HashMap<String, i64>) -> Vec<UserCredential> {
        let federation = row.subject.is_some().then(|| {
            UserCredential::Federation(Federation {
                provider_id: row.provider_id.clone(),
                issuer: row.issuer.clone(),
                subject: row.subject.clone(),
                provider: self.providers.of(row.provider_id.as_ref()),
                created_at: Timestamp::from_millis(row.created_at),
                updated_at: Timestamp::from_millis(row.updated_at),
            })
        });
        let password = passwords.get(&row.id).map(|changed_at| {
            let changed_at = Timestamp::from_millis(*changed_at);
            UserCredential::Password(Password { created_at: changed_at, updated_at: changed_at })
        });
        federation.into_iter().chain(password).collect()
    }
}

async fn passwords(place: &InZone, ids: &[String]) -> Result<HashMap<String, i64>, Refused> {
    let found = "people_passwords p JOIN users t ON t.id = p.user_id";
    let conditions = place.rows().one_of("t.id", ids);
    let found: Vec<PasswordRow> = place.store.find_all("p.user_id, p.changed_at", found, conditions).await?;
    Ok(found.into_iter().map(|row| (row.user_id, row.changed_at)).collect())
}

fn assignment(role: &str) -> RoleAssignment {
    RoleAssignment {
        role_id: role.to_owned(),
        role_identifier: role.to_owned(),
        role_owner_type: "platform",
        source: "user",
    }
}

const EXPANDABLE: [&str; 6] =
    ["session_count", "grant_count", "credentials", "credentials.provider", "role-assignments", "groups"];
