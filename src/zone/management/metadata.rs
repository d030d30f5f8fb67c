//! What people want to know about a thing.

use serde::Deserialize;
use serde::Serialize;
use utoipa::ToSchema;

use crate::zone::management::body;
use crate::zone::management::json;
use crate::zone::management::patch::Patch;
use crate::zone::management::refused::Refused;

/// Entity metadata
#[derive(Serialize, Deserialize, ToSchema)]
pub(super) struct Metadata {
    /// Documentation URL
    docs_url: Option<String>,
    /// Icon URL
    icon_url: Option<String>,
}

/// Entity metadata (set to null or {} to remove metadata)
#[derive(Deserialize, ToSchema)]
pub(super) struct MetadataUpdate {
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    docs_url: Patch<String>,
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    icon_url: Patch<String>,
}

impl Metadata {
    /// With URLs that are some.
    pub(super) fn checked(self) -> Result<Self, Refused> {
        Ok(Self {
            docs_url: self.docs_url.map(|url| body::url("metadata.docs_url", url)).transpose()?,
            icon_url: self.icon_url.map(|url| body::url("metadata.icon_url", url)).transpose()?,
        })
    }
}

impl MetadataUpdate {
    /// The column after the change.
    pub(super) fn merge(patch: Patch<Self>, old: Option<String>) -> Result<Option<String>, Refused> {
        let change = match patch {
            Patch::Keep => return Ok(old),
            Patch::Clear => return Ok(None),
            Patch::Set(Self { docs_url: Patch::Keep, icon_url: Patch::Keep }) => return Ok(None),
            Patch::Set(change) => change,
        };
        let old: Option<Metadata> = json::read(old);
        let (docs_url, icon_url) = old.map_or((None, None), |old| (old.docs_url, old.icon_url));
        let new = Metadata { docs_url: change.docs_url.apply(docs_url), icon_url: change.icon_url.apply(icon_url) }
            .checked()?;
        json::write(Some(new).filter(|new| new.docs_url.is_some() || new.icon_url.is_some()))
    }
}
