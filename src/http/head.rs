//! HTTP/1 heads (RFC 9112): from bytes to what they say, and from there to bytes. Pure.
//!
//! A request's head is read strictly, by [`framing`](crate::http::framing): what two parsers could read differently
//! is a violation. An answer's head is written anew, so that no agent sees how its server spelt it. Fields keep the
//! bytes they came in; nothing is copied.

use std::mem::MaybeUninit;

use bytes::Bytes;
use bytes::BytesMut;
use hyper::HeaderMap;
use hyper::Method;
use hyper::Request;
use hyper::Response;
use hyper::StatusCode;
use hyper::Uri;
use hyper::Version;
use hyper::header::CONNECTION;
use hyper::header::CONTENT_LENGTH;
use hyper::header::HeaderName;
use hyper::header::HeaderValue;
use hyper::header::TRANSFER_ENCODING;
use hyper::http::request;
use hyper::http::response;

use crate::http::Violation;
use crate::http::framing;
use crate::http::framing::Framing;
use crate::limits;
use crate::model::push_decimal;

/// Takes a request's head off `input`, once it is there whole. An earlier call has seen the first `searched` bytes, so
/// that a head in small pieces is not read over and over.
///
/// # Errors
/// What came is not one request in exactly one reading; `input` is of no use any more.
pub(crate) fn take_request(
    input: &mut BytesMut,
    searched: usize,
) -> Result<Option<(request::Parts, Framing)>, Violation> {
    let Some(length) = framing::find_head(input, searched)? else { return Ok(None) };
    let bytes = input.split_to(length).freeze();
    let mut fields = [const { MaybeUninit::uninit() }; limits::HEADERS_MAX];
    let mut read = httparse::Request::new(&mut []);
    match read.parse_with_uninit_headers(&bytes, &mut fields) {
        Ok(httparse::Status::Complete(parsed)) if parsed == length => {}
        Err(httparse::Error::TooManyHeaders) => return Err(Violation::TooLarge),
        Ok(_) | Err(_) => return Err(Violation::Head),
    }
    let target = read.path.unwrap_or_default();
    framing::check_target(target)?;
    let framing = framing::framing(&read)?;
    let (mut parts, ()) = Request::new(()).into_parts();
    parts.method = Method::from_bytes(read.method.unwrap_or_default().as_bytes()).map_err(|_| Violation::Head)?;
    parts.uri = Uri::from_maybe_shared(bytes.slice_ref(target.as_bytes())).map_err(|_| Violation::Target)?;
    parts.version = version(read.version);
    parts.headers = fields_of(&bytes, read.headers).ok_or(Violation::Head)?;
    Ok(Some((parts, framing)))
}

/// Takes an answer's head off `input`, once it is there whole.
///
/// # Errors
/// What came is no head of an answer, or a larger one than the bound.
pub(crate) fn take_response(input: &mut BytesMut) -> Result<Option<response::Parts>, NotAnAnswer> {
    let Some(length) = end_of_answer(input) else {
        return if input.len() > limits::HEAD_BYTES_MAX { Err(NotAnAnswer) } else { Ok(None) };
    };
    if length > limits::HEAD_BYTES_MAX {
        return Err(NotAnAnswer);
    }
    let bytes = input.split_to(length).freeze();
    let mut fields = [const { MaybeUninit::uninit() }; limits::HEADERS_MAX];
    let mut read = httparse::Response::new(&mut []);
    let parsed = httparse::ParserConfig::default().parse_response_with_uninit_headers(&mut read, &bytes, &mut fields);
    if !matches!(parsed, Ok(httparse::Status::Complete(parsed)) if parsed == length) {
        return Err(NotAnAnswer);
    }
    let (mut parts, ()) = Response::new(()).into_parts();
    parts.status = read.code.and_then(|code| StatusCode::from_u16(code).ok()).ok_or(NotAnAnswer)?;
    parts.version = version(read.version);
    parts.headers = fields_of(&bytes, read.headers).ok_or(NotAnAnswer)?;
    Ok(Some(parts))
}

/// What an API sent is no HTTP/1 answer. Holds no byte of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("what came is no HTTP/1 answer")]
pub struct NotAnAnswer;

/// The fields of a trailer section, each line with its end.
pub(crate) fn trailers(section: &[u8]) -> Option<HeaderMap> {
    let bytes = Bytes::from([section, b"\r\n"].concat());
    let mut fields = [httparse::EMPTY_HEADER; limits::HEADERS_MAX];
    match httparse::parse_headers(&bytes, &mut fields) {
        Ok(httparse::Status::Complete((parsed, fields))) if parsed == bytes.len() => fields_of(&bytes, fields),
        Ok(_) | Err(_) => None,
    }
}

/// How a body's end is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    /// As the fields say it, or not at all: there is no body.
    Nothing,
    /// By its length.
    Length(u64),
    /// By its last chunk.
    Chunks,
    /// By the end of the connection.
    Close,
}

/// Writes a request's head. The target is in origin-form.
pub(crate) fn write_request(out: &mut Vec<u8>, head: &request::Parts, told: Told) {
    out.extend_from_slice(head.method.as_str().as_bytes());
    out.push(b' ');
    out.extend_from_slice(head.uri.path_and_query().map_or("/", |target| target.as_str()).as_bytes());
    out.extend_from_slice(b" HTTP/1.1\r\n");
    write_fields(out, &head.headers, told);
    out.extend_from_slice(b"\r\n");
}

/// Writes an answer's head for an agent that speaks `version`; `stays` is whether the connection takes another
/// request.
pub(crate) fn write_response(out: &mut Vec<u8>, head: &response::Parts, version: Version, told: Told, stays: bool) {
    let old = version == Version::HTTP_10;
    out.extend_from_slice(if old { b"HTTP/1.0 " } else { b"HTTP/1.1 " });
    out.extend_from_slice(head.status.as_str().as_bytes());
    out.push(b' ');
    out.extend_from_slice(head.status.canonical_reason().unwrap_or_default().as_bytes());
    out.extend_from_slice(b"\r\n");
    write_fields(out, &head.headers, told);
    match (old, stays) {
        (true, true) => out.extend_from_slice(b"connection: keep-alive\r\n"),
        (false, false) => out.extend_from_slice(b"connection: close\r\n"),
        (true, false) | (false, true) => {}
    }
    out.extend_from_slice(b"\r\n");
}

fn write_fields(out: &mut Vec<u8>, fields: &HeaderMap, told: Told) {
    for (name, value) in fields {
        // the end of a body is told once, by whoever writes it
        if told != Told::Nothing && (name == CONTENT_LENGTH || name == TRANSFER_ENCODING) {
            continue;
        }
        out.extend_from_slice(name.as_str().as_bytes());
        out.extend_from_slice(b": ");
        out.extend_from_slice(value.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    match told {
        Told::Length(length) => {
            out.extend_from_slice(b"content-length: ");
            push_decimal(out, length);
            out.extend_from_slice(b"\r\n");
        }
        Told::Chunks => out.extend_from_slice(b"transfer-encoding: chunked\r\n"),
        Told::Nothing | Told::Close => {}
    }
}

/// Whether an answer of this status never has a body, whatever its fields say (RFC 9112 §6.3).
pub(crate) fn is_bodiless(status: StatusCode) -> bool {
    status.is_informational() || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
}

/// Whether whoever sent these keeps the connection for another message (RFC 9112 §9.3).
pub(crate) fn keeps_alive(version: Version, headers: &HeaderMap) -> bool {
    let says = |word: &str| {
        let options = headers.get_all(CONNECTION).iter().flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
        options.into_iter().any(|option| option.trim_ascii().eq_ignore_ascii_case(word.as_bytes()))
    };
    match version {
        Version::HTTP_11 => !says("close"),
        _ => says("keep-alive") && !says("close"),
    }
}

fn version(minor: Option<u8>) -> Version {
    if minor == Some(1) { Version::HTTP_11 } else { Version::HTTP_10 }
}

fn fields_of(bytes: &Bytes, fields: &[httparse::Header<'_>]) -> Option<HeaderMap> {
    // a few more are added on the way
    let mut headers = HeaderMap::with_capacity(fields.len().saturating_add(4));
    for field in fields {
        let name = HeaderName::from_bytes(field.name.as_bytes()).ok()?;
        let value = HeaderValue::from_maybe_shared(bytes.slice_ref(field.value)).ok()?;
        headers.try_append(name, value).ok()?;
    }
    Some(headers)
}

/// One past the empty line. Servers that end their lines with LF alone are understood.
fn end_of_answer(bytes: &[u8]) -> Option<usize> {
    for at in memchr::memchr_iter(b'\n', bytes) {
        match bytes.get(at + 1..)? {
            [b'\n', ..] => return Some(at + 2),
            [b'\r', b'\n', ..] => return Some(at + 3),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(text: &str) -> Result<Option<response::Parts>, NotAnAnswer> {
        take_response(&mut BytesMut::from(text))
    }

    #[test]
    fn a_head_is_taken_off_what_follows_it() {
        let mut input =
            BytesMut::from("POST /a?b=c HTTP/1.1\r\nHost: a\r\nX-One: 1\r\nx-one: 2\r\nContent-Length: 5\r\n\r\nhello");
        let (head, framing) = take_request(&mut input, 0).unwrap().unwrap();
        assert_eq!((head.method, head.uri.to_string()), (Method::POST, "/a?b=c".to_owned()));
        assert_eq!(head.headers.get_all("x-one").iter().collect::<Vec<_>>(), ["1", "2"]);
        assert_eq!((framing, &input[..]), (Framing::Length(5), &b"hello"[..]));
    }

    #[test]
    fn an_answer_is_read_as_servers_write_it() {
        let mut input = BytesMut::from("HTTP/1.0 204 whatever\nA: \u{e9}\n\nrest");
        let head = take_response(&mut input).unwrap().unwrap();
        assert_eq!((head.status.as_u16(), head.version), (204, Version::HTTP_10));
        assert_eq!((head.headers["a"].as_bytes(), &input[..]), ("\u{e9}".as_bytes(), &b"rest"[..]));
        assert!(answer("HTTP/1.1 200\r\n\r\n").unwrap().is_some(), "a reason is not needed");
        assert!(answer("HTTP/1.1 200 OK\r\nA: b\r\n").unwrap().is_none());
        assert!(answer("").unwrap().is_none());
    }

    #[test]
    fn what_is_no_answer_is_not_taken_for_one() {
        let many = "a: b\r\n".repeat(limits::HEADERS_MAX + 1);
        let long = "x".repeat(limits::HEAD_BYTES_MAX + 1);
        for text in [
            "SSH-2.0-OpenSSH\r\n\r\n",
            "HTTP/2 200 OK\r\n\r\n",
            "HTTP/1.1 99 x\r\n\r\n",
            "HTTP/1.1 2000 x\r\n\r\n",
            "HTTP/1.1 200 OK\r\nA : b\r\n\r\n",
            "HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n",
            "HTTP/1.1 200 OK\r\nA: b\0\r\n\r\n",
            &format!("HTTP/1.1 200 OK\r\n{many}\r\n"),
            &long,
        ] {
            assert_eq!(answer(text).map(|_| ()), Err(NotAnAnswer), "{text:.40}");
        }
    }

    #[test]
    fn heads_are_written_with_one_end_of_the_body() {
        let (mut head, ()) = Response::new(()).into_parts();
        head.headers.insert(CONTENT_LENGTH, HeaderValue::from_static("99"));
        head.headers.insert("a", HeaderValue::from_static("b"));
        let written = |version, told, stays| {
            let mut out = Vec::new();
            write_response(&mut out, &head, version, told, stays);
            String::from_utf8(out).unwrap()
        };
        let (new, old) = (Version::HTTP_11, Version::HTTP_10);
        assert_eq!(written(new, Told::Length(1234), true), "HTTP/1.1 200 OK\r\na: b\r\ncontent-length: 1234\r\n\r\n");
        assert_eq!(
            written(new, Told::Chunks, false),
            "HTTP/1.1 200 OK\r\na: b\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n"
        );
        assert_eq!(written(old, Told::Close, false), "HTTP/1.0 200 OK\r\na: b\r\n\r\n");
        assert_eq!(
            written(old, Told::Nothing, true),
            "HTTP/1.0 200 OK\r\ncontent-length: 99\r\na: b\r\nconnection: keep-alive\r\n\r\n"
        );
    }

    #[test]
    fn a_connection_stays_when_its_version_and_its_fields_say_so() {
        let stays = |version, values: &[&'static str]| {
            let values = values.iter().map(|value| (CONNECTION, HeaderValue::from_static(value)));
            let mut headers = HeaderMap::new();
            values.for_each(|(name, value)| _ = headers.append(name, value));
            keeps_alive(version, &headers)
        };
        assert!(stays(Version::HTTP_11, &[]) && stays(Version::HTTP_11, &["keep-alive"]));
        assert!(!stays(Version::HTTP_11, &["x, Close"]) && !stays(Version::HTTP_11, &["x", "close"]));
        assert!(!stays(Version::HTTP_10, &[]) && stays(Version::HTTP_10, &["Keep-Alive"]));
    }
}
