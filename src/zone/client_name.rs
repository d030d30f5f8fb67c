//! The name that a client gives itself, for people.

/// As the management API has it.
const NAME_BYTES_MAX: usize = 255;

/// The name, where it is one that a person may be shown. It proves nothing: the consent page says where the answer goes
/// beside it.
pub(in crate::zone) fn read(sent: &str) -> Option<String> {
    let name = sent.trim();
    // Direction marks and the like would let a name pretend to end where it does not.
    let misleads = |c: char| {
        c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
    };
    let legal = !name.is_empty() && name.len() <= NAME_BYTES_MAX && !name.chars().any(misleads);
    legal.then(|| name.to_owned())
}
