//! What starts found broken and wrote down: the `broken` lines.

use std::io;
use std::path::Path;

use crate::audit::chain::Frame;
use crate::audit::folder;
use crate::audit::walk::Walk;
use crate::model::Timestamp;

/// The `broken` lines, wherever they stand: behind a hole they are not covered by the chain, and still tell of it.
pub(super) fn told(folder: &Path) -> io::Result<Vec<String>> {
    let mut walk = Walk::new(folder, folder::files(folder)?);
    let mut told = Vec::new();
    while let Some(spot) = walk.next()? {
        if told.len() < TOLD_MAX
            && Frame::parse(&spot.bytes).is_some_and(|frame| frame.kind == "broken")
            && let Ok(broken) = serde_json::from_slice::<Broken>(&spot.bytes)
        {
            told.push(format!("`{}` line {}, {}: {}", spot.place.name, spot.place.line, broken.time, broken.what));
        }
    }
    Ok(told)
}

/// A `broken` line.
#[derive(serde::Deserialize)]
struct Broken {
    time: Timestamp,
    what: String,
}

/// More is not told at once.
const TOLD_MAX: usize = 16;
