//! Where a chunked body ends (RFC 9112 §7.1). Pure.

use crate::http::framing::Violation;
use crate::limits;

/// Follows a chunked body over any division into reads.
#[derive(Debug, Default)]
pub(super) struct Chunks {
    part: Part,
    /// Digits of a size, or bytes of the current line or trailer section.
    seen: usize,
    left: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Part {
    #[default]
    Size,
    Extension,
    SizeEnd,
    Data,
    DataCr,
    DataLf,
    TrailerStart,
    Trailer,
    TrailerLf,
    LastLf,
}

impl Chunks {
    /// How many of `bytes` belong to this body, and whether it ends there.
    pub(super) fn read(&mut self, bytes: &[u8]) -> Result<(usize, bool), Violation> {
        let mut at = 0;
        while let Some(byte) = bytes.get(at) {
            if self.part == Part::Data {
                let room = bytes.len() - at;
                let taken = room.min(usize::try_from(self.left).unwrap_or(usize::MAX));
                self.left -= u64::try_from(taken).unwrap_or(0);
                at += taken;
                if self.left == 0 {
                    self.part = Part::DataCr;
                }
                continue;
            }
            at += 1;
            if self.step(*byte)? {
                return Ok((at, true));
            }
        }
        Ok((at, false))
    }

    fn step(&mut self, byte: u8) -> Result<bool, Violation> {
        self.part = match (self.part, byte) {
            (Part::Size, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => {
                let digit = char::from(byte).to_digit(16).unwrap_or(0);
                self.left = self.left << 4 | u64::from(digit);
                self.count(CHUNK_SIZE_DIGITS_MAX)?;
                Part::Size
            }
            (Part::Size, b';') if self.seen > 0 => Part::Extension,
            (Part::Size, b'\r') if self.seen > 0 => Part::SizeEnd,
            (Part::Extension, b'\r') => Part::SizeEnd,
            (Part::Extension, b'\t' | 0x20..=0x7e) => {
                self.count(CHUNK_EXTENSION_BYTES_MAX)?;
                Part::Extension
            }
            (Part::SizeEnd, b'\n') => {
                self.seen = 0;
                if self.left == 0 { Part::TrailerStart } else { Part::Data }
            }
            (Part::DataCr, b'\r') => Part::DataLf,
            (Part::DataLf, b'\n') => Part::Size,
            (Part::TrailerStart, b'\r') => Part::LastLf,
            (Part::TrailerStart | Part::Trailer, b'\t' | 0x20..=0x7e) => {
                self.count(limits::HEAD_BYTES_MAX)?;
                Part::Trailer
            }
            (Part::Trailer, b'\r') => Part::TrailerLf,
            (Part::TrailerLf, b'\n') => Part::TrailerStart,
            (Part::LastLf, b'\n') => return Ok(true),
            _ => return Err(Violation::Chunk),
        };
        Ok(false)
    }

    fn count(&mut self, max: usize) -> Result<(), Violation> {
        self.seen += 1;
        if self.seen > max { Err(Violation::Chunk) } else { Ok(()) }
    }
}

/// 15 hex digits are more than any body has.
const CHUNK_SIZE_DIGITS_MAX: usize = 15;

/// Extensions are dropped by the re-framing; nobody needs long ones.
const CHUNK_EXTENSION_BYTES_MAX: usize = 256;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn chunks_are_followed_to_their_end() {
        for (body, length) in
            [("0\r\n\r\n", 5), ("5\r\nhello\r\n0\r\n\r\nGET", 15), ("5;a=b\r\nhello\r\n00\r\nX: y\r\n\r\n", 26)]
        {
            assert_eq!(Chunks::default().read(body.as_bytes()), Ok((length, true)), "{body:?}");
        }
        for body in [
            "5 \r\n",
            "5\nhello",
            "\r\n",
            "x\r\n",
            "5\r\nhelloX",
            "5\r\nhello\n",
            "0\r\n\n",
            "1000000000000000\r\n",
            "-1\r\n",
            ";\r\n",
        ] {
            assert_eq!(Chunks::default().read(body.as_bytes()), Err(Violation::Chunk), "{body:?}");
        }
    }

    proptest! {
        #[test]
        fn a_division_into_reads_changes_nothing(at in 0_usize..26) {
            let body = b"5;a=b\r\nhello\r\n00\r\nX: y\r\n\r\n";
            let mut chunks = Chunks::default();
            let (first, second) = body.split_at(at);
            prop_assert_eq!(chunks.read(first), Ok((at, false)));
            prop_assert_eq!(chunks.read(second), Ok((26 - at, true)));
        }
    }
}
