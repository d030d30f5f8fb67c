//! `valetkey init`: a configuration and policies to begin with, in the user's configuration folder.
//!
//! Never writes over a file without `--force`, never follows a link that stands in a file's place, and leaves
//! either the old file or the new one. Folders are 0700, files 0600.

use std::fs::DirBuilder;
use std::fs::OpenOptions;
use std::io::Error;
use std::io::Write as _;
use std::os::unix::fs::DirBuilderExt as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::path::PathBuf;

use crate::cli::Exit;
use crate::cli::Failure;
use crate::cli::Output;
use crate::config::STARTER_FILES;
use crate::os::Paths;
use crate::os::random;

/// Write a starter configuration and policies.
#[derive(Debug, clap::Args)]
pub struct InitArgs {
    /// Replace files that are there already.
    #[arg(long)]
    pub force: bool,
}

/// `valetkey init`
pub fn run(args: &InitArgs, paths: &Paths, output: &mut Output) -> Result<Exit, Failure> {
    let folder = paths.config_folder();
    let there: Vec<PathBuf> = STARTER_FILES
        .iter()
        .map(|file| folder.join(file.path))
        .filter(|path| std::fs::symlink_metadata(path).is_ok())
        .collect();
    if !there.is_empty() && !args.force {
        let names: Vec<_> = there.iter().map(|path| format!("`{}`", path.display())).collect();
        let message = format!("already there: {}", names.join(", "));
        let hint = "edit it, or replace it with `valetkey init --force`; nothing was written";
        return Err(Failure::new(Exit::Refused, message).hint(hint));
    }
    for file in STARTER_FILES {
        let path = folder.join(file.path);
        let replace = if args.force { Existing::Replace } else { Existing::Refuse };
        write(&path, file.text.as_bytes(), replace).map_err(|error| {
            Failure::new(Exit::NotPermitted, format!("could not write `{}`", path.display())).caused_by(&error)
        })?;
        output.data(path.display());
    }
    output.talk(format_args!(
        "\nnext:\n  edit {}\n  valetkey config check\n  valetkey run -- curl -s https://whoami.valetkey.internal/",
        paths.config_file().display()
    ));
    Ok(Exit::Done)
}

/// What happens to a file that is there already.
#[derive(Clone, Copy)]
enum Existing {
    Refuse,
    Replace,
}

fn write(path: &Path, bytes: &[u8], existing: Existing) -> Result<(), Error> {
    if let Some(folder) = path.parent() {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    match existing {
        Existing::Refuse => create(path, bytes),
        Existing::Replace => {
            let unpredictable = u64::from_be_bytes(random::bytes());
            let beside = path.with_extension(format!("{unpredictable:016x}.new"));
            create(&beside, bytes)?;
            std::fs::rename(&beside, path).inspect_err(|_| {
                let _ = std::fs::remove_file(&beside);
            })
        }
    }
}

/// The whole file, or none.
fn create(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(bytes).and_then(|()| file.sync_all()).inspect_err(|_| {
        let _ = std::fs::remove_file(path);
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::config;

    fn init(paths: &Paths, force: bool) -> Result<Exit, Failure> {
        run(&InitArgs { force }, paths, &mut Output::new())
    }

    #[test]
    fn what_it_writes_is_private_and_loads_without_a_fault() {
        let home = tempfile::tempdir().unwrap();
        let paths = Paths::below(&home.path().join("config"));
        assert_eq!(init(&paths, false).unwrap(), Exit::Done);
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(paths.config_folder()), 0o700);
        assert_eq!(mode(&paths.config_folder().join("policies")), 0o700);
        for file in STARTER_FILES {
            let path = paths.config_folder().join(file.path);
            assert_eq!(mode(&path), 0o600);
            assert_eq!(std::fs::read_to_string(&path).unwrap(), file.text);
        }
        let loaded = config::load(&paths.config_file(), &|_| None).unwrap();
        assert_eq!(loaded.policy.folder, Some(paths.config_folder().join("policies")));
    }

    #[test]
    fn nothing_is_written_over_without_force() {
        let home = tempfile::tempdir().unwrap();
        let paths = Paths::below(home.path());
        std::fs::create_dir(home.path().join("policies")).unwrap();
        let mine = home.path().join("policies/10-whoami.cedar");
        std::fs::write(&mine, "mine").unwrap();
        assert!(init(&paths, false).is_err());
        assert!(!paths.config_file().exists(), "all or nothing");
        assert_eq!(std::fs::read_to_string(&mine).unwrap(), "mine");
        assert_eq!(init(&paths, true).unwrap(), Exit::Done);
        assert_ne!(std::fs::read_to_string(&mine).unwrap(), "mine");
        let left: Vec<_> = std::fs::read_dir(home.path().join("policies")).unwrap().collect();
        assert_eq!(left.len(), 3, "no file beside");
    }

    #[test]
    fn a_link_in_a_files_place_is_replaced_and_not_followed() {
        let home = tempfile::tempdir().unwrap();
        let paths = Paths::below(&home.path().join("config"));
        std::fs::create_dir(paths.config_folder()).unwrap();
        let elsewhere = home.path().join("elsewhere");
        std::fs::write(&elsewhere, "precious").unwrap();
        std::os::unix::fs::symlink(&elsewhere, paths.config_file()).unwrap();
        assert!(init(&paths, false).is_err());
        assert_eq!(init(&paths, true).unwrap(), Exit::Done);
        assert_eq!(std::fs::read_to_string(&elsewhere).unwrap(), "precious");
        assert!(std::fs::symlink_metadata(paths.config_file()).unwrap().is_file());
    }
}
