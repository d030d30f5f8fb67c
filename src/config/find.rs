//! Which configuration is in force: `--config`, then `VALETKEY_CONFIG`, then the user's folder, else none.

use std::io::ErrorKind;
use std::path::Path;
use std::path::PathBuf;

use crate::config::reading::Environment;
use crate::os::Paths;

/// Where the configuration stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// In this file. If it was named, it need not exist: loading it will say so.
    File(PathBuf),
    /// Nowhere: the built-in defaults hold until somebody writes this file.
    Defaults {
        /// Where a file would be found.
        would_be: PathBuf,
    },
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Defaults { .. } => f.write_str("built-in defaults"),
        }
    }
}

/// A file that was named must be there; the one in the user's folder may be. One that is there but can't be
/// read is never taken for absent.
pub fn find(flag: Option<&Path>, environment: Environment<'_>, paths: &Paths) -> Place {
    let named = || environment("VALETKEY_CONFIG").filter(|name| !name.is_empty()).map(PathBuf::from);
    if let Some(path) = flag.map(Path::to_owned).or_else(named) {
        return Place::File(path);
    }
    let usual = paths.config_file();
    match std::fs::symlink_metadata(&usual) {
        Err(error) if error.kind() == ErrorKind::NotFound => Place::Defaults { would_be: usual },
        _ => Place::File(usual),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flag_goes_before_the_environment_and_that_before_the_folder() {
        let home = tempfile::tempdir().unwrap();
        let paths = Paths::below(home.path());
        let nothing = |_: &str| None;
        let named = |name: &str| (name == "VALETKEY_CONFIG").then(|| "/named.toml".into());
        let empty = |name: &str| (name == "VALETKEY_CONFIG").then(|| "".into());
        let usual = home.path().join("proxy.toml");
        assert_eq!(find(Some(Path::new("/f.toml")), &named, &paths), Place::File("/f.toml".into()));
        assert_eq!(find(None, &named, &paths), Place::File("/named.toml".into()));
        assert_eq!(find(None, &nothing, &paths), Place::Defaults { would_be: usual.clone() });
        std::os::unix::fs::symlink("/nowhere", &usual).unwrap();
        assert_eq!(find(None, &empty, &paths), Place::File(usual));
    }
}
