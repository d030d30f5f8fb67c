//! Folders and files that belong to this user alone, or are refused.
//!
//! A link, a foreign owner, or permission bits for others mean that someone else may have prepared the place.

use std::fs::DirBuilder;
use std::fs::File;
use std::fs::Metadata;
use std::fs::OpenOptions;
use std::os::unix::fs::DirBuilderExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::path::PathBuf;

/// Why a place is not ours alone.
#[derive(Debug, thiserror::Error)]
pub enum NotPrivate {
    /// It is a symbolic link, a file where a folder should be, or the reverse.
    #[error("`{}` is not a {expected}", path.display())]
    WrongKind {
        /// Which.
        path: PathBuf,
        /// What it should be.
        expected: &'static str,
    },
    /// It belongs to somebody else.
    #[error("`{}` belongs to user {owner}", path.display())]
    ForeignOwner {
        /// Which.
        path: PathBuf,
        /// Whose.
        owner: u32,
    },
    /// Others may enter or read it.
    #[error("`{}` is open to others (mode {mode:04o})", path.display())]
    Open {
        /// Which.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// Others may change what is in it.
    #[error("`{}` can be written by others (mode {mode:04o})", path.display())]
    Writable {
        /// Which.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// It could not be made or looked at.
    #[error("`{}` cannot be used", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

impl NotPrivate {
    /// What to do about it, as a command where there is one.
    pub fn hint(&self) -> String {
        match self {
            Self::WrongKind { path, .. } | Self::ForeignOwner { path, .. } => {
                format!("look at it with `ls -ld {0}`, and remove it if you do not know it", path.display())
            }
            Self::Open { path, .. } => format!("`chmod go= {}`", path.display()),
            Self::Writable { path, .. } => {
                format!("`chmod go-w {}` if it is yours alone; else choose another folder", path.display())
            }
            Self::Io { path, .. } => {
                format!("see who may write to `{}`", path.parent().unwrap_or(path).display())
            }
        }
    }
}

/// The folder at `path`, made with mode 0700 where missing (its parents too), refused when it is not ours alone.
pub fn private_folder(path: &Path) -> Result<(), NotPrivate> {
    let io = |source| NotPrivate::Io { path: path.to_owned(), source };
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(io)?;
    let found = path.symlink_metadata().map_err(io)?;
    if !found.is_dir() {
        return Err(NotPrivate::WrongKind { path: path.to_owned(), expected: "folder" });
    }
    ours_alone(path, &found)
}

/// Refuses a folder in which others could put files of theirs in the place of ours. One that is not there is fine.
pub fn refuse_writable(path: &Path) -> Result<(), NotPrivate> {
    match path.metadata() {
        Err(source) if source.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(source) => Err(NotPrivate::Io { path: path.to_owned(), source }),
        Ok(found) if found.mode() & 0o022 != 0 => {
            Err(NotPrivate::Writable { path: path.to_owned(), mode: found.mode() & 0o7777 })
        }
        Ok(_) => Ok(()),
    }
}

/// The file at `path`, opened to append, made with mode 0600 where missing, refused when it is not ours alone.
pub fn private_append(path: &Path) -> Result<File, NotPrivate> {
    let io = |source| NotPrivate::Io { path: path.to_owned(), source };
    let no_follow = i32::try_from(rustix::fs::OFlags::NOFOLLOW.bits()).unwrap_or_default();
    let opened = OpenOptions::new().append(true).create(true).mode(0o600).custom_flags(no_follow).open(path);
    let file = match opened {
        Err(error) if error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()) => {
            return Err(NotPrivate::WrongKind { path: path.to_owned(), expected: "file" });
        }
        opened => opened.map_err(io)?,
    };
    let found = file.metadata().map_err(io)?;
    if !found.is_file() {
        return Err(NotPrivate::WrongKind { path: path.to_owned(), expected: "file" });
    }
    ours_alone(path, &found)?;
    Ok(file)
}

/// Puts `bytes` in the place of the file at `path`, mode 0600, whole and on the disk or not at all.
pub fn replace_private(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    use std::io::Write as _;
    let beside = path.with_extension(format!("new-{:016x}", u64::from_ne_bytes(crate::os::random::bytes())));
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all()).and_then(|()| std::fs::rename(&beside, path));
    if written.is_err() {
        let _ = std::fs::remove_file(&beside);
        return written;
    }
    path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}

/// Whether this user may execute the file.
pub fn may_execute(file: &Path) -> bool {
    rustix::fs::access(file, rustix::fs::Access::EXEC_OK).is_ok()
}

fn ours_alone(path: &Path, found: &Metadata) -> Result<(), NotPrivate> {
    let (owner, mode) = (found.uid(), found.mode() & 0o7777);
    if owner != rustix::process::geteuid().as_raw() {
        return Err(NotPrivate::ForeignOwner { path: path.to_owned(), owner });
    }
    if mode & 0o077 != 0 {
        return Err(NotPrivate::Open { path: path.to_owned(), mode });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_missing_folder_is_made_for_us_alone_and_found_again() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("a/b");
        private_folder(&folder).unwrap();
        private_folder(&folder).unwrap();
        assert_eq!(folder.metadata().unwrap().mode() & 0o777, 0o700);
        assert_eq!(folder.parent().unwrap().metadata().unwrap().mode() & 0o777, 0o700);
    }

    #[test]
    fn a_folder_that_others_may_enter_is_refused_with_the_command_that_mends_it() {
        let home = tempfile::tempdir().unwrap();
        std::fs::set_permissions(home.path(), PermissionsExt::from_mode(0o750)).unwrap();
        let refused = private_folder(home.path()).unwrap_err();
        assert!(matches!(refused, NotPrivate::Open { mode: 0o750, .. }));
        assert!(refused.hint().starts_with("`chmod go= /"), "{}", refused.hint());
    }

    #[test]
    fn a_folder_that_others_may_write_is_refused() {
        let home = tempfile::tempdir().unwrap();
        for (mode, good) in [(0o700, true), (0o755, true), (0o775, false), (0o1777, false), (0o702, false)] {
            std::fs::set_permissions(home.path(), PermissionsExt::from_mode(mode)).unwrap();
            assert_eq!(refuse_writable(home.path()).is_ok(), good, "{mode:o}");
        }
        assert!(refuse_writable(&home.path().join("none")).is_ok());
    }

    #[test]
    fn a_link_is_refused_as_folder_and_as_file() {
        let home = tempfile::tempdir().unwrap();
        let (target, link) = (home.path().join("target"), home.path().join("link"));
        private_folder(&target).unwrap();
        std::os::unix::fs::symlink(&target, &link).unwrap();
        assert!(matches!(private_folder(&link), Err(NotPrivate::WrongKind { .. })));
        let (file, link) = (home.path().join("log"), home.path().join("log-link"));
        private_append(&file).unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        assert!(matches!(private_append(&link), Err(NotPrivate::WrongKind { .. })));
        assert_eq!(file.metadata().unwrap().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_file_of_somebody_else_is_refused() {
        let foreign = Path::new("/etc/passwd");
        let found = foreign.metadata().unwrap();
        if found.uid() == rustix::process::geteuid().as_raw() {
            assert!(matches!(ours_alone(foreign, &found), Err(NotPrivate::Open { .. })));
        } else {
            assert!(matches!(ours_alone(foreign, &found), Err(NotPrivate::ForeignOwner { .. })));
        }
    }
}
