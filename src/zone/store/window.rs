//! One page of a long list, and the cursors before and after it.
//!
//! A page is found by the key of its neighbour, never by counting: the hundredth costs as much as the first, and rows
//! that come and go meanwhile shift nothing.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::zone::store::Argument;

/// Which page.
#[derive(Clone, Debug)]
pub(in crate::zone) struct Window {
    pub(in crate::zone) order: Order,
    pub(in crate::zone) descending: bool,
    pub(in crate::zone) limit: u32,
    pub(in crate::zone) from: From,
    /// Whether all rows are to be counted, too.
    pub(in crate::zone) count: bool,
}

/// Where it begins.
#[derive(Clone, Debug)]
pub(in crate::zone) enum From {
    Start,
    After(Cursor),
    Before(Cursor),
}

/// What it is sorted by; the id comes second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::zone) enum Order {
    Created,
    Updated,
    Name,
    Identifier,
    Email,
    Status,
}

/// A row's place in its order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::zone) struct Cursor {
    pub(in crate::zone) key: Argument,
    pub(in crate::zone) id: String,
}

/// The rows of a page.
#[derive(Debug)]
pub(in crate::zone) struct Listed<R> {
    pub(in crate::zone) rows: Vec<R>,
    pub(in crate::zone) has_next: bool,
    pub(in crate::zone) has_previous: bool,
    pub(in crate::zone) start: Option<Cursor>,
    pub(in crate::zone) end: Option<Cursor>,
    pub(in crate::zone) total: Option<i64>,
}

impl Order {
    /// Its column.
    pub(super) fn column(self) -> &'static str {
        match self {
            Self::Created => "t.created_at",
            Self::Updated => "t.updated_at",
            Self::Name => "t.name",
            Self::Identifier => "t.identifier",
            Self::Email => "t.email",
            Self::Status => "t.status",
        }
    }

    /// Whether its keys are moments.
    pub(super) fn is_moment(self) -> bool {
        match self {
            Self::Created | Self::Updated => true,
            Self::Name | Self::Identifier | Self::Email | Self::Status => false,
        }
    }
}

impl Cursor {
    /// As clients get it, who are not to look into it.
    pub(in crate::zone) fn to_text(&self) -> String {
        let key = match &self.key {
            Argument::Text(text) => format!("t{}", text.as_deref().unwrap_or_default()),
            Argument::Number(number) => format!("n{}", number.unwrap_or_default()),
        };
        URL_SAFE_NO_PAD.encode(format!("{} {key}", self.id))
    }

    /// As a client sent it back, for a list in this order; none when it is of another order or no cursor at all.
    pub(in crate::zone) fn parse(text: &str, order: Order) -> Option<Self> {
        let decoded = String::from_utf8(URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
        let (id, key) = decoded.split_once(' ')?;
        let key = if order.is_moment() {
            Argument::from(key.strip_prefix('n')?.parse::<i64>().ok()?)
        } else {
            Argument::from(key.strip_prefix('t')?)
        };
        // PostgreSQL takes no text with a null in it.
        (!decoded.contains('\0')).then(|| Self { key, id: id.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_comes_back_for_its_own_order_only() {
        let cursor = Cursor { key: Argument::from("a name"), id: "x1".to_owned() };
        assert_eq!(Cursor::parse(&cursor.to_text(), Order::Name), Some(cursor.clone()));
        assert_eq!(Cursor::parse(&cursor.to_text(), Order::Created), None);
        for rubbish in ["", "%%", "AAAA", "bm8"] {
            assert_eq!(Cursor::parse(rubbish, Order::Name), None);
        }
    }
}
