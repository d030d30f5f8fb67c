//! `[audit]`

use crate::config::Audit;
use crate::config::Durability;
use crate::config::fault::Fault;
use crate::config::reading::Reading;
use crate::config::section::Section;

/// Reads the section; what is absent or wrong is as by default.
pub(super) fn read(mut section: Section<'_>, reading: &mut Reading<'_>) -> Audit {
    let default = Audit::default();
    let words = [("os", Durability::Os), ("disk", Durability::Disk)];
    let sign_every = section.get("sign_every").and_then(|value| value.integer(1..1_000_001, reading));
    let rotate_bytes = section.get("rotate_bytes").and_then(|value| value.integer(65_536..1 << 40, reading));
    let folder = section.get("folder").and_then(|value| value.string(reading));
    let audit = Audit {
        folder: folder.and_then(|text| match text.text {
            "" => {
                reading
                    .push(Fault::error(text.span, "the folder is empty").hint("leave the key out for the usual one"));
                None
            }
            path => Some(reading.path(path)),
        }),
        durability: section
            .get("durability")
            .and_then(|value| value.choice(&words, reading))
            .unwrap_or(default.durability),
        rotate_bytes: rotate_bytes.unwrap_or(default.rotate_bytes),
        sign_every: sign_every.and_then(|number| u32::try_from(number).ok()).unwrap_or(default.sign_every),
    };
    section.finish(reading);
    audit
}
