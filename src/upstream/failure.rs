//! Why a request did not reach its API, or its answer did not come back.

use std::error::Error as _;

use crate::http::BodyFailed;
use crate::model::Authority;
use crate::upstream::sent::BodySent;

/// Each failure names the host, never a header, body or query.
#[derive(Debug, thiserror::Error)]
pub enum NotForwarded {
    /// The name is unknown to DNS.
    #[error("`{host}` is not known to DNS")]
    Unresolved {
        /// Who was called.
        host: String,
    },
    /// The name leads to an address that is not public.
    #[error("`{host}` leads to an address in a private or special range")]
    PrivateAddress {
        /// Who was called.
        host: String,
    },
    /// The name stands for this machine, and leads elsewhere.
    #[error("`{host}` stands for this machine, and its name leads elsewhere")]
    NotLoopback {
        /// Who was called.
        host: String,
    },
    /// It leads to this daemon.
    #[error("`{host}` leads back to this daemon")]
    OwnListener {
        /// Who was called.
        host: String,
    },
    /// Nobody listens.
    #[error("could not connect to `{host}`")]
    Unreachable {
        /// Who was called.
        host: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// The corporate proxy refused or is broken.
    #[error("the upstream proxy did not open a tunnel to `{host}`: {what}")]
    UpstreamProxy {
        /// Who was called.
        host: String,
        /// What it said, in short.
        what: String,
    },
    /// No connection within the bound.
    #[error("no connection to `{host}` within {} s", crate::limits::UPSTREAM_CONNECT_TIMEOUT.as_secs())]
    ConnectTimeout {
        /// Who was called.
        host: String,
    },
    /// The server's certificate is not good for this host.
    #[error("the certificate of `{host}` is not acceptable: {source}")]
    Certificate {
        /// Who was called.
        host: String,
        /// What is wrong with it.
        source: rustls::Error,
    },
    /// The server speaks no HTTP that was offered.
    #[error("`{host}` does not speak the HTTP that was offered")]
    Protocol {
        /// Who was called.
        host: String,
    },
    /// The TLS handshake failed for another reason.
    #[error("no TLS with `{host}`")]
    Tls {
        /// Who was called.
        host: String,
        /// What rustls said.
        source: std::io::Error,
    },
    /// The server closed the connection before it took the request.
    #[error("`{host}` closed the connection before it took the request")]
    Closed {
        /// Who was called.
        host: String,
    },
    /// The server broke off, or spoke no proper HTTP.
    #[error("`{host}` broke the connection or spoke no proper HTTP")]
    Broken {
        /// Who was called.
        host: String,
        /// What came instead.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// No head of an answer within the bound.
    #[error("`{host}` gave no answer within {} s", crate::limits::UPSTREAM_HEAD_TIMEOUT.as_secs())]
    HeadTimeout {
        /// Who was called.
        host: String,
    },
    /// The server switched protocols though nobody asked, or to one that nobody asked for.
    #[error("the server switched to a protocol that nobody asked for")]
    UnaskedSwitch,
    /// The answer can be read in two ways: length and encoding together, or one of them twice.
    #[error("the server's answer doesn't say in exactly one way where it ends")]
    AmbiguousAnswer,
    /// The agent broke off while it sent its body.
    #[error("the agent's body broke off")]
    AgentBody,
    /// The target can't be written as a URI.
    #[error("the request target can't be written as a URI")]
    Target,
    /// A resource's own certificate can't serve as a root.
    #[error("the `ca` of this resource is not usable")]
    OwnRoots(#[source] crate::tls::RootNotUsable),
}

impl NotForwarded {
    /// A stable name for problems and records.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unresolved { .. } => "upstream-unresolved",
            Self::PrivateAddress { .. } => "upstream-private-address",
            Self::NotLoopback { .. } => "upstream-not-loopback",
            Self::OwnListener { .. } => "upstream-own-listener",
            Self::Unreachable { .. } => "upstream-unreachable",
            Self::UpstreamProxy { .. } => "upstream-proxy",
            Self::ConnectTimeout { .. } => "upstream-connect-timeout",
            Self::Certificate { .. } => "upstream-certificate",
            Self::Protocol { .. } => "upstream-protocol",
            Self::Tls { .. } => "upstream-tls",
            Self::Closed { .. } => "upstream-closed",
            Self::Broken { .. } => "upstream-broken",
            Self::HeadTimeout { .. } => "upstream-timeout",
            Self::UnaskedSwitch => "upstream-unasked-switch",
            Self::AmbiguousAnswer => "upstream-ambiguous",
            Self::AgentBody => "request-body-broken",
            Self::Target => "target-not-legal",
            Self::OwnRoots(_) => "upstream-ca-unusable",
        }
    }

    /// What to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Unresolved { .. } => "check the host name, or pin where it is dialled: `connect = \"address:port\"`",
            Self::PrivateAddress { .. } => {
                "if the API lives in a private network, say so: `private = true` in its [[resource]]"
            }
            Self::NotLoopback { .. } => {
                "ask who answers for this name: `localhost` and what is below it are loopback only"
            }
            Self::OwnListener { .. } => "agents can't reach the daemon's own listeners through it",
            Self::Certificate { .. } => {
                "if the API has a certificate of your own authority, name it: `ca = \"FILE.pem\"` in its [[resource]]"
            }
            Self::OwnRoots(_) => "check the file that `ca` names: `valetkey config check`",
            Self::UpstreamProxy { .. } => "check `[proxy] upstream` and its credentials",
            Self::Unreachable { .. } | Self::ConnectTimeout { .. } | Self::HeadTimeout { .. } => {
                "the API is down or slow: try again later"
            }
            Self::Protocol { .. } | Self::Tls { .. } => {
                "is it a TLS server that speaks HTTP? see `connect` and `port` of its [[resource]]"
            }
            Self::Closed { .. } | Self::Broken { .. } => "the API broke off: try again later",
            Self::UnaskedSwitch | Self::AmbiguousAnswer => {
                "the API's server is broken, or something stands before it: tell who runs it"
            }
            Self::AgentBody | Self::Target => "send the request again, whole",
        }
    }

    pub(super) fn from_handshake(host: &Authority, error: std::io::Error) -> Self {
        let host = host.to_string();
        let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
        match inner {
            Some(source @ rustls::Error::InvalidCertificate(_)) => Self::Certificate { host, source: source.clone() },
            Some(rustls::Error::AlertReceived(rustls::AlertDescription::NoApplicationProtocol)) => {
                Self::Protocol { host }
            }
            _ => Self::Tls { host, source: error },
        }
    }

    /// `body` is how the request's body fared: HTTP/2 tells only that the stream was reset.
    pub(super) fn from_exchange(host: &Authority, error: hyper::Error, body: BodySent) -> Self {
        let of_the_agent = body == BodySent::Broken || error.source().is_some_and(|source| source.is::<BodyFailed>());
        if of_the_agent { Self::AgentBody } else { Self::Broken { host: host.to_string(), source: Box::new(error) } }
    }
}
