//! `[proxy]`

use std::net::IpAddr;

use crate::config::Proxy;
use crate::config::ProxyLogin;
use crate::config::Unidentified;
use crate::config::Unlisted;
use crate::config::UpstreamProxy;
use crate::config::endpoint::NotAUrl;
use crate::config::endpoint::Url;
use crate::config::fault::Fault;
use crate::config::listeners::Listeners;
use crate::config::reading::Reading;
use crate::config::secret;
use crate::config::section::Section;
use crate::config::section::Text;
use crate::config::section::Value;
use crate::config::section::shortened;
use crate::model::Scheme;
use crate::resource::HostPattern;
use crate::upstream::NoProxy;

/// Reads the section; what is absent or wrong is as by default.
pub(super) fn read(mut section: Section<'_>, listeners: &mut Listeners, reading: &mut Reading<'_>) -> Proxy {
    let default = Proxy::default();
    let proxy = Proxy {
        listen: listeners.read("proxy", default.listen, &mut section, reading),
        unlisted: section
            .get("unlisted")
            .and_then(|value| value.choice(&[("tunnel", Unlisted::Tunnel), ("deny", Unlisted::Deny)], reading))
            .unwrap_or(default.unlisted),
        unidentified: section
            .get("unidentified")
            .and_then(|value| unidentified(&value, reading))
            .unwrap_or(default.unidentified),
        upstream: section.get("upstream").and_then(|value| upstream(&value, reading)),
        no_proxy: section.get("no_proxy").map_or(default.no_proxy, |value| no_proxy(&value, reading)),
        tunnel_ports: section.get("tunnel_ports").map_or(default.tunnel_ports, |value| ports(&value, reading)),
        private_tunnels: section.get("private_tunnels").map_or(default.private_tunnels, |value| hosts(&value, reading)),
    };
    section.finish(reading);
    proxy
}

fn unidentified(value: &Value<'_>, reading: &mut Reading<'_>) -> Option<Unidentified> {
    value.choice(&[("refuse", Unidentified::Refuse), ("anonymous", Unidentified::Anonymous)], reading)
}

fn ports(value: &Value<'_>, reading: &mut Reading<'_>) -> Vec<u16> {
    let elements = value.list("[443]", reading);
    elements.iter().filter_map(|element| element.port(reading)).collect()
}

/// Host patterns, as in a resource.
pub(super) fn hosts(value: &Value<'_>, reading: &mut Reading<'_>) -> Vec<HostPattern> {
    let texts = value.strings("[\"api.example.com\"]", reading);
    texts.iter().filter_map(|text| host(text, reading)).collect()
}

fn host(text: &Text<'_>, reading: &mut Reading<'_>) -> Option<HostPattern> {
    let hint = match text.text {
        url if url.contains("://") => "write the host alone, without `https://`",
        wild if wild.starts_with("*.") && wild.matches('*').count() == 1 => {
            "name the hosts, or a wildcard below a name of yours"
        }
        port if port.matches(':').count() == 1 => "write the host alone; the port has a key of its own",
        _ => "write a host like `\"api.example.com\"`, or `\"*.example.com\"` for every name below it",
    };
    text.parse(HostPattern::parse, hint, reading)
}

/// A URL, or a table with a URL and a login.
fn upstream(value: &Value<'_>, reading: &mut Reading<'_>) -> Option<UpstreamProxy> {
    if !value.is_table() {
        let authority = upstream_url(&value.string(reading)?, reading)?;
        return Some(UpstreamProxy { authority, login: None });
    }
    let example = "{ url = \"http://proxy.example.com:3128\", user = \"me\", password = \"secret-name\" }";
    let mut section = value.table("proxy.upstream", example, reading)?;
    let url = section.require("url", "\"http://proxy.example.com:3128\"", reading);
    let authority = url.and_then(|value| value.string(reading)).and_then(|text| upstream_url(&text, reading));
    let user = section.get("user");
    let password = section.get("password");
    let login = match (user, password) {
        (None, None) => None,
        (Some(user), Some(password)) => {
            let user = user.string(reading);
            let password = secret::reference(&password, reading);
            user.zip(password).map(|(user, password)| ProxyLogin { user: user.text.to_owned(), password })
        }
        (Some(one), None) | (None, Some(one)) => {
            let message = "`user` and `password` come together";
            reading.push(Fault::error(one.whole_span(), message).hint("`password` is the name of a `[[secret]]`"));
            None
        }
    };
    section.finish(reading);
    Some(UpstreamProxy { authority: authority?, login })
}

fn upstream_url(text: &Text<'_>, reading: &mut Reading<'_>) -> Option<crate::model::Authority> {
    let wrong = |message: &str, hint: &str| Some(Fault::error(text.span.clone(), message).hint(hint));
    if text.text.contains('@') {
        reading.blot(text.span.clone());
        let hint = "write `upstream = { url = …, user = …, password = \"name of a [[secret]]\" }`";
        wrong("a password does not belong in this file", hint).into_iter().for_each(|fault| reading.push(fault));
        return None;
    }
    let parse = |text| Url::parse(text);
    let url = text.parse::<_, NotAUrl>(parse, "write it like `http://proxy.example.com:3128`", reading)?;
    let fault = match (url.scheme, url.port_written, url.rest) {
        (Scheme::Https, _, _) => {
            wrong("a proxy is spoken to by http", "write `http://`; what goes through it is encrypted by itself")
        }
        (Scheme::Http, false, _) => {
            wrong("the proxy's port is missing", "write it like `http://proxy.example.com:3128`")
        }
        (Scheme::Http, true, "" | "/") => None,
        (Scheme::Http, true, _) => wrong("a proxy has no path", "leave out what follows the port"),
    };
    match fault {
        None => Some(url.authority),
        Some(fault) => {
            reading.push(fault);
            None
        }
    }
}

fn no_proxy(value: &Value<'_>, reading: &mut Reading<'_>) -> Vec<NoProxy> {
    let texts = value.strings("[\"*.corp.example.com\", \"10.0.0.0/8\"]", reading);
    let hint = "write a host, `*.example.com`, an address or a network like `10.0.0.0/8`";
    texts.iter().filter_map(|text| text.parse(exception, hint, reading)).collect()
}

fn exception(text: &str) -> Result<NoProxy, String> {
    let refuse = || format!("`{}` is no host, address or network", shortened(text));
    if text == "*" {
        return Ok(NoProxy::Every);
    }
    if let Some((address, prefix)) = text.split_once('/') {
        let address: IpAddr = address.parse().map_err(|_| refuse())?;
        let prefix: u8 = prefix.parse().map_err(|_| refuse())?;
        let longest = if address.is_ipv4() { 32 } else { 128 };
        return if prefix <= longest { Ok(NoProxy::Network { address, prefix }) } else { Err(refuse()) };
    }
    if let Ok(IpAddr::V6(address)) = text.parse() {
        return Ok(NoProxy::Network { address: address.into(), prefix: 128 });
    }
    // `.example.com` is how the NO_PROXY variable says it
    let spelled = text.strip_prefix('.').map(|parent| format!("*.{parent}"));
    HostPattern::parse(spelled.as_deref().unwrap_or(text)).map(NoProxy::Host).map_err(|_| refuse())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exceptions_are_hosts_addresses_and_networks() {
        assert_eq!(exception("*"), Ok(NoProxy::Every));
        assert_eq!(exception(".corp.example"), exception("*.corp.example"));
        let network = NoProxy::Network { address: "10.0.0.0".parse().unwrap(), prefix: 8 };
        assert_eq!(exception("10.0.0.0/8"), Ok(network));
        for bad in ["10.0.0.0/33", "http://a", "a b", "", "/8", "*x"] {
            assert!(exception(bad).is_err(), "{bad}");
        }
    }
}
