//! Notes: lines that belong to no request. They are queued like completions, and nobody waits for them. Whoever reads
//! them gives their fields a meaning.

use std::io;
use std::path::Path;

use serde::Deserialize;
use serde::Serialize;
use serde_json::Map;
use serde_json::Value;

use crate::audit::Ledger;
use crate::audit::chain::Frame;
use crate::audit::line;
use crate::audit::line::Body;
use crate::audit::reader::Reader;
use crate::model::Timestamp;

/// A value in a note.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoteField<'a> {
    /// A text from anywhere; a long one is cut.
    Text(&'a str),
    /// Several that need no cut.
    Texts(&'a [String]),
    /// A number.
    Number(u64),
    /// Yes or no.
    Flag(bool),
}

impl Ledger {
    /// Writes down that something happened, as a line of the kind `event`. What can't be queued is counted as lost in the
    /// next `gap` line.
    pub fn note<'a>(&self, event: &str, fields: impl Iterator<Item = (&'a str, NoteField<'a>)>) {
        line::with_scratch(|bytes| {
            let mut body = Body::begin(bytes, "event");
            body.time("time", self.clock().now()).text("event", event);
            for (name, field) in fields {
                match field {
                    NoteField::Text(text) => body.foreign(name, text),
                    NoteField::Texts(texts) => body.texts(name, texts.iter().map(String::as_str)),
                    NoteField::Number(number) => body.number(name, number),
                    NoteField::Flag(yes) => body.flag(name, yes),
                };
            }
            body.end();
            self.queue_note(bytes);
        });
    }
}

/// A note as it was written down.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Note {
    /// Its line.
    pub seq: u64,
    /// When it was written.
    pub time: Timestamp,
    /// What happened.
    pub event: String,
    #[serde(flatten)]
    fields: Map<String, Value>,
}

impl Note {
    /// A field that is a text; an empty one says nothing.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.fields.get(name).and_then(Value::as_str).filter(|text| !text.is_empty())
    }

    /// As one line of JSON in which nothing misleads a terminal.
    pub fn to_json(&self) -> String {
        line::plain(serde_json::to_string(self).unwrap_or_default())
    }
}

/// Reads a ledger's notes from where it was left, as often as asked.
#[derive(Debug)]
pub struct Notes {
    reader: Reader,
    damaged: u64,
}

impl Notes {
    /// From the first file that may hold a note of `since` or later; some before it may be among them.
    pub fn new(folder: &Path, since: Option<Timestamp>) -> Self {
        Self { reader: Reader::new(folder, since), damaged: 0 }
    }

    /// Gives `each` note that was written since the last call, in that order.
    ///
    /// # Errors
    /// When a file can't be read. A folder that is not there has no notes.
    pub fn read(&mut self, mut each: impl FnMut(Note)) -> io::Result<()> {
        let damaged = &mut self.damaged;
        self.reader.read(|bytes| match Frame::parse(bytes) {
            Some(frame) if frame.kind == "event" => match serde_json::from_slice::<Note>(bytes) {
                Ok(mut note) => {
                    // They hold the line in its place, and say nothing of what happened.
                    note.fields.retain(|name, _| !matches!(name.as_str(), "kind" | "prev"));
                    each(note);
                }
                Err(_) => *damaged += 1,
            },
            Some(_) => {}
            None => *damaged += 1,
        })
    }

    /// Lines that could not be understood.
    pub fn damaged(&self) -> u64 {
        self.damaged
    }
}
