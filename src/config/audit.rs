//! The small sections: `[audit]`, `[policy]`, `[whoami]`.

use crate::config::Audit;
use crate::config::Durability;
use crate::config::Policy;
use crate::config::Whoami;
use crate::config::fault::Fault;
use crate::config::listeners::Listeners;
use crate::config::reading::Reading;
use crate::config::section::Section;
use crate::config::section::shortened;

/// `[audit]`
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

/// `[policy]`
pub(super) fn read_policy(mut section: Section<'_>, reading: &mut Reading<'_>) -> Policy {
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

/// `[whoami]`
pub(super) fn read_whoami(mut section: Section<'_>, listeners: &mut Listeners, reading: &mut Reading<'_>) -> Whoami {
    let default = Whoami::default();
    let whoami = Whoami {
        enabled: section.get("enabled").and_then(|value| value.boolean(reading)).unwrap_or(default.enabled),
        listen: listeners.read("whoami", default.listen, &mut section, reading),
    };
    section.finish(reading);
    whoami
}
