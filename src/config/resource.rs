//! `[[resource]]`

use std::ops::Range;

use hyper::Method;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;

use crate::config::credential;
use crate::config::endpoint::Url;
use crate::config::endpoint::is_loopback;
use crate::config::fault::Fault;
use crate::config::file;
use crate::config::proxy;
use crate::config::reading::Reading;
use crate::config::section::Section;
use crate::config::section::Text;
use crate::config::section::Value;
use crate::config::section::shortened;
use crate::model::Authority;
use crate::model::CredentialHeader;
use crate::model::PathForms;
use crate::model::ResourceId;
use crate::model::Scheme;
use crate::resource::Cookies;
use crate::resource::HostPattern;
use crate::resource::PathPattern;
use crate::resource::PrivateAddresses;
use crate::resource::Resource;
use crate::resource::ResourceInstance;
use crate::resource::TargetParameter;

/// A resource, and where its parts stand.
pub(super) struct PlacedResource {
    pub(super) resource: Resource,
    /// Where it says what it claims: the paths, else the hosts, else the identifier.
    pub(super) claim: Range<usize>,
    pub(super) hosts: Range<usize>,
    pub(super) credential: Range<usize>,
    pub(super) header: Option<Range<usize>>,
}

/// What it claims when it names no hosts: what its identifier says, if that is a URL.
struct Claim {
    scheme: Scheme,
    hosts: Vec<HostPattern>,
    port: u16,
}

/// Reads one table whole; none where something was wrong, which has been said.
pub(super) fn read(
    mut section: Section<'_>,
    target: TargetParameter,
    reading: &mut Reading<'_>,
) -> Option<PlacedResource> {
    let identifier = section.require("identifier", "\"https://api.example.com\"", reading);
    let identifier = identifier.and_then(|value| value.string(reading));
    let hosts = section.get("hosts");
    let claim = claim(&mut section, identifier.as_ref(), hosts.as_ref(), reading);
    let paths_value = section.get("paths");
    let paths = paths_value.as_ref().map_or(Some(Vec::new()), |value| paths(value, reading));
    let methods = section.get("methods").map_or(Some(Vec::new()), |value| methods(&value, reading));
    let path_forms = section.get("allow_in_path").map(|value| path_forms(&value, reading)).unwrap_or_default();
    let credential = section.require("credential", "\"token-exchange\"` or `credential = \"none\"", reading);
    let source = credential.as_ref().and_then(|value| credential::read(value, target, reading));
    let header_value = section.get("header");
    let header = match &header_value {
        Some(value) => credential::header(value, reading),
        None => Some(CredentialHeader::bearer()),
    };
    let connect = section.get("connect").and_then(|value| value.string(reading));
    let connect = connect.and_then(|text| text.parse(Authority::parse, "write it like `\"127.0.0.1:8443\"`", reading));
    let extra_roots = section.get("ca").map(|value| extra_roots(&value, reading)).unwrap_or_default();
    let cookies = section
        .get("cookies")
        .and_then(|value| value.choice(&[("strip", Cookies::Strip), ("pass", Cookies::Pass)], reading));
    let private = section.get("private").and_then(|value| value.boolean(reading));
    let id = identifier.as_ref().and_then(|text| {
        text.parse(
            ResourceId::parse,
            "write the URI by which the API is known, like `\"https://api.example.com\"`",
            reading,
        )
    });
    section.finish(reading);
    let (identifier, claim) = (identifier?, claim?);
    let local = claim.hosts.iter().all(is_local);
    let hosts_span = hosts.map_or(identifier.span.clone(), |value| value.span());
    Some(PlacedResource {
        claim: paths_value.map_or(hosts_span.clone(), |value| value.span()),
        hosts: hosts_span,
        credential: credential?.span(),
        header: header_value.map(|value| value.whole_span()),
        resource: Resource {
            instance: ResourceInstance::next(),
            identifier: id?,
            scheme: claim.scheme,
            hosts: claim.hosts,
            port: claim.port,
            paths: paths?,
            methods: methods?,
            path_forms,
            source: source?,
            header: header?,
            connect,
            extra_roots,
            cookies: cookies.unwrap_or_default(),
            private_addresses: match private.unwrap_or(local) {
                true => PrivateAddresses::Permit,
                false => PrivateAddresses::Refuse,
            },
        },
    })
}

/// Whether the host says by itself that it isn't a public name: nothing can turn it to another address.
fn is_local(pattern: &HostPattern) -> bool {
    match pattern {
        HostPattern::Exact(host) => host.address().is_some() || is_loopback(host),
        HostPattern::Below(_) => false,
    }
}

fn claim(
    section: &mut Section<'_>,
    identifier: Option<&Text<'_>>,
    hosts: Option<&Value<'_>>,
    reading: &mut Reading<'_>,
) -> Option<Claim> {
    let words = [("https", Scheme::Https), ("http", Scheme::Http)];
    let scheme = section.get("scheme").map(|value| value.choice(&words, reading));
    let port = section.get("port").map(|value| value.port(reading));
    let hosts = hosts.map(|value| (value, proxy::hosts(value, reading)));
    // What is there and wrong claims nothing, rather than what the default would.
    if scheme == Some(None) || port == Some(None) {
        return None;
    }
    let (scheme, port) = (scheme.flatten(), port.flatten());
    if let Some((value, hosts)) = hosts {
        let scheme = scheme.unwrap_or(Scheme::Https);
        let port = port.unwrap_or(scheme.default_port());
        if value.is_empty_list() {
            let fault = Fault::error(value.span(), "a resource without hosts would claim nothing");
            reading.push(fault.hint("name at least one, or leave the key out to take the identifier's"));
        }
        return Some(Claim { scheme, hosts, port });
    }
    let identifier = identifier?;
    let url = Url::parse(identifier.text).ok();
    let host = url.as_ref().and_then(|url| HostPattern::parse(url.authority.host.as_str()).ok());
    let Some((url, host)) = url.zip(host) else {
        if !reading.is_broken() {
            let fault = Fault::error(section.span(), "the resource names no `hosts`, and its identifier is not a URL");
            reading.push(fault.hint("add `hosts = [\"api.example.com\"]`"));
        }
        return None;
    };
    let scheme = scheme.unwrap_or(url.scheme);
    let own_port = if url.port_written { url.authority.port } else { scheme.default_port() };
    Some(Claim { scheme, hosts: vec![host], port: port.unwrap_or(own_port) })
}

fn paths(value: &Value<'_>, reading: &mut Reading<'_>) -> Option<Vec<PathPattern>> {
    let texts = value.strings("[\"/v1/**\"]", reading);
    let hint = |text: &str| match text {
        text if !text.starts_with('/') => "a path begins with `/`",
        text if text.contains("**") => "`**` stands last, as a segment of its own, like `/v1/**`",
        text if text.contains('*') => "`*` stands for one whole segment, like `/repos/*/issues`",
        _ => "write it as it stands in a request: no query, no `..`, odd characters percent-encoded",
    };
    let read = texts.iter().map(|text| text.parse(PathPattern::parse, hint(text.text), reading)).collect();
    all(read, value, reading)
}

fn methods(value: &Value<'_>, reading: &mut Reading<'_>) -> Option<Vec<Method>> {
    let texts = value.strings("[\"GET\", \"HEAD\"]", reading);
    let read = texts.iter().map(|text| method(text, reading)).collect();
    all(read, value, reading)
}

/// The whole list, if each of it could be read. An empty one could be meant as none or as all, so it is refused.
fn all<T>(read: Vec<Option<T>>, value: &Value<'_>, reading: &mut Reading<'_>) -> Option<Vec<T>> {
    if value.is_empty_list() {
        let fault = Fault::error(value.span(), "an empty list would match nothing");
        reading.push(fault.hint("leave the key out to match all"));
    }
    read.into_iter().collect::<Option<Vec<_>>>().filter(|all| !all.is_empty())
}

fn method(text: &Text<'_>, reading: &mut Reading<'_>) -> Option<Method> {
    let wrong = |message: String| Fault::error(text.span.clone(), message);
    let shown = shortened(text.text);
    let upper = text.text.to_uppercase();
    let fault = match text.text.parse::<Method>() {
        _ if upper != text.text => {
            wrong(format!("`{shown}` is not a method")).hint(format!("did you mean `\"{}\"`?", shortened(&upper)))
        }
        Ok(Method::CONNECT | Method::TRACE) => {
            wrong(format!("`{shown}` is never forwarded to a resource")).hint("remove it")
        }
        Ok(method) => return Some(method),
        Err(_) => wrong(format!("`{shown}` is not a method")).hint("write it like `\"GET\"`"),
    };
    reading.push(fault);
    None
}

fn path_forms(value: &Value<'_>, reading: &mut Reading<'_>) -> PathForms {
    let mut forms = PathForms::default();
    for text in value.strings("[\"%2F\"]", reading) {
        match text.text {
            "%2F" | "%2f" => forms.encoded_slash = true,
            "//" => forms.empty_segment = true,
            ";" => forms.semicolon = true,
            other => {
                let fault = Fault::error(text.span, format!("`{}` can't be allowed in paths", shortened(other)));
                reading.push(fault.hint("write one of `%2F`, `//`, `;`"));
            }
        }
    }
    forms
}

fn extra_roots(value: &Value<'_>, reading: &mut Reading<'_>) -> Vec<CertificateDer<'static>> {
    let Some(text) = value.string(reading) else {
        return Vec::new();
    };
    let path = reading.path(text.text);
    let shown = shortened(&path.display().to_string());
    let pem = match file::read_public(&path) {
        Ok(pem) => pem,
        Err(error) => {
            let fault = Fault::error(text.span, format!("`{shown}` can't be read: {error}"));
            reading.push(fault.hint("a relative path begins at the folder of this file"));
            return Vec::new();
        }
    };
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    match certificates {
        Ok(certificates) if !certificates.is_empty() && certificates.iter().all(is_certificate) => certificates,
        _ => {
            let fault = Fault::error(text.span, format!("`{shown}` holds no certificate"));
            reading.push(fault.hint("it must be PEM, with `-----BEGIN CERTIFICATE-----`"));
            Vec::new()
        }
    }
}

fn is_certificate(der: &CertificateDer<'_>) -> bool {
    x509_parser::parse_x509_certificate(der).is_ok()
}
