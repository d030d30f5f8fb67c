//! APIs that many people use, each as a file in `packages/`: who hands out its tokens, what it is called, which scopes it
//! has, and what must be known of a zone's own client there.
//!
//! A package says only what its API's own documents say. An API whose tokens are keys that people copy has none here.

use std::sync::LazyLock;

use serde::Deserialize;
use serde::Serialize;
use utoipa::ToSchema;

/// An API, or several of one provider.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::zone) struct Package {
    pub(in crate::zone) id: String,
    pub(in crate::zone) name: String,
    pub(in crate::zone) description: String,
    pub(in crate::zone) docs_url: String,
    /// What whoever installs it must say.
    #[serde(default)]
    pub(in crate::zone) fields: Vec<PackageField>,
    /// Who hands out the tokens; where there is none, the zone itself does.
    pub(in crate::zone) provider: Option<PackageProvider>,
    pub(in crate::zone) resources: Vec<PackageResource>,
}

/// What a zone's own client at the provider is known by.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::zone) enum PackageField {
    ClientId,
    ClientSecret,
}

/// A provider that is to be made.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::zone) struct PackageProvider {
    pub(in crate::zone) identifier: String,
    /// As the management API takes them.
    pub(in crate::zone) protocols: serde_json::Value,
}

/// A resource that is to be made.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::zone) struct PackageResource {
    pub(in crate::zone) identifier: String,
    pub(in crate::zone) name: String,
    #[serde(default)]
    pub(in crate::zone) scopes: Vec<String>,
    /// In seconds.
    pub(in crate::zone) credential_lifetime_seconds: Option<i64>,
}

impl PackageField {
    /// Its name in a request.
    pub(in crate::zone) fn as_str(self) -> &'static str {
        match self {
            Self::ClientId => "client_id",
            Self::ClientSecret => "client_secret",
        }
    }
}

impl Package {
    /// The one of this id.
    pub(in crate::zone) fn find(id: &str) -> Option<&'static Self> {
        PACKAGES.iter().find(|package| package.id == id)
    }
}

/// All of them, in the order of their ids. A file that can't be read is left out, which a test forbids.
pub(in crate::zone) static PACKAGES: LazyLock<Vec<Package>> =
    LazyLock::new(|| FILES.iter().filter_map(|file| toml::from_str(file).ok()).collect());

const FILES: [&str; 7] = [
    include_str!("packages/anthropic.toml"),
    include_str!("packages/atlassian.toml"),
    include_str!("packages/github.toml"),
    include_str!("packages/google.toml"),
    include_str!("packages/linear.toml"),
    include_str!("packages/notion.toml"),
    include_str!("packages/slack.toml"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_is_a_package_with_an_id_of_its_own() {
        for file in FILES {
            toml::from_str::<Package>(file).unwrap();
        }
        let ids: Vec<&str> = PACKAGES.iter().map(|package| package.id.as_str()).collect();
        assert!(ids.is_sorted_by(|one, next| one < next), "{ids:?}");
        for package in PACKAGES.iter() {
            assert!(!package.resources.is_empty(), "{}", package.id);
            // A client is asked for exactly where somebody else knows one.
            assert_eq!(package.provider.is_some(), !package.fields.is_empty(), "{}", package.id);
        }
    }
}
