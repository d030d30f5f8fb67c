//! Rows of the management API's tables: found, listed, made, changed, removed, always within one zone.
//!
//! Table and column names are the program's own text; what a client sent is only ever a parameter.

use sqlx::Any;
use sqlx::AssertSqlSafe;
use sqlx::FromRow;
use sqlx::Row as _;
use sqlx::Transaction;
use sqlx::any::AnyRow;

use crate::model::Timestamp;
use crate::zone::store::Argument;
use crate::zone::store::Conditions;
use crate::zone::store::Cursor;
use crate::zone::store::Listed;
use crate::zone::store::Store;
use crate::zone::store::StoreFailed;
use crate::zone::store::window::From;
use crate::zone::store::window::Window;

/// A column and what is to be in it.
pub(in crate::zone) type Column = (&'static str, Argument);

/// What became of a change to one row.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::zone) enum Change {
    /// It is as asked.
    Done,
    /// There is no such row.
    Missing,
    /// It was changed by somebody else since the caller looked.
    Stale,
}

impl Store {
    /// The one row; `from` is a table as `t`, perhaps with others joined.
    pub(in crate::zone) async fn find<R: Fetched>(
        &self,
        columns: &'static str,
        from: &'static str,
        conditions: Conditions,
    ) -> Result<Option<R>, StoreFailed> {
        let (sql, arguments) = conditions.into_parts();
        let sql = format!("SELECT {columns} FROM {from} WHERE {sql}");
        let row = bound(&sql, arguments).fetch_optional(&self.pool).await?;
        Ok(row.map(|row| R::from_row(&row)).transpose()?)
    }

    /// All rows, for lists that are short by their nature.
    pub(in crate::zone) async fn find_all<R: Fetched>(
        &self,
        columns: &'static str,
        from: &'static str,
        conditions: Conditions,
    ) -> Result<Vec<R>, StoreFailed> {
        let (sql, arguments) = conditions.into_parts();
        let sql = format!("SELECT {columns} FROM {from} WHERE {sql} ORDER BY t.created_at, t.id");
        let rows = bound(&sql, arguments).fetch_all(&self.pool).await?;
        Ok(rows.iter().map(R::from_row).collect::<Result<_, _>>()?)
    }

    /// One page.
    pub(in crate::zone) async fn list<R: Fetched>(
        &self,
        columns: &'static str,
        from: &'static str,
        conditions: Conditions,
        window: &Window,
    ) -> Result<Listed<R>, StoreFailed> {
        let total = match window.count {
            true => Some(self.count(from, conditions.clone()).await?),
            false => None,
        };
        let (sql, arguments) = page_sql(columns, from, conditions, window);
        #[cfg(test)]
        self.refuse_slow_plan(&sql, &arguments, window).await;
        let mut rows = bound(&sql, arguments).fetch_all(&self.pool).await?;
        let limit = usize::try_from(window.limit).unwrap_or(usize::MAX);
        let more = rows.len() > limit;
        rows.truncate(limit);
        let (has_previous, has_next) = match window.from {
            From::Start => (false, more),
            From::After(_) => (true, more),
            From::Before(_) => {
                rows.reverse();
                (more, true)
            }
        };
        let cursor = |row: &AnyRow| -> Result<Cursor, StoreFailed> {
            let key = match window.order.is_moment() {
                true => Argument::from(row.try_get::<i64, _>("page_key")?),
                false => Argument::from(row.try_get::<String, _>("page_key")?),
            };
            Ok(Cursor { key, id: row.try_get("page_id")? })
        };
        let (start, end) = (rows.first().map(cursor).transpose()?, rows.last().map(cursor).transpose()?);
        let rows = rows.iter().map(R::from_row).collect::<Result<_, _>>()?;
        Ok(Listed { rows, has_next, has_previous, start, end, total })
    }

    /// How many there are.
    pub(in crate::zone) async fn count(&self, from: &'static str, conditions: Conditions) -> Result<i64, StoreFailed> {
        let (sql, arguments) = conditions.into_parts();
        let sql = format!("SELECT count(*) FROM {from} WHERE {sql}");
        Ok(bound(&sql, arguments).fetch_one(&self.pool).await?.try_get(0)?)
    }

    /// A new row.
    pub(in crate::zone) async fn insert(&self, table: &'static str, columns: Vec<Column>) -> Result<(), StoreFailed> {
        let (sql, arguments) = insert_sql(table, columns);
        bound(&sql, arguments).execute(&self.pool).await?;
        Ok(())
    }

    /// New rows, all or none.
    pub(in crate::zone) async fn insert_all(&self, rows: Vec<(&'static str, Vec<Column>)>) -> Result<(), StoreFailed> {
        let mut change = self.pool.begin().await?;
        for (table, columns) in rows {
            insert_within(&mut change, table, columns).await?;
        }
        Ok(change.commit().await?)
    }

    /// Changes the row that `conditions` name, if it was last changed at `expected`, where something is expected.
    /// `updated_at` moves on with every change, so that it tells them apart.
    pub(in crate::zone) async fn update(
        &self,
        table: &'static str,
        columns: Vec<Column>,
        conditions: Conditions,
        expected: Option<i64>,
        now: Timestamp,
    ) -> Result<Change, StoreFailed> {
        let with_expected = match expected {
            Some(expected) => conditions.clone().equals("updated_at", expected),
            None => conditions.clone(),
        };
        let (sql, arguments) = update_sql(table, columns, with_expected, now);
        let changed = bound(&sql, arguments).execute(&self.pool).await?.rows_affected();
        if changed > 0 {
            return Ok(Change::Done);
        }
        Ok(match expected.is_some() && self.count(table, conditions).await? > 0 {
            true => Change::Stale,
            false => Change::Missing,
        })
    }

    /// Removes the row that `conditions` name.
    pub(in crate::zone) async fn remove(
        &self,
        table: &'static str,
        conditions: Conditions,
    ) -> Result<Change, StoreFailed> {
        let (sql, arguments) = conditions.into_parts();
        let removed = bound(&format!("DELETE FROM {table} WHERE {sql}"), arguments).execute(&self.pool).await?;
        Ok(if removed.rows_affected() > 0 { Change::Done } else { Change::Missing })
    }
}

/// Every list of every test is looked at: a plan that reads a whole table fails the test.
#[cfg(test)]
impl Store {
    async fn refuse_slow_plan(&self, sql: &str, arguments: &[Argument], window: &Window) {
        let explain = format!("EXPLAIN QUERY PLAN {sql}");
        // PostgreSQL has another word for it, and its plans go by how many rows there are.
        let Ok(plan) = bound(&explain, arguments.to_vec()).fetch_all(&self.pool).await else { return };
        let plan: Vec<String> = plan.iter().map(|row| row.try_get("detail").unwrap()).collect();
        // A list of what one user belongs to is short, and may be sorted.
        let is_plain =
            sql.contains("WHERE t.") && arguments.len() == if matches!(window.from, From::Start) { 1 } else { 3 };
        for step in &plan {
            assert!(!step.starts_with("SCAN"), "{sql}: {plan:?}");
            assert!(!(is_plain && step.contains("TEMP B-TREE")), "{sql}: {plan:?}");
        }
    }
}

/// What a row can be read as.
pub(in crate::zone) trait Fetched: for<'r> FromRow<'r, AnyRow> {}

impl<R: for<'r> FromRow<'r, AnyRow>> Fetched for R {}

/// A new row, as part of a larger change.
pub(super) async fn insert_within(
    change: &mut Transaction<'_, Any>,
    table: &'static str,
    columns: Vec<Column>,
) -> Result<(), StoreFailed> {
    let (sql, arguments) = insert_sql(table, columns);
    bound(&sql, arguments).execute(&mut **change).await?;
    Ok(())
}

pub(super) fn bound(sql: &str, arguments: Vec<Argument>) -> sqlx::query::Query<'static, Any, sqlx::any::AnyArguments> {
    let query = sqlx::query(AssertSqlSafe(sql.to_owned()));
    arguments.into_iter().fold(query, |query, argument| argument.bind(query))
}

/// One row more than the page, to see whether there is another.
pub(super) fn page_sql(
    columns: &'static str,
    from: &'static str,
    mut conditions: Conditions,
    window: &Window,
) -> (String, Vec<Argument>) {
    let key = window.order.column();
    let backward = matches!(window.from, From::Before(_));
    let ascending = window.descending == backward;
    match &window.from {
        From::Start => {}
        From::After(cursor) | From::Before(cursor) => {
            conditions.beyond(key, cursor.key.clone(), &cursor.id, ascending);
        }
    }
    let direction = if ascending { "ASC" } else { "DESC" };
    let (sql, arguments) = conditions.into_parts();
    let limit = window.limit.saturating_add(1);
    let sql = format!(
        "SELECT {columns}, {key} AS page_key, t.id AS page_id FROM {from} WHERE {sql} \
         ORDER BY {key} {direction}, t.id {direction} LIMIT {limit}"
    );
    (sql, arguments)
}

fn insert_sql(table: &'static str, columns: Vec<Column>) -> (String, Vec<Argument>) {
    let (names, arguments): (Vec<_>, Vec<_>) = columns.into_iter().unzip();
    let places: Vec<String> = (1..=names.len()).map(|place| format!("${place}")).collect();
    (format!("INSERT INTO {table} ({}) VALUES ({})", names.join(", "), places.join(", ")), arguments)
}

fn update_sql(
    table: &'static str,
    columns: Vec<Column>,
    conditions: Conditions,
    now: Timestamp,
) -> (String, Vec<Argument>) {
    // The conditions keep the numbers of their parameters; what is set comes after them.
    let (sql, mut arguments) = conditions.into_parts();
    let mut sets = Vec::with_capacity(columns.len() + 1);
    for (name, value) in columns {
        arguments.push(value);
        sets.push(format!("{name} = ${}", arguments.len()));
    }
    arguments.push(now.as_millis().into());
    let place = arguments.len();
    sets.push(format!("updated_at = CASE WHEN updated_at < ${place} THEN ${place} ELSE updated_at + 1 END"));
    (format!("UPDATE {table} SET {} WHERE {sql}", sets.join(", ")), arguments)
}
