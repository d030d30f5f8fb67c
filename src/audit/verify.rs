//! Whether the ledger is what was written: every number, hash and signature, over all files.
//!
//! Reads each line once and keeps none. Names the first line that was changed, removed, inserted or moved,
//! as well as a chain of hashes can tell these apart.

use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::path::Path;

use crate::audit::PublicKey;
use crate::audit::chain::Frame;
use crate::audit::chain::Head;
use crate::audit::chain::Recent;
use crate::audit::folder;
use crate::audit::heads::HeadFiles;
use crate::audit::heads::Kept;
use crate::audit::signing::SignedHead;
use crate::audit::told::told;
use crate::audit::walk::Place;
use crate::audit::walk::Spot;
use crate::audit::walk::Walk;

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Lines that are as they were written.
    pub lines: u64,
    /// Files, up to the first fault.
    pub files: u64,
    /// Days, up to the first fault.
    pub days: u64,
    /// Signatures that are the key's.
    pub signatures: u64,
    /// Where the whole part ends.
    pub head: Head,
    /// The first fault, if there is one.
    pub fault: Option<Fault>,
    /// What starts of the daemon found broken and wrote down, oldest first.
    pub told: Vec<String>,
}

/// The first thing that is not as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Which file; none when it is missing.
    pub file: Option<String>,
    /// Which line of the file, from 1; none where it is no line.
    pub line: Option<u64>,
    /// What was done, as far as can be told.
    pub tampering: Tampering,
    /// The same as a sentence.
    pub detail: String,
}

/// What was done to a ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tampering {
    /// A line has other bytes than it had.
    Changed,
    /// Lines between others are gone.
    Removed,
    /// A line stands there that was not written there.
    Inserted,
    /// A line stands elsewhere than it was written.
    Moved,
    /// Lines at the end are gone.
    Truncated,
    /// A signature is not the key's: the lines up to it were written anew.
    Rewritten,
    /// The last line is not whole, and no daemon is writing it.
    Torn,
    /// The last signature, `head.json`, is missing, or is not the key's.
    HeadChanged,
}

impl Tampering {
    /// In one word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Changed => "changed",
            Self::Removed => "removed",
            Self::Inserted => "inserted",
            Self::Moved => "moved",
            Self::Truncated => "truncated",
            Self::Rewritten => "rewritten",
            Self::Torn => "torn",
            Self::HeadChanged => "head changed",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.file, self.line) {
            (Some(file), Some(line)) => write!(f, "`{file}` line {line}: {}", self.detail),
            (Some(file), None) => write!(f, "`{file}`: {}", self.detail),
            (None, _) => f.write_str(&self.detail),
        }
    }
}

/// Verifies the ledger in `folder` against a key from elsewhere, or else the `ledger.pub` beside it, and against
/// the last signed head that stands in `key_folder`: a copy of a ledger has none there. A ledger that is being
/// written is verified as far as it was when this began.
pub fn verify(folder: &Path, key: Option<PublicKey>, key_folder: &Path) -> io::Result<Report> {
    let key = match key {
        Some(key) => key,
        None => PublicKey::read(&folder.join("ledger.pub"))?,
    };
    let heads = HeadFiles::of(folder, key_folder)?;
    // INVARIANT: signed heads are read before the files: lines are written before the head that names them
    let kept = [heads.beside_the_ledger(&key), heads.beside_the_key(&key)];
    let mut walk = Walk::new(folder, folder::files(folder)?);
    let signed = kept.iter().filter_map(Kept::head).collect();
    let mut check = Check { key, signed, report: EMPTY, signed_to: 0, recent: Recent::default() };
    let mut days = BTreeSet::new();
    let mut before: Option<(Place, Head)> = None;
    let mut next = walk.next()?;
    while let Some(spot) = next {
        let ahead = walk.next()?;
        if !spot.whole {
            check.report.fault = torn(folder, &spot);
            break;
        }
        let head = check.report.head;
        if let Some(fault) = check.line(before.as_ref().map(|(place, _)| place), &spot, ahead.as_ref()) {
            let fault = if fault.tampering == Tampering::Removed {
                walk.find_moved(&check.report.head, &fault, ahead)?.unwrap_or(fault)
            } else {
                fault
            };
            if let Some((place, head)) = before
                && fault.line == Some(place.line)
                && fault.file.as_deref() == Some(&place.name)
            {
                (check.report.head, check.report.lines) = (head, head.seq());
            }
            check.report.fault = Some(fault);
            break;
        }
        check.report.files += u64::from(before.as_ref().is_none_or(|(before, _)| before.file != spot.place.file));
        if let Some(name) = walk.names.get(spot.place.file) {
            days.insert(name.day().to_owned());
        }
        before = Some((spot.place, head));
        next = ahead;
    }
    check.report.days = u64::try_from(days.len()).unwrap_or(u64::MAX);
    if check.report.fault.is_none() {
        check.report.fault = check.end(&kept);
    }
    check.report.told = told(folder)?;
    Ok(check.report)
}

const EMPTY: Report =
    Report { lines: 0, files: 0, days: 0, signatures: 0, head: Head::START, fault: None, told: Vec::new() };

/// A half-written line of a daemon at work is no fault.
fn torn(folder: &Path, spot: &Spot) -> Option<Fault> {
    let detail = "the last line is not whole; the next start of the daemon sets it aside";
    (!folder::is_live(folder)).then(|| spot.fault(Tampering::Torn, detail))
}

struct Check {
    key: PublicKey,
    /// Heads that the key vouches for, from the files that hold the last one.
    signed: Vec<Head>,
    report: Report,
    /// The last line that a good signature vouches for.
    signed_to: u64,
    /// What a signature may name.
    recent: Recent,
}

impl Check {
    fn line(&mut self, before: Option<&Place>, spot: &Spot, ahead: Option<&Spot>) -> Option<Fault> {
        let frame = Frame::parse(&spot.bytes);
        let Some(frame) = frame.filter(|frame| frame.follows(&self.report.head)) else {
            return Some(self.misfit(before, spot, frame, ahead));
        };
        if frame.kind == "signed"
            && let Some(fault) = self.signature(spot)
        {
            return Some(fault);
        }
        self.report.head = self.report.head.followed_by(&spot.bytes);
        self.recent.push(self.report.head);
        self.report.lines += 1;
        let head = self.report.head;
        let anew = self.signed.iter().any(|signed| signed.seq() == head.seq() && *signed != head);
        anew.then(|| spot.fault(Tampering::Changed, "the line is not the one that was signed as the last"))
    }

    /// Why the line does not stand behind the one before it.
    fn misfit(&self, before: Option<&Place>, spot: &Spot, frame: Option<Frame<'_>>, ahead: Option<&Spot>) -> Fault {
        let head = &self.report.head;
        let expected = head.seq() + 1;
        let next = ahead.and_then(|ahead| Frame::parse(&ahead.bytes));
        let next_belongs_here = next.is_some_and(|next| next.follows(head));
        let Some(frame) = frame else {
            return match next_belongs_here {
                true => spot.fault(Tampering::Inserted, "the line was inserted; it is no line of a ledger"),
                false => spot.fault(Tampering::Changed, "the line was changed; it is no line of a ledger"),
            };
        };
        if next_belongs_here {
            return match frame.seq == expected + 1 {
                true => spot.fault(Tampering::Moved, format!("lines {expected} and {} changed places", frame.seq)),
                false => spot.fault(Tampering::Inserted, format!("the line was inserted; it says {}", frame.seq)),
            };
        }
        if frame.seq > expected {
            let last = frame.seq - 1;
            return spot.fault(
                Tampering::Removed,
                format!("{} of the ledger {} removed", span(expected, last), was(expected, last)),
            );
        }
        if frame.seq < expected {
            return spot.fault(Tampering::Inserted, format!("the line was inserted; it says {}", frame.seq));
        }
        // the number is right and the hash is not: one of the two was changed, and the line after tells which
        let own = Head::new(expected, Head::START.followed_by(&spot.bytes).hash().as_bytes());
        let intact = own.zip(next).is_none_or(|(own, next)| next.follows(&own));
        match before.filter(|_| intact) {
            Some(before) if ahead.is_some() => before.fault(Tampering::Changed, "the line was changed"),
            Some(before) => before.fault(Tampering::Changed, "the line was changed, or the `prev` of the one after it"),
            None => spot.fault(Tampering::Changed, "the line was changed"),
        }
    }

    /// A signature names a head that the chain had: lines that came while it was made stand between.
    fn signature(&mut self, spot: &Spot) -> Option<Fault> {
        let signed: Option<SignedHead> = serde_json::from_slice(&spot.bytes).ok();
        let vouched = signed.as_ref().and_then(|signed| signed.vouched(&self.key));
        let last = self.report.head.seq();
        let Some(head) = vouched.filter(|head| self.recent.holds(head)) else {
            let first = self.signed_to + 1;
            let other = signed.is_some_and(|signed| signed.key != self.key.to_string());
            let why = if other { "it was made with another key" } else { "it is not the key's" };
            let detail =
                format!("the signature is not good ({why}): lines {first} to {} may have been rewritten", last + 1);
            return Some(spot.fault(Tampering::Rewritten, detail));
        };
        self.report.signatures += 1;
        let signed_to = if head.seq() == last { last + 1 } else { head.seq() };
        self.signed_to = self.signed_to.max(signed_to);
        None
    }

    /// Whether the end is where the last signatures saw it, or behind; and whether these are whole themselves.
    fn end(&self, kept: &[Kept; 2]) -> Option<Fault> {
        let [beside_the_ledger, beside_the_key] = kept;
        let lines = self.report.head.seq();
        if let Some(signed) = self.signed.iter().map(Head::seq).max().filter(|signed| *signed > lines) {
            let (first, last) = (lines + 1, signed);
            let detail = format!("{} {} signed and cut off the end", span(first, last), was(first, last));
            return Some(Fault { file: None, line: None, tampering: Tampering::Truncated, detail });
        }
        let fault = |file: Option<&str>, detail: &str| {
            let (file, tampering) = (file.map(str::to_owned), Tampering::HeadChanged);
            Some(Fault { file, line: None, tampering, detail: detail.to_owned() })
        };
        match (beside_the_ledger, beside_the_key) {
            (Kept::Unreadable, _) => fault(Some("head.json"), "the last signature can't be read"),
            (Kept::Foreign, _) => fault(Some("head.json"), "the last signature is not the key's"),
            (Kept::Nothing, _) if self.report.lines > 0 => fault(Some("head.json"), "the last signature is missing"),
            (_, Kept::Unreadable) => fault(None, "the signed head beside the ledger's key can't be read"),
            (_, Kept::Foreign) => fault(None, "the signed head beside the ledger's key is not the key's"),
            (Kept::Nothing | Kept::Vouched(_), Kept::Nothing | Kept::Vouched(_)) => None,
        }
    }
}

fn span(first: u64, last: u64) -> String {
    if first == last { format!("line {first}") } else { format!("lines {first} to {last}") }
}

fn was(first: u64, last: u64) -> &'static str {
    if first == last { "was" } else { "were" }
}
