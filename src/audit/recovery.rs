//! What a start finds of the run before, and how it goes on from there.
//!
//! A torn last line is cut off, kept beside the ledger and noted; decisions without completion are marked
//! `unknown`. A chain that is broken inside, or shorter than what was signed, is never mended: the numbers
//! go on where the signature left off, so that the hole stays to be seen.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::audit::Durability;
use crate::audit::FolderNotUsable;
use crate::audit::LedgerError;
use crate::audit::PublicKey;
use crate::audit::Settings;
use crate::audit::chain;
use crate::audit::chain::Frame;
use crate::audit::chain::Head;
use crate::audit::folder;
use crate::audit::folder::FileName;
use crate::audit::folder::Lines;
use crate::audit::line;
use crate::audit::line::Body;
use crate::audit::signing::SignedHead;
use crate::audit::signing::Signer;
use crate::audit::state::State;
use crate::limits::LEDGER_LOCK_TIMEOUT;
use crate::limits::LEDGER_LOOK_BACK_BYTES_MAX;
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
    /// What `valetkey audit verify` will name: the ledger was tampered with, or lost lines.
    pub broken: Vec<String>,
}

/// The last run, as far as it was looked at.
#[derive(Debug)]
struct LastRun {
    head: Head,
    open: HashMap<String, u64>,
    ended: bool,
}

/// Locks, repairs, and writes the first lines of the run.
pub(super) fn open(settings: &Settings, now: Timestamp) -> Result<(State, File, Recovery), LedgerError> {
    let folder = settings.folder.as_path();
    let files_error = |source| LedgerError::Files { folder: folder.to_owned(), source };
    folder::private_folder(folder)?;
    let lock = lock(folder)?;
    let signer = Arc::new(Signer::load(&settings.key_folder)?);
    let mut recovery = Recovery::default();
    publish_key(folder, &signer, &mut recovery).map_err(files_error)?;
    let names = folder::files(folder).map_err(files_error)?;
    let torn = repair_tail(folder, names.last(), now, &mut recovery).map_err(files_error)?;
    let mut run = look_back(folder, &names, &mut recovery).map_err(files_error)?;
    heed_signature(folder, &signer, &mut run, &mut recovery);
    recovery.new = names.is_empty() && run.head == Head::START;
    let mut state = state(settings, signer, names.last(), run.head, now).map_err(files_error)?;
    begin_run(&mut state, &run, torn, now, &mut recovery).map_err(files_error)?;
    Ok((state, lock, recovery))
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
    let mut lines = Lines::open(folder, name, 0)?;
    let mut end = 0;
    while let Some(line) = lines.next()? {
        if line.whole {
            end = line.offset + u64::try_from(line.bytes.len()).unwrap_or(0) + 1;
        }
    }
    let file = folder::open_to_append(folder, name, false)?;
    let length = file.metadata()?.len();
    if length <= end {
        return Ok(None);
    }
    let mut torn = Vec::new();
    let mut reader = folder::open_to_read(&folder.join(name.to_string()))?;
    io::Seek::seek(&mut reader, io::SeekFrom::Start(end))?;
    reader.take(length - end).read_to_end(&mut torn)?;
    let kept = format!("torn-{}", now.as_millis());
    folder::create_private(&folder.join(&kept), &torn)?;
    file.set_len(end)?;
    recovery.torn_bytes = length - end;
    recovery.torn_file = Some(kept);
    Ok(Some(chain::sha256_hex(&torn)))
}

/// Follows the chain from the last `started` line, or from as far back as the bound permits.
fn look_back(folder: &Path, names: &[FileName], recovery: &mut Recovery) -> io::Result<LastRun> {
    let mut run = LastRun { head: Head::START, open: HashMap::new(), ended: false };
    let mut known = false;
    for name in last_run(folder, names)? {
        let mut lines = Lines::open(folder, name, 0)?;
        while let Some(line) = lines.next()? {
            let Some(frame) = Frame::parse(line.bytes) else {
                recovery.broken.push(format!("`{name}` line {} is not a line of the ledger", line.number));
                run.head = run.head.followed_by(line.bytes);
                continue;
            };
            if known && !frame.follows(&run.head) {
                recovery.broken.push(format!("`{name}` line {} doesn't follow the line before it", line.number));
            }
            known = true;
            run.take(&frame);
            let before = Head::new(frame.seq.saturating_sub(1), frame.prev).unwrap_or(run.head);
            run.head = before.followed_by(line.bytes);
        }
    }
    recovery.broken.truncate(16);
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

/// The files from the one with the last `started` line on.
fn last_run<'a>(folder: &Path, names: &'a [FileName]) -> io::Result<&'a [FileName]> {
    let mut bytes = 0_u64;
    for (index, name) in names.iter().enumerate().rev() {
        let from_here = names.get(index..).unwrap_or_default();
        let mut lines = Lines::open(folder, name, 0)?;
        while let Some(line) = lines.next()? {
            bytes = bytes.saturating_add(u64::try_from(line.bytes.len()).unwrap_or(0));
            if Frame::parse(line.bytes).is_some_and(|frame| frame.kind == "started") {
                return Ok(from_here);
            }
        }
        if bytes > LEDGER_LOOK_BACK_BYTES_MAX {
            return Ok(from_here);
        }
    }
    Ok(names)
}

/// What was signed and is not there any more was cut off, or lost with the power.
fn heed_signature(folder: &Path, signer: &Signer, run: &mut LastRun, recovery: &mut Recovery) {
    match SignedHead::read(folder) {
        Ok(None) if run.head == Head::START => {}
        Ok(Some(signed)) => match signed.vouched(&signer.public()) {
            Some(head) if head.seq() > run.head.seq() => {
                let (last, signed) = (run.head.seq(), head.seq());
                recovery.broken.push(format!("the ledger ends with line {last} of {signed} that were signed"));
                run.head = head;
            }
            Some(_) => {}
            None => recovery.broken.push("the signature of `head.json` is not the ledger's".to_owned()),
        },
        Ok(None) | Err(_) => recovery.broken.push("`head.json`, the last signature, can't be read".to_owned()),
    }
}

fn state(
    settings: &Settings,
    signer: Arc<Signer>,
    last: Option<&FileName>,
    head: Head,
    now: Timestamp,
) -> io::Result<State> {
    let today = FileName::new(now.day(), 0);
    let (name, new) = match last {
        Some(last) => (last.clone(), false),
        None => (today, true),
    };
    let file = folder::open_to_append(&settings.folder, &name, new)?;
    let day = Timestamp::parse_rfc3339(&format!("{}T00:00:00Z", name.day())).unwrap_or(now);
    Ok(State {
        folder: settings.folder.clone(),
        signer,
        durability: settings.durability,
        rotate_bytes: settings.rotate_bytes.max(1),
        bytes: file.metadata()?.len(),
        file: Arc::new(file),
        day: line::day_number(day),
        name,
        head,
        torn: false,
        queue: Vec::new(),
        out: Vec::with_capacity(8 * 1024),
        unsigned: 0,
        head_due: false,
        open: 0,
        gap: None,
        sync_failed: false,
        wants_sync: false,
        synced: 0,
        writer_sleeps: false,
        stopping: false,
        closed: false,
    })
}

/// `opened`, `sealed`, `unknown`, `started`, and a signature over them.
fn begin_run(
    state: &mut State,
    run: &LastRun,
    torn: Option<[u8; 64]>,
    now: Timestamp,
    recovery: &mut Recovery,
) -> io::Result<()> {
    let mut bytes = Vec::new();
    let mut say = |state: &mut State, kind: &str, fill: &dyn Fn(&mut Body<'_>)| {
        bytes.clear();
        let mut body = Body::begin(&mut bytes, kind);
        fill(&mut body);
        body.end();
        state.write(Some(&bytes), now).map(|_| ())
    };
    if recovery.new {
        let key = state.signer.public();
        say(state, "opened", &|body| {
            body.time("time", now).number("version", 1).shown("key", key);
        })?;
    }
    if let Some(hash) = torn {
        say(state, "sealed", &|body| {
            body.time("time", now).number("bytes", recovery.torn_bytes);
            body.text("sha256", std::str::from_utf8(&hash).unwrap_or(""));
            body.text("kept_in", recovery.torn_file.as_deref().unwrap_or(""));
        })?;
    }
    let mut open: Vec<_> = run.open.iter().map(|(id, seq)| (*seq, id)).collect();
    open.sort_unstable();
    for (seq, id) in open {
        say(state, "unknown", &|body| {
            body.text("id", id).time("time", now).number("decided_seq", seq);
        })?;
        recovery.unknown += 1;
    }
    say(state, "started", &|body| {
        body.time("time", now).number("pid", std::process::id().into()).text("version", env!("CARGO_PKG_VERSION"));
        body.flag("after_stop", run.ended);
    })?;
    state.sign(now)?;
    if state.durability == Durability::Disk {
        state.file.sync_data()?;
        folder::sync_folder(&state.folder)?;
    }
    if let Some(head) = state.take_due_head(now) {
        head.write(&state.folder)?;
    }
    Ok(())
}
