//! What can be seen only when all sections are read: claims that collide, secrets that nobody defined.

use std::collections::BTreeMap;

use crate::config::RemoteZone;
use crate::config::WHOAMI_HOST;
use crate::config::Whoami;
use crate::config::Zone;
use crate::config::endpoint::is_loopback;
use crate::config::fault::Fault;
use crate::config::reading::Reading;
use crate::config::resource::PlacedResource;
use crate::config::secret::PlacedSecret;
use crate::config::spelling::nearest;
use crate::model::Host;
use crate::model::Scheme;
use crate::resource::HostPattern;
use crate::resource::PathPattern;
use crate::resource::Resource;
use crate::resource::Source;

/// Each resource by itself, and each against those before it.
pub(super) fn resources(resources: &[PlacedResource], zone: &Zone, whoami: &Whoami, reading: &mut Reading<'_>) {
    for (index, placed) in resources.iter().enumerate() {
        alone(placed, zone, whoami, reading);
        for other in resources.iter().take(index) {
            against(placed, other, reading);
        }
    }
}

fn alone(placed: &PlacedResource, zone: &Zone, whoami: &Whoami, reading: &mut Reading<'_>) {
    let resource = &placed.resource;
    if resource.source != Source::None && resource.scheme == Scheme::Http && !stays_here(resource) {
        let message = "the credential would travel in the clear: the scheme is `http`, and the host is not loopback";
        let fault = Fault::error(placed.credential.clone(), message).also(placed.hosts.clone(), "to here");
        reading.push(fault.hint("use `https`, or `credential = \"none\"`, or `connect` to a port on loopback"));
    }
    let address =
        resource.hosts.iter().find(|host| matches!(host, HostPattern::Exact(host) if host.address().is_some()));
    if let Some(address) = address
        && resource.scheme == Scheme::Https
    {
        let message = format!("`{address}` is an address: the local certificates are for names only");
        let hint = "give the API a name in `hosts`, and `connect` to the address";
        reading.push(Fault::error(placed.hosts.clone(), message).hint(hint));
    }
    if resource.source == Source::None
        && let Some(header) = &placed.header
    {
        let fault = Fault::warning(header.clone(), "a header without a credential to put into it");
        reading.push(fault.hint("remove it, or give the resource a credential"));
    }
    let claims_whoami =
        || Host::parse(WHOAMI_HOST).is_ok_and(|host| resource.hosts.iter().any(|own| own.matches(&host)));
    if whoami.enabled && claims_whoami() {
        let fault = Fault::error(placed.hosts.clone(), format!("`{WHOAMI_HOST}` is the built-in whoami API"));
        reading.push(fault.hint("choose another host, or switch it off: `[whoami]` with `enabled = false`"));
    }
    let without_subject = matches!(zone, Zone::Remote(RemoteZone { refresh_token: None, .. }));
    if without_subject && matches!(resource.source, Source::TokenExchange { .. }) {
        let message = "a token exchange begins with the user's token, and `[zone]` has no `refresh_token` to get one";
        reading.push(
            Fault::warning(placed.credential.clone(), message)
                .hint("add `refresh_token = \"name of a [[secret]]\"` to `[zone]`"),
        );
    }
}

/// Whether what is sent to it never leaves this machine.
fn stays_here(resource: &Resource) -> bool {
    match &resource.connect {
        Some(authority) => is_loopback(&authority.host),
        None => resource.hosts.iter().all(|pattern| match pattern {
            HostPattern::Exact(host) | HostPattern::Below(host) => is_loopback(host),
        }),
    }
}

fn against(placed: &PlacedResource, first: &PlacedResource, reading: &mut Reading<'_>) {
    let (own, other) = (&placed.resource, &first.resource);
    if own.identifier == other.identifier && (own.source != other.source || own.header != other.header) {
        let message = format!("`{}` has two different credentials", own.identifier);
        let fault = Fault::error(placed.credential.clone(), message).also(first.credential.clone(), "the other one");
        reading.push(fault.hint("give both the same credential, or one of them another identifier"));
    }
    if let Some(claimed) = both_claim(own, other) {
        let message = format!("two resources claim `{claimed}`, and neither is more specific");
        let fault = Fault::error(placed.claim.clone(), message).also(first.claim.clone(), "claimed here already");
        reading.push(fault.hint("tell them apart by `paths` or `methods`, or merge them"));
    }
}

/// A host, port and path that both claim with the same right, if there is one.
fn both_claim(own: &Resource, other: &Resource) -> Option<String> {
    let named = |resource: &Resource| !resource.methods.is_empty();
    let methods_meet = match (named(own), named(other)) {
        (true, true) => own.methods.iter().any(|method| other.methods.contains(method)),
        (false, false) => true,
        // named methods are more specific than all of them
        (true, false) | (false, true) => false,
    };
    if own.scheme != other.scheme || own.port != other.port || !methods_meet {
        return None;
    }
    let host = own.hosts.iter().find(|host| other.hosts.contains(host))?;
    let path = match (own.paths.is_empty(), other.paths.is_empty()) {
        (true, true) => "/**".to_owned(),
        (true, false) => other.paths.iter().find(|path| path.as_str() == "/**")?.as_str().to_owned(),
        (false, true) => own.paths.iter().find(|path| path.as_str() == "/**")?.as_str().to_owned(),
        (false, false) => {
            let collides = |path: &&PathPattern| other.paths.iter().any(|theirs| collide(path, theirs));
            own.paths.iter().find(collides)?.as_str().to_owned()
        }
    };
    Some(format!("{host}:{}{path}", own.port))
}

/// Whether a path exists that both match, while neither pins down more than the other.
fn collide(left: &PathPattern, right: &PathPattern) -> bool {
    left.specificity() == right.specificity() && meet(left.as_str(), right.as_str())
}

fn meet(left: &str, right: &str) -> bool {
    let (mut left, mut right) = (left.split('/'), right.split('/'));
    loop {
        match (left.next(), right.next()) {
            (Some("**"), _) | (_, Some("**")) | (None, None) => return true,
            (Some("*"), Some(segment)) | (Some(segment), Some("*")) if !segment.is_empty() => {}
            (Some(own), Some(theirs)) if own == theirs => {}
            _ => return false,
        }
    }
}

/// Every name that is used is defined, once, and every one that is defined is used.
pub(super) fn secrets(secrets: &[PlacedSecret], reading: &mut Reading<'_>) {
    let mut defined = BTreeMap::new();
    for secret in secrets {
        if let Some(first) = defined.insert(secret.name.as_str(), secret) {
            let fault = Fault::error(secret.name_span.clone(), format!("two secrets are named `{}`", secret.name));
            reading.push(fault.also(first.name_span.clone(), "the other one").hint("give one of them another name"));
        }
    }
    let used: Vec<_> = reading.references().iter().map(|used| (used.name.clone(), used.span.clone())).collect();
    for (name, span) in &used {
        if defined.contains_key(name.as_str()) {
            continue;
        }
        let fault = Fault::error(span.clone(), "no `[[secret]]` has this name");
        let fault = match nearest(name, defined.keys().copied()) {
            Some(meant) => fault.hint(format!("did you mean `\"{meant}\"`?")),
            None => {
                // It could be the secret itself.
                reading.blot(span.clone());
                fault.hint("this is the name of a secret, never the secret; add a `[[secret]]` with this `name`")
            }
        };
        reading.push(fault);
    }
    if reading.failed() {
        return; // what would use it may be what is wrong
    }
    for secret in secrets.iter().filter(|secret| !used.iter().any(|(name, _)| *name == secret.name)) {
        let fault = Fault::warning(secret.name_span.clone(), format!("nothing uses the secret `{}`", secret.name));
        reading.push(fault.hint("remove it, or name it in a `credential`"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_collide_only_when_neither_is_more_specific() {
        let collides = |left, right| collide(&PathPattern::parse(left).unwrap(), &PathPattern::parse(right).unwrap());
        assert!(collides("/a/*", "/*/b"));
        assert!(collides("/v1/**", "/v1/**"));
        assert!(!collides("/v1/**", "/v2/**"));
        assert!(!collides("/v1/**", "/v1/users/**"));
        assert!(!collides("/a/b", "/a/*"));
        assert!(!collides("/a/*", "/b/*"));
    }
}
