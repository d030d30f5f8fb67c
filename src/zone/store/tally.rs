//! How many rows there are of each: counted once for a whole page.

use std::collections::HashMap;

use sqlx::Row as _;

use crate::zone::store::Conditions;
use crate::zone::store::Store;
use crate::zone::store::StoreFailed;
use crate::zone::store::tables::bound;

/// Counts by what they are of; what has none is not in it.
pub(in crate::zone) type Tally = HashMap<String, i64>;

impl Store {
    /// How many rows of `from` there are for each value of `column`.
    pub(in crate::zone) async fn tally(
        &self,
        column: &'static str,
        from: &'static str,
        conditions: Conditions,
    ) -> Result<Tally, StoreFailed> {
        let (sql, arguments) = conditions.into_parts();
        let sql = format!("SELECT {column}, count(*) FROM {from} WHERE {sql} GROUP BY {column}");
        let rows = bound(&sql, arguments).fetch_all(&self.pool).await?;
        Ok(rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect::<Result<_, sqlx::Error>>()?)
    }
}
