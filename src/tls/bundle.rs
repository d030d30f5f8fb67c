//! The files by which agents come to trust us: the system's roots with ours, and ours alone.
//!
//! Some variables replace a client's store and some add to it, so there are two (`environment` knows which).
//! Agents run as the same user, so that the files stay as private as their folder.

use std::path::Path;
use std::path::PathBuf;

use rustls_pki_types::CertificateDer;

use crate::tls::folder::FolderError;
use crate::tls::folder::PrivateFolder;
use crate::tls::pem;
use crate::tls::roots::Roots;

/// Where the two files are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bundle {
    /// The system's roots and ours.
    pub merged: PathBuf,
    /// Ours alone.
    pub own: PathBuf,
}

impl Bundle {
    /// Where the files of the authority in `folder` are, or will be.
    pub fn below(folder: &Path) -> Self {
        Self { merged: folder.join(MERGED), own: folder.join(OWN) }
    }
}

/// Ours come first in the bundle: a client that looks in order finds them at once.
pub(super) fn write(
    folder: &PrivateFolder,
    system: &Roots,
    own: &[CertificateDer<'static>],
) -> Result<Bundle, FolderError> {
    let mut text = pem::to_pem(own);
    folder.write_if_changed(OWN, text.as_bytes())?;
    text.push_str(&pem::to_pem(&system.certs));
    folder.write_if_changed(MERGED, text.as_bytes())?;
    Ok(Bundle { merged: folder.path_of(MERGED), own: folder.path_of(OWN) })
}

const MERGED: &str = "bundle.pem";
const OWN: &str = "ca.pem";
