//! What is wrong in a configuration, where, and what to write instead.
//!
//! A fault never shows a secret: text that could be one (the value of an unknown key, the name of a
//! secret that isn't defined) is blotted out of the source line before it gets here.

use std::error::Error;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use annotate_snippets::AnnotationKind;
use annotate_snippets::Group;
use annotate_snippets::Level;
use annotate_snippets::Renderer;
use annotate_snippets::Snippet;

/// Whether the configuration may be used all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// It may not.
    Error,
    /// It may, but it hardly says what was meant.
    Warning,
}

impl Severity {
    /// As in a message.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    severity: Severity,
    message: String,
    hint: Option<String>,
    span: Option<Range<usize>>,
    also: Option<(Range<usize>, String)>,
}

impl Fault {
    pub(super) fn error(span: Range<usize>, message: impl Into<String>) -> Self {
        Self { span: Some(span), ..Self::of_the_file(message) }
    }

    pub(super) fn warning(span: Range<usize>, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(span, message) }
    }

    /// An error that has no place in the text: the file itself is off.
    pub(super) fn of_the_file(message: impl Into<String>) -> Self {
        Self { severity: Severity::Error, message: message.into(), hint: None, span: None, also: None }
    }

    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// A second place that has to do with it.
    pub(super) fn also(mut self, span: Range<usize>, label: impl Into<String>) -> Self {
        self.also = Some((span, label.into()));
        self
    }

    /// Whether the configuration may be used all the same.
    pub fn severity(&self) -> Severity {
        self.severity
    }

    /// What is wrong.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What to write instead.
    pub fn advice(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// Where, in bytes of the file; none where the file itself is off.
    pub fn span(&self) -> Option<Range<usize>> {
        self.span.clone()
    }
}

/// Everything that is wrong in one file, in the order of the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    name: Arc<str>,
    text: Arc<str>,
    faults: Vec<Fault>,
}

impl Faults {
    /// `text` has no secrets any more, but every byte in its old place.
    pub(super) fn new(name: &str, text: &str, mut faults: Vec<Fault>) -> Self {
        faults.sort_by_key(|fault| fault.span.as_ref().map_or((0, 0), |span| (span.start, span.end)));
        faults.dedup();
        Self { name: name.into(), text: text.into(), faults }
    }

    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = &Fault> {
        self.faults.iter()
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.faults.len()
    }

    /// How many of them forbid its use.
    pub fn errors(&self) -> usize {
        self.iter().filter(|fault| fault.severity == Severity::Error).count()
    }

    /// Whether nothing is wrong.
    pub fn is_empty(&self) -> bool {
        self.faults.is_empty()
    }

    /// The file, as it was named.
    pub fn file(&self) -> &str {
        &self.name
    }

    /// Line and column of a fault, both from 1, the column in characters.
    pub fn position(&self, fault: &Fault) -> Option<(usize, usize)> {
        let before = self.text.get(..fault.span.as_ref()?.start)?;
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let column = before.get(line_start..)?.chars().count() + 1;
        Some((before.matches('\n').count() + 1, column))
    }

    /// For a person: each with its line, a caret and a hint.
    pub fn render(&self, style: Style) -> String {
        let renderer = match style {
            Style::Plain => Renderer::plain(),
            Style::Coloured => Renderer::styled(),
        };
        let drawings: Vec<String> = self.faults.iter().map(|fault| self.draw(fault, &renderer)).collect();
        drawings.join("\n\n")
    }

    fn draw(&self, fault: &Fault, renderer: &Renderer) -> String {
        let level = match fault.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let mut group = match &fault.span {
            None => Group::with_title(level.primary_title(format!("{}: {}", self.name, fault.message))),
            Some(span) => {
                let primary = AnnotationKind::Primary.span(span.clone());
                let second = fault.also.iter();
                let second = second.map(|(span, label)| AnnotationKind::Context.span(span.clone()).label(label));
                let snippet = Snippet::source(&*self.text).path(&*self.name).annotation(primary).annotations(second);
                level.primary_title(&fault.message).element(snippet)
            }
        };
        if let Some(hint) = &fault.hint {
            group = group.element(Level::HELP.with_name("hint").message(hint));
        }
        renderer.render(&[group])
    }
}

/// How faults are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// Text only.
    Plain,
    /// With colours, for a terminal.
    Coloured,
}

/// One line for each, as logs and editors like it: `file:line:column: error: message (hint)`.
impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, fault) in self.faults.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            f.write_str(&self.name)?;
            if let Some((line, column)) = self.position(fault) {
                write!(f, ":{line}:{column}")?;
            }
            write!(f, ": {}: {}", fault.severity.as_str(), fault.message)?;
            if let Some(hint) = &fault.hint {
                write!(f, " ({hint})")?;
            }
        }
        Ok(())
    }
}

impl Error for Faults {}
