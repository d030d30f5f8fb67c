//! Follows HTTP/1 requests, one after the other, over any division into reads. Pure but for the gate that it
//! closes behind a request that may switch protocols.

use crate::http::Gate;
use crate::http::chunks::Chunks;
use crate::http::framing::Framing;
use crate::http::framing::Violation;
use crate::http::framing::read_head;

/// Where in its requests a connection is.
#[derive(Debug, Default)]
pub(super) struct Messages {
    part: Part,
    /// The head so far, where it came in more than one piece.
    partial: Vec<u8>,
    heads: u64,
}

#[derive(Debug, Default)]
enum Part {
    #[default]
    Head,
    Length(u64),
    Chunked(Chunks),
}

impl Messages {
    /// How many of `bytes` may go on: all of them, or those before a violation or up to the end of a request
    /// that parks the stream.
    pub(super) fn follow(&mut self, bytes: &[u8], gate: &Gate) -> (usize, Option<Violation>) {
        let mut passed = 0;
        while let Some(rest) = bytes.get(passed..).filter(|rest| !rest.is_empty()) {
            if gate.is_parked() {
                break;
            }
            let taken = match &mut self.part {
                Part::Head => self.follow_head(rest, gate),
                Part::Length(left) => {
                    let taken = rest.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                    *left -= u64::try_from(taken).unwrap_or(0);
                    if *left == 0 {
                        self.part = Part::Head;
                    }
                    Ok(taken)
                }
                Part::Chunked(chunks) => chunks.read(rest).map(|(taken, ended)| {
                    if ended {
                        self.part = Part::Head;
                    }
                    taken
                }),
            };
            match taken {
                Ok(taken) => passed += taken,
                Err(violation) => return (passed, Some(violation)),
            }
        }
        (passed, None)
    }

    /// Whether a head has begun and not ended.
    pub(super) fn is_within_head(&self) -> bool {
        !self.partial.is_empty()
    }

    /// How many heads have passed whole.
    pub(super) fn heads(&self) -> u64 {
        self.heads
    }

    fn follow_head(&mut self, rest: &[u8], gate: &Gate) -> Result<usize, Violation> {
        let before = self.partial.len();
        let whole = if before == 0 {
            read_head(rest, 0)?
        } else {
            self.partial.extend_from_slice(rest);
            read_head(&self.partial, before)?
        };
        let Some((length, framing)) = whole else {
            if before == 0 {
                self.partial.extend_from_slice(rest);
            }
            return Ok(rest.len());
        };
        self.partial = Vec::new();
        self.heads += 1;
        self.part = match framing {
            Framing::None | Framing::Length(0) => Part::Head,
            Framing::Switch => {
                gate.park(self.heads);
                Part::Head
            }
            Framing::Length(length) => Part::Length(length),
            Framing::Chunked => Part::Chunked(Chunks::default()),
        };
        Ok(length - before)
    }
}
