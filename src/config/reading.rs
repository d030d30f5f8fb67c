//! One reading of one file: what it was told, and what it found so far.

use std::ffi::OsString;
use std::ops::Range;
use std::path::Path;
use std::path::PathBuf;

use toml::Spanned;
use toml::de::DeValue;

use crate::config::fault::Fault;
use crate::config::fault::Faults;
use crate::config::fault::Severity;

/// How the environment is asked.
pub type Environment<'a> = &'a dyn Fn(&str) -> Option<OsString>;

/// Where a text came from.
#[derive(Clone, Copy)]
pub struct Origin<'a> {
    /// How faults name it.
    pub name: &'a str,
    /// What relative paths in it are relative to.
    pub folder: &'a Path,
    /// For secrets in the environment and for `~/`.
    pub environment: Environment<'a>,
}

/// Collects faults instead of stopping at the first.
pub(super) struct Reading<'a> {
    text: &'a str,
    origin: Origin<'a>,
    faults: Vec<Fault>,
    blots: Vec<Range<usize>>,
    references: Vec<Reference>,
    broken_lines: Vec<Range<usize>>,
}

/// A place that names a `[[secret]]`.
pub(super) struct Reference {
    pub(super) name: String,
    pub(super) span: Range<usize>,
}

impl<'a> Reading<'a> {
    pub(super) fn new(text: &'a str, origin: Origin<'a>) -> Self {
        Self { text, origin, faults: Vec::new(), blots: Vec::new(), references: Vec::new(), broken_lines: Vec::new() }
    }

    pub(super) fn text(&self) -> &'a str {
        self.text
    }

    pub(super) fn environment(&self) -> Environment<'a> {
        self.origin.environment
    }

    /// Takes a fault up, unless it is only what a broken line looked like.
    pub(super) fn push(&mut self, fault: Fault) {
        let span = fault.span().unwrap_or_default();
        let broken = |line: &Range<usize>| span.start <= line.end && line.start <= span.end;
        if !self.broken_lines.iter().any(broken) {
            self.faults.push(fault);
        }
    }

    /// Takes up that a line is no TOML. From here on, what is missing may just stand there.
    pub(super) fn push_broken(&mut self, fault: Fault, line: Range<usize>) {
        self.faults.push(fault);
        self.broken_lines.push(line);
    }

    /// Whether a part of the text is no TOML.
    pub(super) fn is_broken(&self) -> bool {
        !self.broken_lines.is_empty()
    }

    /// Never shows what stands there: it could be a secret in the wrong place.
    pub(super) fn blot(&mut self, span: Range<usize>) {
        self.blots.push(span);
    }

    /// Blots out a value, and what stands below a header.
    pub(super) fn blot_value(&mut self, node: &Spanned<DeValue<'_>>) {
        match node.get_ref() {
            DeValue::Table(table) => table.iter().for_each(|(_, below)| self.blot_value(below)),
            DeValue::Array(array) => array.iter().for_each(|below| self.blot_value(below)),
            _ => self.blot(node.span()),
        }
    }

    pub(super) fn refer(&mut self, name: &str, span: Range<usize>) {
        self.references.push(Reference { name: name.to_owned(), span });
    }

    pub(super) fn references(&self) -> &[Reference] {
        &self.references
    }

    /// A path of the file as the daemon opens it: `~/` is the user's home, relative is relative to the file.
    pub(super) fn path(&self, text: &str) -> PathBuf {
        let home = || (self.origin.environment)("HOME").map(PathBuf::from);
        match text.strip_prefix("~/").and_then(|rest| Some(home()?.join(rest))) {
            Some(below_home) => below_home,
            None => self.origin.folder.join(text),
        }
    }

    pub(super) fn failed(&self) -> bool {
        self.faults.iter().any(|fault| fault.severity() == Severity::Error)
    }

    pub(super) fn into_faults(self) -> Faults {
        let mut bytes = self.text.as_bytes().to_vec();
        for blot in self.blots {
            let covered = bytes.get_mut(blot).into_iter().flatten();
            covered.filter(|byte| !matches!(byte, b'\n' | b'\r')).for_each(|byte| *byte = b'*');
        }
        // Blots cover whole TOML values, so what is left is still UTF-8.
        Faults::new(self.origin.name, &String::from_utf8_lossy(&bytes), self.faults)
    }
}

/// Whether the values of a key may be shown even where they are in the wrong place. A secret's name may not.
pub(super) fn is_harmless(key: &str) -> bool {
    HARMLESS.contains(&key)
}

/// Keys whose values may be shown in a line that is not even TOML.
const HARMLESS: [&str; 33] = [
    "listen",
    "unlisted",
    "unidentified",
    "no_proxy",
    "tunnel_ports",
    "private_tunnels",
    "issuer",
    "client_id",
    "target",
    "enabled",
    "folder",
    "durability",
    "rotate_bytes",
    "sign_every",
    "identifier",
    "hosts",
    "port",
    "scheme",
    "paths",
    "methods",
    "credential",
    "source",
    "scopes",
    "header",
    "name",
    "connect",
    "ca",
    "cookies",
    "private",
    "allow_in_path",
    "env",
    "file",
    "keychain",
];
