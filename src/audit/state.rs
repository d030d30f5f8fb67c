//! What stands under the ledger's lock: the open file, the head of the chain, and what is yet to be written.
//!
//! One write(2) puts any number of whole lines into the file or none: what was written in part is cut off
//! again, and the chain only moves on when the write was whole.

use std::fs::File;
use std::io;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;

use crate::audit::chain::Head;
use crate::audit::folder;
use crate::audit::folder::FileName;
use crate::audit::ledger::Durability;
use crate::audit::line;
use crate::audit::line::Body;
use crate::audit::signing::SignedHead;
use crate::audit::signing::Signer;
use crate::limits::LEDGER_QUEUE_BYTES_MAX;
use crate::model::Timestamp;

/// The writing end of the chain.
#[derive(Debug)]
pub(super) struct State {
    pub folder: PathBuf,
    pub signer: Arc<Signer>,
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
    /// Bodies that wait to be chained, each with a line break behind it.
    pub queue: Vec<u8>,
    /// The lines of the group that is being written.
    pub out: Vec<u8>,
    /// Lines since the last signature.
    pub unsigned: u64,
    /// The chain was signed and `head.json` is yet to say so.
    pub head_due: bool,
    /// Decided, but not completed.
    pub open: u64,
    /// Since when nothing could be written, and what was lost by it.
    pub gap: Option<Gap>,
    /// The disk did not take what the kernel had: nothing more may be promised.
    pub sync_failed: bool,
    /// A request waits for the disk.
    pub wants_sync: bool,
    pub synced: u64,
    pub writer_sleeps: bool,
    pub stopping: bool,
    pub closed: bool,
}

/// A time in which the ledger could not be written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Gap {
    pub since: Timestamp,
    /// Requests that were refused for it.
    pub requests: u64,
    /// Completions for which there was no room in the queue either.
    pub completions: u64,
    pub cause: io::ErrorKind,
}

impl State {
    /// Writes what is queued and then `body`, as one group. On an error nothing of it is in the file.
    pub fn write(&mut self, body: Option<&[u8]>, now: Timestamp) -> io::Result<u64> {
        let written = self.rotate_if_due(now).and_then(|()| self.write_group(body, now));
        match &written {
            Ok(_) => self.gap = None,
            Err(error) => {
                let none = Gap { since: now, requests: 0, completions: 0, cause: error.kind() };
                self.gap.get_or_insert(none).cause = error.kind();
            }
        }
        written.map(|()| self.head.seq())
    }

    /// Takes a body along with the next group. False when there is no room for it.
    pub fn enqueue(&mut self, body: &[u8]) -> bool {
        if self.queue.len().saturating_add(body.len()) >= LEDGER_QUEUE_BYTES_MAX {
            return false;
        }
        self.queue.extend_from_slice(body);
        self.queue.push(b'\n');
        true
    }

    /// Writes what is queued and a signature of the head behind it.
    pub fn sign(&mut self, now: Timestamp) -> io::Result<()> {
        self.write_group(None, now)?;
        let mut body = Vec::with_capacity(512);
        let signed = SignedHead::new(&self.signer, self.name.day(), &self.head, now);
        let mut fields = Body::begin(&mut body, "signed");
        fields.time("time", now).text("day", &signed.day).number("head_seq", signed.seq).text("head", &signed.head);
        fields.text("key", &signed.key).text("signature", &signed.signature);
        fields.end();
        self.write_group(Some(&body), now)?;
        self.unsigned = 0;
        self.head_due = true;
        Ok(())
    }

    /// The head for `head.json`, signed; none when it says so already.
    pub fn take_due_head(&mut self, now: Timestamp) -> Option<SignedHead> {
        std::mem::take(&mut self.head_due).then(|| SignedHead::new(&self.signer, self.name.day(), &self.head, now))
    }

    fn write_group(&mut self, body: Option<&[u8]>, now: Timestamp) -> io::Result<()> {
        self.out.clear();
        let mut head = self.head;
        if let Some(gap) = &self.gap {
            let mut bytes = Vec::with_capacity(256);
            write_gap(&mut bytes, gap, now);
            head.append(&mut self.out, &bytes);
        }
        for queued in self.queue.split(|byte| *byte == b'\n').filter(|queued| !queued.is_empty()) {
            head.append(&mut self.out, queued);
        }
        if let Some(body) = body {
            head.append(&mut self.out, body);
        }
        if self.out.is_empty() {
            return Ok(());
        }
        self.append_out()?;
        self.unsigned = self.unsigned.saturating_add(head.seq().saturating_sub(self.head.seq()));
        self.head = head;
        self.queue.clear();
        self.gap = None;
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
        if day <= self.day && self.bytes < self.rotate_bytes {
            return Ok(());
        }
        if self.unsigned > 0 {
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
        (self.name, self.day, self.bytes, self.torn) = (name, day.max(self.day), 0, false);
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
