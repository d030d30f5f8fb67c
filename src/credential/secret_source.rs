//! Where a stored secret lies, and how it is read: an environment variable, a file, the OS keychain.
//!
//! A file is read only when nobody else could have written or read it. The keyring crate has its one door
//! here. An error never holds what was read.

use std::ffi::OsString;
use std::fs::File;
use std::io::Read as _;
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::path::PathBuf;
use std::sync::mpsc;

use rustix::fs::Mode;
use rustix::fs::OFlags;
use rustix::io::Errno;

use crate::limits::KEYCHAIN_TIMEOUT;
use crate::limits::SECRET_BYTES_MAX;
use crate::model::Secret;

/// One `[[secret]]`'s place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretSource {
    /// An environment variable of the daemon.
    Environment(String),
    /// A file that only its owner may read; one trailing line break is not part of the secret.
    File(PathBuf),
    /// An entry of the OS keychain.
    Keychain {
        /// The entry's service.
        service: String,
        /// The entry's account.
        account: String,
    },
}

/// Why a secret could not be read.
#[derive(Debug, thiserror::Error)]
pub enum SecretUnreadable {
    /// The environment variable is not set.
    #[error("the environment variable `{0}` is not set")]
    NotSet(String),
    /// The file could not be opened or read.
    #[error("`{}` could not be read: {source}", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A link could be turned to another file.
    #[error("`{}` is a symbolic link", .0.display())]
    Link(PathBuf),
    /// A folder, a pipe or a device.
    #[error("`{}` is not a regular file", .0.display())]
    NotAFile(PathBuf),
    /// Somebody else owns the file, and could have written it.
    #[error("`{}` belongs to another user (uid {uid})", path.display())]
    OtherOwner {
        /// Which file.
        path: PathBuf,
        /// Who owns it.
        uid: u32,
    },
    /// Others may read or write the file.
    #[error("`{}` is open to other users (mode {mode:04o})", path.display())]
    OpenToOthers {
        /// Which file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// Nothing is in it.
    #[error("it is empty")]
    Empty,
    /// More than a secret holds.
    #[error("it is larger than {} KiB", SECRET_BYTES_MAX / 1024)]
    TooLarge,
    /// There is no keychain here, such as on a server without a desktop session.
    #[error("there is no keychain to ask: {0}")]
    NoKeychain(String),
    /// The keychain is locked, or nobody answered its question.
    #[error("the keychain is locked")]
    KeychainLocked,
    /// The keychain has no such entry.
    #[error("the keychain has no entry for service `{service}` and account `{account}`")]
    NoEntry {
        /// The entry's service.
        service: String,
        /// The entry's account.
        account: String,
    },
    /// The keychain failed in another way.
    #[error("the keychain failed: {0}")]
    Keychain(String),
}

impl SecretSource {
    /// Reads the secret. Blocks: on the keychain up to [`KEYCHAIN_TIMEOUT`].
    pub fn read(&self, environment: &dyn Fn(&str) -> Option<OsString>) -> Result<Secret, SecretUnreadable> {
        let secret = match self {
            Self::Environment(name) => {
                let value = environment(name).ok_or_else(|| SecretUnreadable::NotSet(name.clone()))?;
                Secret::new(value.into_vec())
            }
            Self::File(path) => read_file(path)?,
            Self::Keychain { service, account } => read_keychain(service, account)?,
        };
        match secret.expose().len() {
            0 => Err(SecretUnreadable::Empty),
            size if size > SECRET_BYTES_MAX => Err(SecretUnreadable::TooLarge),
            _ => Ok(secret),
        }
    }
}

impl SecretUnreadable {
    /// What helps.
    pub fn hint(&self) -> String {
        match self {
            Self::NotSet(name) => {
                format!("set `{name}` where the daemon starts, or keep the secret in a file or the keychain")
            }
            Self::File { path, source } if source.kind() == std::io::ErrorKind::NotFound => {
                format!(
                    "store the secret there: `install -m 600 /dev/stdin '{}'`, paste it, then Ctrl-D",
                    path.display()
                )
            }
            Self::File { path, .. } => format!("check that `{}` exists and is yours", path.display()),
            Self::Link(path) => format!("name the file that `{}` leads to", path.display()),
            Self::NotAFile(_) => "name a file that holds the secret and nothing else".to_owned(),
            Self::OtherOwner { path, .. } => format!("chown \"$(id -un)\" '{}'", path.display()),
            Self::OpenToOthers { path, .. } => format!("chmod 600 '{}'", path.display()),
            Self::Empty => "store the secret there".to_owned(),
            Self::TooLarge => "a secret holds nothing but the token, key or password".to_owned(),
            Self::NoKeychain(_) => {
                "a keychain needs a desktop session with D-Bus (DBUS_SESSION_BUS_ADDRESS); elsewhere keep \
                                    the secret in a file with mode 0600: `file = \"…\"`"
                    .to_owned()
            }
            Self::KeychainLocked => "unlock the keychain, then reload".to_owned(),
            Self::NoEntry { service, account } => {
                format!("secret-tool store --label='{service}' service '{service}' username '{account}'")
            }
            Self::Keychain(_) => "keep the secret in a file with mode 0600 if it stays so".to_owned(),
        }
    }
}

fn read_file(path: &Path) -> Result<Secret, SecretUnreadable> {
    let failed = |source| SecretUnreadable::File { path: path.to_owned(), source };
    // NONBLOCK: opening a pipe without a writer must not wait
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = match rustix::fs::open(path, flags, Mode::empty()) {
        Ok(file) => File::from(file),
        Err(Errno::LOOP) => return Err(SecretUnreadable::Link(path.to_owned())),
        Err(error) => return Err(failed(error.into())),
    };
    let metadata = file.metadata().map_err(failed)?;
    if !metadata.is_file() {
        return Err(SecretUnreadable::NotAFile(path.to_owned()));
    }
    let uid = metadata.uid();
    if uid != 0 && uid != rustix::process::geteuid().as_raw() {
        return Err(SecretUnreadable::OtherOwner { path: path.to_owned(), uid });
    }
    let mode = metadata.mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(SecretUnreadable::OpenToOthers { path: path.to_owned(), mode });
    }
    // room for all of it at once: a buffer that grows leaves copies behind
    let mut bytes = zeroize::Zeroizing::new(Vec::with_capacity(SECRET_BYTES_MAX + 2));
    let bound = u64::try_from(SECRET_BYTES_MAX + 2).unwrap_or(u64::MAX);
    file.take(bound).read_to_end(&mut bytes).map_err(failed)?;
    let trimmed = bytes.strip_suffix(b"\n").map_or(bytes.as_slice(), |rest| rest.strip_suffix(b"\r").unwrap_or(rest));
    Ok(Secret::new(trimmed))
}

/// In a thread of its own: the keychain speaks D-Bus with an executor of its own, and may wait for a person.
fn read_keychain(service: &str, account: &str) -> Result<Secret, SecretUnreadable> {
    let (sender, answer) = mpsc::sync_channel(1);
    let (for_service, for_account) = (service.to_owned(), account.to_owned());
    let ask = move || {
        let _ = sender.send(ask_keychain(&for_service, &for_account));
    };
    let spawned = std::thread::Builder::new().name("keychain".to_owned()).spawn(ask);
    spawned.map_err(|error| SecretUnreadable::Keychain(error.to_string()))?;
    answer.recv_timeout(KEYCHAIN_TIMEOUT).unwrap_or(Err(SecretUnreadable::KeychainLocked))
}

fn ask_keychain(service: &str, account: &str) -> Result<Secret, SecretUnreadable> {
    if let Err(error) = keyring::Entry::store_status() {
        return Err(SecretUnreadable::NoKeychain(in_words(error)));
    }
    let entry = keyring::Entry::new(service, account).map_err(|error| SecretUnreadable::Keychain(in_words(&error)))?;
    match entry.get_secret() {
        Ok(bytes) => Ok(Secret::new(bytes)),
        Err(keyring::Error::NoEntry) => {
            Err(SecretUnreadable::NoEntry { service: service.to_owned(), account: account.to_owned() })
        }
        Err(keyring::Error::NoStorageAccess(_)) => Err(SecretUnreadable::KeychainLocked),
        Err(error) => Err(SecretUnreadable::Keychain(in_words(&error))),
    }
}

/// keyring's own words, but of the kinds that hold bytes of the secret only the kind.
fn in_words(error: &keyring::Error) -> String {
    match error {
        keyring::Error::PlatformFailure(error) | keyring::Error::NoStorageAccess(error) => error.to_string(),
        keyring::Error::Ambiguous(_) => "more than one entry matches".to_owned(),
        keyring::Error::Invalid(name, rule) => format!("`{name}` {rule}"),
        keyring::Error::NoDefaultStore => "no store is available".to_owned(),
        _ => "the entry is not readable".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;
    use std::os::unix::fs::symlink;

    use super::*;

    fn nothing(_: &str) -> Option<OsString> {
        None
    }

    fn file(folder: &Path, name: &str, content: &[u8], mode: u32) -> SecretSource {
        let path = folder.join(name);
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        SecretSource::File(path)
    }

    #[test]
    fn a_variable_and_a_private_file_are_read() {
        let set = |name: &str| (name == "TOKEN").then(|| OsString::from("from env"));
        assert_eq!(SecretSource::Environment("TOKEN".into()).read(&set).unwrap().expose(), b"from env");
        let folder = tempfile::tempdir().unwrap();
        for (content, secret) in
            [("s3cret\n", "s3cret"), ("s3cret\r\n", "s3cret"), ("two\n\n", "two\n"), (" s ", " s ")]
        {
            assert_eq!(
                file(folder.path(), "t", content.as_bytes(), 0o600).read(&nothing).unwrap().expose(),
                secret.as_bytes()
            );
        }
        assert!(file(folder.path(), "largest", &vec![b'x'; SECRET_BYTES_MAX], 0o400).read(&nothing).is_ok());
    }

    #[test]
    fn what_others_could_have_touched_is_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        for mode in [0o640, 0o604, 0o620, 0o666] {
            let open = file(folder.path(), &format!("{mode:o}"), b"x", mode).read(&nothing).unwrap_err();
            assert!(matches!(open, SecretUnreadable::OpenToOthers { mode: found, .. } if found == mode), "{open}");
            assert!(open.hint().starts_with("chmod 600"));
        }
        symlink(path("640"), path("link")).unwrap();
        assert!(matches!(SecretSource::File(path("link")).read(&nothing), Err(SecretUnreadable::Link(_))));
        assert!(matches!(
            SecretSource::File(folder.path().to_owned()).read(&nothing),
            Err(SecretUnreadable::NotAFile(_))
        ));
        let missing = SecretSource::File(path("missing")).read(&nothing).unwrap_err();
        assert!(missing.to_string().contains("missing"), "{missing}");
        assert!(missing.hint().starts_with("store the secret there: `install -m 600 "), "{}", missing.hint());
    }

    #[test]
    fn nothing_and_too_much_are_no_secret() {
        let folder = tempfile::tempdir().unwrap();
        assert!(matches!(SecretSource::Environment("X".into()).read(&nothing), Err(SecretUnreadable::NotSet(_))));
        assert!(matches!(
            SecretSource::Environment("X".into()).read(&|_| Some(OsString::new())),
            Err(SecretUnreadable::Empty)
        ));
        assert!(matches!(file(folder.path(), "e", b"\n", 0o600).read(&nothing), Err(SecretUnreadable::Empty)));
        let large = file(folder.path(), "l", &vec![b'x'; SECRET_BYTES_MAX + 1], 0o600);
        assert!(matches!(large.read(&nothing), Err(SecretUnreadable::TooLarge)));
    }
}
