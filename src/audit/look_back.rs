//! What the run before left: where its chain ends, and which decisions have no completion.

use std::collections::HashMap;
use std::io;
use std::path::Path;

use crate::audit::Recovery;
use crate::audit::chain::Frame;
use crate::audit::chain::Head;
use crate::audit::folder;
use crate::audit::folder::FileName;
use crate::audit::folder::Lines;
use crate::limits::LEDGER_LOOK_BACK_BYTES;
use crate::limits::LEDGER_LOOK_BACK_BYTES_MAX;

/// The last run, as far as it was looked at.
#[derive(Debug)]
pub(super) struct LastRun {
    /// Where its chain ends.
    pub head: Head,
    /// Decided and not completed: ids, and the decisions' numbers.
    pub open: HashMap<String, u64>,
    /// It ended with an orderly stop.
    pub ended: bool,
}

/// Follows the chain from the last `started` line, or from as far back as the bounds permit.
///
/// `signed` are heads that the key vouches for; a line that isn't the one they name was written anew.
pub(super) fn last_run(
    folder: &Path,
    names: &[FileName],
    signed: &[Head],
    recovery: &mut Recovery,
) -> io::Result<LastRun> {
    let mut run = LastRun { head: Head::START, open: HashMap::new(), ended: false };
    let (names, mut from) = beginning(folder, names)?;
    let mut known = false;
    for name in names {
        let mut lines = Lines::open(folder, name, std::mem::take(&mut from))?;
        while let Some(line) = lines.next()? {
            let frame = Frame::parse(line.bytes);
            let follows = frame.is_some_and(|frame| !known || frame.follows(&run.head));
            if !follows && recovery.broken.len() < BROKEN_MAX {
                let last = run.head.seq();
                recovery.broken.push(format!("`{name}`: what follows line {last} of the ledger doesn't fit to it"));
            }
            known = true;
            let before = frame.and_then(|frame| {
                run.take(&frame);
                Head::new(frame.seq.saturating_sub(1), frame.prev)
            });
            run.head = before.unwrap_or(run.head).followed_by(line.bytes);
            let anew = signed.iter().any(|signed| signed.seq() == run.head.seq() && *signed != run.head);
            if anew && recovery.broken.len() < BROKEN_MAX {
                let line = run.head.seq();
                recovery.broken.push(format!("`{name}`: line {line} of the ledger is not the one that was signed"));
            }
        }
    }
    Ok(run)
}

impl LastRun {
    fn take(&mut self, frame: &Frame<'_>) {
        match (frame.kind, frame.id) {
            ("started", _) => self.open.clear(),
            ("decided", Some(id)) => {
                self.open.insert(id.to_owned(), frame.seq);
            }
            ("completed" | "unknown", Some(id)) => {
                self.open.remove(id);
            }
            _ => {}
        }
        self.ended = frame.kind == "stopped" || (self.ended && frame.kind == "signed");
    }
}

/// The files from the one with the last `started` line on, and where to begin in the first of them.
fn beginning<'a>(folder: &Path, names: &'a [FileName]) -> io::Result<(&'a [FileName], u64)> {
    let Some((last, earlier)) = names.split_last() else { return Ok((names, 0)) };
    if ended_in_order(folder, last)? {
        let from = line_near_the_end(folder, last, LEDGER_LOOK_BACK_BYTES)?;
        return Ok((names.get(earlier.len()..).unwrap_or_default(), from));
    }
    let mut bytes = 0_u64;
    for (index, name) in names.iter().enumerate().rev() {
        let from_here = names.get(index..).unwrap_or_default();
        let mut lines = Lines::open(folder, name, 0)?;
        while let Some(line) = lines.next()? {
            bytes = bytes.saturating_add(u64::try_from(line.bytes.len()).unwrap_or(0));
            if Frame::parse(line.bytes).is_some_and(|frame| frame.kind == "started") {
                return Ok((from_here, 0));
            }
        }
        if bytes > LEDGER_LOOK_BACK_BYTES_MAX {
            return Ok((from_here, 0));
        }
    }
    Ok((names, 0))
}

/// Where the first line begins that is whole within the last `bytes` of a file.
fn line_near_the_end(folder: &Path, name: &FileName, bytes: u64) -> io::Result<u64> {
    let length = folder::open_to_read(&folder.join(name.to_string()))?.metadata()?.len();
    let Some(from) = length.checked_sub(bytes).filter(|from| *from > 0) else { return Ok(0) };
    let mut lines = Lines::open(folder, name, from)?;
    let rest = lines.next()?.map_or(0, |line| line.bytes.len() + 1);
    Ok(from.saturating_add(u64::try_from(rest).unwrap_or(0)))
}

/// Whether the last lines are `stopped`, with nothing left open, and its signature.
fn ended_in_order(folder: &Path, name: &FileName) -> io::Result<bool> {
    let length = folder::open_to_read(&folder.join(name.to_string()))?.metadata()?.len();
    let tail = folder::read_tail(folder, name, length)?;
    let mut lines = tail.split(|byte| *byte == b'\n').rev().filter(|line| !line.is_empty());
    let kind = |line: Option<&[u8]>| line.and_then(Frame::parse).map(|frame| frame.kind.to_owned());
    let (last, before) = (lines.next(), lines.next());
    let nothing_open = before.is_some_and(|line| line.ends_with(b"\"open\":0}"));
    Ok(nothing_open && kind(last).as_deref() == Some("signed") && kind(before).as_deref() == Some("stopped"))
}

/// More broken places are not told at a start; `verify` is for that.
const BROKEN_MAX: usize = 8;
