//! A table of the file, asked key by key: what nobody asked for is unknown, what has the wrong type is said
//! once, and reading goes on.

use std::fmt::Display;
use std::ops::Range;

use toml::Spanned;
use toml::de::DeTable;
use toml::de::DeValue;

use crate::config::fault::Fault;
use crate::config::reading::Reading;
use crate::config::reading::is_harmless;
use crate::config::spelling::nearest;

/// A table and how to speak of it.
pub(super) struct Section<'a> {
    label: String,
    span: Range<usize>,
    table: &'a DeTable<'a>,
    asked: Vec<&'static str>,
    foreign: Vec<&'static str>,
}

/// A key with its value.
pub(super) struct Value<'a> {
    key: String,
    key_span: Range<usize>,
    node: &'a Spanned<DeValue<'a>>,
}

/// A string of the file.
#[derive(Clone)]
pub(super) struct Text<'a> {
    pub(super) text: &'a str,
    pub(super) span: Range<usize>,
}

impl<'a> Section<'a> {
    /// `label` stands in messages: `[proxy]`.
    pub(super) fn new(label: impl Into<String>, span: Range<usize>, table: &'a DeTable<'a>) -> Self {
        Self { label: label.into(), span, table, asked: Vec::new(), foreign: Vec::new() }
    }

    /// The header, or the whole of an inline table.
    pub(super) fn span(&self) -> Range<usize> {
        self.span.clone()
    }

    /// The value of `key`, if it is there. From here on the key is known.
    pub(super) fn get(&mut self, key: &'static str) -> Option<Value<'a>> {
        self.asked.push(key);
        self.find(key)
    }

    fn find(&self, key: &'static str) -> Option<Value<'a>> {
        let (name, node) = self.table.iter().find(|(name, _)| name.get_ref() == key)?;
        Some(Value { key: key.to_owned(), key_span: name.span(), node })
    }

    /// The value of `key`, which must be there.
    pub(super) fn require(&mut self, key: &'static str, example: &str, reading: &mut Reading<'_>) -> Option<Value<'a>> {
        let value = self.get(key);
        if value.is_none() && !reading.is_broken() {
            let message = format!("`{}` lacks `{key}`", self.label);
            reading.push(Fault::error(self.span(), message).hint(format!("add `{key} = {example}`")));
        }
        value
    }

    /// Keys that exist, but not together with what was chosen.
    pub(super) fn meaningless(&mut self, keys: &[&'static str], because: &str, reading: &mut Reading<'_>) {
        for key in keys {
            self.foreign.push(key);
            if let Some(value) = self.find(key) {
                if !is_harmless(key) {
                    reading.blot_value(value.node);
                }
                let message = format!("`{key}` has no meaning {because}");
                reading.push(Fault::error(value.key_span, message).hint("remove it"));
            }
        }
    }

    /// Says which keys nobody asked for.
    pub(super) fn finish(self, reading: &mut Reading<'_>) {
        for (name, node) in self.table.iter() {
            let key: &str = name.get_ref();
            let known = || self.asked.iter().copied();
            if known().chain(self.foreign.iter().copied()).any(|known| known == key) {
                continue;
            }
            let meant = SYNONYMS.iter().find(|(wrong, right)| *wrong == key && self.asked.contains(right));
            let meant = meant.map(|(_, right)| *right).or_else(|| nearest(key, known()));
            if !meant.is_some_and(is_harmless) {
                reading.blot_value(node);
            }
            let message = format!("unknown key `{}` in `{}`", shortened(key), self.label);
            let fault = Fault::error(name.span(), message);
            reading.push(match meant {
                Some(meant) => fault.hint(format!("did you mean `{meant}`?")),
                None => fault.hint(format!("known keys: {}", listed(known()))),
            });
        }
    }
}

impl<'a> Value<'a> {
    pub(super) fn span(&self) -> Range<usize> {
        self.node.span()
    }

    /// Where the key and its value stand.
    pub(super) fn whole_span(&self) -> Range<usize> {
        self.key_span.start.min(self.span().start)..self.span().end.max(self.key_span.end)
    }

    pub(super) fn is_table(&self) -> bool {
        self.node.get_ref().is_table()
    }

    pub(super) fn string(&self, reading: &mut Reading<'_>) -> Option<Text<'a>> {
        match self.node.get_ref().as_str() {
            Some(text) => Some(Text { text, span: self.span() }),
            None => self.wrong_type("a string", "in quotes", reading),
        }
    }

    pub(super) fn boolean(&self, reading: &mut Reading<'_>) -> Option<bool> {
        self.node.get_ref().as_bool().or_else(|| self.wrong_type("`true` or `false`", "without quotes", reading))
    }

    pub(super) fn integer(&self, range: Range<u64>, reading: &mut Reading<'_>) -> Option<u64> {
        let Some(integer) = self.node.get_ref().as_integer() else {
            return self.wrong_type("an integer", "without quotes", reading);
        };
        match u64::from_str_radix(integer.as_str(), integer.radix()) {
            Ok(number) if range.contains(&number) => Some(number),
            _ => {
                let message = format!("`{}` must be from {} to {}", self.key, range.start, range.end - 1);
                reading.push(Fault::error(self.span(), message));
                None
            }
        }
    }

    pub(super) fn port(&self, reading: &mut Reading<'_>) -> Option<u16> {
        self.integer(1..65_536, reading).and_then(|port| u16::try_from(port).ok())
    }

    /// The elements of a list, each as a value of its own; none when it is no list.
    pub(super) fn list(&self, example: &str, reading: &mut Reading<'_>) -> Vec<Value<'a>> {
        let Some(array) = self.node.get_ref().as_array() else {
            let _: Option<()> = self.wrong_type("a list", &format!("as `{} = {example}`", self.key), reading);
            return Vec::new();
        };
        let element = |node: &'a Spanned<DeValue<'a>>| {
            let key = format!("{}[…]", self.key);
            Value { key, key_span: node.span(), node }
        };
        array.iter().map(element).collect()
    }

    pub(super) fn is_empty_list(&self) -> bool {
        self.node.get_ref().as_array().is_some_and(|array| array.is_empty())
    }

    pub(super) fn strings(&self, example: &str, reading: &mut Reading<'_>) -> Vec<Text<'a>> {
        let elements = self.list(example, reading);
        elements.iter().filter_map(|element| element.string(reading)).collect()
    }

    pub(super) fn table(&self, label: &str, example: &str, reading: &mut Reading<'_>) -> Option<Section<'a>> {
        match self.node.get_ref().as_table() {
            Some(table) => Some(Section::new(label, self.span(), table)),
            None => self.wrong_type("a table", &format!("as `{} = {example}`", self.key), reading),
        }
    }

    /// One of a few words.
    pub(super) fn choice<T: Copy>(&self, words: &[(&'static str, T)], reading: &mut Reading<'_>) -> Option<T> {
        let text = self.string(reading)?;
        if let Some((_, chosen)) = words.iter().find(|(word, _)| *word == text.text) {
            return Some(*chosen);
        }
        let known = || words.iter().map(|(word, _)| *word);
        let fault = Fault::error(text.span, format!("`{}` can't be `{}`", self.key, shortened(text.text)));
        reading.push(match nearest(text.text, known()) {
            Some(meant) => fault.hint(format!("did you mean `\"{meant}\"`?")),
            None => fault.hint(format!("write one of {}", listed(known()))),
        });
        None
    }

    fn wrong_type<T>(&self, wanted: &str, how: &str, reading: &mut Reading<'_>) -> Option<T> {
        let article = |kind: &str| if kind.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" };
        let kind = self.node.get_ref().type_str();
        let message = format!("`{}` must be {wanted}, not {} {kind}", self.key, article(kind));
        reading.push(Fault::error(self.span(), message).hint(format!("write it {how}")));
        None
    }
}

impl<'a> Text<'a> {
    /// What `parse` makes of it; its complaint becomes a fault with `hint`.
    pub(super) fn parse<T, E: Display>(
        &self,
        parse: impl FnOnce(&'a str) -> Result<T, E>,
        hint: &str,
        reading: &mut Reading<'_>,
    ) -> Option<T> {
        match parse(self.text) {
            Ok(value) => Some(value),
            Err(error) => {
                let fault = Fault::error(self.span.clone(), error.to_string());
                reading.push(if hint.is_empty() { fault } else { fault.hint(hint) });
                None
            }
        }
    }
}

/// A user's text as it may stand in a message.
pub(super) fn shortened(text: &str) -> String {
    text.chars().take(80).flat_map(char::escape_debug).collect()
}

/// `a`, `b`, `c`
pub(super) fn listed<'a>(words: impl Iterator<Item = &'a str>) -> String {
    words.map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}

/// What people write who come from other tools.
const SYNONYMS: [(&str, &str); 14] = [
    ("url", "identifier"),
    ("id", "identifier"),
    ("id", "name"),
    ("uri", "identifier"),
    ("auth", "credential"),
    ("source", "credential"),
    ("domain", "hosts"),
    ("bind", "listen"),
    ("address", "listen"),
    ("port", "listen"),
    ("environment", "env"),
    ("variable", "env"),
    ("path", "file"),
    ("dir", "folder"),
];
