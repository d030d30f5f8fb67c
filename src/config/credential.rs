//! `credential = …` and `header = …` of a resource.

use crate::config::endpoint;
use crate::config::fault::Fault;
use crate::config::reading::Reading;
use crate::config::secret;
use crate::config::section::Section;
use crate::config::section::Value;
use crate::config::section::listed;
use crate::config::spelling::nearest;
use crate::config::zone;
use crate::model::CredentialHeader;
use crate::model::Scopes;
use crate::resource::Source;
use crate::resource::TargetParameter;
use crate::resource::TokenEndpoint;

/// The kinds, as a word or as `source` of a table.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    None,
    TokenExchange,
    ClientCredentials,
    Stored,
}

/// A word, or a table with a `source`. `target` is what the zone has by default.
pub(super) fn read(value: &Value<'_>, target: TargetParameter, reading: &mut Reading<'_>) -> Option<Source> {
    if !value.is_table() {
        return shorthand(value, target, reading);
    }
    let mut section = value.table("credential", STORED, reading)?;
    let kind = section.require("source", "\"token-exchange\"", reading);
    let kind = kind.and_then(|value| value.choice(&KINDS, reading));
    let source = match kind {
        Some(kind) => of_kind(kind, &mut section, target, reading),
        None => {
            // Unknown keys can't be told from keys of another source.
            for key in OWN_KEYS {
                let _ = section.get(key);
            }
            None
        }
    };
    section.finish(reading);
    source
}

fn shorthand(value: &Value<'_>, target: TargetParameter, reading: &mut Reading<'_>) -> Option<Source> {
    let text = value.string(reading)?;
    match KINDS.iter().find(|(word, _)| *word == text.text).map(|(_, kind)| kind) {
        Some(Kind::None) => Some(Source::None),
        Some(Kind::TokenExchange) => Some(Source::TokenExchange { scopes: Scopes::default(), target }),
        Some(Kind::ClientCredentials) => {
            Some(Source::ClientCredentials { scopes: Scopes::default(), target, endpoint: None })
        }
        Some(Kind::Stored) => {
            let fault = Fault::error(text.span, "a stored credential needs the name of its secret");
            reading.push(fault.hint(format!("write `credential = {STORED}`")));
            None
        }
        None => {
            let known = || KINDS.iter().map(|(word, _)| *word);
            let fault = Fault::error(text.span.clone(), "this is no source of credentials");
            let fault = match nearest(text.text, known()) {
                Some(meant) => fault.hint(format!("did you mean `\"{meant}\"`?")),
                None => {
                    reading.blot(text.span);
                    let hint = format!("write one of {}; for a token of your own: `{STORED}`", listed(known()));
                    fault.hint(hint)
                }
            };
            reading.push(fault);
            None
        }
    }
}

fn of_kind(
    kind: Kind,
    section: &mut Section<'_>,
    target: TargetParameter,
    reading: &mut Reading<'_>,
) -> Option<Source> {
    let (own, because): (&[&'static str], _) = match kind {
        Kind::None => (&[], "without a credential"),
        Kind::Stored => (&["secret"], "for a stored credential"),
        Kind::TokenExchange => (&["scopes", "target"], "for a token exchange, which takes place at the zone"),
        Kind::ClientCredentials => {
            (&["scopes", "target", "token_url", "client_id", "client_secret"], "for client credentials")
        }
    };
    let foreign: Vec<_> = OWN_KEYS.into_iter().filter(|key| !own.contains(key)).collect();
    section.meaningless(&foreign, because, reading);
    match kind {
        Kind::None => Some(Source::None),
        Kind::Stored => {
            let value = section.require("secret", "\"name of a [[secret]]\"", reading)?;
            Some(Source::Stored { secret: secret::reference(&value, reading)? })
        }
        Kind::TokenExchange => {
            let scopes = scopes(section, reading);
            let target = own_target(section, target, reading);
            Some(Source::TokenExchange { scopes: scopes?, target: target? })
        }
        Kind::ClientCredentials => {
            let scopes = scopes(section, reading);
            let target = own_target(section, target, reading);
            let endpoint = token_endpoint(section, reading);
            Some(Source::ClientCredentials { scopes: scopes?, target: target?, endpoint: endpoint? })
        }
    }
}

fn scopes(section: &mut Section<'_>, reading: &mut Reading<'_>) -> Option<Scopes> {
    let Some(value) = section.get("scopes") else {
        return Some(Scopes::default());
    };
    let texts = value.strings("[\"read\"]", reading);
    for text in &texts {
        let hint = if text.text.contains(' ') { "write each scope in quotes of its own: `[\"a\", \"b\"]`" } else { "" };
        let _: Option<Scopes> = text.parse(|scope| Scopes::collect([scope]), hint, reading);
    }
    Scopes::collect(texts.iter().map(|text| text.text)).ok()
}

fn own_target(
    section: &mut Section<'_>,
    default: TargetParameter,
    reading: &mut Reading<'_>,
) -> Option<TargetParameter> {
    section.get("target").map_or(Some(default), |value| zone::target(&value, reading))
}

/// All of its keys, or none: then the zone's.
fn token_endpoint(section: &mut Section<'_>, reading: &mut Reading<'_>) -> Option<Option<TokenEndpoint>> {
    let keys = ["token_url", "client_id", "client_secret"];
    let given: Vec<_> = keys.into_iter().filter_map(|key| section.get(key)).collect();
    if given.is_empty() {
        return Some(None);
    }
    let url = section.require("token_url", "\"https://login.example.com/oauth/token\"", reading);
    let client_id = section.require("client_id", "\"my-client\"", reading);
    let client_secret = section.require("client_secret", "\"name of a [[secret]]\"", reading);
    let url = url.and_then(|value| value.string(reading)).and_then(|text| endpoint::read(&text, reading));
    let client_id = client_id.and_then(|value| zone::client_id(&value, reading));
    let client_secret = client_secret.and_then(|value| secret::reference(&value, reading));
    Some(Some(TokenEndpoint { url: url?, client_id: client_id?, client_secret: client_secret? }))
}

/// `{ name = "X-Api-Key", value = "{token}" }` or `{ basic = "user" }`.
pub(super) fn header(value: &Value<'_>, reading: &mut Reading<'_>) -> Option<CredentialHeader> {
    let mut section = value.table("header", "{ name = \"X-Api-Key\", value = \"{token}\" }", reading)?;
    let header = match section.get("basic") {
        Some(user) => {
            section.meaningless(&["name", "value"], "with `basic`, which is `Authorization: Basic …`", reading);
            user.string(reading).and_then(|user| user.parse(CredentialHeader::basic, "", reading))
        }
        None => {
            let name = section.require("name", "\"X-Api-Key\"", reading).and_then(|value| value.string(reading));
            let template = section.get("value");
            template_header(name, template, reading)
        }
    };
    section.finish(reading);
    header
}

fn template_header(
    name: Option<crate::config::section::Text<'_>>,
    template: Option<Value<'_>>,
    reading: &mut Reading<'_>,
) -> Option<CredentialHeader> {
    // The name by itself first, so that each complaint points at its own string.
    let known =
        name.and_then(|name| name.parse(|text| CredentialHeader::template(text, "{token}").map(|_| text), "", reading));
    let template = match template {
        None => "{token}",
        Some(value) => {
            let text = value.string(reading)?;
            let checked = CredentialHeader::template("authorization", text.text);
            if checked.is_err() {
                // Whoever left out `{token}` may have written the token.
                reading.blot(text.span.clone());
            }
            text.parse(|_| checked, "write it like `\"Token {token}\"`", reading)?;
            text.text
        }
    };
    CredentialHeader::template(known?, template).ok()
}

const KINDS: [(&str, Kind); 4] = [
    ("none", Kind::None),
    ("token-exchange", Kind::TokenExchange),
    ("client-credentials", Kind::ClientCredentials),
    ("stored", Kind::Stored),
];

const OWN_KEYS: [&str; 6] = ["secret", "scopes", "target", "token_url", "client_id", "client_secret"];

const STORED: &str = "{ source = \"stored\", secret = \"name of a [[secret]]\" }";
