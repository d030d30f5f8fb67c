//! What a configuration says, as types that each part is handed its own of.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use crate::config::fault::Faults;
use crate::credential::SecretSource;
use crate::limits;
use crate::model::Authority;
use crate::resource::HostPattern;
use crate::resource::Resource;
use crate::resource::TargetParameter;
use crate::upstream::NoProxy;

/// A whole configuration without faults.
#[derive(Clone, Debug)]
pub struct Config {
    /// The file; none where the built-in defaults are in force.
    pub source: Option<PathBuf>,
    /// `[proxy]`
    pub proxy: Proxy,
    /// `[zone]`
    pub zone: Zone,
    /// `[whoami]`
    pub whoami: Whoami,
    /// `[audit]`
    pub audit: Audit,
    /// `[policy]`
    pub policy: Policy,
    /// `[[resource]]`, in the order of the file. The built-in whoami resource is not among them.
    pub resources: Vec<Arc<Resource>>,
    /// `[[secret]]`, by name. Each could be read when the file was loaded.
    pub secrets: BTreeMap<String, SecretSource>,
    /// What may be used, but hardly says what was meant.
    pub warnings: Faults,
}

/// `[proxy]`: the edge that agents talk to.
#[derive(Clone, Debug)]
pub struct Proxy {
    /// Loopback, always.
    pub listen: SocketAddr,
    /// What happens to hosts that are no resource.
    pub unlisted: Unlisted,
    /// What happens to clients that don't say which session they are of.
    pub unidentified: Unidentified,
    /// A proxy between the daemon and the network.
    pub upstream: Option<UpstreamProxy>,
    /// Hosts that are reached without it.
    pub no_proxy: Vec<NoProxy>,
    /// Ports to which tunnels may be opened.
    pub tunnel_ports: Vec<u16>,
    /// Hosts to which tunnels may be opened although their addresses are private.
    pub private_tunnels: Vec<HostPattern>,
}

/// What happens to hosts that are no resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unlisted {
    /// Passed on untouched, after a decision, and recorded.
    Tunnel,
    /// Denied.
    Deny,
}

/// What happens to clients that don't say which session they are of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unidentified {
    /// 407.
    Refuse,
    /// Served as agent `anonymous`, without credentials.
    Anonymous,
}

/// A proxy between the daemon and the network, spoken to in plain HTTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamProxy {
    /// Where it listens.
    pub authority: Authority,
    /// Who we are to it, if it asks.
    pub login: Option<ProxyLogin>,
}

/// Basic credentials for the upstream proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProxyLogin {
    /// User name.
    pub user: String,
    /// The `[[secret]]` that holds the password.
    pub password: String,
}

/// `[zone]`: who issues tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Zone {
    /// The daemon's own, on loopback.
    Embedded {
        /// Where it listens.
        listen: SocketAddr,
    },
    /// Any other authorization server.
    Remote(RemoteZone),
}

/// An authorization server elsewhere, and who we are to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteZone {
    /// `https://…`, or `http://` to loopback; compared exactly (RFC 8414 §3.3).
    pub issuer: String,
    /// RFC 6749 §2.2.
    pub client_id: String,
    /// The `[[secret]]` that holds the client secret.
    pub client_secret: String,
    /// The `[[secret]]` that holds the user's refresh token, from which the subject of an exchange is had.
    pub refresh_token: Option<String>,
    /// How it is told which API a token is for, where a resource doesn't say.
    pub target: TargetParameter,
}

/// `[whoami]`: the small API that shows an agent itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Whoami {
    /// Whether it runs.
    pub enabled: bool,
    /// Where it listens.
    pub listen: SocketAddr,
}

/// `[audit]`: the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Audit {
    /// Elsewhere than in the state folder.
    pub folder: Option<PathBuf>,
    /// When a line counts as written.
    pub durability: Durability,
    /// A file that has grown to this is closed before its day ends.
    pub rotate_bytes: u64,
    /// The head is signed after this many records, and at rotation.
    pub sign_every: u32,
}

/// When a line of the ledger counts as written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// The kernel has it: survives a crash of the daemon.
    Os,
    /// The disk has it: survives a power cut.
    Disk,
}

/// `[policy]`: what agents may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// The folder of `*.cedar` files; none for the built-in starter policy.
    pub folder: Option<PathBuf>,
}

impl Default for Proxy {
    fn default() -> Self {
        Self {
            listen: loopback(7979),
            unlisted: Unlisted::Tunnel,
            unidentified: Unidentified::Refuse,
            upstream: None,
            no_proxy: Vec::new(),
            tunnel_ports: vec![443],
            private_tunnels: Vec::new(),
        }
    }
}

impl Default for Zone {
    fn default() -> Self {
        Self::Embedded { listen: loopback(7980) }
    }
}

impl Default for Whoami {
    fn default() -> Self {
        Self { enabled: true, listen: loopback(7981) }
    }
}

impl Default for Audit {
    fn default() -> Self {
        Self {
            folder: None,
            durability: Durability::Os,
            rotate_bytes: limits::LEDGER_ROTATE_BYTES,
            sign_every: limits::LEDGER_SIGN_EVERY,
        }
    }
}

fn loopback(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}
