//! The lines of all files in order, each with its place, for whoever must name one.

use std::io;
use std::path::Path;

use crate::audit::Fault;
use crate::audit::Tampering;
use crate::audit::chain::Frame;
use crate::audit::chain::Head;
use crate::audit::folder::FileName;
use crate::audit::folder::Lines;

/// Where a line stands.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub file: usize,
    pub name: String,
    pub line: u64,
}

/// A line and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Spot {
    pub place: Place,
    pub bytes: Vec<u8>,
    pub whole: bool,
}

impl Spot {
    pub fn fault(&self, tampering: Tampering, detail: impl Into<String>) -> Fault {
        self.place.fault(tampering, detail)
    }
}

impl Place {
    pub fn fault(&self, tampering: Tampering, detail: impl Into<String>) -> Fault {
        Fault { file: Some(self.name.clone()), line: Some(self.line), tampering, detail: detail.into() }
    }
}

/// The lines of all files in order.
pub(super) struct Walk<'a> {
    folder: &'a Path,
    pub names: Vec<FileName>,
    file: usize,
    lines: Option<Lines>,
}

impl<'a> Walk<'a> {
    pub fn new(folder: &'a Path, names: Vec<FileName>) -> Self {
        Self { folder, names, file: 0, lines: None }
    }

    pub fn next(&mut self) -> io::Result<Option<Spot>> {
        loop {
            let Some(name) = self.names.get(self.file) else { return Ok(None) };
            if self.lines.is_none() {
                self.lines = Some(Lines::open(self.folder, name, 0)?);
            }
            let Some(lines) = &mut self.lines else { return Ok(None) };
            if let Some(line) = lines.next()? {
                let place = Place { file: self.file, name: name.to_string(), line: line.number };
                return Ok(Some(Spot { place, bytes: line.bytes.to_vec(), whole: line.whole }));
            }
            (self.lines, self.file) = (None, self.file + 1);
        }
    }

    /// The line that belongs right behind `head`, if it stands further on.
    pub fn find_moved(&mut self, head: &Head, fault: &Fault, ahead: Option<Spot>) -> io::Result<Option<Fault>> {
        let mut next = ahead;
        while let Some(spot) = next {
            if Frame::parse(&spot.bytes).is_some_and(|frame| frame.follows(head)) {
                let (file, line) = (&spot.place.name, spot.place.line);
                let detail = format!("lines were moved: what belongs here stands in `{file}` line {line}");
                return Ok(Some(Fault { tampering: Tampering::Moved, detail, ..fault.clone() }));
            }
            next = self.next()?;
        }
        Ok(None)
    }
}
