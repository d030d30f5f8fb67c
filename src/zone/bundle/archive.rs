//! A gzipped ustar (POSIX.1-1988) of a few small texts: as plain as the format allows, so that equal contents are equal
//! bytes, and read without a file system in reach.

use std::io::Read as _;
use std::io::Write as _;

use flate2::Compression;
use flate2::GzBuilder;
use flate2::read::GzDecoder;

use crate::limits::ZONE_POLICY_BUNDLE_UNPACKED_BYTES_MAX;
use crate::zone::bundle::BundleInvalid;

/// The names and texts, in the order of the archive.
pub(super) fn unpack(packed: &[u8]) -> Result<Vec<(String, String)>, BundleInvalid> {
    let invalid = |what: &str| BundleInvalid(what.to_owned());
    let bound = u64::try_from(ZONE_POLICY_BUNDLE_UNPACKED_BYTES_MAX).unwrap_or(u64::MAX);
    let mut bytes = Vec::new();
    let read = GzDecoder::new(packed).take(bound.saturating_add(1)).read_to_end(&mut bytes);
    read.map_err(|_| invalid("it is not gzip"))?;
    if bytes.len() > ZONE_POLICY_BUNDLE_UNPACKED_BYTES_MAX {
        return Err(invalid("it is too large when it is unpacked"));
    }
    let mut rest = bytes.as_slice();
    let mut entries = Vec::new();
    while let Some((header, after)) = rest.split_at_checked(BLOCK) {
        if header.iter().all(|byte| *byte == 0) {
            return match after.iter().all(|byte| *byte == 0) {
                true => Ok(entries),
                false => Err(invalid("there is something after its end")),
            };
        }
        let (name, length) = read_header(header).ok_or_else(|| invalid("it is not a plain ustar archive"))?;
        let (text, _) = after.split_at_checked(length).ok_or_else(|| invalid("it is cut off"))?;
        let text = std::str::from_utf8(text).map_err(|_| invalid("a text in it is not UTF-8"))?;
        if text.contains('\0') {
            return Err(invalid("a text in it holds a null character"));
        }
        entries.push((name, text.to_owned()));
        rest = after.get(length.next_multiple_of(BLOCK)..).ok_or_else(|| invalid("it is cut off"))?;
    }
    Err(invalid("it has no end"))
}

/// None when a name or a text is too long for the format.
pub(super) fn pack(entries: &[(String, String)]) -> Option<Vec<u8>> {
    // No name, no time, no system: nothing that is different the next time.
    let mut zip = GzBuilder::new().mtime(0).operating_system(255).write(Vec::new(), Compression::default());
    for (name, text) in entries {
        zip.write_all(&header(name, text.len())?).ok()?;
        zip.write_all(text.as_bytes()).ok()?;
        zip.write_all(NOTHING.get(..text.len().next_multiple_of(BLOCK) - text.len())?).ok()?;
    }
    zip.write_all(&NOTHING).ok()?;
    zip.write_all(&NOTHING).ok()?;
    zip.finish().ok()
}

/// The name and the length of a regular file.
fn read_header(header: &[u8]) -> Option<(String, usize)> {
    let sum = octal(header.get(SUM)?)?;
    let is_ours = header.get(MAGIC)? == b"ustar" && sum == checksum(header)?;
    let is_file = matches!(header.get(TYPE)?, b'0' | 0);
    let name = header.get(NAME)?.split(|byte| *byte == 0).next()?;
    let has_prefix = *header.get(PREFIX)? != 0;
    let name = std::str::from_utf8(name).ok()?.to_owned();
    (is_ours && is_file && !has_prefix).then_some((name, octal(header.get(SIZE)?)?))
}

fn header(name: &str, length: usize) -> Option<[u8; BLOCK]> {
    let mut header = [0; BLOCK];
    let mut put = |at: std::ops::Range<usize>, bytes: &[u8]| -> Option<()> {
        header.get_mut(at)?.get_mut(..bytes.len())?.copy_from_slice(bytes);
        Some(())
    };
    put(NAME, name.as_bytes())?;
    put(100..108, b"0000644\0")?;
    put(108..116, b"0000000\0")?;
    put(116..124, b"0000000\0")?;
    put(SIZE, format!("{length:011o}\0").as_bytes())?;
    put(136..148, b"00000000000\0")?;
    put(TYPE..TYPE + 1, b"0")?;
    put(257..265, b"ustar\x0000")?;
    let sum = checksum(&header)?;
    header.get_mut(SUM)?.copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    Some(header)
}

/// The sum of all bytes, with blanks in its own place.
fn checksum(header: &[u8]) -> Option<usize> {
    let sum = |bytes: &[u8]| bytes.iter().map(|byte| usize::from(*byte)).sum::<usize>();
    Some(sum(header) - sum(header.get(SUM)?) + SUM.len() * usize::from(b' '))
}

fn octal(field: &[u8]) -> Option<usize> {
    let text = std::str::from_utf8(field).ok()?.trim_matches(['\0', ' ']);
    usize::from_str_radix(text, 8).ok()
}

const BLOCK: usize = 512;
/// One block of the archive's end, and what fills a text up to a block.
const NOTHING: [u8; BLOCK] = [0; BLOCK];
const NAME: std::ops::Range<usize> = 0..100;
const SIZE: std::ops::Range<usize> = 124..136;
const SUM: std::ops::Range<usize> = 148..156;
const TYPE: usize = 156;
const MAGIC: std::ops::Range<usize> = 257..262;
const PREFIX: usize = 345;
