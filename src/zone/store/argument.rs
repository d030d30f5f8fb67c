//! A value on its way into a statement, of the two kinds that both databases share.

use sqlx::Any;
use sqlx::any::AnyArguments;
use sqlx::query::Query;

/// Text or a number, or neither where a column may be empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::zone) enum Argument {
    /// Ids, names, JSON.
    Text(Option<String>),
    /// Moments, counts, yes and no.
    Number(Option<i64>),
}

impl Argument {
    /// Hands it to the statement.
    pub(super) fn bind(self, query: Query<'_, Any, AnyArguments>) -> Query<'_, Any, AnyArguments> {
        match self {
            Self::Text(text) => query.bind(text),
            Self::Number(number) => query.bind(number),
        }
    }
}

impl From<&str> for Argument {
    fn from(text: &str) -> Self {
        Self::Text(Some(text.to_owned()))
    }
}

impl From<String> for Argument {
    fn from(text: String) -> Self {
        Self::Text(Some(text))
    }
}

impl From<&String> for Argument {
    fn from(text: &String) -> Self {
        Self::Text(Some(text.clone()))
    }
}

impl From<Option<String>> for Argument {
    fn from(text: Option<String>) -> Self {
        Self::Text(text)
    }
}

impl From<i64> for Argument {
    fn from(number: i64) -> Self {
        Self::Number(Some(number))
    }
}

impl From<Option<i64>> for Argument {
    fn from(number: Option<i64>) -> Self {
        Self::Number(number)
    }
}

impl From<bool> for Argument {
    fn from(yes: bool) -> Self {
        Self::Number(Some(yes.into()))
    }
}
