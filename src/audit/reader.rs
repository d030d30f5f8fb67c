//! A ledger's lines from where a reader left it, across files, as often as asked.

use std::io;
use std::path::Path;
use std::path::PathBuf;

use crate::audit::folder;
use crate::audit::folder::FileName;
use crate::audit::folder::Lines;
use crate::model::Timestamp;

/// Where the reader is.
#[derive(Debug)]
pub(super) struct Reader {
    folder: PathBuf,
    since: Option<Timestamp>,
    at: Option<(FileName, u64)>,
}

impl Reader {
    /// From the first file that may hold a line of `since` or later.
    pub(super) fn new(folder: &Path, since: Option<Timestamp>) -> Self {
        Self { folder: folder.to_owned(), since, at: None }
    }

    /// Gives `each` whole line that was written since the last call, without its line break. No ledger has no lines.
    pub(super) fn read(&mut self, mut each: impl FnMut(&[u8])) -> io::Result<()> {
        for name in self.files()? {
            let from = self.at.as_ref().filter(|(at, _)| *at == name).map_or(0, |(_, offset)| *offset);
            let mut lines = Lines::open(&self.folder, &name, from)?;
            let mut end = from;
            while let Some(line) = lines.next()? {
                if !line.whole {
                    break;
                }
                end = line.offset + u64::try_from(line.bytes.len()).unwrap_or(0) + 1;
                each(line.bytes);
            }
            self.at = Some((name, end));
        }
        Ok(())
    }

    /// From where it was left, or from the day before `since`: a line may be in the file of the day after.
    fn files(&self) -> io::Result<Vec<FileName>> {
        let mut names = match folder::files(&self.folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            other => other?,
        };
        if let Some((at, _)) = &self.at {
            names.retain(|name| name >= at);
        } else if let Some(since) = self.since {
            // a file goes on past its day while the clock is behind it, so one older file is read as well
            let day = since.day();
            let first = names.iter().position(|name| name.day() >= day.as_str()).unwrap_or(names.len());
            names.drain(..first.saturating_sub(1));
        }
        Ok(names)
    }
}
