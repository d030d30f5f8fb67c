//! `[[secret]]`, and the names by which other sections use one.

use std::ops::Range;

use crate::config::fault::Fault;
use crate::config::reading::Reading;
use crate::config::section::Section;
use crate::config::section::Text;
use crate::config::section::Value;
use crate::credential::SecretSource;

/// A secret, and where it stands.
pub(super) struct PlacedSecret {
    pub(super) name: String,
    pub(super) name_span: Range<usize>,
    /// None where it is wrong, which has been said.
    pub(super) source: Option<SecretSource>,
}

/// Reads one table, and looks whether the secret can be had.
pub(super) fn read(mut section: Section<'_>, reading: &mut Reading<'_>) -> Option<PlacedSecret> {
    let name = section.require("name", "\"github\"", reading).and_then(|value| name(&value, reading));
    let source = source(&mut section, reading);
    section.finish(reading);
    let name = name?;
    Some(PlacedSecret { name: name.text.to_owned(), name_span: name.span, source })
}

fn source(section: &mut Section<'_>, reading: &mut Reading<'_>) -> Option<SecretSource> {
    type Read = fn(&Value<'_>, &mut Reading<'_>) -> Option<SecretSource>;
    let kinds: [(&'static str, Read); 3] = [("env", environment), ("file", file), ("keychain", keychain)];
    let given: Vec<_> = kinds.into_iter().filter_map(|(key, read)| Some((section.get(key)?, read))).collect();
    let Some((value, read)) = given.first() else {
        if !reading.is_broken() {
            let hint =
                "add `env = \"VARIABLE\"`, `file = \"path\"` or `keychain = { service = \"…\", account = \"…\" }`";
            reading.push(Fault::error(section.span(), "the secret doesn't say where it is").hint(hint));
        }
        return None;
    };
    for (second, _) in given.iter().skip(1) {
        let fault = Fault::error(second.whole_span(), "the secret says twice where it is");
        reading.push(fault.also(value.whole_span(), "said here already").hint("keep one"));
    }
    let source = read(value, reading)?;
    if let Err(error) = source.read(reading.environment()) {
        let fault = Fault::error(value.span(), format!("the secret can't be read: {error}"));
        reading.push(fault.hint(error.hint()));
    }
    Some(source)
}

fn name<'a>(value: &Value<'a>, reading: &mut Reading<'_>) -> Option<Text<'a>> {
    let text = value.string(reading)?;
    if !is_name(text.text) {
        reading.blot(text.span.clone());
        let hint = "letters, digits, `-`, `_` and `.`, at most 64; the secret itself does not belong in this file";
        reading.push(Fault::error(text.span, "this is not a name for a secret").hint(hint));
        return None;
    }
    Some(text)
}

fn environment(value: &Value<'_>, reading: &mut Reading<'_>) -> Option<SecretSource> {
    let text = value.string(reading)?;
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let named = text.text.bytes().all(legal) && !text.text.starts_with(|first: char| first.is_ascii_digit());
    if text.text.is_empty() || !named {
        reading.blot(text.span.clone());
        let hint = "write the variable's name, like `env = \"GITHUB_TOKEN\"`, not its value";
        reading.push(Fault::error(text.span, "this is not the name of an environment variable").hint(hint));
        return None;
    }
    if (reading.environment())(text.text).is_none() && text.text.bytes().any(|byte| byte.is_ascii_lowercase()) {
        // `ghp_…` is a legal name as well: show it only where it looks like one
        reading.blot(text.span.clone());
        let hint = "write the variable's name, not its value, and set it where the daemon is started";
        reading.push(Fault::error(text.span, "no environment variable of this name is set").hint(hint));
        return None;
    }
    Some(SecretSource::Environment(text.text.to_owned()))
}

fn file(value: &Value<'_>, reading: &mut Reading<'_>) -> Option<SecretSource> {
    let text = value.string(reading)?;
    if text.text.is_empty() {
        reading.push(Fault::error(text.span, "the path is empty"));
        return None;
    }
    Some(SecretSource::File(reading.path(text.text)))
}

fn keychain(value: &Value<'_>, reading: &mut Reading<'_>) -> Option<SecretSource> {
    let example = "{ service = \"valetkey\", account = \"github\" }";
    let mut section = value.table("keychain", example, reading)?;
    let service = section.require("service", "\"valetkey\"", reading).and_then(|value| value.string(reading));
    let account = section.require("account", "\"github\"", reading).and_then(|value| value.string(reading));
    section.finish(reading);
    Some(SecretSource::Keychain { service: service?.text.to_owned(), account: account?.text.to_owned() })
}

/// The name of a secret, where one is used. Nothing of it is shown unless it turns out to be defined.
pub(super) fn reference(value: &Value<'_>, reading: &mut Reading<'_>) -> Option<String> {
    let Some(text) = value.string(reading) else {
        reading.blot(value.span());
        return None;
    };
    reading.refer(text.text, text.span);
    Some(text.text.to_owned())
}

fn is_name(text: &str) -> bool {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    (1..=64).contains(&text.len()) && text.bytes().all(legal)
}
