//! The whole file: its sections, in the order in which they need one another.

use std::collections::BTreeMap;
use std::ops::Range;

use toml::de::DeTable;
use toml::de::DeValue;

use crate::config::Config;
use crate::config::Faults;
use crate::config::Origin;
use crate::config::Policy;
use crate::config::Proxy;
use crate::config::Whoami;
use crate::config::Zone;
use crate::config::audit;
use crate::config::checks;
use crate::config::fault::Fault;
use crate::config::listeners::Listeners;
use crate::config::policy;
use crate::config::proxy;
use crate::config::reading::Reading;
use crate::config::reading::is_harmless;
use crate::config::resource;
use crate::config::secret;
use crate::config::section::Section;
use crate::config::settings::Audit;
use crate::config::spelling::nearest;
use crate::config::whoami;
use crate::config::zone;
use crate::resource::TargetParameter;

/// Reads `text`, all of it, whatever is wrong with it.
pub(super) fn read(text: &str, origin: Origin<'_>) -> Result<Config, Faults> {
    let mut reading = Reading::new(text, origin);
    let (document, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        complain(error, &mut reading);
    }
    let config = read_sections(document.get_ref(), &mut reading);
    let failed = reading.failed();
    let faults = reading.into_faults();
    if failed { Err(faults) } else { Ok(Config { warnings: faults, ..config }) }
}

fn read_sections(document: &DeTable<'_>, reading: &mut Reading<'_>) -> Config {
    say_unknown(document, reading);
    let mut listeners = Listeners::default();
    let proxy = match one(document, "proxy", reading) {
        Some(section) => proxy::read(section, &mut listeners, reading),
        None => Proxy::default(),
    };
    let zone = match one(document, "zone", reading) {
        Some(section) => zone::read(section, &mut listeners, reading),
        None => Zone::default(),
    };
    let whoami = match one(document, "whoami", reading) {
        Some(section) => whoami::read(section, &mut listeners, reading),
        None => Whoami::default(),
    };
    let audit = match one(document, "audit", reading) {
        Some(section) => audit::read(section, reading),
        None => Audit::default(),
    };
    let policy = match one(document, "policy", reading) {
        Some(section) => policy::read(section, reading),
        None => Policy { folder: None },
    };
    let target = match &zone {
        Zone::Embedded { .. } => TargetParameter::Resource,
        Zone::Remote(remote) => remote.target,
    };
    let resources: Vec<_> = many(document, "resource", reading)
        .into_iter()
        .filter_map(|each| resource::read(each, target, reading))
        .collect();
    let secrets: Vec<_> =
        many(document, "secret", reading).into_iter().filter_map(|each| secret::read(each, reading)).collect();
    if !reading.is_broken() {
        listeners.check(&proxy, &zone, &whoami, reading);
        checks::resources(&resources, &zone, &whoami, reading);
        checks::secrets(&secrets, reading);
    }
    Config {
        source: None,
        proxy,
        zone,
        whoami,
        audit,
        policy,
        resources: resources.into_iter().map(|placed| placed.resource.into()).collect(),
        secrets: secrets
            .into_iter()
            .filter_map(|placed| Some((placed.name, placed.source?)))
            .collect::<BTreeMap<_, _>>(),
        warnings: Faults::default(),
    }
}

/// A section that stands at most once.
fn one<'a>(document: &'a DeTable<'a>, name: &'static str, reading: &mut Reading<'_>) -> Option<Section<'a>> {
    let (_, node) = document.iter().find(|(key, _)| key.get_ref() == name)?;
    match node.get_ref() {
        DeValue::Table(table) => Some(Section::new(format!("[{name}]"), node.span(), table)),
        _ => {
            let message = format!("`{name}` must be a single table");
            reading.push(Fault::error(node.span(), message).hint(format!("write `[{name}]`, once")));
            None
        }
    }
}

/// A section that stands any number of times.
fn many<'a>(document: &'a DeTable<'a>, name: &'static str, reading: &mut Reading<'_>) -> Vec<Section<'a>> {
    let Some((_, node)) = document.iter().find(|(key, _)| key.get_ref() == name) else {
        return Vec::new();
    };
    let mut wrong = |span: Range<usize>| {
        let message = format!("`{name}` must be a list of tables");
        reading.push(Fault::error(span, message).hint(format!("write `[[{name}]]` above each, with two brackets")));
    };
    let Some(elements) = node.get_ref().as_array() else {
        wrong(node.span());
        return Vec::new();
    };
    let mut sections = Vec::new();
    for element in elements.iter() {
        match element.get_ref().as_table() {
            Some(table) => sections.push(Section::new(format!("[[{name}]]"), element.span(), table)),
            None => wrong(element.span()),
        }
    }
    sections
}

fn say_unknown(document: &DeTable<'_>, reading: &mut Reading<'_>) {
    for (key, node) in document.iter() {
        let name: &str = key.get_ref();
        if SECTIONS.iter().any(|(known, _)| *known == name) {
            continue;
        }
        reading.blot_value(node);
        let what = if node.get_ref().is_table() || node.get_ref().is_array() { "section" } else { "key" };
        let fault = Fault::error(key.span(), format!("unknown {what} `{}`", name.escape_debug()));
        let meant = nearest(name, SECTIONS.iter().map(|(known, _)| *known));
        let written = |name: &str| SECTIONS.iter().find(|(known, _)| *known == name).map_or("", |(_, written)| written);
        reading.push(match meant {
            Some(meant) => fault.hint(format!("did you mean `{}`?", written(meant))),
            None => {
                let all: Vec<_> = SECTIONS.iter().map(|(_, written)| format!("`{written}`")).collect();
                fault.hint(format!("known sections: {}", all.join(", ")))
            }
        });
    }
}

/// A syntax error. What stands behind the `=` of a key we don't know might be a secret without its quotes.
fn complain(error: &toml::de::Error, reading: &mut Reading<'_>) {
    let text = reading.text();
    let span = error.span().unwrap_or(0..0);
    let line_start = text.get(..span.start).and_then(|before| before.rfind('\n')).map_or(0, |newline| newline + 1);
    let line_end = text.get(span.end..).and_then(|after| after.find('\n')).map_or(text.len(), |at| span.end + at);
    let line = text.get(line_start..line_end).unwrap_or("");
    let doubtful = doubtful(line);
    if let Some(doubtful) = doubtful {
        reading.blot(line_start + doubtful..line_end);
    }
    let message = error.message();
    let fault = Fault::error(span, message.strip_suffix(", expected nothing").unwrap_or(message));
    let hints = [
        ("duplicate key", "each key stands once in its table"),
        ("string values must be quoted", "write it in quotes"),
        ("invalid basic string", "is the closing quote missing?"),
        ("invalid literal string", "is the closing quote missing?"),
        ("invalid multi-line", "are the closing quotes missing?"),
        ("key with no value", "write it as `key = value`"),
        ("invalid float", "if it is text, write it in quotes"),
        ("invalid integer", "if it is text, write it in quotes"),
        ("invalid datetime", "if it is text, write it in quotes"),
    ];
    let fault = match hints.iter().find(|(known, _)| message.contains(known)) {
        // what could be a secret is not said again
        Some((_, hint)) if doubtful.is_none() && hint.ends_with("in quotes") => match quoted(line) {
            Some(quoted) => fault.hint(format!("{hint}: `{quoted}`")),
            None => fault.hint(*hint),
        },
        Some((_, hint)) => fault.hint(*hint),
        None => fault,
    };
    reading.push_broken(fault, line_start..line_end);
}

/// The line as it was meant: its bare value in quotes.
fn quoted(line: &str) -> Option<String> {
    let (key, value) = line.split_once('=')?;
    let value = value.split_once(" #").map_or(value, |(value, _)| value).trim();
    let bare =
        !value.is_empty() && !value.contains(['"', '\'', '\\', '{', '[', ',']) && !value.contains(char::is_control);
    bare.then(|| format!("{} = \"{value}\"", key.trim()))
}

/// Where in a broken line something begins that could be a secret: behind the `=` of a key that we don't know, or
/// the line itself, when it may be the middle of a longer text.
fn doubtful(line: &str) -> Option<usize> {
    let word_end =
        |text: &str| text.rfind(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '-'))).map_or(0, |at| at + 1);
    let mut keys = line.match_indices('=').map(|(at, _)| {
        let before = line.get(..at).unwrap_or("").trim_end();
        (at, before.get(word_end(before)..).unwrap_or(""))
    });
    let Some((at, first)) = keys.next() else {
        let word = line.split_whitespace().next().unwrap_or("");
        return (!word.starts_with(['[', '#']) && !is_harmless(word)).then_some(0);
    };
    if !is_harmless(first) {
        return Some(if first.len() > LONGEST_KEY { 0 } else { at + 1 });
    }
    keys.find(|(_, key)| !is_harmless(key)).map(|(at, _)| at + 1)
}

/// A longer word before `=` is hardly a key; it may be the end of something in Base64.
const LONGEST_KEY: usize = 16;

const SECTIONS: [(&str, &str); 7] = [
    ("proxy", "[proxy]"),
    ("zone", "[zone]"),
    ("whoami", "[whoami]"),
    ("audit", "[audit]"),
    ("policy", "[policy]"),
    ("resource", "[[resource]]"),
    ("secret", "[[secret]]"),
];
