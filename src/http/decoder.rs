//! A body as it arrives over HTTP/1: where it ends, and what of it is there. Pure.

use bytes::Bytes;
use bytes::BytesMut;
use hyper::HeaderMap;
use hyper::body::SizeHint;

use crate::http::Violation;
use crate::http::chunks::Chunks;
use crate::http::framing::Framing;

/// Where in a body its reader is (RFC 9112 §6).
#[derive(Debug)]
pub(crate) enum Decoder {
    /// All of it was read.
    Done,
    /// So many bytes are to come.
    Length(u64),
    /// Chunks are to come.
    Chunks(Box<Chunks>),
    /// Whatever comes until the connection ends.
    Close,
}

/// What a look at the bytes gives.
#[derive(Debug)]
pub(crate) enum Decoded {
    /// Some of the body.
    Data(Bytes),
    /// Fields behind it; that was the end.
    Trailers(HeaderMap),
    /// Nothing before more bytes come.
    More,
    /// That was the end.
    Done,
}

impl Decoder {
    /// For chunks from their beginning.
    pub(crate) fn chunked() -> Self {
        Self::Chunks(Box::default())
    }

    /// For chunks from their beginning, as servers write them: some pad the size with blanks.
    pub(crate) fn chunked_by_a_server() -> Self {
        Self::Chunks(Box::new(Chunks::padded()))
    }

    /// For so many bytes.
    pub(crate) fn length(length: u64) -> Self {
        if length == 0 { Self::Done } else { Self::Length(length) }
    }

    /// For what follows the head of a request.
    pub(crate) fn of(framing: Framing) -> Self {
        match framing {
            Framing::None | Framing::Switch => Self::Done,
            Framing::Length(length) => Self::length(length),
            Framing::Chunked => Self::chunked(),
        }
    }

    pub(crate) fn is_done(&self) -> bool {
        matches!(self, Self::Done)
    }

    /// Takes the next part of the body off `input`.
    ///
    /// # Errors
    /// A chunk is malformed.
    pub(crate) fn next(&mut self, input: &mut BytesMut) -> Result<Decoded, Violation> {
        let decoded = match self {
            Self::Done => Decoded::Done,
            Self::Length(_) | Self::Close if input.is_empty() => Decoded::More,
            Self::Length(left) => {
                let taken = input.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                *left -= u64::try_from(taken).unwrap_or(0);
                let data = Decoded::Data(input.split_to(taken).freeze());
                if *left == 0 {
                    *self = Self::Done;
                }
                data
            }
            Self::Close => Decoded::Data(input.split().freeze()),
            Self::Chunks(chunks) => chunks.next(input)?,
        };
        if let Decoded::Trailers(_) | Decoded::Done = decoded {
            *self = Self::Done;
        }
        Ok(decoded)
    }

    /// The connection has ended. Whether the body has ended with it as it should.
    pub(crate) fn close(&mut self) -> bool {
        let whole = matches!(self, Self::Done | Self::Close);
        if whole {
            *self = Self::Done;
        }
        whole
    }

    /// How much is still to come.
    pub(crate) fn size_hint(&self) -> SizeHint {
        match self {
            Self::Done => SizeHint::with_exact(0),
            Self::Length(left) => SizeHint::with_exact(*left),
            Self::Chunks(_) | Self::Close => SizeHint::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_takes_its_own_and_leaves_the_rest() {
        let mut decoder = Decoder::of(Framing::Length(5));
        let mut input = BytesMut::from("hel");
        assert!(matches!(decoder.next(&mut input), Ok(Decoded::Data(data)) if data == "hel"));
        assert!(matches!(decoder.next(&mut input), Ok(Decoded::More)));
        assert!(!decoder.close(), "three of five are not all");
        input.extend_from_slice(b"loGET");
        assert!(matches!(decoder.next(&mut input), Ok(Decoded::Data(data)) if data == "lo"));
        assert!(decoder.is_done() && matches!(decoder.next(&mut input), Ok(Decoded::Done)));
        assert_eq!(input, "GET");
    }

    #[test]
    fn only_a_body_without_a_told_end_ends_with_its_connection() {
        assert!(Decoder::Close.close() && Decoder::length(0).close());
        assert!(!Decoder::chunked().close() && !Decoder::length(1).close());
    }
}
