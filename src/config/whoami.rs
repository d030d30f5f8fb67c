//! `[whoami]`

use crate::config::Whoami;
use crate::config::listeners::Listeners;
use crate::config::reading::Reading;
use crate::config::section::Section;

/// Reads the section; what is absent or wrong is as by default.
pub(super) fn read(mut section: Section<'_>, listeners: &mut Listeners, reading: &mut Reading<'_>) -> Whoami {
    let default = Whoami::default();
    let whoami = Whoami {
        enabled: section.get("enabled").and_then(|value| value.boolean(reading)).unwrap_or(default.enabled),
        listen: listeners.read("whoami", default.listen, &mut section, reading),
    };
    section.finish(reading);
    whoami
}
