//! What ties one line to the next: a number and the SHA-256 of the exact bytes of the line before.

use std::collections::VecDeque;
use std::fmt;

use aws_lc_rs::digest;

use crate::limits::LEDGER_SIGNED_BEHIND_MAX;
use crate::model::push_decimal;

/// Where the chain stands: the last line's number and hash.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Head {
    seq: u64,
    hash: [u8; 64],
}

impl Head {
    /// Before the first line.
    pub(super) const START: Self = Self { seq: 0, hash: [b'0'; 64] };

    /// From its parts; none when `hash` is not 64 lower-case hex digits.
    pub(super) fn new(seq: u64, hash: &[u8]) -> Option<Self> {
        let hash = <[u8; 64]>::try_from(hash).ok()?;
        let legal = hash.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        legal.then_some(Self { seq, hash })
    }

    /// The last line's number; the first line has 1.
    pub fn seq(&self) -> u64 {
        self.seq
    }

    /// The last line's SHA-256 in hex.
    pub fn hash(&self) -> &str {
        std::str::from_utf8(&self.hash).unwrap_or("")
    }

    /// The head once `line` (without its line break) has followed.
    pub(super) fn followed_by(&self, line: &[u8]) -> Self {
        Self { seq: self.seq.saturating_add(1), hash: sha256_hex(line) }
    }

    /// Appends the line that puts `body` behind this head, and moves the head on.
    pub(super) fn append(&mut self, out: &mut Vec<u8>, body: &[u8]) {
        let start = out.len();
        out.extend_from_slice(b"{\"seq\":");
        push_decimal(out, self.seq.saturating_add(1));
        out.extend_from_slice(b",\"prev\":\"");
        out.extend_from_slice(&self.hash);
        out.extend_from_slice(b"\",");
        out.extend_from_slice(body);
        *self = self.followed_by(out.get(start..).unwrap_or_default());
        out.push(b'\n');
    }
}

/// The last heads of a chain, as far back as a signature may name one.
#[derive(Debug, Default)]
pub(super) struct Recent(VecDeque<Head>);

impl Recent {
    /// The chain has come to `head`.
    pub fn push(&mut self, head: Head) {
        if self.0.len() >= LEDGER_SIGNED_BEHIND_MAX {
            self.0.pop_front();
        }
        self.0.push_back(head);
    }

    /// Whether the chain was at `head`.
    pub fn holds(&self, head: &Head) -> bool {
        let first = self.0.front().map_or(0, Head::seq);
        let at = head.seq.checked_sub(first).and_then(|at| usize::try_from(at).ok());
        at.and_then(|at| self.0.get(at)) == Some(head)
    }
}

impl fmt::Debug for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.seq, self.hash())
    }
}

/// The parts of a line that the chain is made of, borrowed from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Frame<'a> {
    /// Its own number.
    pub seq: u64,
    /// The hash it names.
    pub prev: &'a [u8],
    /// `decided`, `completed`…
    pub kind: &'a str,
    /// The record it belongs to, where it belongs to one.
    pub id: Option<&'a str>,
}

impl<'a> Frame<'a> {
    /// Reads exactly what [`Head::append`] writes; none for anything else.
    pub fn parse(line: &'a [u8]) -> Option<Self> {
        let text = std::str::from_utf8(line).ok()?;
        let rest = text.strip_prefix("{\"seq\":")?;
        let (seq, rest) = rest.split_once(",\"prev\":\"")?;
        let legal = !seq.starts_with(['0', '+']);
        let (prev, rest) = rest.split_at_checked(64)?;
        let rest = rest.strip_prefix("\",\"kind\":\"")?;
        let (kind, rest) = rest.split_once('"')?;
        let id = rest.strip_prefix(",\"id\":\"").and_then(|rest| rest.split_once('"')).map(|(id, _)| id);
        let whole = legal && line.ends_with(b"}");
        whole.then_some(Self { seq: seq.parse().ok()?, prev: prev.as_bytes(), kind, id })
    }

    /// Whether it stands right behind `head`.
    pub fn follows(&self, head: &Head) -> bool {
        self.seq == head.seq.saturating_add(1) && self.prev == head.hash
    }
}

/// SHA-256 in lower-case hex.
pub(super) fn sha256_hex(bytes: &[u8]) -> [u8; 64] {
    let digest = digest::digest(&digest::SHA256, bytes);
    let mut hex = [0; 64];
    for (pair, byte) in hex.chunks_exact_mut(2).zip(digest.as_ref()) {
        pair.copy_from_slice(&[hex_digit(byte >> 4), hex_digit(byte & 15)]);
    }
    hex
}

/// Lower-case hex of any bytes.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().flat_map(|byte| [hex_digit(byte >> 4), hex_digit(byte & 15)]).map(char::from).collect()
}

/// What [`hex`] wrote.
pub(super) fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> = text.chars().map(|c| c.to_digit(16).and_then(|d| u8::try_from(d).ok())).collect();
    let (pairs, rest) = digits.as_deref()?.as_chunks::<2>();
    rest.is_empty().then(|| pairs.iter().map(|[high, low]| high << 4 | low).collect())
}

fn hex_digit(value: u8) -> u8 {
    if value < 10 { b'0' + value } else { b'a' - 10 + value }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_names_the_hash_of_the_exact_bytes_before_it() {
        let (mut head, mut out) = (Head::START, Vec::new());
        head.append(&mut out, b"\"kind\":\"opened\"}");
        head.append(&mut out, b"\"kind\":\"decided\",\"id\":\"rec_1\"}");
        let lines: Vec<&[u8]> = out.split(|byte| *byte == b'\n').collect();
        let (first, second) = (Frame::parse(lines[0]).unwrap(), Frame::parse(lines[1]).unwrap());
        assert_eq!((first.seq, second.seq, second.kind, second.id), (1, 2, "decided", Some("rec_1")));
        assert_eq!(second.prev, sha256_hex(lines[0]));
        assert!(first.follows(&Head::START) && second.follows(&Head::START.followed_by(lines[0])));
        assert_eq!(head.hash().as_bytes(), sha256_hex(lines[1]));
    }

    #[test]
    fn hex_reads_back() {
        assert_eq!(unhex(&hex(&[0, 9, 10, 255])), Some(vec![0, 9, 10, 255]));
        assert_eq!((unhex("abc"), unhex("zz")), (None, None));
        assert_eq!(hex(b"\xe3\xb0"), "e3b0");
        assert!(sha256_hex(b"").starts_with(b"e3b0c442"));
    }
}
