//! `proxy.toml`: found, read, and turned into a typed [`Config`], or into everything that is wrong with it.
//!
//! All faults at once, each with its file, line, column, a caret and a hint; never only the first. Nothing
//! here starts, listens or speaks to anyone. Secrets are read once, to see whether they can be, and dropped;
//! text that could be one is blotted out of what is shown.

mod audit;
mod checks;
mod credential;
mod document;
mod endpoint;
mod fault;
mod file;
mod find;
mod listeners;
mod policy;
mod proxy;
mod reading;
mod resource;
mod secret;
mod section;
mod settings;
mod spelling;
mod starter;
mod whoami;
mod zone;

use std::path::Path;

pub use fault::Fault;
pub use fault::Faults;
pub use fault::Severity;
pub use fault::Style;
pub use find::Place;
pub use find::find;
pub use reading::Environment;
pub use reading::Origin;
pub use settings::Audit;
pub use settings::Config;
pub use settings::Durability;
pub use settings::Policy;
pub use settings::Proxy;
pub use settings::ProxyLogin;
pub use settings::RemoteZone;
pub use settings::Unidentified;
pub use settings::Unlisted;
pub use settings::UpstreamProxy;
pub use settings::Whoami;
pub use settings::Zone;
pub use starter::STARTER_FILES;
pub use starter::StarterFile;
pub use starter::WHOAMI_HOST;
pub use starter::WHOAMI_IDENTIFIER;

/// What [`find`] found, loaded.
pub fn open(place: &Place, environment: Environment<'_>) -> Result<Config, Faults> {
    match place {
        Place::File(path) => load(path, environment),
        Place::Defaults { .. } => Ok(defaults()),
    }
}

/// Reads the file at `path`, which only we or root may be able to change.
pub fn load(path: &Path, environment: Environment<'_>) -> Result<Config, Faults> {
    let name = path.display().to_string();
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let text = file::read_own(&path).map_err(|fault| Faults::new(&name, "", vec![fault]))?;
    let folder = path.parent().unwrap_or(Path::new("/"));
    let mut config = parse(&text, &Origin { name: &name, folder, environment })?;
    config.source = Some(path);
    Ok(config)
}

/// What `text` says, or everything that is wrong with it.
pub fn parse(text: &str, origin: &Origin<'_>) -> Result<Config, Faults> {
    document::read(text, *origin)
}

/// What holds without a file.
pub fn defaults() -> Config {
    Config {
        source: None,
        proxy: Proxy::default(),
        zone: Zone::default(),
        whoami: Whoami::default(),
        audit: Audit::default(),
        policy: Policy { folder: None },
        resources: Vec::new(),
        secrets: std::collections::BTreeMap::new(),
        warnings: Faults::default(),
    }
}

#[cfg(test)]
mod tests;
