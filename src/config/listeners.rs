//! Where the daemon's parts listen: on loopback, and each on a port of its own.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::ops::Range;

use crate::config::Proxy;
use crate::config::Whoami;
use crate::config::Zone;
use crate::config::fault::Fault;
use crate::config::reading::Reading;
use crate::config::section::Section;
use crate::config::section::shortened;

/// Remembers where the addresses stand in the file.
#[derive(Default)]
pub(super) struct Listeners {
    spans: BTreeMap<&'static str, Range<usize>>,
}

impl Listeners {
    /// The section's `listen`, or its default.
    pub(super) fn read(
        &mut self,
        part: &'static str,
        default: SocketAddr,
        section: &mut Section<'_>,
        reading: &mut Reading<'_>,
    ) -> SocketAddr {
        let Some(text) = section.get("listen").and_then(|value| value.string(reading)) else {
            return default;
        };
        let example = format!("write an address and a port of this machine, like `\"{default}\"`");
        let Ok(address) = text.text.parse::<SocketAddr>() else {
            let message = format!("`{}` is not an IP address and a port", shortened(text.text));
            reading.push(Fault::error(text.span, message).hint(example));
            return default;
        };
        if !address.ip().is_loopback() {
            let message = format!("`{}` is not a loopback address: the network could reach it", address.ip());
            reading.push(Fault::error(text.span, message).hint(example));
            return default;
        }
        self.spans.insert(part, text.span);
        address
    }

    /// No two parts at one address.
    pub(super) fn check(&self, proxy: &Proxy, zone: &Zone, whoami: &Whoami, reading: &mut Reading<'_>) {
        let mut seen: Vec<(&'static str, SocketAddr)> = vec![("proxy", proxy.listen)];
        match zone {
            Zone::Embedded { listen } => seen.push(("zone", *listen)),
            Zone::Remote(_) => {}
        }
        if whoami.enabled {
            seen.push(("whoami", whoami.listen));
        }
        for (index, (part, address)) in seen.iter().enumerate() {
            let before = seen.iter().take(index).find(|(_, other)| other == address && address.port() != 0);
            let Some((other, _)) = before else { continue };
            let fault = |span: &Range<usize>, own: &str, other: &str| {
                let message = format!("`[{own}]` and `[{other}]` would both listen on `{address}`");
                Fault::error(span.clone(), message).hint("give one of them another port")
            };
            match (self.spans.get(part), self.spans.get(other)) {
                (Some(span), None) => reading.push(fault(span, part, other)),
                (None, Some(span)) => reading.push(fault(span, other, part)),
                (Some(span), Some(first)) => {
                    reading.push(fault(span, part, other).also(first.clone(), "taken here"));
                }
                (None, None) => {}
            }
        }
    }
}
