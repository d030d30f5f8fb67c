//! The whole file: its sections, in the order in which they need one another.

use std::collections::BTreeMap;
use std::ops::Range;

use toml::Spanned;
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
use crate::config::proxy;
use crate::config::reading::Reading;
use crate::config::resource;
use crate::config::secret;
use crate::config::section::Section;
use crate::config::settings::Audit;
use crate::config::spelling::nearest;
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
        Some(section) => audit::read_whoami(section, &mut listeners, reading),
        None => Whoami::default(),
    };
    let audit = match one(document, "audit", reading) {
        Some(section) => audit::read(section, reading),
        None => Audit::default(),
    };
    let policy = match one(document, "policy", reading) {
        Some(section) => audit::read_policy(section, reading),
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
    let (key, node) = document.iter().find(|(key, _)| key.get_ref() == name)?;
    match node.get_ref() {
        DeValue::Table(table) => Some(Section::new(format!("[{name}]"), header(key.span(), node), table)),
        _ => {
            let message = format!("`{name}` must be a single table");
            reading.push(Fault::error(header(key.span(), node), message).hint(format!("write `[{name}]`, once")));
            None
        }
    }
}

/// A section that stands any number of times.
fn many<'a>(document: &'a DeTable<'a>, name: &'static str, reading: &mut Reading<'_>) -> Vec<Section<'a>> {
    let Some((key, node)) = document.iter().find(|(key, _)| key.get_ref() == name) else {
        return Vec::new();
    };
    let mut wrong = |span: Range<usize>| {
        let message = format!("`{name}` must be a list of tables");
        reading.push(Fault::error(span, message).hint(format!("write `[[{name}]]` above each, with two brackets")));
    };
    let Some(elements) = node.get_ref().as_array() else {
        wrong(header(key.span(), node));
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

/// A dotted key (`proxy.listen = …`) has no header to point at.
fn header(key: Range<usize>, node: &Spanned<DeValue<'_>>) -> Range<usize> {
    if node.span().is_empty() { key } else { node.span() }
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
    for (at, _) in line.match_indices('=') {
        let key = line.get(..at).unwrap_or("").trim_end();
        let key = key.rsplit(|c: char| !(c.is_alphanumeric() || c == '_' || c == '-')).next().unwrap_or(key);
        if !HARMLESS.contains(&key) {
            reading.blot(line_start + at + 1..line_end);
            break;
        }
    }
    let fault = Fault::error(span, error.message().to_owned());
    let fault = match error.message() {
        message if message.contains("duplicate key") => fault.hint("each key stands once in its table"),
        message if message.contains("string values must be quoted") => fault.hint("write it in quotes"),
        _ => fault,
    };
    reading.push_broken(fault, line_start..line_end);
}

const SECTIONS: [(&str, &str); 7] = [
    ("proxy", "[proxy]"),
    ("zone", "[zone]"),
    ("whoami", "[whoami]"),
    ("audit", "[audit]"),
    ("policy", "[policy]"),
    ("resource", "[[resource]]"),
    ("secret", "[[secret]]"),
];

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
