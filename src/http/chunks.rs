//! A chunked body (RFC 9112 §7.1), read strictly. Pure.

use bytes::Buf as _;
use bytes::BytesMut;

use crate::http::decoder::Decoded;
use crate::http::framing::Violation;
use crate::http::head;
use crate::limits;

/// Follows a chunked body over any division into reads.
#[derive(Debug, Default)]
pub(crate) struct Chunks {
    part: Part,
    /// Digits of a size, or bytes of the current line or trailer section.
    seen: usize,
    left: u64,
    /// The trailer section so far.
    trailers: Vec<u8>,
    /// Blanks may stand behind a size.
    padded: bool,
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
    /// Those of a server, whose sizes may be padded.
    pub(super) fn padded() -> Self {
        Self { padded: true, ..Self::default() }
    }

    /// The next of this body that `input` holds; nothing behind its end is taken.
    pub(super) fn next(&mut self, input: &mut BytesMut) -> Result<Decoded, Violation> {
        if self.part != Part::Data {
            let mut at = 0;
            while let Some(byte) = input.get(at).copied().filter(|_| self.part != Part::Data) {
                at += 1;
                if self.step(byte)? {
                    input.advance(at);
                    return self.end();
                }
            }
            input.advance(at);
        }
        if self.part != Part::Data || input.is_empty() {
            return Ok(Decoded::More);
        }
        let taken = input.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        self.left -= u64::try_from(taken).unwrap_or(0);
        if self.left == 0 {
            self.part = Part::DataCr;
        }
        Ok(Decoded::Data(input.split_to(taken).freeze()))
    }

    fn end(&mut self) -> Result<Decoded, Violation> {
        if self.trailers.is_empty() {
            return Ok(Decoded::Done);
        }
        head::trailers(&self.trailers).map(Decoded::Trailers).ok_or(Violation::Chunk)
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
            (Part::Size, b' ' | b'\t') if self.padded && self.seen > 0 => Part::Extension,
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
                self.trailers.push(byte);
                Part::Trailer
            }
            (Part::Trailer, b'\r') => Part::TrailerLf,
            (Part::TrailerLf, b'\n') => {
                self.trailers.extend_from_slice(b"\r\n");
                Part::TrailerStart
            }
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

    /// What `bytes` give, up to the end of the body or of the bytes: the data, the trailers, what was left.
    fn read(chunks: &mut Chunks, bytes: &str) -> Result<(String, Option<String>, String), Violation> {
        let (mut input, mut data, mut trailer) = (BytesMut::from(bytes), Vec::new(), None);
        loop {
            match chunks.next(&mut input)? {
                Decoded::Data(bytes) => data.extend_from_slice(&bytes),
                Decoded::Trailers(fields) => {
                    trailer = Some(fields["x"].to_str().unwrap().to_owned());
                    break;
                }
                Decoded::More | Decoded::Done => break,
            }
        }
        Ok((String::from_utf8(data).unwrap(), trailer, String::from_utf8(input.to_vec()).unwrap()))
    }

    #[test]
    fn chunks_are_followed_to_their_end() {
        for (body, data, trailer, left) in [
            ("0\r\n\r\n", "", None, ""),
            ("5\r\nhello\r\n3\r\n me\r\n0\r\n\r\nGET", "hello me", None, "GET"),
            ("5;a=b\r\nhello\r\n00\r\nX: y\r\n\r\n", "hello", Some("y"), ""),
        ] {
            let expected = (data.to_owned(), trailer.map(str::to_owned), left.to_owned());
            assert_eq!(read(&mut Chunks::default(), body), Ok(expected), "{body:?}");
        }
        let padded = read(&mut Chunks::padded(), "5  \r\nhello\r\n0 \r\n\r\n");
        assert_eq!(padded, Ok(("hello".to_owned(), None, String::new())));
        for body in [
            "5 \r\n",
            "5\nhello",
            "\r\n",
            "x\r\n",
            "5\r\nhelloX",
            "5\r\nhello\n",
            "0\r\n\n",
            "0\r\nno field\r\n\r\n",
            "1000000000000000\r\n",
            "-1\r\n",
            ";\r\n",
        ] {
            assert_eq!(read(&mut Chunks::default(), body), Err(Violation::Chunk), "{body:?}");
        }
    }

    proptest! {
        #[test]
        fn a_division_into_reads_changes_nothing(at in 0_usize..26) {
            let body = "5;a=b\r\nhello\r\n00\r\nX: y\r\n\r\n";
            let mut chunks = Chunks::default();
            let (first, second) = body.split_at(at);
            let (mut data, none, left) = read(&mut chunks, first).unwrap();
            prop_assert_eq!((none, left), (None, String::new()));
            let (rest, trailer, left) = read(&mut chunks, second).unwrap();
            data.push_str(&rest);
            prop_assert_eq!((&*data, trailer.as_deref(), &*left), ("hello", Some("y"), ""));
        }
    }
}
