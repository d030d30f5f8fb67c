//! Files that only their owner may read: made so from the first byte, refused when they are not.

use std::fs;
use std::fs::DirBuilder;
use std::fs::OpenOptions;
use std::io;
use std::io::Write as _;
use std::os::unix::fs::DirBuilderExt as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

/// Makes the folder of `file` (0700) unless it is there.
pub(in crate::zone) fn prepare_folder(file: &Path) -> io::Result<()> {
    match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => DirBuilder::new().recursive(true).mode(0o700).create(folder),
        _ => Ok(()),
    }
}

/// Makes an empty file (0600), or leaves the one that is there after a look at its permissions.
pub(in crate::zone) fn create_or_check(file: &Path) -> io::Result<()> {
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(file) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => check(file),
        Err(error) => Err(error),
    }
}

/// The bytes of a private file; none when there is no such file.
pub(in crate::zone) fn read(file: &Path) -> io::Result<Option<Vec<u8>>> {
    match check(file) {
        Ok(()) => fs::read(file).map(Some),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Replaces the file's content whole, or not at all: written beside it (0600), made durable, then renamed.
pub(in crate::zone) fn replace(file: &Path, content: &[u8]) -> io::Result<()> {
    let mut name = file.as_os_str().to_owned();
    name.push(".new");
    let beside = Path::new(&name);
    // What a crash left behind may have any permissions.
    match fs::remove_file(beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut written = OpenOptions::new().write(true).create_new(true).mode(0o600).open(beside)?;
    written.write_all(content)?;
    written.sync_all()?;
    fs::rename(beside, file)
}

fn check(file: &Path) -> io::Result<()> {
    let metadata = fs::symlink_metadata(file)?;
    if !metadata.is_file() || metadata.permissions().mode() & 0o077 != 0 {
        let reason = "not a plain file that only its owner can read (mode 0600)";
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, reason));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_others_may_read_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("deep/zone.key");
        prepare_folder(&file).unwrap();
        assert!(read(&file).unwrap().is_none());
        replace(&file, b"one").unwrap();
        replace(&file, b"two").unwrap();
        assert_eq!(read(&file).unwrap().unwrap(), b"two");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
        assert_eq!(read(&file).unwrap_err().kind(), io::ErrorKind::PermissionDenied);
        assert!(create_or_check(&file).is_err());
    }
}
