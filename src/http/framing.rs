//! Where an HTTP/1 request ends, by RFC 9112 read strictly. Pure.

use crate::limits;

/// What follows a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// The next head.
    None,
    /// This many bytes.
    Length(u64),
    /// Chunks (RFC 9112 §7.1).
    Chunked,
    /// Perhaps another protocol: CONNECT or Upgrade.
    Switch,
}

/// Why a request was not let through. Holds no byte of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// A line that doesn't end in CRLF, or an empty line before the request.
    #[error("a line of the request doesn't end in CRLF, or an empty line stands before it")]
    LineEnding,
    /// The request line or a field line is not as RFC 9112 has it.
    #[error("the request line or a header line is malformed")]
    Head,
    /// More than the bounds on heads permit.
    #[error("the request's head is too large")]
    TooLarge,
    /// A byte in the target that a URI can't hold, or a fragment.
    #[error("the request target holds a raw byte that must be percent-encoded, or a fragment")]
    Target,
    /// A field name with `_`, which some servers take for `-`.
    #[error("a header name holds `_`, which servers read differently")]
    Underscore,
    /// Both length and encoding, one of them twice, or a spelling that isn't canonical.
    #[error("Content-Length and Transfer-Encoding don't say in exactly one way where the body ends")]
    Framing,
    /// A chunk whose size line or end is malformed.
    #[error("a chunk of the body is malformed")]
    Chunk,
    /// The head was begun and not ended in time.
    #[error("the request's head was not complete in time")]
    Stalled,
}

/// The head's length and what follows it; none while it is not complete. An earlier call has seen the first
/// `searched` bytes, so that a head in small pieces is not read over and over.
pub(super) fn read_head(bytes: &[u8], searched: usize) -> Result<Option<(usize, Framing)>, Violation> {
    if matches!(bytes.first(), Some(b'\r' | b'\n')) {
        return Err(Violation::LineEnding);
    }
    let Some(end) = find_end(bytes, searched)? else {
        if bytes.len() > limits::HEAD_BYTES_MAX {
            return Err(Violation::TooLarge);
        }
        return Ok(None);
    };
    let head = bytes.get(..end).unwrap_or_default();
    if head.len() > limits::HEAD_BYTES_MAX {
        return Err(Violation::TooLarge);
    }
    let mut headers = [httparse::EMPTY_HEADER; limits::HEADERS_MAX];
    let mut request = httparse::Request::new(&mut headers);
    match request.parse(head) {
        Ok(httparse::Status::Complete(length)) if length == head.len() => {}
        Err(httparse::Error::TooManyHeaders) => return Err(Violation::TooLarge),
        Ok(_) | Err(_) => return Err(Violation::Head),
    }
    let target = request.path.unwrap_or_default();
    if !target.bytes().all(|byte| (0x21..=0x7e).contains(&byte) && byte != b'#') {
        return Err(Violation::Target);
    }
    let framing = framing(&request)?;
    Ok(Some((end, framing)))
}

fn framing(request: &httparse::Request<'_, '_>) -> Result<Framing, Violation> {
    let (mut length, mut chunked, mut upgrade) = (None, false, false);
    for header in request.headers.iter() {
        if header.name.contains('_') {
            return Err(Violation::Underscore);
        }
        if !header.value.iter().all(|byte| matches!(byte, b'\t' | 0x20..=0x7e)) {
            return Err(Violation::Head);
        }
        if header.name.eq_ignore_ascii_case("content-length") {
            if length.replace(parse_length(header.value)?).is_some() {
                return Err(Violation::Framing);
            }
        } else if header.name.eq_ignore_ascii_case("transfer-encoding") {
            if chunked || !header.value.eq_ignore_ascii_case(b"chunked") || request.version != Some(1) {
                return Err(Violation::Framing);
            }
            chunked = true;
        } else if header.name.eq_ignore_ascii_case("upgrade") {
            upgrade = true;
        }
    }
    match (length, chunked) {
        (Some(_), true) => Err(Violation::Framing),
        // A body in front of another protocol is a place to hide in.
        (Some(1..), _) | (_, true) if upgrade || request.method == Some("CONNECT") => Err(Violation::Framing),
        _ if upgrade || request.method == Some("CONNECT") => Ok(Framing::Switch),
        (Some(length), false) => Ok(Framing::Length(length)),
        (None, true) => Ok(Framing::Chunked),
        (None, false) => Ok(Framing::None),
    }
}

/// `0` or digits without a leading zero, nothing else.
fn parse_length(value: &[u8]) -> Result<u64, Violation> {
    let text = std::str::from_utf8(value).map_err(|_| Violation::Framing)?;
    let canonical =
        text == "0" || (!text.starts_with('0') && !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()));
    text.parse().ok().filter(|_| canonical).ok_or(Violation::Framing)
}

/// One past the empty line; every line must end in CRLF. What stands before `searched` was looked at before.
fn find_end(bytes: &[u8], searched: usize) -> Result<Option<usize>, Violation> {
    let start = searched.saturating_sub(1);
    for (at, byte) in bytes.iter().enumerate().skip(start) {
        let before = |distance: usize| at.checked_sub(distance).and_then(|place| bytes.get(place));
        match byte {
            b'\n' if before(1) != Some(&b'\r') => return Err(Violation::LineEnding),
            b'\n' if before(2) == Some(&b'\n') => return Ok(Some(at + 1)),
            b'\r' if bytes.get(at + 1).is_some_and(|next| *next != b'\n') => return Err(Violation::LineEnding),
            _ => {}
        }
    }
    Ok(None)
}

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

    fn head(lines: &str) -> Result<Option<(usize, Framing)>, Violation> {
        read_head(format!("{lines}\r\n\r\n").as_bytes(), 0)
    }

    #[test]
    fn ordinary_heads_say_where_they_end() {
        assert_eq!(head("GET / HTTP/1.1\r\nHost: a"), Ok(Some((27, Framing::None))));
        assert_eq!(head("POST / HTTP/1.1\r\ncontent-length: 5").unwrap().unwrap().1, Framing::Length(5));
        assert_eq!(head("POST / HTTP/1.1\r\nTransfer-Encoding: Chunked").unwrap().unwrap().1, Framing::Chunked);
        assert_eq!(head("CONNECT a:443 HTTP/1.0").unwrap().unwrap().1, Framing::Switch);
        assert_eq!(head("GET / HTTP/1.1\r\nUpgrade: websocket").unwrap().unwrap().1, Framing::Switch);
        assert_eq!(read_head(b"GET / HT", 0), Ok(None));
    }

    #[test]
    fn what_two_parsers_read_differently_is_a_violation() {
        use Violation::*;
        for (lines, violation) in [
            ("GET / HTTP/1.1\nHost: a", LineEnding),
            ("\r\nGET / HTTP/1.1", LineEnding),
            ("GET / HTTP/1.1\r\nA: b\rc", LineEnding),
            ("POST / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked", Framing),
            ("POST / HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 3", Framing),
            ("POST / HTTP/1.1\r\nContent-Length: 3, 3", Framing),
            ("POST / HTTP/1.1\r\nContent-Length: 003", Framing),
            ("POST / HTTP/1.1\r\nContent-Length: +3", Framing),
            ("POST / HTTP/1.1\r\nContent-Length: 0x3", Framing),
            ("POST / HTTP/1.1\r\nContent-Length:", Framing),
            ("POST / HTTP/1.1\r\nContent-Length: 99999999999999999999", Framing),
            ("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked", Framing),
            ("POST / HTTP/1.1\r\nTransfer-Encoding: chunked, chunked", Framing),
            ("POST / HTTP/1.1\r\nTransfer-Encoding: gzip, chunked", Framing),
            ("POST / HTTP/1.1\r\nTransfer-Encoding: identity", Framing),
            ("POST / HTTP/1.1\r\nTransfer-Encoding: chunked;q=1", Framing),
            ("POST / HTTP/1.1\r\nTransfer-Encoding:", Framing),
            ("POST / HTTP/1.0\r\nTransfer-Encoding: chunked", Framing),
            ("CONNECT a:443 HTTP/1.1\r\nContent-Length: 5", Framing),
            ("GET / HTTP/1.1\r\nContent_Length: 5", Underscore),
            ("GET /a#b HTTP/1.1", Target),
            ("GET /\u{e9} HTTP/1.1", Target),
            ("GET / HTTP/1.1\r\nA : b", Head),
            ("GET / HTTP/1.1\r\n A: b", Head),
            ("GET / HTTP/1.1\r\nA: \u{e9}", Head),
            ("GET / HTTP/1.1\r\nA: b\r\n c", Head),
            ("GET / HTTP/1.2", Head),
            ("GET  / HTTP/1.1", Head),
            ("GET / http/1.1", Head),
        ] {
            assert_eq!(head(lines), Err(violation), "{lines:?}");
        }
    }

    #[test]
    fn heads_are_bounded() {
        let many = "A: b\r\n".repeat(limits::HEADERS_MAX + 1);
        assert_eq!(head(&format!("GET / HTTP/1.1\r\n{many}A: b")), Err(Violation::TooLarge));
        let long = "x".repeat(limits::HEAD_BYTES_MAX);
        assert_eq!(read_head(format!("GET /{long}").as_bytes(), 0), Err(Violation::TooLarge));
    }

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
