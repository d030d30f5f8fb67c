//! Every way in which a request is not answered by its API, by whose fault it is.
//!
//! Two tables read it and nothing else: `proxy::reply` for agents and `cli::failure` for people.

use crate::agent::Unidentified;
use crate::audit::RefusedBy;
use crate::audit::Rejection;
use crate::audit::Unrecorded;
use crate::credential::NotObtained;
use crate::http::Malformed;
use crate::http::Violation;
use crate::policy::Denial;
use crate::policy::DenialReason;
use crate::upstream::NotForwarded;

/// Why a request goes no further.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// The agent: its request can be read in two ways, or in none.
    #[error("the request is not acceptable")]
    Malformed(#[source] Malformed),
    /// The agent: its body broke off.
    #[error("the request's body broke off")]
    BodyBroken,
    /// The agent: it is nobody.
    #[error("who is asking is not known")]
    Unidentified(#[from] Unidentified),
    /// Policy: nothing permits it, or something forbids it.
    #[error("policy does not permit Agent::\"{}\" to Action::\"{}\" {}", .0.agent, .0.action.as_str(), .0.subject)]
    Denied(Box<Denial>),
    /// Configuration: the host is no resource, and those are denied.
    #[error("the host is not a configured resource")]
    Unlisted,
    /// Configuration: the host is a resource's, but no resource claims this path and method.
    #[error("no resource claims this path and method of its host")]
    Unclaimed,
    /// Configuration: tunnels to this port are not permitted.
    #[error("tunnels to this port are not permitted")]
    TunnelPort,
    /// Person, provider or us: no credential.
    #[error("no credential could be obtained")]
    NotObtained(#[from] NotObtained),
    /// Network: the API was not reached, or its answer was not proper.
    #[error("the request did not reach its destination")]
    NotForwarded(#[from] NotForwarded),
    /// Us: the ledger can't be written, so that nothing may be sent.
    #[error("the request could not be recorded, so that it was not sent")]
    Unrecorded(#[from] Unrecorded),
}

impl From<Denial> for Refusal {
    fn from(denial: Denial) -> Self {
        Self::Denied(Box::new(denial))
    }
}

impl From<Malformed> for Refusal {
    fn from(malformed: Malformed) -> Self {
        Self::Malformed(malformed)
    }
}

impl Refusal {
    /// A stable name for problems, records and tests.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Malformed(malformed) => code_of(malformed),
            Self::BodyBroken => "request-body-broken",
            Self::Unidentified(Unidentified::Missing) => "proxy-credentials-missing",
            Self::Unidentified(Unidentified::Malformed) => "proxy-credentials-malformed",
            Self::Unidentified(Unidentified::Unknown) => "proxy-credentials-unknown",
            Self::Unidentified(Unidentified::Ended) => "session-ended",
            Self::Denied(denial) => match denial.reason {
                DenialReason::NotPermitted => "policy-not-permitted",
                DenialReason::Forbidden => "policy-forbidden",
                DenialReason::PolicyError => "policy-error",
            },
            Self::Unlisted => "host-unlisted",
            Self::Unclaimed => "path-unclaimed",
            Self::TunnelPort => "tunnel-port",
            Self::NotObtained(error) => error.code(),
            Self::NotForwarded(error) => error.code(),
            Self::Unrecorded(_) => "ledger-unwritable",
        }
    }

    /// What the record says of it.
    pub fn record(&self) -> RefusedBy {
        match self {
            Self::Denied(denial) => RefusedBy {
                code: self.code(),
                decision: Rejection::Deny,
                action: Some(denial.action),
                policies: Some(denial.policies.clone()),
                policy_set: Some(denial.policy_set.clone()),
            },
            Self::Malformed(_)
            | Self::BodyBroken
            | Self::Unidentified(_)
            | Self::Unlisted
            | Self::Unclaimed
            | Self::TunnelPort
            | Self::NotObtained(_)
            | Self::NotForwarded(_)
            | Self::Unrecorded(_) => RefusedBy::code(self.code()),
        }
    }

    /// What to do about it.
    pub fn hint(&self) -> String {
        let text = match self {
            Self::Unidentified(_) => "start the agent through the broker: `valetkey run -- COMMAND`",
            Self::Denied(denial) if denial.reason == DenialReason::PolicyError => {
                "a policy could not be evaluated; see `valetkey logs`"
            }
            Self::Denied(denial) if denial.reason == DenialReason::Forbidden => {
                "a policy forbids it: `valetkey audit --record ID` names it"
            }
            Self::Denied(_) => {
                "a person can permit it: a `permit` in the folder `policies`, which `valetkey init` begins"
            }
            Self::Unlisted => "a person can add a [[resource]] for the host, or set `[proxy] unlisted = \"tunnel\"`",
            Self::Unclaimed => "see `paths` and `methods` of the host's [[resource]] in proxy.toml",
            Self::TunnelPort => "a person can permit the port: `[proxy] tunnel_ports`",
            Self::Unrecorded(_) => "is the disk full? see `valetkey status`",
            Self::NotObtained(error) => return error.hint(),
            Self::NotForwarded(error) => error.hint(),
            Self::Malformed(Malformed::Path(_)) => {
                "if the API needs this spelling, its [[resource]] can permit it: `allow_in_path`"
            }
            Self::Malformed(Malformed::OriginForm) => {
                "this port is a proxy's: set it as HTTPS_PROXY, or use `valetkey run`"
            }
            Self::Malformed(Malformed::HttpsInTheClear) => {
                "set HTTPS_PROXY, so that the client sends CONNECT for https"
            }
            Self::Malformed(Malformed::Misdirected) => "open another connection for another host",
            Self::Malformed(Malformed::TooManyHeaders | Malformed::Bytes(Violation::TooLarge)) => {
                "send fewer or shorter headers"
            }
            Self::Malformed(Malformed::Bytes(Violation::Stalled)) => "send the whole head of a request at once",
            Self::Malformed(Malformed::Method) => {
                "use one of the methods that APIs have: GET, POST, PUT, PATCH, DELETE…"
            }
            Self::Malformed(_) => {
                "the client sends what servers read in different ways; another client, or a newer one, may not"
            }
            Self::BodyBroken => "send the request again",
        };
        text.to_owned()
    }
}

fn code_of(malformed: &Malformed) -> &'static str {
    match malformed {
        Malformed::Bytes(_) => "request-ambiguous",
        Malformed::Path(_) => "path-ambiguous",
        Malformed::Authority(_) => "host-not-canonical",
        Malformed::HostMissing => "host-missing",
        Malformed::HostRepeated => "host-repeated",
        Malformed::HostDisagrees => "host-disagrees",
        Malformed::Misdirected => "authority-mismatch",
        Malformed::OriginForm => "not-a-proxy-request",
        Malformed::TargetForm => "target-form",
        Malformed::HttpsInTheClear => "https-in-the-clear",
        Malformed::Method => "method-not-permitted",
        Malformed::TooManyHeaders => "headers-too-many",
    }
}
