//! `[zone]`

use crate::config::RemoteZone;
use crate::config::Zone;
use crate::config::endpoint;
use crate::config::fault::Fault;
use crate::config::listeners::Listeners;
use crate::config::reading::Reading;
use crate::config::secret;
use crate::config::section::Section;
use crate::config::section::Text;
use crate::config::section::Value;
use crate::resource::TargetParameter;

/// Reads the section; an issuer that isn't `embedded` makes it remote.
pub(super) fn read(mut section: Section<'_>, listeners: &mut Listeners, reading: &mut Reading<'_>) -> Zone {
    let issuer = section.get("issuer").and_then(|value| value.string(reading));
    let zone = match issuer {
        Some(issuer) if issuer.text != "embedded" => remote(&issuer, &mut section, reading),
        _ => embedded(&mut section, listeners, reading),
    };
    section.finish(reading);
    zone
}

fn embedded(section: &mut Section<'_>, listeners: &mut Listeners, reading: &mut Reading<'_>) -> Zone {
    let Zone::Embedded { listen } = Zone::default() else {
        return Zone::default();
    };
    let listen = listeners.read("zone", listen, section, reading);
    let foreign = ["client_id", "client_secret", "refresh_token", "target"];
    section.meaningless(&foreign, "with the embedded zone, which knows its own agents", reading);
    Zone::Embedded { listen }
}

fn remote(issuer: &Text<'_>, section: &mut Section<'_>, reading: &mut Reading<'_>) -> Zone {
    section.meaningless(&["listen"], "with a zone elsewhere", reading);
    let url = issuer_url(issuer, reading);
    let client_id = section.require("client_id", "\"valetkey\"", reading).and_then(|value| client_id(&value, reading));
    let client_secret = section.require("client_secret", "\"name of a [[secret]]\"", reading);
    let client_secret = client_secret.and_then(|value| secret::reference(&value, reading));
    let refresh_token = section.get("refresh_token").and_then(|value| secret::reference(&value, reading));
    let target = section.get("target").and_then(|value| target(&value, reading));
    let target = target.unwrap_or(TargetParameter::Resource);
    // What is missing here has been said, so that none of these defaults outlives the reading.
    Zone::Remote(RemoteZone {
        issuer: url.unwrap_or_default(),
        client_id: client_id.unwrap_or_default(),
        client_secret: client_secret.unwrap_or_default(),
        refresh_token,
        target,
    })
}

fn issuer_url(issuer: &Text<'_>, reading: &mut Reading<'_>) -> Option<String> {
    if !issuer.text.contains("://") {
        let message = "the issuer is neither `embedded` nor a URL";
        let hint = "write `issuer = \"embedded\"`, or one like `\"https://zone.example.com\"`";
        reading.push(Fault::error(issuer.span.clone(), message).hint(hint));
        return None;
    }
    endpoint::read(issuer, reading)
}

/// RFC 6749 §A.1: printable ASCII.
pub(super) fn client_id(value: &Value<'_>, reading: &mut Reading<'_>) -> Option<String> {
    let text = value.string(reading)?;
    if text.text.is_empty() || !text.text.bytes().all(|byte| (0x20..0x7f).contains(&byte)) {
        reading.push(Fault::error(text.span, "a client id is printable ASCII, and not empty"));
        return None;
    }
    Some(text.text.to_owned())
}

/// How a server is told which API a token is for.
pub(super) fn target(value: &Value<'_>, reading: &mut Reading<'_>) -> Option<TargetParameter> {
    let words = [("resource", TargetParameter::Resource), ("audience", TargetParameter::Audience)];
    value.choice(&words, reading)
}
