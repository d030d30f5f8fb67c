//! The pen: the open file and the head of the chain. Whoever has it is the only one who writes.
//!
//! One write(2) puts any number of whole lines into the file or none: what was written in part is cut off
//! again, and the chain only moves on when the write was whole.

use std::fs::File;
use std::io;
use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::sync::Arc;

use crate::audit::Durability;
use crate::audit::chain::Head;
use crate::audit::folder;
use crate::audit::folder::FileName;
use crate::audit::front::Gap;
use crate::audit::heads::HeadFiles;
use crate::audit::line;
use crate::audit::line::Body;
use crate::audit::queue::Queue;
use crate::audit::signing::SignedHead;
use crate::audit::signing::Signer;
use crate::model::Timestamp;

/// The writing end of the chain.
#[derive(Debug)]
pub(super) struct Pen {
    pub folder: PathBuf,
    pub signer: Arc<Signer>,
    pub heads: HeadFiles,
    pub durability: Durability,
    pub rotate_bytes: u64,
    pub file: Arc<File>,
    pub name: FileName,
    /// The day of `name`, as a number.
    pub day: i64,
    /// Bytes of whole lines in `file`.
    pub bytes: u64,
    pub head: Head,
    /// Part of a line may stand behind `bytes`.
    pub torn: bool,
    /// Someone else removed or changed the file: nothing more is written to it.
    pub abandoned: bool,
    /// The last `signed` line that was written right behind what it signs.
    pub sealed: u64,
    /// The lines of the group that is being written.
    pub out: Vec<u8>,
    /// An empty queue with the room of the last group.
    pub spare: Queue,
}

/// Where the chain stands: enough to sync and to sign without the pen.
#[derive(Debug)]
pub(super) struct Place {
    pub file: Arc<File>,
    pub day: String,
    pub head: Head,
}

impl Pen {
    /// Writes what is queued and then `body`, as one group. On an error nothing of it is in the file.
    pub fn write(&mut self, group: &Queue, body: Option<&[u8]>, gap: Option<&Gap>, now: Timestamp) -> io::Result<u64> {
        self.rotate_if_due(now)?;
        self.write_group(group, body, gap, now)?;
        Ok(self.head.seq())
    }

    /// Writes a signature of the head behind it.
    pub fn sign(&mut self, now: Timestamp) -> io::Result<()> {
        let signed = self.vouch(now);
        let mut body = Vec::with_capacity(512);
        signed.write_body(&mut body);
        self.write_group(&Queue::default(), Some(&body), None, now)?;
        self.sealed = self.head.seq();
        Ok(())
    }

    /// Where the chain stands.
    pub fn place(&self) -> Place {
        Place { file: Arc::clone(&self.file), day: self.name.day().to_owned(), head: self.head }
    }

    /// The head, signed.
    pub fn vouch(&self, now: Timestamp) -> SignedHead {
        SignedHead::new(&self.signer, self.name.day(), &self.head, now)
    }

    /// Looks whether the file is still there and as long as it was left. If not, the chain goes on in a new
    /// file, so that what comes now is kept and what is missing shows.
    pub fn heed_strangers(&mut self) {
        if self.abandoned || self.torn {
            return;
        }
        self.abandoned = match self.file.metadata() {
            Ok(found) => found.nlink() == 0 || found.len() != self.bytes,
            Err(_) => true,
        };
        if self.abandoned {
            tracing::error!(file = %self.name, "someone removed or changed the ledger's file; going on in a new one");
        }
    }

    fn write_group(&mut self, group: &Queue, body: Option<&[u8]>, gap: Option<&Gap>, now: Timestamp) -> io::Result<()> {
        self.out.clear();
        let (mut head, out) = (self.head, &mut self.out);
        if let Some(gap) = gap.filter(|gap| gap.requests > 0 || gap.completions > 0) {
            let mut bytes = Vec::with_capacity(256);
            write_gap(&mut bytes, gap, now);
            head.append(out, &bytes);
        }
        group.each(|queued, _| head.append(out, queued));
        if let Some(body) = body {
            head.append(out, body);
        }
        if !out.is_empty() {
            self.append_out()?;
            self.head = head;
        }
        Ok(())
    }

    /// All of `out`, or nothing: a full disk takes a part first and says so only the next time.
    fn append_out(&mut self) -> io::Result<()> {
        if self.torn {
            self.file.set_len(self.bytes)?;
            self.torn = false;
        }
        let short = match write_once(&self.file, &self.out) {
            Ok(written) if written == self.out.len() => {
                self.bytes = self.bytes.saturating_add(u64::try_from(written).unwrap_or(0));
                return Ok(());
            }
            Ok(_) => io::Error::from(io::ErrorKind::StorageFull),
            Err(error) => error,
        };
        self.torn = self.file.set_len(self.bytes).is_err();
        Err(short)
    }

    /// Begins the next file at UTC midnight or when this one is full. The order of names is the order of
    /// lines: when the clock jumps back to an earlier day, the file stays.
    fn rotate_if_due(&mut self, now: Timestamp) -> io::Result<()> {
        let day = line::day_number(now);
        if day <= self.day && self.bytes < self.rotate_bytes && !self.abandoned {
            return Ok(());
        }
        if self.head.seq() > self.sealed && !self.abandoned {
            self.sign(now)?;
        }
        if self.durability == Durability::Disk {
            self.file.sync_data()?;
        }
        let mut name = if day > self.day { FileName::new(now.day(), 0) } else { self.name.next_part() };
        let file = loop {
            match folder::open_to_append(&self.folder, &name, true) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => name = name.next_part(),
                other => break other?,
            }
        };
        if self.durability == Durability::Disk {
            folder::sync_folder(&self.folder)?;
        }
        self.file = Arc::new(file);
        (self.name, self.day, self.bytes) = (name, day.max(self.day), 0);
        (self.torn, self.abandoned) = (false, false);
        Ok(())
    }
}

fn write_gap(bytes: &mut Vec<u8>, gap: &Gap, now: Timestamp) {
    let mut body = Body::begin(bytes, "gap");
    body.time("time", now).time("since", gap.since).number("requests", gap.requests);
    body.number("completions", gap.completions).shown("cause", gap.cause);
    body.end();
}

fn write_once(mut file: &File, bytes: &[u8]) -> io::Result<usize> {
    loop {
        match file.write(bytes) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}
