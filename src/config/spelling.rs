//! Which known word was meant.

/// The known word nearest to `wrong`, when it is near enough to be a slip of the fingers.
pub(super) fn nearest<'a>(wrong: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wrong = wrong.to_lowercase();
    known
        .into_iter()
        .map(|word| (distance(&wrong, &word.to_lowercase()), word))
        .filter(|(distance, word)| *distance <= (word.chars().count() / 3).max(1))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, word)| word)
}

/// Levenshtein's distance, with two neighbours that changed places counted as one slip.
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut above: Vec<usize> = (0..=right.len()).collect();
    let mut two_above = above.clone();
    let mut previous = None;
    for (row, own) in left.chars().enumerate() {
        let mut line = vec![row + 1];
        for (column, other) in right.iter().enumerate() {
            let at = |line: &[usize], index: usize| line.get(index).copied().unwrap_or(usize::MAX - 1);
            let replaced = at(&above, column) + usize::from(own != *other);
            let mut best = replaced.min(at(&above, column + 1) + 1).min(at(&line, column) + 1);
            let before = column.checked_sub(1).and_then(|index| right.get(index).map(|other| (index, other)));
            if let Some((index, before)) = before
                && previous == Some(*other)
                && own == *before
            {
                best = best.min(at(&two_above, index) + 1);
            }
            line.push(best);
        }
        two_above = std::mem::replace(&mut above, line);
        previous = Some(own);
    }
    above.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_found_and_a_stranger_is_not() {
        let known = ["listen", "unlisted", "env", "hosts"];
        assert_eq!(nearest("lisen", known), Some("listen"));
        assert_eq!(nearest("lsiten", known), Some("listen"));
        assert_eq!(nearest("Listen", known), Some("listen"));
        assert_eq!(nearest("host", known), Some("hosts"));
        assert_eq!(nearest("password", known), None);
        assert_eq!(nearest("x", known), None);
    }
}
