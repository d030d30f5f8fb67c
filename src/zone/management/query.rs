//! The query of a list: which page, in which order, which of the rows.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use serde::Deserialize;
use utoipa::IntoParams;

use crate::limits::ZONE_PAGE_DEFAULT;
use crate::limits::ZONE_PAGE_MAX;
use crate::zone::management::refused::Refused;
use crate::zone::store::Cursor;
use crate::zone::store::Order;
use crate::zone::store::PageFrom;
use crate::zone::store::Window;

/// The parameters as they were sent.
pub(super) struct Query(Vec<(String, String)>);

/// The parameters of every list, for its description.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[allow(dead_code, reason = "describes, and is never made")]
pub(super) struct Paging {
    /// How many items a page has at most.
    #[param(minimum = 1, maximum = 1000, default = 100)]
    limit: Option<u32>,
    /// The page after this cursor.
    after: Option<String>,
    /// The page before this cursor.
    before: Option<String>,
    /// An older name of `after`.
    cursor: Option<String>,
    /// What else to tell: `total_count`, `permissions`, and what the collection has.
    #[serde(rename = "expand[]")]
    expand: Option<Vec<String>>,
}

impl Query {
    /// A parameter that is sent once.
    pub(super) fn one<'a>(&'a self, name: &'a str) -> Result<Option<&'a str>, Refused> {
        let mut values = self.values(name);
        let first = values.next();
        if values.next().is_some() {
            return Err(Refused::bad(name, "is sent more than once"));
        }
        Ok(first)
    }

    /// A parameter that may be repeated.
    pub(super) fn all(&self, name: &str) -> Vec<String> {
        self.values(name).map(str::to_owned).collect()
    }

    /// A parameter with and without `filter[…]`, as older and newer clients spell it.
    pub(super) fn filter(&self, name: &str) -> Vec<String> {
        let mut values = self.all(name);
        values.extend(self.all(&format!("filter[{name}]")));
        values.extend(self.all(&format!("filter[{name}][]")));
        values
    }

    /// The words to look for in `name`, or anywhere where it is empty.
    pub(super) fn words(&self, name: &str) -> Vec<String> {
        let mut words = self.all(&format!("query[{name}]"));
        words.extend(self.all(&format!("query[{name}][]")).into_iter().filter(|_| !name.is_empty()));
        words
    }

    /// A parameter with few legal values.
    pub(super) fn choices(&self, name: &str, legal: &[&str]) -> Result<Vec<String>, Refused> {
        let values = self.filter(name);
        match values.iter().all(|value| legal.contains(&value.as_str())) {
            true => Ok(values),
            false => Err(Refused::bad(name, &format!("must be one of {}", legal.join(", ")))),
        }
    }

    /// Yes or no.
    pub(super) fn flag(&self, name: &str) -> Result<Option<bool>, Refused> {
        let mut values = self.filter(name).into_iter();
        match (values.next().as_deref(), values.next()) {
            (None, _) => Ok(None),
            (Some("true"), None) => Ok(Some(true)),
            (Some("false"), None) => Ok(Some(false)),
            _ => Err(Refused::bad(name, "must be true or false")),
        }
    }

    /// Refuses filters and searches that the list does not have: to leave one out would show too much.
    pub(super) fn knows(&self, filters: &[&str], searches: &[&str]) -> Result<(), Refused> {
        for (name, _) in &self.0 {
            let inner = |prefix: &str| {
                let rest = name.strip_prefix(prefix)?.strip_suffix("[]").or(name.strip_prefix(prefix))?;
                rest.strip_suffix(']')
            };
            let known = match (inner("filter["), inner("query[")) {
                (Some(filter), _) => filters.contains(&filter),
                (_, Some(search)) => search.is_empty() || searches.contains(&search),
                (None, None) => true,
            };
            if !known {
                return Err(Refused::bad(name, "is not known here"));
            }
        }
        Ok(())
    }

    /// Whether `what` is to be told too.
    pub(super) fn expands(&self, what: &str) -> bool {
        self.values("expand[]").chain(self.values("expand")).any(|value| value == what)
    }

    /// Refuses what can't be told. `total_count` and `permissions` always can.
    pub(super) fn expands_only(&self, known: &[&str]) -> Result<(), Refused> {
        let legal = |value: &str| matches!(value, "total_count" | "permissions") || known.contains(&value);
        match self.values("expand[]").chain(self.values("expand")).all(legal) {
            true => Ok(()),
            false => Err(Refused::bad("expand[]", "asks for what is not known here")),
        }
    }

    /// Which page; `orders` are what the list can be sorted by. The oldest come first unless something else is said.
    pub(super) fn window(&self, orders: &[(&str, Order)]) -> Result<Window, Refused> {
        let (order, descending) = self.order(orders)?;
        let limit = match self.one("limit")? {
            None => ZONE_PAGE_DEFAULT,
            Some(text) => match text.parse::<u32>() {
                Ok(limit) if (1..=ZONE_PAGE_MAX).contains(&limit) => limit,
                _ => return Err(Refused::bad("limit", "must be between 1 and 1000")),
            },
        };
        let after = self.cursor("after", order)?.or(self.cursor("cursor", order)?);
        let from = match (after, self.cursor("before", order)?) {
            (None, None) => PageFrom::Start,
            (Some(after), None) => PageFrom::After(after),
            (None, Some(before)) => PageFrom::Before(before),
            (Some(_), Some(_)) => return Err(Refused::bad("before", "can't be sent with `after`")),
        };
        Ok(Window { order, descending, limit, from, count: self.expands("total_count") })
    }

    fn order(&self, orders: &[(&str, Order)]) -> Result<(Order, bool), Refused> {
        let sort = self.one("sort")?.filter(|sort| !sort.is_empty());
        let (name, descending) = match sort {
            None => ("created_at", false),
            Some(sort) => sort.strip_prefix('-').map_or((sort, false), |name| (name, true)),
        };
        let found = orders.iter().find(|(known, _)| *known == name).map(|(_, order)| *order);
        let order = match (found, sort) {
            (Some(order), _) => order,
            (None, None) => Order::Created,
            (None, Some(_)) => return Err(Refused::bad("sort", "is not known here")),
        };
        match self.one("order")? {
            None => Ok((order, descending)),
            Some("asc") => Ok((order, false)),
            Some("desc") => Ok((order, true)),
            Some(_) => Err(Refused::bad("order", "must be asc or desc")),
        }
    }

    fn cursor(&self, name: &str, order: Order) -> Result<Option<Cursor>, Refused> {
        let Some(text) = self.one(name)?.filter(|text| !text.is_empty()) else { return Ok(None) };
        let cursor = Cursor::parse(text, order);
        cursor.map(Some).ok_or_else(|| Refused::bad(name, "is no cursor of this list"))
    }

    fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(sent, _)| sent == name).map(|(_, value)| value.as_str())
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Query {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refused> {
        let read = axum::extract::Query::<Vec<(String, String)>>::try_from_uri(&parts.uri);
        let pairs = read.map_err(|_| Refused::bad("query", "is not well-formed"))?.0;
        // No database takes a null in a text.
        match pairs.iter().find(|(_, value)| value.contains('\0')) {
            Some((name, _)) => Err(Refused::bad(name, "holds a null character")),
            None => Ok(Self(pairs)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(text: &str) -> Query {
        let uri = format!("/x?{text}").parse().unwrap();
        Query(axum::extract::Query::try_from_uri(&uri).unwrap().0)
    }

    #[test]
    fn brackets_may_be_escaped_and_names_repeated() {
        let sent = query("filter%5Bid%5D=a&filter[id]=b&query[]=x&query%5Bname%5D=y&expand%5B%5D=total_count");
        assert_eq!(sent.filter("id"), ["a", "b"]);
        assert_eq!(sent.words(""), ["x"]);
        assert_eq!(sent.words("name"), ["y"]);
        assert!(sent.knows(&["id"], &["name"]).is_ok());
        assert!(sent.knows(&[], &["name"]).is_err());
        assert!(sent.window(&[]).unwrap().count);
    }

    #[test]
    fn what_can_not_be_is_refused() {
        let orders = [("name", Order::Name)];
        for wrong in ["limit=0", "limit=1001", "limit=x", "sort=color", "order=up", "after=zz", "limit=1&limit=2"] {
            assert!(query(wrong).window(&orders).is_err(), "{wrong}");
        }
        let window = query("sort=-name&limit=7").window(&orders).unwrap();
        assert!(window.descending && window.order == Order::Name && window.limit == 7);
        assert!(query("expand[]=everything").expands_only(&[]).is_err());
    }
}
