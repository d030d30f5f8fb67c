//! The versions of the schema that access policies are written against. They come with the program.

use std::sync::LazyLock;

use crate::cedar::Fault;
use crate::cedar::Schema;

/// One version.
pub(in crate::zone) struct SchemaVersion {
    /// Its name: the day of its making.
    pub(in crate::zone) version: &'static str,
    /// In Cedar's schema syntax.
    pub(in crate::zone) text: &'static str,
    /// When it was made, in milliseconds since the epoch.
    pub(in crate::zone) created_at: i64,
    schema: LazyLock<Result<Schema, Fault>>,
}

impl SchemaVersion {
    /// The version of this name.
    pub(in crate::zone) fn find(version: &str) -> Option<&'static Self> {
        SCHEMAS.iter().find(|schema| schema.version == version)
    }

    /// To check policies against.
    pub(in crate::zone) fn schema(&self) -> Result<&Schema, &Fault> {
        self.schema.as_ref()
    }
}

/// All versions, the oldest first.
pub(in crate::zone) static SCHEMAS: [SchemaVersion; 1] = [SchemaVersion {
    version: DEFAULT_SCHEMA,
    text: FIRST,
    // 2026-03-16T00:00:00Z
    created_at: 1_773_619_200_000,
    schema: LazyLock::new(|| Schema::parse(FIRST)),
}];

/// What a zone writes against that chose no other.
pub(in crate::zone) const DEFAULT_SCHEMA: &str = "2026-03-16";

const FIRST: &str = include_str!("schema.cedarschema");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_version_is_a_schema_in_both_syntaxes() {
        for schema in &SCHEMAS {
            assert!(schema.schema().is_ok(), "{:?}", schema.schema().err());
            let json = Schema::text_to_json(schema.text).unwrap();
            assert!(json["Keycard"]["entityTypes"]["Application"].is_object(), "{json}");
            assert!(SchemaVersion::find(schema.version).is_some());
        }
        assert!(SchemaVersion::find("2025-01-01").is_none());
    }
}
