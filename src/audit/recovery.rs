//! What a start finds of the run before, and how it goes on from there.
//!
//! A torn last line is cut off, kept beside the ledger and noted; decisions without completion are marked
//! `unknown`. A chain that is broken inside, or shorter than what was signed, is never mended: the numbers
//! go on where the signature left off, so that the hole stays to be seen.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::audit::Durability;
use crate::audit::FolderNotUsable;
use crate::audit::LedgerError;
use crate::audit::PublicKey;
use crate::audit::Settings;
use crate::audit::chain;
use crate::audit::chain::Head;
use crate::audit::folder;
use crate::audit::folder::FileName;
use crate::audit::heads::HeadFiles;
use crate::audit::heads::Kept;
use crate::audit::line;
use crate::audit::line::Body;
use crate::audit::look_back;
use crate::audit::look_back::LastRun;
use crate::audit::pen::Pen;
use crate::audit::queue::Queue;
use crate::audit::signing::Signer;
use crate::limits::LEDGER_LOCK_TIMEOUT;
use crate::model::Timestamp;

/// What a start found and did; all zero and none after an orderly stop.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovery {
    /// There was no ledger before.
    pub new: bool,
    /// Bytes of a torn last line, cut off and kept in `torn_file`.
    pub torn_bytes: u64,
    /// The file beside the ledger that has them.
    pub torn_file: Option<String>,
    /// Decisions of the last run whose completion is not known; each got an `unknown` line.
    pub unknown: u64,
    /// What verifying it will name: the ledger was tampered with, or lost lines.
    pub broken: Vec<String>,
}

/// Locks, repairs, and writes the first lines of the run.
pub(super) fn open(settings: &Settings, now: Timestamp) -> Result<(Pen, File, Recovery), LedgerError> {
    let folder = settings.folder.as_path();
    let files_error = |source| LedgerError::Files { folder: folder.to_owned(), source };
    folder::private_folder(folder)?;
    let lock = lock(folder)?;
    let signer = Arc::new(Signer::load(&settings.key_folder)?);
    let mut recovery = Recovery::default();
    publish_key(folder, &signer, &mut recovery).map_err(files_error)?;
    let names = folder::files(folder).map_err(files_error)?;
    let torn = repair_tail(folder, names.last(), now, &mut recovery).map_err(files_error)?;
    let heads = HeadFiles::of(folder, &settings.key_folder).map_err(files_error)?;
    let kept = [heads.beside_the_ledger(&signer.public()), heads.beside_the_key(&signer.public())];
    let signed: Vec<_> = kept.iter().filter_map(Kept::head).collect();
    let mut run = look_back::last_run(folder, &names, &signed, &mut recovery).map_err(files_error)?;
    let found = run.head;
    heed_signatures(&kept, &mut run, &mut recovery);
    recovery.new = names.is_empty() && run.head == Head::START;
    let mut pen = pen(settings, signer, heads, names.last(), run.head, now).map_err(files_error)?;
    if recovery.new {
        say_opened(&mut pen, now).map_err(files_error)?;
    }
    say_broken(&mut pen, &recovery, &found, &signed, now).map_err(files_error)?;
    begin_run(&mut pen, &run, torn, now, &mut recovery).map_err(files_error)?;
    Ok((pen, lock, recovery))
}

/// A reader may hold the lock for a moment, an old daemon for as long as its drain takes to end.
fn lock(folder: &Path) -> Result<File, LedgerError> {
    let unusable = |source| FolderNotUsable::Unusable { path: folder.to_owned(), source };
    let pause = Duration::from_millis(20);
    let mut waited = Duration::ZERO;
    loop {
        if let Some(lock) = folder::try_lock(folder).map_err(unusable)? {
            return Ok(lock);
        }
        if waited >= LEDGER_LOCK_TIMEOUT {
            return Err(FolderNotUsable::Busy { path: folder.to_owned() }.into());
        }
        std::thread::sleep(pause);
        waited += pause;
    }
}

fn publish_key(folder: &Path, signer: &Signer, recovery: &mut Recovery) -> io::Result<()> {
    match PublicKey::read(&folder.join("ledger.pub")) {
        Ok(key) if key == signer.public() => return Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Ok(_) | Err(_) => recovery.broken.push("`ledger.pub` is not the ledger's key; it was replaced".to_owned()),
    }
    folder::replace(folder, "ledger.pub", format!("{}\n", signer.public()).as_bytes())
}

/// Cuts off what stands behind the last line break of the last file. Gives the hash of what was cut.
fn repair_tail(
    folder: &Path,
    last: Option<&FileName>,
    now: Timestamp,
    recovery: &mut Recovery,
) -> io::Result<Option<[u8; 64]>> {
    let Some(name) = last else { return Ok(None) };
    let file = folder::open_to_append(folder, name, false)?;
    let length = file.metadata()?.len();
    let tail = folder::read_tail(folder, name, length)?;
    let whole = tail.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    let torn = tail.get(whole..).unwrap_or_default();
    if torn.is_empty() {
        return Ok(None);
    }
    let torn_bytes = u64::try_from(torn.len()).unwrap_or(u64::MAX);
    let kept = format!("torn-{}", now.as_millis());
    folder::create_private(&folder.join(&kept), torn)?;
    file.set_len(length.saturating_sub(torn_bytes))?;
    recovery.torn_bytes = torn_bytes;
    recovery.torn_file = Some(kept);
    Ok(Some(chain::sha256_hex(torn)))
}

/// What was signed and is not there any more was cut off, removed, or lost with the power.
fn heed_signatures(kept: &[Kept; 2], run: &mut LastRun, recovery: &mut Recovery) {
    let [beside_the_ledger, beside_the_key] = kept;
    let never_written = run.head == Head::START && matches!(beside_the_key, Kept::Nothing);
    match beside_the_ledger {
        Kept::Nothing if never_written => {}
        Kept::Vouched(_) => {}
        Kept::Foreign => recovery.broken.push("the signature of `head.json` is not the ledger's".to_owned()),
        Kept::Nothing => recovery.broken.push("`head.json`, the last signature, is missing".to_owned()),
        Kept::Unreadable => recovery.broken.push("`head.json`, the last signature, can't be read".to_owned()),
    }
    match beside_the_key {
        // a ledger from before there was such a file has none
        Kept::Nothing | Kept::Vouched(_) => {}
        Kept::Foreign => recovery.broken.push("the signed head beside the ledger's key is not the key's".to_owned()),
        Kept::Unreadable => recovery.broken.push("the signed head beside the ledger's key can't be read".to_owned()),
    }
    let last = run.head.seq();
    let furthest = kept.iter().filter_map(Kept::head).max_by_key(Head::seq);
    let Some(head) = furthest.filter(|head| head.seq() > last) else { return };
    let signed = head.seq();
    recovery.broken.push(match last {
        0 => format!("the ledger is gone: {signed} lines were signed"),
        _ => format!("the ledger ends with line {last} of {signed} that were signed"),
    });
    run.head = head;
}

fn pen(
    settings: &Settings,
    signer: Arc<Signer>,
    heads: HeadFiles,
    last: Option<&FileName>,
    head: Head,
    now: Timestamp,
) -> io::Result<Pen> {
    let today = FileName::new(now.day(), 0);
    let (name, new) = match last {
        Some(last) => (last.clone(), false),
        None => (today, true),
    };
    let file = folder::open_to_append(&settings.folder, &name, new)?;
    let day = Timestamp::parse_rfc3339(&format!("{}T00:00:00Z", name.day())).unwrap_or(now);
    Ok(Pen {
        folder: settings.folder.clone(),
        signer,
        heads,
        durability: settings.durability,
        rotate_bytes: settings.rotate_bytes.max(1),
        bytes: file.metadata()?.len(),
        file: Arc::new(file),
        day: line::day_number(day),
        name,
        head,
        torn: false,
        abandoned: false,
        sealed: 0,
        out: Vec::with_capacity(8 * 1024),
        spare: Queue::default(),
    })
}

fn say_opened(pen: &mut Pen, now: Timestamp) -> io::Result<()> {
    let key = pen.signer.public();
    say(pen, "opened", now, |body| {
        body.number("version", 1).shown("key", key);
    })
}

/// What is wrong stays to be read for ever: what the signatures expected, and what was found.
fn say_broken(pen: &mut Pen, recovery: &Recovery, found: &Head, signed: &[Head], now: Timestamp) -> io::Result<()> {
    let expected = signed.iter().max_by_key(|head| head.seq());
    recovery.broken.iter().try_for_each(|what| {
        say(pen, "broken", now, |body| {
            body.text("what", what);
            if let Some(expected) = expected {
                body.number("expected_seq", expected.seq()).text("expected_head", expected.hash());
            }
            body.number("found_seq", found.seq()).text("found_head", found.hash());
        })
    })
}

/// `sealed`, `unknown`, `started`, and a signature over all that was said.
fn begin_run(
    pen: &mut Pen,
    run: &LastRun,
    torn: Option<[u8; 64]>,
    now: Timestamp,
    recovery: &mut Recovery,
) -> io::Result<()> {
    if let Some(hash) = torn {
        say(pen, "sealed", now, |body| {
            body.number("bytes", recovery.torn_bytes);
            body.text("sha256", std::str::from_utf8(&hash).unwrap_or(""));
            body.text("kept_in", recovery.torn_file.as_deref().unwrap_or(""));
        })?;
    }
    let mut open: Vec<_> = run.open.iter().map(|(id, seq)| (*seq, id)).collect();
    open.sort_unstable();
    for (seq, id) in open {
        write_line(pen, "unknown", now, |body| {
            body.text("id", id).time("time", now).number("decided_seq", seq);
        })?;
        recovery.unknown += 1;
    }
    say(pen, "started", now, |body| {
        body.number("pid", std::process::id().into()).text("version", env!("CARGO_PKG_VERSION"));
        body.flag("after_stop", run.ended);
    })?;
    pen.sign(now)?;
    if pen.durability == Durability::Disk {
        pen.file.sync_data()?;
        folder::sync_folder(&pen.folder)?;
    }
    pen.heads.write(&pen.vouch(now))
}

/// A line of the ledger itself.
fn say(pen: &mut Pen, kind: &str, now: Timestamp, fill: impl FnOnce(&mut Body<'_>)) -> io::Result<()> {
    write_line(pen, kind, now, |body| {
        body.time("time", now);
        fill(body);
    })
}

fn write_line(pen: &mut Pen, kind: &str, now: Timestamp, fill: impl FnOnce(&mut Body<'_>)) -> io::Result<()> {
    let mut bytes = Vec::new();
    let mut body = Body::begin(&mut bytes, kind);
    fill(&mut body);
    body.end();
    pen.write(&Queue::default(), Some(&bytes), None, now).map(|_| ())
}
