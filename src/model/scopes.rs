//! OAuth scopes: a set of `scope-token`s (RFC 6749 §3.3).

use std::collections::BTreeSet;
use std::fmt;

/// A set of scopes, shown as a space-separated list in sorted order, so that equal sets print equal.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Scopes(BTreeSet<String>);

/// A scope holds a character that RFC 6749 §3.3 does not permit, or is empty.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not a scope: RFC 6749 permits printable ASCII without space, quote and backslash")]
pub struct ScopeNotLegal(pub String);

impl Scopes {
    /// Parses a space-separated list; an empty list is the empty set.
    pub fn parse(list: &str) -> Result<Self, ScopeNotLegal> {
        Self::collect(list.split(' ').filter(|scope| !scope.is_empty()))
    }

    /// From single scopes.
    pub fn collect<'a>(scopes: impl IntoIterator<Item = &'a str>) -> Result<Self, ScopeNotLegal> {
        let mut set = BTreeSet::new();
        for scope in scopes {
            let legal = |byte: u8| matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e);
            if scope.is_empty() || !scope.bytes().all(legal) {
                return Err(ScopeNotLegal(scope.escape_debug().to_string()));
            }
            set.insert(scope.to_owned());
        }
        Ok(Self(set))
    }

    /// Whether none is named.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Each scope, in order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// Those that both sets name.
    pub fn intersection(&self, other: &Self) -> Self {
        Self(self.0.intersection(&other.0).cloned().collect())
    }

    /// Whether each of these is in `other`.
    pub fn is_subset(&self, other: &Self) -> bool {
        self.0.is_subset(&other.0)
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, scope) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str(" ")?;
            }
            f.write_str(scope)?;
        }
        Ok(())
    }
}
