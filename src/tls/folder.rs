//! A folder that only its owner can enter, and whole files in it.
//!
//! Everything goes through one descriptor of the folder, so that a path swapped underneath changes nothing;
//! a symlink, a foreign owner or an open mode is refused and never repaired: whoever opened it may have read it.

use std::fs::DirBuilder;
use std::fs::File;
use std::io;
use std::io::Read as _;
use std::io::Write as _;
use std::os::fd::OwnedFd;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;
use std::path::PathBuf;

use rustix::fs::AtFlags;
use rustix::fs::FileType;
use rustix::fs::FlockOperation;
use rustix::fs::Mode;
use rustix::fs::OFlags;
use rustix::io::Errno;
use zeroize::Zeroizing;

use crate::limits::CA_FILE_BYTES_MAX;
use crate::limits::CA_LOCK_ATTEMPTS;
use crate::limits::CA_LOCK_PAUSE;
use crate::os::random;

/// An open private folder.
#[derive(Debug)]
pub(super) struct PrivateFolder {
    path: PathBuf,
    folder: OwnedFd,
}

/// Held while the folder is changed; another process waits its turn. Freed when dropped.
#[derive(Debug)]
pub(super) struct Turn(#[allow(dead_code, reason = "closing it frees the lock")] File);

/// Why the folder or a file in it is not used.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// The system said no.
    #[error("could not use `{}`", path.display())]
    Io {
        /// What was touched.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Somebody may have put it there to have us write or read elsewhere.
    #[error("`{}` is a symbolic link or not of the kind it should be", .0.display())]
    Kind(PathBuf),
    /// It belongs to another user.
    #[error("`{}` belongs to the user with id {owner}, not to you", path.display())]
    Owner {
        /// What was found.
        path: PathBuf,
        /// Whose it is.
        owner: u32,
    },
    /// Others can read or write it.
    #[error("`{}` has mode {mode:04o}: others can read or write it", path.display())]
    Open {
        /// What was found.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
        /// What they should be.
        wanted: u32,
    },
    /// More bytes than such a file can have.
    #[error("`{}` is too large", .0.display())]
    TooLarge(PathBuf),
    /// Another process holds it for longer than any change takes.
    #[error("another process is changing `{}`", .0.display())]
    Busy(PathBuf),
}

impl FolderError {
    /// What to do about it, where something can be said.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Open { path, wanted, .. } => Some(format!(
                "if nobody else can have seen it: chmod {wanted:o} '{}'; otherwise remove it and start anew",
                path.display()
            )),
            Self::Kind(path) | Self::Owner { path, .. } | Self::TooLarge(path) => {
                Some(format!("move `{}` away; what is needed is made anew", path.display()))
            }
            Self::Busy(_) => Some("try again in a moment".to_owned()),
            Self::Io { .. } => None,
        }
    }
}

impl PrivateFolder {
    /// Opens the folder, or makes it (0700) with the folders above it.
    pub(super) fn open_or_make(path: &Path) -> Result<Self, FolderError> {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
        match made {
            Err(source) if source.kind() != io::ErrorKind::AlreadyExists => {
                Err(FolderError::Io { path: path.to_owned(), source })
            }
            _ => Self::open(path),
        }
    }

    /// Opens the folder where it exists.
    pub(super) fn open(path: &Path) -> Result<Self, FolderError> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let folder = rustix::fs::open(path, flags, Mode::empty()).map_err(|errno| refused(path, errno))?;
        check(path, &folder, FileType::Directory, 0o700)?;
        Ok(Self { path: path.to_owned(), folder })
    }

    /// Waits for its turn to change the folder, for a bounded time.
    pub(super) fn turn(&self) -> Result<Turn, FolderError> {
        let file = self.open_file("lock", OFlags::RDWR | OFlags::CREATE)?;
        for _ in 0..CA_LOCK_ATTEMPTS {
            match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Ok(Turn(file)),
                Err(Errno::WOULDBLOCK | Errno::INTR) => std::thread::sleep(CA_LOCK_PAUSE),
                Err(errno) => return Err(refused(&self.path, errno)),
            }
        }
        Err(FolderError::Busy(self.path.clone()))
    }

    /// The names of the files that end in `suffix`, sorted.
    pub(super) fn names(&self, suffix: &str) -> Result<Vec<String>, FolderError> {
        let mut names = self.all_names()?;
        names.retain(|name| name.ends_with(suffix) && !name.starts_with('.'));
        names.sort_unstable();
        Ok(names)
    }

    /// Where a file of this name is.
    pub(super) fn path_of(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// A whole file; the buffer is wiped when dropped. None when there is no such file.
    pub(super) fn read(&self, name: &str) -> Result<Option<Zeroizing<Vec<u8>>>, FolderError> {
        let file = match self.open_file(name, OFlags::RDONLY) {
            Err(FolderError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened?,
        };
        let failed = |source| FolderError::Io { path: self.path_of(name), source };
        let length = file.metadata().map_err(failed)?.len();
        if length > CA_FILE_BYTES_MAX {
            return Err(FolderError::TooLarge(self.path_of(name)));
        }
        // room for all of it at once: a buffer that grows leaves unwiped copies behind
        let mut bytes = Zeroizing::new(Vec::with_capacity(usize::try_from(length).unwrap_or(0) + 1));
        file.take(CA_FILE_BYTES_MAX).read_to_end(&mut bytes).map_err(failed)?;
        Ok(Some(bytes))
    }

    /// Puts a whole file in place (0600): it is there with these bytes, also after a power cut, or as before.
    pub(super) fn write(&self, name: &str, bytes: &[u8]) -> Result<(), FolderError> {
        let temporary = format!(".{name}.{:032x}", u128::from_ne_bytes(random::bytes()));
        let written = self.write_new(&temporary, bytes).and_then(|()| {
            rustix::fs::renameat(&self.folder, &temporary, &self.folder, name)
                .and_then(|()| rustix::fs::fsync(&self.folder))
                .map_err(|errno| refused(&self.path_of(name), errno))
        });
        if written.is_err() {
            let _ = rustix::fs::unlinkat(&self.folder, &temporary, AtFlags::empty());
        }
        written
    }

    /// Removes what a process left half-written when it was killed. To be called in one's turn only.
    pub(super) fn sweep(&self) -> Result<(), FolderError> {
        let mut left = self.all_names()?.into_iter().filter(|name| name.starts_with('.'));
        left.try_for_each(|name| self.remove(&name))
    }

    /// As `write`, for a file without secrets: left alone when it already says the same, and made anew when it is
    /// not as it should be.
    pub(super) fn write_if_changed(&self, name: &str, bytes: &[u8]) -> Result<(), FolderError> {
        match self.read(name) {
            Ok(Some(present)) if present.as_slice() == bytes => Ok(()),
            Err(error @ FolderError::Io { .. }) => Err(error),
            _ => self.write(name, bytes),
        }
    }

    /// Removes a file; one that is not there is removed already.
    pub(super) fn remove(&self, name: &str) -> Result<(), FolderError> {
        match rustix::fs::unlinkat(&self.folder, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(errno) => Err(refused(&self.path_of(name), errno)),
        }
    }

    fn all_names(&self) -> Result<Vec<String>, FolderError> {
        let failed = |errno| refused(&self.path, errno);
        let mut names = Vec::new();
        for entry in rustix::fs::Dir::read_from(&self.folder).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name().to_str().unwrap_or_default();
            if !matches!(name, "" | "." | "..") {
                names.push(name.to_owned());
            }
        }
        Ok(names)
    }

    fn write_new(&self, name: &str, bytes: &[u8]) -> Result<(), FolderError> {
        let mut file = self.open_file(name, OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL)?;
        let written = file.write_all(bytes).and_then(|()| file.sync_all());
        written.map_err(|source| FolderError::Io { path: self.path_of(name), source })
    }

    fn open_file(&self, name: &str, flags: OFlags) -> Result<File, FolderError> {
        // NONBLOCK: a FIFO in the place of a file must not hold us
        let flags = flags | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let path = self.path_of(name);
        let file = rustix::fs::openat(&self.folder, name, flags, Mode::RUSR | Mode::WUSR)
            .map_err(|errno| refused(&path, errno))?;
        check(&path, &file, FileType::RegularFile, 0o600)?;
        Ok(File::from(file))
    }
}

fn check(path: &Path, opened: &OwnedFd, kind: FileType, wanted: u32) -> Result<(), FolderError> {
    let stat = rustix::fs::fstat(opened).map_err(|errno| refused(path, errno))?;
    if FileType::from_raw_mode(stat.st_mode) != kind {
        return Err(FolderError::Kind(path.to_owned()));
    }
    if stat.st_uid != rustix::process::geteuid().as_raw() {
        return Err(FolderError::Owner { path: path.to_owned(), owner: stat.st_uid });
    }
    let mode = Mode::from_raw_mode(stat.st_mode);
    if mode.intersects(Mode::RWXG | Mode::RWXO) {
        #[allow(clippy::useless_conversion, reason = "the bits are a `u16` on macOS")]
        let mode = u32::from(mode.as_raw_mode());
        return Err(FolderError::Open { path: path.to_owned(), mode, wanted });
    }
    Ok(())
}

fn refused(path: &Path, errno: Errno) -> FolderError {
    match errno {
        Errno::LOOP | Errno::NOTDIR => FolderError::Kind(path.to_owned()),
        _ => FolderError::Io { path: path.to_owned(), source: errno.into() },
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;
    use std::os::unix::fs::symlink;

    use super::*;

    fn folder() -> (tempfile::TempDir, PrivateFolder) {
        let home = tempfile::tempdir().unwrap();
        let folder = PrivateFolder::open_or_make(&home.path().join("state/ca")).unwrap();
        (home, folder)
    }

    #[test]
    fn what_is_made_is_for_its_owner_only() {
        let (_home, folder) = folder();
        folder.write("key.pem", b"secret").unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
        assert_eq!(mode(&folder.path), 0o700);
        assert_eq!(mode(&folder.path_of("key.pem")), 0o600);
        assert_eq!(folder.read("key.pem").unwrap().unwrap().as_slice(), b"secret");
        assert_eq!(folder.names(".pem").unwrap(), ["key.pem"]);
        assert!(folder.read("absent.pem").unwrap().is_none());
    }

    #[test]
    fn a_file_that_others_can_read_is_refused_with_the_command_to_run() {
        let (_home, folder) = folder();
        folder.write("key.pem", b"secret").unwrap();
        for mode in [0o644, 0o640, 0o620, 0o601] {
            fs::set_permissions(folder.path_of("key.pem"), fs::Permissions::from_mode(mode)).unwrap();
            let error = folder.read("key.pem").unwrap_err();
            assert!(matches!(error, FolderError::Open { wanted: 0o600, .. }), "{error}");
            let hint = error.hint().unwrap();
            assert!(hint.contains(&format!("chmod 600 '{}'", folder.path_of("key.pem").display())), "{hint}");
        }
    }

    #[test]
    fn a_folder_that_others_can_enter_is_refused() {
        let (_home, folder) = folder();
        fs::set_permissions(&folder.path, fs::Permissions::from_mode(0o750)).unwrap();
        let error = PrivateFolder::open_or_make(&folder.path).unwrap_err();
        assert!(matches!(error, FolderError::Open { wanted: 0o700, mode: 0o750, .. }), "{error}");
    }

    #[test]
    fn a_symlink_in_the_place_of_folder_or_file_is_refused() {
        let (home, folder) = folder();
        fs::write(home.path().join("elsewhere"), "x").unwrap();
        symlink(home.path().join("elsewhere"), folder.path_of("key.pem")).unwrap();
        assert!(matches!(folder.read("key.pem"), Err(FolderError::Kind(_))));
        let link = home.path().join("link");
        symlink(&folder.path, &link).unwrap();
        assert!(matches!(PrivateFolder::open_or_make(&link), Err(FolderError::Kind(_))));
        // a write replaces the link and does not follow it
        folder.write("key.pem", b"mine").unwrap();
        assert_eq!(fs::read(home.path().join("elsewhere")).unwrap(), b"x");
    }

    #[test]
    fn only_one_at_a_time_has_its_turn() {
        let (_home, folder) = folder();
        let held = folder.turn().unwrap();
        let other = PrivateFolder::open(&folder.path).unwrap();
        assert!(matches!(other.turn(), Err(FolderError::Busy(_))));
        drop(held);
        other.turn().unwrap();
    }

    #[test]
    fn what_a_killed_process_left_is_swept_away() {
        let (_home, folder) = folder();
        folder.write("a.pem", b"whole").unwrap();
        folder.write_new(".b.pem.0123", b"half").unwrap();
        folder.sweep().unwrap();
        assert_eq!(folder.all_names().unwrap(), ["a.pem"]);
    }

    #[test]
    fn a_public_file_that_is_not_as_it_should_be_is_made_anew() {
        let (home, folder) = folder();
        fs::write(home.path().join("elsewhere"), "x").unwrap();
        symlink(home.path().join("elsewhere"), folder.path_of("ca.pem")).unwrap();
        folder.write_if_changed("ca.pem", b"x").unwrap();
        assert!(!fs::symlink_metadata(folder.path_of("ca.pem")).unwrap().is_symlink());
        fs::set_permissions(folder.path_of("ca.pem"), fs::Permissions::from_mode(0o666)).unwrap();
        folder.write_if_changed("ca.pem", b"x").unwrap();
        assert_eq!(fs::metadata(folder.path_of("ca.pem")).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn an_unchanged_file_is_left_alone() {
        use std::os::unix::fs::MetadataExt as _;
        let (_home, folder) = folder();
        let inode = || fs::metadata(folder.path_of("ca.pem")).unwrap().ino();
        folder.write_if_changed("ca.pem", b"one").unwrap();
        let first = inode();
        folder.write_if_changed("ca.pem", b"one").unwrap();
        assert_eq!(inode(), first);
        folder.write_if_changed("ca.pem", b"two").unwrap();
        assert_ne!(inode(), first);
    }
}
