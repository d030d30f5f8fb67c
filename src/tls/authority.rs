//! Our authority: made on first use, kept up as hosts and time go on, replaced when asked.
//!
//! It signs for configured hosts and for nothing else; what it lends out are ready TLS configurations, never keys.

use std::fmt;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls_pki_types::CertificateDer;

use crate::model::Clock;
use crate::model::Host;
use crate::model::Timestamp;
use crate::tls::bundle;
use crate::tls::bundle::Bundle;
use crate::tls::folder::FolderError;
use crate::tls::folder::PrivateFolder;
use crate::tls::generation::GENERATION_SUFFIX;
use crate::tls::generation::Generation;
use crate::tls::generation::NotAGeneration;
use crate::tls::leaf::Alpn;
use crate::tls::leaf::LeafError;
use crate::tls::leaf::Leaves;
use crate::tls::roots::Roots;
use crate::tls::state;
use crate::tls::state::State;

/// Signs leaves for configured hosts.
pub struct CertificateAuthority {
    folder: PathBuf,
    clock: Arc<dyn Clock>,
    state: ArcSwap<State>,
    leaves: Leaves,
}

/// Whether `ensure` changed which roots an agent must trust: then the bundle is to be written again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Change {
    /// As before.
    None,
    /// A generation came or went.
    Generations,
}

/// Why there is no authority.
#[derive(Debug, thiserror::Error)]
pub enum CaError {
    /// The folder or a file is not usable.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// A file of ours does not hold what we put there.
    #[error("`{}` is damaged", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: NotAGeneration,
    },
    /// A certificate or the leaves' key could not be made.
    #[error("could not make a certificate")]
    Make(#[from] rcgen::Error),
    /// rustls did not take what was made.
    #[error("could not prepare TLS with agents")]
    Tls(#[from] rustls::Error),
}

impl CaError {
    /// What to do about it, where something can be said.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Folder(error) => error.hint(),
            Self::Damaged { .. } => Some("valetkey ca rotate".to_owned()),
            Self::Make(_) | Self::Tls(_) => None,
        }
    }
}

impl CertificateAuthority {
    /// Opens the authority in `folder`, or makes one. Blocks on the disk for a few milliseconds.
    ///
    /// `permitted` are the exact host names, and for each wildcard its parent; an address is passed over, because
    /// no leaf is ever made for one.
    pub fn open(folder: &Path, permitted: &[Host], clock: Arc<dyn Clock>) -> Result<Self, CaError> {
        let state = State::settle(folder, permitted, clock.now())?;
        Ok(Self { folder: folder.to_owned(), clock, state: ArcSwap::from_pointee(state), leaves: Leaves::new()? })
    }

    /// Reads the folder again and sees to it that a generation permits these hosts: after a reload, and daily,
    /// so that an intermediate is followed in time. Blocks on the disk for a few milliseconds.
    pub fn ensure(&self, permitted: &[Host]) -> Result<Change, CaError> {
        let state = State::settle(&self.folder, permitted, self.clock.now())?;
        let names = |state: &State| state.generations.iter().map(|made| made.name.clone()).collect::<Vec<_>>();
        let change = if names(&state) == names(&self.state.load()) { Change::None } else { Change::Generations };
        self.state.store(Arc::new(state));
        Ok(change)
    }

    /// What TLS with an agent that wants `host` runs on: a leaf for this one name and its intermediate. Made once
    /// and kept; tens of microseconds when it is not there yet, and never I/O.
    pub fn server_config(&self, host: &Host, alpn: Alpn) -> Result<Arc<ServerConfig>, LeafError> {
        self.leaves.server_config(host, alpn, &self.state.load(), self.clock.now())
    }

    /// Writes the bundle of the system's roots and ours, and the file of ours alone; each only where it changed.
    /// Blocks on the disk.
    pub fn write_bundle(&self, system: &Roots) -> Result<Bundle, CaError> {
        let folder = PrivateFolder::open_or_make(&self.folder)?;
        let _turn = folder.turn()?;
        Ok(bundle::write(&folder, system, &self.roots())?)
    }

    /// How many leaves are kept.
    pub fn leaves(&self) -> u64 {
        self.leaves.count()
    }

    /// Our living roots, oldest first.
    pub fn roots(&self) -> Vec<CertificateDer<'static>> {
        self.state.load().generations.iter().map(|made| made.root.clone()).collect()
    }
}

impl fmt::Debug for CertificateAuthority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CertificateAuthority").field("folder", &self.folder).finish_non_exhaustive()
    }
}

/// Our living roots as they stand in `folder`, oldest first; none before first use. For commands that only look.
pub fn own_roots(folder: &Path, now: Timestamp) -> Result<Vec<CertificateDer<'static>>, CaError> {
    let folder = match PrivateFolder::open(folder) {
        Err(FolderError::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        opened => opened?,
    };
    let generations = state::read_all(&folder)?.into_iter();
    Ok(generations.filter(|made| now < made.not_after).map(|made| made.root).collect())
}

/// Replaces everything by one new generation for the same hosts: from now on no older key or root is good, and
/// agents that still run with an older bundle must start again. A running daemon follows when it reloads.
pub fn rotate(folder: &Path, system: &Roots, now: Timestamp) -> Result<Bundle, CaError> {
    let folder = PrivateFolder::open_or_make(folder)?;
    let _turn = folder.turn()?;
    folder.sweep()?;
    let before = folder.names(GENERATION_SUFFIX)?;
    // the newest that can be read tells the hosts; a damaged file is no reason to keep it
    let hosts = before.iter().rev().find_map(|name| state::read(&folder, name).ok());
    let permitted = hosts.iter().flat_map(Generation::permitted).map(str::to_owned).collect();
    let made = state::make(&folder, &permitted, now)?;
    before.iter().try_for_each(|name| folder.remove(name))?;
    Ok(bundle::write(&folder, system, &[made.root])?)
}
