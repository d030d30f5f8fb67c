//! The ledger's folder: which files it has, in which order, and how each is opened.
//!
//! Nothing here follows a symbolic link or makes a file that others may read.

use std::fmt;
use std::fs::DirBuilder;
use std::fs::File;
use std::fs::OpenOptions;
use std::fs::TryLockError;
use std::io;
use std::io::BufRead as _;
use std::io::BufReader;
use std::io::Read as _;
use std::io::Seek as _;
use std::io::SeekFrom;
use std::io::Write as _;
use std::os::unix::fs::DirBuilderExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::path::PathBuf;

use rustix::fs::OFlags;

use crate::limits::LEDGER_LINE_BYTES_MAX;

/// `YYYY-MM-DD.jsonl`, `YYYY-MM-DD.1.jsonl`…; in the order in which they were written.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileName {
    day: String,
    part: u32,
}

impl FileName {
    pub(super) fn new(day: String, part: u32) -> Self {
        Self { day, part }
    }

    /// None for a file that is no part of the ledger.
    pub(super) fn parse(name: &str) -> Option<Self> {
        let stem = name.strip_suffix(".jsonl")?;
        let (day, part) = match stem.split_once('.') {
            Some((day, part)) => (day, part.parse().ok().filter(|part| *part > 0)?),
            None => (stem, 0),
        };
        let dashes = day.bytes().enumerate().all(|(at, byte)| match at {
            4 | 7 => byte == b'-',
            _ => byte.is_ascii_digit(),
        });
        let file = Self { day: day.to_owned(), part };
        (day.len() == 10 && dashes && file.to_string() == name).then_some(file)
    }

    /// The UTC day on which it was begun.
    pub fn day(&self) -> &str {
        &self.day
    }

    pub(super) fn next_part(&self) -> Self {
        Self { day: self.day.clone(), part: self.part.saturating_add(1) }
    }
}

impl fmt::Display for FileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.part {
            0 => write!(f, "{}.jsonl", self.day),
            part => write!(f, "{}.{part}.jsonl", self.day),
        }
    }
}

/// A folder that may not be trusted with a ledger.
#[derive(Debug, thiserror::Error)]
pub enum FolderNotUsable {
    /// Can't be made, read or opened.
    #[error("the folder `{}` can't be used", path.display())]
    Unusable {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Its mode lets others in, or it belongs to someone else.
    #[error("`{}` must belong to this user and be closed to others (mode {mode:04o})", path.display())]
    NotPrivate {
        /// Which.
        path: PathBuf,
        /// What it has.
        mode: u32,
    },
    /// Someone else has the lock.
    #[error("another daemon writes the ledger in `{}`", path.display())]
    Busy {
        /// Which.
        path: PathBuf,
    },
}

/// Makes the folder with mode 0700, or checks that it is one's own and closed to others.
pub(super) fn private_folder(path: &Path) -> Result<(), FolderNotUsable> {
    let unusable = |source| FolderNotUsable::Unusable { path: path.to_owned(), source };
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(unusable)?;
    let found = std::fs::metadata(path).map_err(unusable)?;
    private(path, &found)
}

/// Whether what was found is one's own and closed to others.
pub(super) fn private(path: &Path, found: &std::fs::Metadata) -> Result<(), FolderNotUsable> {
    let mode = found.mode() & 0o7777;
    if mode & 0o077 != 0 || found.uid() != rustix::process::geteuid().as_raw() {
        return Err(FolderNotUsable::NotPrivate { path: path.to_owned(), mode });
    }
    Ok(())
}

/// The files of the ledger, oldest first.
pub(super) fn files(folder: &Path) -> io::Result<Vec<FileName>> {
    let mut files = Vec::new();
    for found in std::fs::read_dir(folder)? {
        files.extend(found?.file_name().to_str().and_then(FileName::parse));
    }
    files.sort();
    Ok(files)
}

/// Opens a file of the ledger to append to; `new` refuses one that exists.
pub(super) fn open_to_append(folder: &Path, name: &FileName, new: bool) -> io::Result<File> {
    OpenOptions::new()
        .append(true)
        .create_new(new)
        .mode(0o600)
        .custom_flags(no_follow())
        .open(folder.join(name.to_string()))
}

/// Opens a file to read.
pub(super) fn open_to_read(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).custom_flags(no_follow()).open(path)
}

/// The end of a file, back to some line break at least, where there is one.
pub(super) fn read_tail(folder: &Path, name: &FileName, length: u64) -> io::Result<Vec<u8>> {
    let mut window = TAIL_BYTES;
    loop {
        let mut reader = open_to_read(&folder.join(name.to_string()))?;
        reader.seek(SeekFrom::Start(length.saturating_sub(window)))?;
        let mut tail = Vec::new();
        reader.take(window).read_to_end(&mut tail)?;
        if window >= length || tail.contains(&b'\n') {
            return Ok(tail);
        }
        window = window.saturating_mul(8);
    }
}

/// Puts `bytes` in the place of the file `name`, as a whole or not at all.
pub(super) fn replace(folder: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    replace_by(folder, name, |beside| create_private(beside, bytes))
}

/// The same without waiting for the disk: after a power cut the file may be empty.
pub(super) fn replace_soon(folder: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    replace_by(folder, name, |beside| create_unsynced(beside, bytes).map(|_| ()))
}

fn replace_by(folder: &Path, name: &str, create: impl FnOnce(&Path) -> io::Result<()>) -> io::Result<()> {
    let beside = folder.join(format!("{name}.new"));
    match std::fs::remove_file(&beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    create(&beside)?;
    std::fs::rename(&beside, folder.join(name))
}

/// Writes a new 0600 file through to the disk; refuses one that exists.
pub(super) fn create_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    create_unsynced(path, bytes)?.sync_data()
}

fn create_unsynced(path: &Path, bytes: &[u8]) -> io::Result<File> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).custom_flags(no_follow()).open(path)?;
    file.write_all(bytes)?;
    Ok(file)
}

/// Makes what was created in the folder outlive a power cut.
pub(super) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// The writer's lock, held as long as the value lives; `None` when another holds it.
pub(super) fn try_lock(folder: &Path) -> io::Result<Option<File>> {
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(no_follow())
        .open(folder.join("lock"))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// Whether a daemon writes the ledger right now.
pub(super) fn is_live(folder: &Path) -> bool {
    let Ok(file) = open_to_read(&folder.join("lock")) else { return false };
    matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock))
}

/// Reads one file line by line in a buffer that it keeps.
#[derive(Debug)]
pub(super) struct Lines {
    reader: BufReader<File>,
    line: Vec<u8>,
    number: u64,
    offset: u64,
}

/// What a reader found next.
#[derive(Debug)]
pub(super) struct Line<'a> {
    /// Without its line break.
    pub bytes: &'a [u8],
    /// From 1.
    pub number: u64,
    /// Where it begins.
    pub offset: u64,
    /// Whether its line break was there.
    pub whole: bool,
}

impl Lines {
    /// From a byte of the file that begins a line.
    pub fn open(folder: &Path, name: &FileName, offset: u64) -> io::Result<Self> {
        let mut file = open_to_read(&folder.join(name.to_string()))?;
        file.seek(SeekFrom::Start(offset))?;
        Ok(Self { reader: BufReader::with_capacity(64 * 1024, file), line: Vec::new(), number: 0, offset })
    }

    /// The next line; one that is over [`LEDGER_LINE_BYTES_MAX`] comes in pieces, none of which is legal.
    pub fn next(&mut self) -> io::Result<Option<Line<'_>>> {
        self.line.clear();
        let bound = u64::try_from(LEDGER_LINE_BYTES_MAX).unwrap_or(u64::MAX);
        let read = self.reader.by_ref().take(bound).read_until(b'\n', &mut self.line)?;
        if read == 0 {
            return Ok(None);
        }
        let offset = self.offset;
        self.offset = self.offset.saturating_add(u64::try_from(read).unwrap_or(0));
        self.number += 1;
        let ended = self.line.pop_if(|byte| *byte == b'\n').is_some();
        let whole = ended || read == LEDGER_LINE_BYTES_MAX;
        Ok(Some(Line { bytes: &self.line, number: self.number, offset, whole }))
    }
}

/// More than the lines that an orderly stop leaves.
const TAIL_BYTES: u64 = 16 * 1024;

fn no_follow() -> i32 {
    i32::try_from(OFlags::NOFOLLOW.bits()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_ordered_as_they_were_written() {
        let mut names: Vec<_> = ["2026-11-20.10.jsonl", "2026-11-21.jsonl", "2026-11-20.jsonl", "2026-11-20.2.jsonl"]
            .iter()
            .map(|name| FileName::parse(name).unwrap())
            .collect();
        names.sort();
        let names: Vec<_> = names.iter().map(ToString::to_string).collect();
        assert_eq!(names, ["2026-11-20.jsonl", "2026-11-20.2.jsonl", "2026-11-20.10.jsonl", "2026-11-21.jsonl"]);
        for other in ["lock", "head.json", "2026-11-20.0.jsonl", "2026-11-20.01.jsonl", "torn-2026-11-20.jsonl"] {
            assert_eq!(FileName::parse(other), None, "{other}");
        }
    }

    #[test]
    fn a_folder_that_others_may_read_is_refused() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o750)).unwrap();
        assert!(matches!(private_folder(folder.path()), Err(FolderNotUsable::NotPrivate { mode: 0o750, .. })));
    }
}
