//! What is wrong with a text, in Cedar's words, and where.

use miette::Diagnostic;

/// One fault of a policy or a schema.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{words}")]
pub struct Fault {
    /// Bytes before it, where Cedar says so.
    offset: Option<usize>,
    words: String,
}

impl Fault {
    /// From whatever Cedar says.
    pub(super) fn of(error: &(impl Diagnostic + ?Sized)) -> Self {
        let offset = error.labels().and_then(|mut labels| labels.next()).map(|label| label.offset());
        Self { offset, words: one_line(&error.to_string()) }
    }

    /// One that has no place.
    pub fn words(words: &str) -> Self {
        Self { offset: None, words: one_line(words) }
    }

    /// `line:column: what is wrong` with `text`; only what is wrong where the place is not known.
    pub fn told_of(&self, text: &str) -> String {
        let Some(before) = self.offset.and_then(|offset| text.get(..offset)) else { return self.words.clone() };
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
        format!("{line}:{column}: {}", self.words)
    }
}

/// Cedar's messages have line breaks; records and answers have none.
pub(super) fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
