//! Files that decide who gets which credential: read only if nobody else could have written them.

use std::fs::File;
use std::fs::OpenOptions;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use crate::config::fault::Fault;
use crate::limits::CONFIG_BYTES_MAX;

/// The text of a configuration file that belongs to us or root and that no one else may write.
pub(super) fn read_own(path: &Path) -> Result<String, Fault> {
    let file = open(path).map_err(|error| {
        let fault = Fault::of_the_file(format!("can't be opened: {error}"));
        match error.kind() {
            std::io::ErrorKind::NotFound => fault.hint("`valetkey init` writes a starter configuration"),
            _ => fault,
        }
    })?;
    let metadata = file.metadata().map_err(|error| Fault::of_the_file(format!("can't be examined: {error}")))?;
    if !metadata.is_file() {
        return Err(Fault::of_the_file("is not a regular file"));
    }
    let shown = path.display();
    let own = rustix::process::geteuid().as_raw();
    if metadata.uid() != own && metadata.uid() != 0 {
        let fault = Fault::of_the_file(format!("belongs to another user (uid {})", metadata.uid()));
        return Err(
            fault.hint(format!("whoever owns it decides what your agents get; copy it, or `chown {own} {shown}`"))
        );
    }
    if metadata.mode() & 0o022 != 0 {
        let fault = Fault::of_the_file(format!("can be changed by others (mode {:04o})", metadata.mode() & 0o7777));
        return Err(fault.hint(format!("`chmod go-w {shown}`")));
    }
    let bytes = read_bounded(file).map_err(|error| Fault::of_the_file(format!("can't be read: {error}")))?;
    String::from_utf8(bytes).map_err(|error| {
        let line =
            error.as_bytes().iter().take(error.utf8_error().valid_up_to()).filter(|byte| **byte == b'\n').count();
        Fault::of_the_file(format!("is not UTF-8 in line {}", line + 1)).hint("TOML is UTF-8; save it as such")
    })
}

/// A file of public certificates.
pub(super) fn read_public(path: &Path) -> Result<Vec<u8>, std::io::Error> {
    let file = open(path)?;
    if !file.metadata()?.is_file() {
        return Err(std::io::Error::other("not a regular file"));
    }
    read_bounded(file)
}

/// Opens without waiting for the other end of a pipe.
fn open(path: &Path) -> Result<File, std::io::Error> {
    let no_wait = i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).unwrap_or(0);
    OpenOptions::new().read(true).custom_flags(no_wait).open(path)
}

fn read_bounded(file: File) -> Result<Vec<u8>, std::io::Error> {
    let mut bytes = Vec::new();
    file.take(CONFIG_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > CONFIG_BYTES_MAX {
        return Err(std::io::Error::other(format!("larger than {CONFIG_BYTES_MAX} bytes")));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_file_that_others_may_write_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("proxy.toml");
        std::fs::write(&path, "[proxy]\n").unwrap();
        for (mode, good) in [(0o600, true), (0o644, true), (0o664, false), (0o602, false)] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(read_own(&path).is_ok(), good, "{mode:o}");
        }
    }

    #[test]
    fn what_is_no_readable_text_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let message = |path: &Path| read_own(path).unwrap_err().message().to_owned();
        assert_eq!(message(folder.path()), "is not a regular file");
        assert!(message(&folder.path().join("none")).starts_with("can't be opened: No such file"));
        let path = folder.path().join("latin1.toml");
        std::fs::write(&path, b"# ok\n# caf\xe9\n").unwrap();
        assert_eq!(message(&path), "is not UTF-8 in line 2");
        std::fs::write(&path, vec![b'#'; 1024 * 1024 + 1]).unwrap();
        assert_eq!(message(&path), "can't be read: larger than 1048576 bytes");
    }
}
