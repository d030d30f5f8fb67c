//! What stands beside the ids of a list when it is asked for by `expand[]`: users, applications, resources and the rest,
//! each found once for the whole page.

use std::collections::HashMap;

use serde::Serialize;
use serde_json::Value;
use sqlx::FromRow;

use crate::zone::management::applications;
use crate::zone::management::caller::Access;
use crate::zone::management::in_zone::InZone;
use crate::zone::management::policy_rows::Author;
use crate::zone::management::providers;
use crate::zone::management::query::Query;
use crate::zone::management::refused::Refused;
use crate::zone::management::resources;
use crate::zone::management::users;
use crate::zone::store::Conditions;
use crate::zone::store::Fetched;
use crate::zone::store::Store;

/// Things by their ids; empty where nobody asked for them.
#[derive(Default)]
pub(super) struct Expanded(HashMap<String, Value>);

impl Expanded {
    /// The one of this id.
    pub(super) fn of(&self, id: Option<&String>) -> Option<Value> {
        self.0.get(id?).cloned()
    }
}

/// Users.
pub(super) async fn users(
    place: &InZone,
    query: &Query,
    ids: impl Iterator<Item = Option<&String>>,
) -> Result<Expanded, Refused> {
    let show = |row: users::Row| row.show(&place.organization);
    find(place, query.expands("user"), "users", users::COLUMNS, "users t", ids, show).await
}

/// Applications.
pub(super) async fn applications(
    place: &InZone,
    query: &Query,
    ids: impl Iterator<Item = Option<&String>>,
) -> Result<Expanded, Refused> {
    let show = |row: applications::Row| row.show(&place.organization);
    find(place, query.expands("application"), "applications", applications::COLUMNS, "applications t", ids, show).await
}

/// User agents.
pub(super) async fn user_agents(
    place: &InZone,
    query: &Query,
    ids: impl Iterator<Item = Option<&String>>,
) -> Result<Expanded, Refused> {
    let show = |row: users::UserAgentRow| row.show(&place.organization);
    find(place, query.expands("user_agent"), "user-agents", users::USER_AGENT_COLUMNS, "user_agents t", ids, show).await
}

/// Resources.
pub(super) async fn resources(
    place: &InZone,
    query: &Query,
    ids: impl Iterator<Item = Option<&String>>,
) -> Result<Expanded, Refused> {
    let show = |row: resources::Row| row.show(&place.organization);
    find(place, query.expands("resource"), "resources", resources::COLUMNS, "resources t", ids, show).await
}

/// Providers.
pub(super) async fn providers(
    place: &InZone,
    query: &Query,
    ids: impl Iterator<Item = Option<&String>>,
) -> Result<Expanded, Refused> {
    providers_as(place, query.expands("provider"), ids).await
}

/// Providers, by whatever name they are asked for.
pub(super) async fn providers_as(
    place: &InZone,
    is_wanted: bool,
    ids: impl Iterator<Item = Option<&String>>,
) -> Result<Expanded, Refused> {
    let show = |row: providers::Row| row.show(&place.organization);
    find(place, is_wanted, "providers", providers::COLUMNS, "providers t", ids, show).await
}

/// Users of the home zone, where those are who administer, as far as they wrote something.
pub(super) async fn authors(
    place: &InZone,
    query: &Query,
    ids: impl Iterator<Item = Option<&String>>,
) -> Result<Expanded, Refused> {
    let home = &place.issuer.store;
    let rows = Conditions::default().equals("t.zone_id", home.zone().as_str());
    let show = |row: AuthorRow| Author {
        id: row.id,
        email: Some(row.email).filter(|email| !email.is_empty()),
        zone_id: home.zone().to_string(),
    };
    find_in(home, rows, query.expands("user"), "t.id, t.email", "users t", ids, show).await
}

#[derive(FromRow)]
struct AuthorRow {
    id: String,
    email: String,
}

async fn find<R: Fetched, T: Serialize>(
    place: &InZone,
    is_wanted: bool,
    collection: &str,
    columns: &'static str,
    from: &'static str,
    ids: impl Iterator<Item = Option<&String>>,
    show: impl Fn(R) -> T,
) -> Result<Expanded, Refused> {
    // What a token may not look at in its own collection, it is not shown beside other things.
    if is_wanted && !place.caller.may(collection, Access::Read) {
        return Err(Refused::forbidden("The token's scopes do not allow to expand this"));
    }
    find_in(&place.store, place.rows(), is_wanted, columns, from, ids, show).await
}

async fn find_in<R: Fetched, T: Serialize>(
    store: &Store,
    rows: Conditions,
    is_wanted: bool,
    columns: &'static str,
    from: &'static str,
    ids: impl Iterator<Item = Option<&String>>,
    show: impl Fn(R) -> T,
) -> Result<Expanded, Refused> {
    let mut ids: Vec<String> = ids.flatten().cloned().collect();
    ids.sort();
    ids.dedup();
    if !is_wanted || ids.is_empty() {
        return Ok(Expanded::default());
    }
    let rows: Vec<R> = store.find_all(columns, from, rows.one_of("t.id", &ids)).await?;
    let mut found = HashMap::with_capacity(rows.len());
    for row in rows {
        let shown = serde_json::to_value(show(row)).map_err(|_| Refused::failed())?;
        let id = shown.get("id").and_then(Value::as_str).unwrap_or_default().to_owned();
        found.insert(id, shown);
    }
    Ok(Expanded(found))
}
