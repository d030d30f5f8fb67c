//! A request path in its one canonical spelling.
//!
//! Two parsers that read one path differently are how a path rule is evaded, so every spelling that
//! parsers are known to read differently is refused, and the rest is brought to one form (RFC 3986
//! §6.2.2: upper-case escapes, unreserved characters plain). The bytes that a policy matches are the
//! bytes that are sent.

use std::fmt;
use std::sync::Arc;

/// A canonical absolute path: starts with `/`, no dot segments, no ambiguous bytes. Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Path(Arc<str>);

/// Spellings that a resource may permit because its API needs them; none by default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PathForms {
    /// `%2F` inside a segment, kept as it is (GitLab's project ids).
    pub encoded_slash: bool,
    /// Empty segments: `//`.
    pub empty_segment: bool,
    /// `;` in a segment (matrix parameters).
    pub semicolon: bool,
}

/// Why a path was refused. Holds no byte of the path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AmbiguousPath {
    /// Does not begin with `/`.
    #[error("the path doesn't begin with `/`")]
    NotAbsolute,
    /// A raw space, control character, backslash or byte outside ASCII.
    #[error("the path holds a raw byte that must be percent-encoded, or a backslash")]
    RawByte,
    /// `%` without two hex digits.
    #[error("the path holds `%` without two hex digits behind it")]
    BadEscape,
    /// An escape of an escape, `%25xx`, which a second decoder would read.
    #[error("the path is percent-encoded twice")]
    DoubleEncoding,
    /// `%2F` where the resource doesn't permit it.
    #[error("the path holds an encoded slash")]
    EncodedSlash,
    /// `%5C`, or an encoded control character.
    #[error("the path holds an encoded backslash or control character")]
    EncodedControl,
    /// Escapes that don't spell UTF-8, such as the overlong `%c0%af`.
    #[error("the path's escapes are not UTF-8")]
    NotUtf8,
    /// `.` or `..` as a segment, in any spelling.
    #[error("the path holds a dot segment")]
    DotSegment,
    /// `//` where the resource doesn't permit it.
    #[error("the path holds an empty segment")]
    EmptySegment,
    /// `;` where the resource doesn't permit it.
    #[error("the path holds a semicolon")]
    Semicolon,
}

impl Path {
    /// The canonical form of `raw` (path only, no query), or why there is none.
    pub fn parse(raw: &str, forms: PathForms) -> Result<Self, AmbiguousPath> {
        if !raw.starts_with('/') {
            return Err(AmbiguousPath::NotAbsolute);
        }
        if raw.bytes().all(is_plain) {
            check_segments(raw, forms)?;
            return Ok(Self(raw.into()));
        }
        let canonical = spell(raw, forms)?;
        check_segments(&canonical, forms)?;
        Ok(Self(canonical.into()))
    }

    /// `/`, which is what an empty path means (RFC 9110 §4.2.3).
    pub fn root() -> Self {
        Self("/".into())
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

/// Bytes that stand for themselves in the canonical form and need no look at their neighbours.
fn is_plain(byte: u8) -> bool {
    is_unreserved(byte)
        || matches!(byte, b'/' | b':' | b'@' | b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b'=')
}

fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

fn spell(raw: &str, forms: PathForms) -> Result<String, AmbiguousPath> {
    let mut canonical = String::with_capacity(raw.len() + 8);
    let mut decoded = Vec::with_capacity(raw.len());
    let mut bytes = raw.bytes().peekable();
    while let Some(byte) = bytes.next() {
        let value = match byte {
            b'%' => {
                let value = escaped(bytes.next(), bytes.next())?;
                match value {
                    b'%' => {
                        let mut ahead = bytes.clone();
                        if escaped(ahead.next(), ahead.next()).is_ok() {
                            return Err(AmbiguousPath::DoubleEncoding);
                        }
                    }
                    b'/' if !forms.encoded_slash => return Err(AmbiguousPath::EncodedSlash),
                    b';' if !forms.semicolon => return Err(AmbiguousPath::Semicolon),
                    b'\\' | 0..=0x1f | 0x7f => return Err(AmbiguousPath::EncodedControl),
                    _ => {}
                }
                if is_unreserved(value) {
                    canonical.push(char::from(value))
                } else {
                    push_escape(&mut canonical, value)
                }
                value
            }
            b';' => {
                canonical.push(';');
                byte
            }
            _ if is_plain(byte) => {
                canonical.push(char::from(byte));
                byte
            }
            b'"' | b'<' | b'>' | b'^' | b'`' | b'{' | b'|' | b'}' | b'[' | b']' => {
                push_escape(&mut canonical, byte);
                byte
            }
            _ => return Err(AmbiguousPath::RawByte),
        };
        decoded.push(value);
    }
    if std::str::from_utf8(&decoded).is_err() {
        return Err(AmbiguousPath::NotUtf8);
    }
    Ok(canonical)
}

fn escaped(high: Option<u8>, low: Option<u8>) -> Result<u8, AmbiguousPath> {
    let digit = |byte: Option<u8>| {
        byte.and_then(|byte| char::from(byte).to_digit(16)).and_then(|digit| u8::try_from(digit).ok())
    };
    match (digit(high), digit(low)) {
        (Some(high), Some(low)) => Ok(high << 4 | low),
        _ => Err(AmbiguousPath::BadEscape),
    }
}

fn push_escape(canonical: &mut String, value: u8) {
    const HEX: [char; 16] = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'A', 'B', 'C', 'D', 'E', 'F'];
    canonical.push('%');
    for digit in [value >> 4, value & 15] {
        canonical.extend(HEX.get(usize::from(digit)));
    }
}

fn check_segments(path: &str, forms: PathForms) -> Result<(), AmbiguousPath> {
    let mut segments = path.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        let name = match segment.split_once(';') {
            None => segment,
            Some((name, _)) if forms.semicolon => name,
            Some(_) => return Err(AmbiguousPath::Semicolon),
        };
        // an opaque `%2F` is a slash to whoever decodes it
        if name.split("%2F").any(|part| part == "." || part == "..") {
            return Err(AmbiguousPath::DotSegment);
        }
        if segment.is_empty() && segments.peek().is_some() && !forms.empty_segment {
            return Err(AmbiguousPath::EmptySegment);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn strict(raw: &str) -> Result<String, AmbiguousPath> {
        Path::parse(raw, PathForms::default()).map(|path| path.to_string())
    }

    #[test]
    fn one_spelling_for_each_path() {
        assert_eq!(strict("/a/%7euser/%e2%82%ac").unwrap(), "/a/~user/%E2%82%AC");
        assert_eq!(strict("/x:y@z/100%25").unwrap(), "/x:y@z/100%25");
        assert_eq!(strict("/a/").unwrap(), "/a/");
        assert_eq!(strict("/a|b").unwrap(), "/a%7Cb");
    }

    #[test]
    fn ambiguous_spellings_are_refused() {
        use AmbiguousPath::*;
        for (raw, why) in [
            ("a", NotAbsolute),
            ("*", NotAbsolute),
            ("", NotAbsolute),
            ("/a b", RawByte),
            ("/a\\b", RawByte),
            ("/é", RawByte),
            ("/a\tb", RawByte),
            ("/a#b", RawByte),
            ("/%", BadEscape),
            ("/%zz", BadEscape),
            ("/%4", BadEscape),
            ("/%252e", DoubleEncoding),
            ("/%2525", DoubleEncoding),
            ("/a%2fb", EncodedSlash),
            ("/a%5Cb", EncodedControl),
            ("/a%00", EncodedControl),
            ("/a%0d%0a", EncodedControl),
            ("/%c0%af", NotUtf8),
            ("/%ff", NotUtf8),
            ("/a/../b", DotSegment),
            ("/a/%2e%2E/b", DotSegment),
            ("/.", DotSegment),
            ("/a/.%2e", DotSegment),
            ("/a%3Bb", Semicolon),
            ("/a//b", EmptySegment),
            ("//", EmptySegment),
            ("/a;b", Semicolon),
            ("/..;/a", Semicolon),
        ] {
            assert_eq!(strict(raw), Err(why), "{raw:?}");
        }
    }

    #[test]
    fn a_resource_may_permit_what_its_api_needs() {
        let forms = PathForms { encoded_slash: true, empty_segment: true, semicolon: true };
        let parse = |raw| Path::parse(raw, forms).map(|path| path.to_string());
        assert_eq!(parse("/projects/group%2fname//x;v=1").unwrap(), "/projects/group%2Fname//x;v=1");
        assert_eq!(parse("/a/..;x/b"), Err(AmbiguousPath::DotSegment));
        assert_eq!(parse("/a/%2e%2e"), Err(AmbiguousPath::DotSegment));
        assert_eq!(parse("/a/%2f../b"), Err(AmbiguousPath::DotSegment));
    }

    proptest! {
        #[test]
        fn canonicalisation_is_idempotent(raw in "/[a-zA-Z0-9%./;:@ |~-]{0,40}") {
            for forms in [PathForms::default(), PathForms { encoded_slash: true, empty_segment: true, semicolon: true }] {
                if let Ok(path) = Path::parse(&raw, forms) {
                    prop_assert_eq!(Path::parse(path.as_str(), forms), Ok(path.clone()));
                }
            }
        }
    }
}
