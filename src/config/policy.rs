//! `[policy]`

use crate::config::Policy;
use crate::config::fault::Fault;
use crate::config::reading::Reading;
use crate::config::section::Section;
use crate::config::section::shortened;

/// Reads the section; the folder must be there, what is in it is the policies' own business.
pub(super) fn read(mut section: Section<'_>, reading: &mut Reading<'_>) -> Policy {
    let text = section.get("folder").and_then(|value| value.string(reading));
    section.finish(reading);
    let Some(text) = text else {
        return Policy { folder: None };
    };
    let folder = reading.path(text.text);
    if !folder.is_dir() || text.text.is_empty() {
        let message = format!("`{}` is no folder", shortened(&folder.display().to_string()));
        let hint = "`valetkey init` writes starter policies; without the key, the built-in policy holds";
        reading.push(Fault::error(text.span, message).hint(hint));
    }
    Policy { folder: Some(folder) }
}
