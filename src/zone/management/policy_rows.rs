//! What policies, policy sets and their versions have in common: who wrote them and when, and how they are found, listed
//! and archived. What is archived stays readable.

use axum::Json;
use serde::Serialize;
use serde_json::Value;
use sqlx::FromRow;
use utoipa::ToSchema;

use crate::model::Timestamp;
use crate::zone::management::expanded;
use crate::zone::management::expanded::Expanded;
use crate::zone::management::in_zone::InZone;
use crate::zone::management::page::Page;
use crate::zone::management::query::Query;
use crate::zone::management::refused::Refused;
use crate::zone::store::Archivable;
use crate::zone::store::Archived;
use crate::zone::store::Conditions;
use crate::zone::store::Fetched;
use crate::zone::store::Window;

/// Who wrote it, and when.
#[derive(Serialize, ToSchema)]
#[schema(as = PolicyAuthors)]
pub(super) struct Authors {
    /// The id of a user, a service account or an API token; `platform` for the zone itself.
    created_by: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    updated_by: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    archived_by: Option<String>,
    /// Only with `expand[]=user`, where it was a user.
    #[schema(value_type = Option<Author>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    created_by_user: Option<Value>,
    /// The same.
    #[schema(value_type = Option<Author>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    updated_by_user: Option<Value>,
    /// The same.
    #[schema(value_type = Option<Author>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    archived_by_user: Option<Value>,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// None of a version, which never changes.
    #[schema(value_type = Option<String>, format = DateTime)]
    #[serde(skip_serializing_if = "Option::is_none")]
    updated_at: Option<Timestamp>,
    #[schema(value_type = Option<String>, format = DateTime)]
    archived_at: Option<Timestamp>,
}

/// A user of the zone where administrators are.
#[derive(Serialize, ToSchema)]
#[schema(as = PolicyAuthor)]
pub(super) struct Author {
    pub(super) id: String,
    pub(super) email: Option<String>,
    pub(super) zone_id: String,
}

/// The columns of a row that say so.
#[derive(FromRow)]
pub(super) struct AuthorsRow {
    pub(super) created_by: String,
    #[sqlx(default)]
    updated_by: Option<String>,
    archived_by: Option<String>,
    created_at: i64,
    #[sqlx(default)]
    pub(super) updated_at: i64,
    pub(super) archived_at: Option<i64>,
}

/// A row of one of the four tables.
pub(super) trait PolicyRow: Fetched {
    /// What people call it.
    const WHAT: &'static str;
    /// What is read of it, and where.
    const COLUMNS: &'static str;
    const TABLES: &'static str;

    fn authors(&self) -> &AuthorsRow;
    fn owner_type(&self) -> &str;
}

impl AuthorsRow {
    /// As clients see it.
    pub(super) fn show(self, users: &Expanded) -> Authors {
        Authors {
            created_by_user: users.of(Some(&self.created_by)),
            updated_by_user: users.of(self.updated_by.as_ref()),
            archived_by_user: users.of(self.archived_by.as_ref()),
            created_by: self.created_by,
            updated_by: self.updated_by,
            archived_by: self.archived_by,
            created_at: Timestamp::from_millis(self.created_at),
            updated_at: Some(self.updated_at).filter(|at| *at != 0).map(Timestamp::from_millis),
            archived_at: self.archived_at.map(Timestamp::from_millis),
        }
    }
}

/// The one that the conditions name.
pub(super) async fn find<R: PolicyRow>(place: &InZone, conditions: Conditions) -> Result<R, Refused> {
    let row = place.store.find::<R>(R::COLUMNS, R::TABLES, conditions).await?;
    row.ok_or_else(|| Refused::not_found(R::WHAT))
}

/// The one of the path, for a change: neither the platform's nor archived.
pub(super) async fn changeable<R: PolicyRow>(place: &InZone) -> Result<R, Refused> {
    let row: R = find(place, place.row()).await?;
    place.changeable(row.owner_type(), row.authors().archived_at)?;
    Ok(row)
}

/// Who wrote these, where that is asked for.
pub(super) async fn users_of<R: PolicyRow>(place: &InZone, query: &Query, rows: &[R]) -> Result<Expanded, Refused> {
    let ids = rows
        .iter()
        .map(PolicyRow::authors)
        .flat_map(|authors| [Some(&authors.created_by), authors.updated_by.as_ref(), authors.archived_by.as_ref()]);
    expanded::authors(place, query, ids).await
}

/// A page of those that the conditions name, each shown by `show`.
pub(super) async fn page<R: PolicyRow, T: Serialize>(
    place: &InZone,
    query: &Query,
    conditions: Conditions,
    window: &Window,
    show: impl Fn(R, &Expanded) -> T,
) -> Result<Json<Page<T>>, Refused> {
    query.expands_only(&["user"])?;
    let listed = place.store.list::<R>(R::COLUMNS, R::TABLES, conditions, window).await?;
    let users = users_of(place, query, &listed.rows).await?;
    Ok(Json(Page::of(listed, |row| show(row, &users))))
}

/// Archives the one of this id that the conditions name, unless it is the platform's, or in use.
pub(super) async fn archive<R: PolicyRow>(
    place: &InZone,
    what: Archivable,
    id: &str,
    conditions: Conditions,
) -> Result<(), Refused> {
    place.customer_only(find::<R>(place, conditions).await?.owner_type())?;
    match place.store.archive(what, id, place.caller.id(), place.expected, place.now).await? {
        Archived::Done => Ok(()),
        Archived::InUse => Err(Refused::conflict("It is bound, or part of what is; bind another version first")),
        Archived::Missing => Err(Refused::not_found(R::WHAT)),
        Archived::Stale => Err(Refused::stale()),
    }
}
