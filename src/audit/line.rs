//! One line of the ledger as bytes: JSON that is safe to `cat`.
//!
//! Written by hand because this is on the path of every request: no map, no intermediate string. Control
//! characters, and those that turn or hide text on a terminal, are always escaped; lengths are capped.

use std::cell::Cell;
use std::fmt;
use std::io::Write as _;

use crate::limits::LEDGER_TEXT_BYTES_MAX;
use crate::model::RecordId;
use crate::model::Timestamp;
use crate::model::push_decimal;

/// What follows `seq` and `prev` in a line: begins with `"kind"`, ends with `}`, holds no line break.
#[derive(Debug)]
pub(super) struct Body<'a> {
    bytes: &'a mut Vec<u8>,
}

impl<'a> Body<'a> {
    /// Begins a body of this kind at the end of `bytes`.
    pub fn begin(bytes: &'a mut Vec<u8>, kind: &str) -> Self {
        bytes.extend_from_slice(b"\"kind\":\"");
        bytes.extend_from_slice(kind.as_bytes());
        bytes.push(b'"');
        Self { bytes }
    }

    /// Ends it.
    pub fn end(self) {
        self.bytes.push(b'}');
    }

    /// A text that is ours or was parsed into a type that bounds it.
    pub fn text(&mut self, key: &str, value: &str) -> &mut Self {
        self.key(key);
        self.bytes.push(b'"');
        escape(self.bytes, value);
        self.bytes.push(b'"');
        self
    }

    /// A text from outside: cut at [`LEDGER_TEXT_BYTES_MAX`].
    pub fn foreign(&mut self, key: &str, value: &str) -> &mut Self {
        let kept = cut(value, LEDGER_TEXT_BYTES_MAX);
        self.key(key);
        self.bytes.push(b'"');
        escape(self.bytes, kept);
        if kept.len() < value.len() {
            self.bytes.extend_from_slice("…".as_bytes());
        }
        self.bytes.push(b'"');
        self
    }

    /// Something whose display needs no escape: an id, a hash.
    pub fn shown(&mut self, key: &str, value: impl fmt::Display) -> &mut Self {
        self.key(key);
        let _ = write!(self.bytes, "\"{value}\"");
        self
    }

    /// A record's id.
    pub fn record(&mut self, id: RecordId) -> &mut Self {
        self.key("id");
        self.bytes.push(b'"');
        id.push_to(self.bytes);
        self.bytes.push(b'"');
        self
    }

    /// A number.
    pub fn number(&mut self, key: &str, value: u64) -> &mut Self {
        self.key(key);
        push_decimal(self.bytes, value);
        self
    }

    /// `true` or `false`.
    pub fn flag(&mut self, key: &str, value: bool) -> &mut Self {
        self.key(key);
        self.bytes.extend_from_slice(if value { b"true" } else { b"false" });
        self
    }

    /// A moment, as RFC 3339.
    pub fn time(&mut self, key: &str, value: Timestamp) -> &mut Self {
        self.key(key);
        self.bytes.push(b'"');
        push_time(self.bytes, value);
        self.bytes.push(b'"');
        self
    }

    /// A list of texts that need no cut.
    pub fn texts<'t>(&mut self, key: &str, values: impl Iterator<Item = &'t str>) -> &mut Self {
        self.key(key);
        self.bytes.push(b'[');
        for (index, value) in values.enumerate() {
            if index > 0 {
                self.bytes.push(b',');
            }
            self.bytes.push(b'"');
            escape(self.bytes, value);
            self.bytes.push(b'"');
        }
        self.bytes.push(b']');
        self
    }

    /// JSON that [`Body::object`] made.
    pub fn ready(&mut self, key: &str, json: &[u8]) -> &mut Self {
        self.key(key);
        self.bytes.extend_from_slice(json);
        self
    }

    /// An object of its own, for [`Body::ready`]: `fill` writes its members.
    pub fn object(fill: impl FnOnce(&mut Body<'_>)) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(256);
        fill(&mut Body { bytes: &mut bytes });
        match bytes.first_mut() {
            Some(comma) => *comma = b'{',
            None => bytes.push(b'{'),
        }
        bytes.push(b'}');
        bytes
    }

    fn key(&mut self, key: &str) {
        self.bytes.extend_from_slice(b",\"");
        self.bytes.extend_from_slice(key.as_bytes());
        self.bytes.extend_from_slice(b"\":");
    }
}

/// Gives `write` an empty buffer that this thread keeps for the next line.
pub(super) fn with_scratch<T>(write: impl FnOnce(&mut Vec<u8>) -> T) -> T {
    thread_local!(static SCRATCH: Cell<Vec<u8>> = const { Cell::new(Vec::new()) });
    // a thread that ends may have no scratch any more, and still drops entries
    let mut buffer = SCRATCH.try_with(Cell::take).unwrap_or_default();
    buffer.clear();
    let written = write(&mut buffer);
    let _ = SCRATCH.try_with(|scratch| scratch.set(buffer));
    written
}

/// JSON in which nothing misleads a terminal: such characters stand within strings only, where RFC 8259 §7 lets them be
/// escaped.
pub(super) fn plain(json: String) -> String {
    if !json.contains(misleads) {
        return json;
    }
    json.chars().fold(String::with_capacity(json.len()), |mut safe, c| {
        if misleads(c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                let _ = fmt::Write::write_fmt(&mut safe, format_args!("\\u{unit:04x}"));
            }
        } else {
            safe.push(c);
        }
        safe
    })
}

/// The longest beginning of `text` that has at most `bytes_max` bytes and ends with a whole character.
pub(super) fn cut(text: &str, bytes_max: usize) -> &str {
    if text.len() <= bytes_max {
        return text;
    }
    text.get(..text.floor_char_boundary(bytes_max)).unwrap_or("")
}

/// Whether a character would move, hide or turn what a terminal shows: controls of both sets, line and
/// paragraph separators, bidirectional and zero-width characters, the byte order mark.
pub fn misleads(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

fn escape(bytes: &mut Vec<u8>, text: &str) {
    let plain = |byte: u8| (0x20..0x7f).contains(&byte) && byte != b'"' && byte != b'\\';
    // without an early end, so that it is done many bytes at a time
    if text.bytes().fold(true, |all, byte| all & plain(byte)) {
        bytes.extend_from_slice(text.as_bytes());
        return;
    }
    for c in text.chars() {
        match c {
            '"' => bytes.extend_from_slice(b"\\\""),
            '\\' => bytes.extend_from_slice(b"\\\\"),
            _ if misleads(c) => push_unicode_escape(bytes, c),
            _ => bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
}

/// `\uXXXX`, twice for characters beyond the first plane (RFC 8259 §7).
fn push_unicode_escape(bytes: &mut Vec<u8>, c: char) {
    for unit in c.encode_utf16(&mut [0; 2]) {
        let _ = write!(bytes, "\\u{unit:04x}");
    }
}

/// `YYYY-MM-DDTHH:MM:SS.mmmZ`; the day is remembered, since it is nearly always the one of the last line.
fn push_time(bytes: &mut Vec<u8>, moment: Timestamp) {
    thread_local!(static DAY: Cell<(i64, [u8; 10])> = const { Cell::new((i64::MIN, [0; 10])) });
    let (number, of_day) = (day_number(moment), moment.as_millis().rem_euclid(DAY_MILLIS));
    let mut day = DAY.get();
    if day.0 != number {
        let Ok(text) = <[u8; 10]>::try_from(moment.day().as_bytes()) else {
            let _ = write!(bytes, "{moment}");
            return;
        };
        day = (number, text);
        DAY.set(day);
    }
    bytes.extend_from_slice(&day.1);
    for (mark, value) in [(b'T', of_day / 3_600_000), (b':', of_day / 60_000 % 60), (b':', of_day / 1000 % 60)] {
        bytes.extend_from_slice(&[mark, digit(value / 10), digit(value)]);
    }
    let millis = of_day % 1000;
    bytes.extend_from_slice(&[b'.', digit(millis / 100), digit(millis / 10), digit(millis), b'Z']);
}

/// Days since the epoch, in UTC.
pub(super) fn day_number(moment: Timestamp) -> i64 {
    moment.as_millis().div_euclid(DAY_MILLIS)
}

fn digit(value: i64) -> u8 {
    b'0' + u8::try_from(value % 10).unwrap_or(0)
}

const DAY_MILLIS: i64 = 86_400_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn line(fill: impl FnOnce(&mut Body<'_>)) -> String {
        let mut bytes = b"{".to_vec();
        let mut body = Body::begin(&mut bytes, "test");
        fill(&mut body);
        body.end();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn what_could_mislead_a_terminal_is_escaped_and_reads_back() {
        let nasty = "a\"b\\c\n\r\u{1b}[31m\u{7f}\u{9b}\u{202e}\u{2028}\u{e0041}ü日🦀";
        let text = line(|body| {
            body.text("value", nasty);
        });
        assert!(!text.chars().any(misleads), "{text}");
        let read: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(read.get("value").unwrap(), nasty);
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        let text = line(|body| {
            body.foreign("value", &"ü".repeat(LEDGER_TEXT_BYTES_MAX));
        });
        let read: serde_json::Value = serde_json::from_str(&text).unwrap();
        let value = read.get("value").unwrap().as_str().unwrap();
        assert!(value.ends_with("ü…") && value.len() <= LEDGER_TEXT_BYTES_MAX + 3);
    }

    #[test]
    fn a_time_is_written_as_the_model_shows_it() {
        for millis in [0, 951_782_399_999, 951_868_799_000, 1_795_000_000_123, -1] {
            let mut bytes = Vec::new();
            push_time(&mut bytes, Timestamp::from_millis(millis));
            assert_eq!(String::from_utf8(bytes).unwrap(), Timestamp::from_millis(millis).to_string());
        }
    }
}
