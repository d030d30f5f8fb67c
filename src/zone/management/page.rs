//! A page of a list in both envelopes: the older clients read `page_info`, the newer ones `pagination`.

use serde::Serialize;
use utoipa::ToSchema;

use crate::zone::management::permissions::Permissions;
use crate::zone::store::Cursor;
use crate::zone::store::Listed;

/// A page of a list.
#[derive(Serialize, ToSchema)]
pub(super) struct Page<T> {
    items: Vec<T>,
    page_info: PageInfo,
    pagination: Pagination,
    /// Only with `expand[]=permissions`, and in lists of an organisation's things.
    #[serde(skip_serializing_if = "Option::is_none")]
    permissions: Option<Permissions>,
}

/// Where this page is, in the older words.
#[derive(Serialize, ToSchema)]
struct PageInfo {
    /// Whether there are more items after the current page
    has_next_page: bool,
    /// Whether there are items before the current page
    has_previous_page: bool,
    /// The same in the words of organisations.
    has_prev_page: bool,
    /// Cursor pointing to the first item in the current page
    start_cursor: Option<String>,
    /// Cursor pointing to the last item in the current page
    end_cursor: Option<String>,
}

/// Where the neighbours are.
#[derive(Serialize, ToSchema)]
struct Pagination {
    /// The `after` of the next page; null on the last.
    after_cursor: Option<String>,
    /// The `before` of the page before; null on the first.
    before_cursor: Option<String>,
    /// How many there are; told with `expand[]=total_count`.
    total_count: Option<i64>,
}

impl<T> Page<T> {
    /// The items are the rows, each made by `make`.
    pub(super) fn of<R>(listed: Listed<R>, make: impl FnMut(R) -> T) -> Self {
        let (start, end) = (listed.start.as_ref().map(Cursor::to_text), listed.end.as_ref().map(Cursor::to_text));
        Self {
            items: listed.rows.into_iter().map(make).collect(),
            permissions: None,
            pagination: Pagination {
                after_cursor: end.clone().filter(|_| listed.has_next),
                before_cursor: start.clone().filter(|_| listed.has_previous),
                total_count: listed.total,
            },
            page_info: PageInfo {
                has_next_page: listed.has_next,
                has_previous_page: listed.has_previous,
                has_prev_page: listed.has_previous,
                start_cursor: start,
                end_cursor: end,
            },
        }
    }
    /// With what the caller may do here.
    pub(super) fn with_permissions(self, permissions: Option<Permissions>) -> Self {
        Self { permissions, ..self }
    }
}
