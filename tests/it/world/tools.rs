//! The programs of other people that `tests/run` puts below `target/tools`.

use std::path::Path;
use std::path::PathBuf;

/// The path of a prepared tool; says how to prepare it when it is not there.
pub fn tool(path: &str) -> PathBuf {
    let full = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tools").join(path);
    assert!(full.exists(), "{} is missing: run `tests/run --tools` once, it prepares the tools", full.display());
    full
}
