//! Notes: lines that belong to no request. They are queued like completions, and nobody waits for them.

use crate::audit::Ledger;
use crate::audit::line;
use crate::audit::line::Body;

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
