//! Where an HTTP/1 head ends and what follows it, by RFC 9112 read strictly. Pure.

use crate::limits;

/// What follows a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// The next head.
    None,
    /// This many bytes.
    Length(u64),
    /// Chunks (RFC 9112 §7.1).
    Chunked,
    /// Perhaps another protocol: CONNECT, or an upgrade to WebSocket.
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
    /// A byte in the target that a URI can't hold, a fragment, or no URI at all.
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

/// The head's length; none while it is not complete. An earlier call has seen the first `searched` bytes.
pub(super) fn find_head(bytes: &[u8], searched: usize) -> Result<Option<usize>, Violation> {
    if matches!(bytes.first(), Some(b'\r' | b'\n')) {
        return Err(Violation::LineEnding);
    }
    let end = find_end(bytes, searched)?;
    if end.unwrap_or(bytes.len()) > limits::HEAD_BYTES_MAX { Err(Violation::TooLarge) } else { Ok(end) }
}

/// What follows this head.
pub(super) fn framing(request: &httparse::Request<'_, '_>) -> Result<Framing, Violation> {
    let (mut length, mut chunked, mut upgrade) = (None, false, None);
    for header in request.headers.iter() {
        if header.name.contains('_') {
            return Err(Violation::Underscore);
        }
        if !is_plain(header.value) {
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
            // of two, one reader takes the first and another the last
            if upgrade.replace(header.value.eq_ignore_ascii_case(b"websocket")).is_some() {
                return Err(Violation::Framing);
            }
        }
    }
    let switches = upgrade == Some(true) || request.method == Some("CONNECT");
    match (length, chunked) {
        (Some(_), true) => Err(Violation::Framing),
        // A body in front of another protocol is a place to hide in.
        (Some(1..), _) | (_, true) if switches => Err(Violation::Framing),
        _ if switches => Ok(Framing::Switch),
        (Some(length), false) => Ok(Framing::Length(length)),
        (None, true) => Ok(Framing::Chunked),
        (None, false) => Ok(Framing::None),
    }
}

/// Whether each byte of the target can stand in one. The forms that APIs have need no second look.
pub(super) fn check_target(target: &str) -> Result<(), Violation> {
    let common = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/?%&=+,:;@!$'()*".contains(&byte);
    let legal = target.bytes().all(common) || target.bytes().all(|byte| (0x21..=0x7e).contains(&byte) && byte != b'#');
    if legal { Ok(()) } else { Err(Violation::Target) }
}

/// Visible ASCII, spaces and tabs. Looks at every byte, which is faster than to stop at the first bad one.
pub(super) fn is_plain(value: &[u8]) -> bool {
    value.iter().fold(true, |plain, byte| plain & matches!(byte, b'\t' | 0x20..=0x7e))
}

/// `0` or digits without a leading zero, nothing else; what no body has and hyper refuses is too much.
pub(super) fn parse_length(value: &[u8]) -> Result<u64, Violation> {
    let text = std::str::from_utf8(value).map_err(|_| Violation::Framing)?;
    let canonical =
        text == "0" || (!text.starts_with('0') && !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()));
    text.parse().ok().filter(|length| canonical && *length <= LENGTH_MAX).ok_or(Violation::Framing)
}

/// One past the empty line; every line must end in CRLF. What stands before `searched` was looked at before.
fn find_end(bytes: &[u8], searched: usize) -> Result<Option<usize>, Violation> {
    let start = searched.saturating_sub(1);
    for found in memchr::memchr2_iter(b'\r', b'\n', bytes.get(start..).unwrap_or_default()) {
        let at = start + found;
        let before = |distance: usize| at.checked_sub(distance).and_then(|place| bytes.get(place));
        match bytes.get(at) {
            Some(b'\n') if before(1) != Some(&b'\r') => return Err(Violation::LineEnding),
            Some(b'\n') if before(2) == Some(&b'\n') => return Ok(Some(at + 1)),
            Some(b'\r') if bytes.get(at + 1).is_some_and(|next| *next != b'\n') => return Err(Violation::LineEnding),
            _ => {}
        }
    }
    Ok(None)
}

/// Lengths that fit into a signed number too.
const LENGTH_MAX: u64 = u64::MAX / 2;

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use hyper::Uri;

    use super::*;
    use crate::http::head::take_request;

    fn read(bytes: &[u8]) -> Result<Option<(usize, Framing)>, Violation> {
        let mut input = BytesMut::from(bytes);
        let read = take_request(&mut input, 0)?;
        Ok(read.map(|(_, framing)| (bytes.len() - input.len(), framing)))
    }

    fn head(lines: &str) -> Result<Option<(usize, Framing)>, Violation> {
        read(format!("{lines}\r\n\r\n").as_bytes())
    }

    #[test]
    fn ordinary_heads_say_where_they_end() {
        assert_eq!(head("GET / HTTP/1.1\r\nHost: a"), Ok(Some((27, Framing::None))));
        assert_eq!(head("POST / HTTP/1.1\r\ncontent-length: 5").unwrap().unwrap().1, Framing::Length(5));
        assert_eq!(head("POST / HTTP/1.1\r\nTransfer-Encoding: Chunked").unwrap().unwrap().1, Framing::Chunked);
        assert_eq!(head("CONNECT a:443 HTTP/1.0").unwrap().unwrap().1, Framing::Switch);
        assert_eq!(head("GET / HTTP/1.1\r\nUpgrade: websocket").unwrap().unwrap().1, Framing::Switch);
        assert_eq!(read(b"GET / HT"), Ok(None));
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
            ("POST / HTTP/1.1\r\nContent-Length: 18446744073709551614", Framing),
            ("GET / HTTP/1.1\r\nUpgrade: websocket\r\nUpgrade: x", Framing),
            ("GET / HTTP/1.1\r\nUpgrade: x\r\nUpgrade: websocket", Framing),
            ("GET /?q=\"x\" HTTP/1.1", Target),
            ("GET /?q=<x> HTTP/1.1", Target),
            ("GET /a<b HTTP/1.1", Target),
            ("GET /a`b HTTP/1.1", Target),
            ("CONNECT a:1:2 HTTP/1.1", Target),
            ("CONNECT a%2eb:443 HTTP/1.1", Target),
            ("CONNECT a:443/ HTTP/1.1", Target),
            ("GET a:443/b HTTP/1.1", Target),
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
    fn every_target_that_passes_is_a_uri() {
        for byte in 0x21..=0x7e_u8 {
            for target in [format!("/a{}b", char::from(byte)), format!("/a?b{}c", char::from(byte))] {
                let passes = head(&format!("GET {target} HTTP/1.1")).is_ok();
                assert_eq!(passes, byte != b'#' && Uri::try_from(&*target).is_ok(), "{target}");
            }
        }
        for target in ["http://a.example/b?c=[d]", "a.example:443", "*", "http://a.example:80"] {
            assert!(head(&format!("GET {target} HTTP/1.1")).is_ok(), "{target}");
        }
    }

    #[test]
    fn heads_are_bounded() {
        let many = "A: b\r\n".repeat(limits::HEADERS_MAX + 1);
        assert_eq!(head(&format!("GET / HTTP/1.1\r\n{many}A: b")), Err(Violation::TooLarge));
        let long = "x".repeat(limits::HEAD_BYTES_MAX);
        assert_eq!(read(format!("GET /{long}").as_bytes()), Err(Violation::TooLarge));
    }
}
