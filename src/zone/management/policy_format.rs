//! In which of Cedar's two syntaxes a policy or schema is told.

use crate::zone::management::query::Query;
use crate::zone::management::refused::Refused;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Json,
    Cedar,
}

impl Format {
    /// By `format`; JSON when nothing is said.
    pub(super) fn asked(query: &Query) -> Result<Self, Refused> {
        match query.one("format")? {
            None | Some("json") => Ok(Self::Json),
            Some("cedar") => Ok(Self::Cedar),
            Some(_) => Err(Refused::bad("format", "must be json or cedar")),
        }
    }
}
