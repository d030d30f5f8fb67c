//! The control socket's place in the file system: one daemon holds it, nobody else can enter.
//!
//! A lock beside the socket decides who is the daemon, because a socket file outlives its process and two
//! that start at once would each take the other's for a stale one.

use std::fs::File;
use std::fs::TryLockError;
use std::os::unix::fs::FileTypeExt as _;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::path::PathBuf;

use tokio::net::UnixListener;

use crate::os::NotPrivate;
use crate::os::private_append;
use crate::os::private_folder;

/// The socket, held as long as this lives.
#[derive(Debug)]
pub struct ControlListener {
    pub(in crate::control) listener: UnixListener,
    path: PathBuf,
    origin: Origin,
    _lock: File,
}

#[derive(Debug, PartialEq, Eq)]
enum Origin {
    Bound,
    FromServiceManager,
}

/// Why this process is not the daemon.
#[derive(Debug, thiserror::Error)]
pub enum NotListening {
    /// Another one is.
    #[error("another daemon is running on `{}`", path.display())]
    AnotherDaemon {
        /// The socket.
        path: PathBuf,
    },
    /// The folder or the lock is not ours alone.
    #[error(transparent)]
    NotPrivate(#[from] NotPrivate),
    /// Something that is no socket is in its place.
    #[error("`{}` is not a socket", path.display())]
    InTheWay {
        /// Where.
        path: PathBuf,
    },
    /// The path has no folder, or is longer than a socket's may be.
    #[error("`{}` cannot be the path of a unix socket", path.display())]
    Path {
        /// Which.
        path: PathBuf,
    },
    /// The system refused.
    #[error("`{}` cannot be listened on", path.display())]
    Io {
        /// Where.
        path: PathBuf,
        /// What it said.
        source: std::io::Error,
    },
}

impl NotListening {
    /// What to do about it.
    pub fn hint(&self) -> String {
        match self {
            Self::AnotherDaemon { .. } => "`valetkey status` shows it, `valetkey stop` stops it".to_owned(),
            Self::NotPrivate(not_private) => not_private.hint(),
            Self::InTheWay { path } => format!("look at it with `ls -l {}`, and move it away", path.display()),
            Self::Path { .. } => "set XDG_RUNTIME_DIR or VALETKEY_HOME to a shorter absolute path".to_owned(),
            Self::Io { path, .. } => format!("see who may write to `{}`", path.display()),
        }
    }
}

impl ControlListener {
    /// Becomes the daemon: takes the lock, clears a stale socket away, listens. Needs a tokio runtime.
    pub fn bind(path: &Path) -> Result<Self, NotListening> {
        let lock = lock(path)?;
        let io = |source| NotListening::Io { path: path.to_owned(), source };
        clear_stale(path)?;
        let listener = std::os::unix::net::UnixListener::bind(path).map_err(|error| match error.kind() {
            std::io::ErrorKind::InvalidInput => NotListening::Path { path: path.to_owned() },
            _ => io(error),
        })?;
        std::fs::set_permissions(path, PermissionsExt::from_mode(0o600)).map_err(io)?;
        listener.set_nonblocking(true).map_err(io)?;
        let listener = UnixListener::from_std(listener).map_err(io)?;
        Ok(Self { listener, path: path.to_owned(), origin: Origin::Bound, _lock: lock })
    }

    /// Becomes the daemon on a socket that the service manager listens on for us.
    pub fn adopt(path: &Path, listener: std::os::unix::net::UnixListener) -> Result<Self, NotListening> {
        let lock = lock(path)?;
        let io = |source| NotListening::Io { path: path.to_owned(), source };
        listener.set_nonblocking(true).map_err(io)?;
        let listener = UnixListener::from_std(listener).map_err(io)?;
        Ok(Self { listener, path: path.to_owned(), origin: Origin::FromServiceManager, _lock: lock })
    }

    /// Where it listens.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for ControlListener {
    /// While the lock is still held, so that no one else's socket is taken away.
    fn drop(&mut self) {
        if self.origin == Origin::Bound {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

fn lock(path: &Path) -> Result<File, NotListening> {
    let folder = path.parent().ok_or_else(|| NotListening::Path { path: path.to_owned() })?;
    private_folder(folder)?;
    let lock = private_append(&path.with_extension("lock"))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(NotListening::AnotherDaemon { path: path.to_owned() }),
        Err(TryLockError::Error(source)) => Err(NotListening::Io { path: path.to_owned(), source }),
    }
}

/// Only what is a socket that nobody answers on is removed.
fn clear_stale(path: &Path) -> Result<(), NotListening> {
    let io = |source| NotListening::Io { path: path.to_owned(), source };
    let found = match path.symlink_metadata() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        found => found.map_err(io)?,
    };
    if !found.file_type().is_socket() {
        return Err(NotListening::InTheWay { path: path.to_owned() });
    }
    match std::os::unix::net::UnixStream::connect(path) {
        Ok(_) => Err(NotListening::AnotherDaemon { path: path.to_owned() }),
        Err(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => std::fs::remove_file(path).map_err(io),
        Err(error) => Err(io(error)),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;

    use super::*;

    fn place() -> (tempfile::TempDir, PathBuf) {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("run/control.sock");
        (home, path)
    }

    #[tokio::test]
    async fn the_socket_is_for_its_owner_alone_and_gone_afterwards() {
        let (_home, path) = place();
        let listener = ControlListener::bind(&path).unwrap();
        assert_eq!(path.metadata().unwrap().mode() & 0o777, 0o600);
        assert_eq!(path.parent().unwrap().metadata().unwrap().mode() & 0o777, 0o700);
        drop(listener);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn a_second_daemon_is_refused_and_the_first_one_lives_on() {
        let (_home, path) = place();
        let _first = ControlListener::bind(&path).unwrap();
        let refused = ControlListener::bind(&path).unwrap_err();
        assert!(matches!(refused, NotListening::AnotherDaemon { .. }));
        assert!(tokio::net::UnixStream::connect(&path).await.is_ok());
    }

    #[tokio::test]
    async fn a_stale_socket_is_replaced_and_one_that_answers_is_not() {
        let (_home, path) = place();
        private_folder(path.parent().unwrap()).unwrap();
        let foreign = std::os::unix::net::UnixListener::bind(&path).unwrap();
        assert!(matches!(ControlListener::bind(&path), Err(NotListening::AnotherDaemon { .. })));
        drop(foreign);
        assert!(path.exists(), "a socket outlives its listener");
        assert!(ControlListener::bind(&path).is_ok());
    }

    #[tokio::test]
    async fn what_is_no_socket_is_never_removed() {
        let (_home, path) = place();
        private_folder(path.parent().unwrap()).unwrap();
        std::fs::write(&path, "precious").unwrap();
        assert!(matches!(ControlListener::bind(&path), Err(NotListening::InTheWay { .. })));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "precious");
    }

    #[tokio::test]
    async fn a_path_too_long_for_a_socket_is_said_to_be_so() {
        let (home, _) = place();
        let path = home.path().join("x".repeat(120)).join("control.sock");
        assert!(matches!(ControlListener::bind(&path), Err(NotListening::Path { .. })));
    }

    #[tokio::test]
    async fn a_socket_of_the_service_manager_stays_when_we_go() {
        let (_home, path) = place();
        private_folder(path.parent().unwrap()).unwrap();
        let held = std::os::unix::net::UnixListener::bind(&path).unwrap();
        let adopted = ControlListener::adopt(&path, held.try_clone().unwrap()).unwrap();
        assert!(matches!(ControlListener::bind(&path), Err(NotListening::AnotherDaemon { .. })));
        drop(adopted);
        assert!(path.exists());
    }
}
