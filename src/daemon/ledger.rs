//! The ledger, opened as configured, and what the last run of any ledger left behind.

use std::sync::Arc;

use crate::audit;
use crate::audit::Ledger;
use crate::cli::Exit;
use crate::cli::Failure;
use crate::cli::Surroundings;
use crate::config;
use crate::config::Config;
use crate::model::Clock;

/// Fails when it can't be written: without a ledger nothing is forwarded.
pub(super) fn open_ledger(
    config: &Config,
    surroundings: &Surroundings,
    clock: &Arc<dyn Clock>,
) -> Result<Arc<Ledger>, Failure> {
    let paths = &surroundings.paths;
    let folder = config.audit.folder.clone().unwrap_or_else(|| paths.audit_folder());
    let settings = audit::Settings {
        durability: match config.audit.durability {
            config::Durability::Os => audit::Durability::Os,
            config::Durability::Disk => audit::Durability::Disk,
        },
        rotate_bytes: config.audit.rotate_bytes,
        sign_every: config.audit.sign_every.into(),
        ..audit::Settings::new(folder, paths.ca_folder())
    };
    let (ledger, recovery) = Ledger::open(settings, Arc::clone(clock))
        .map_err(|error| Failure::new(Exit::Refused, "the ledger can't be opened").caused_by(&error))?;
    tell(&recovery, "the ledger", "valetkey audit verify");
    Ok(ledger)
}

/// What the last run left behind in `ledger`: nothing, after an orderly stop. `verify` is the command that says more.
pub(super) fn tell(recovery: &audit::Recovery, ledger: &str, verify: &str) {
    let audit::Recovery { new: _, torn_bytes, torn_file, unknown, broken } = recovery;
    if let Some(file) = torn_file {
        tracing::warn!(torn_bytes, file, "{ledger}: its last line was torn: cut off and kept beside it");
    }
    if *unknown > 0 {
        tracing::warn!(unknown, "{ledger}: requests of the last run ended in a way that is not known: marked so");
    }
    for broken in broken {
        tracing::error!(broken, "{ledger} is broken: see `{verify}`");
    }
}
