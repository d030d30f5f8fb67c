//! Short names for URLs: `^[a-z0-9]+(?:-[a-z0-9]+)*$`, at most 63 characters.

use crate::zone::id;

/// The name as a slug; never empty.
pub(in crate::zone) fn of(name: &str) -> String {
    let mut slug = String::new();
    for letter in name.chars() {
        if slug.len() >= LENGTH_MAX {
            break;
        }
        if letter.is_ascii_alphanumeric() {
            slug.push(letter.to_ascii_lowercase());
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
    }
    let slug = slug.trim_end_matches('-');
    if slug.is_empty() { "unnamed".to_owned() } else { slug.to_owned() }
}

/// The same with an end that nobody else has.
pub(in crate::zone) fn unique(name: &str) -> String {
    let mut slug = of(name);
    // Slugs are ASCII.
    slug.truncate(LENGTH_MAX - SUFFIX - 1);
    let end: String = id::RowId::random().as_str().chars().take(SUFFIX).collect();
    format!("{}-{end}", slug.trim_end_matches('-'))
}

const LENGTH_MAX: usize = 63;
const SUFFIX: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slug_is_what_urls_like() {
        assert_eq!(of("My  App (v2)!"), "my-app-v2");
        assert_eq!(of("Ünïcode"), "n-code");
        assert_eq!(of("!!!"), "unnamed");
        assert_eq!(of(&"a".repeat(300)).len(), 63);
        let unique = unique(&"a b".repeat(100));
        assert!(unique.len() <= 63 && !unique.contains("--") && !unique.ends_with('-'), "{unique}");
    }
}
