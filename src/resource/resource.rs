//! A protected API that agents may reach, and how its credential is had.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

use hyper::Method;
use rustls_pki_types::CertificateDer;

use crate::model::Authority;
use crate::model::CredentialHeader;
use crate::model::PathForms;
use crate::model::ResourceId;
use crate::model::Scheme;
use crate::model::Scopes;
use crate::resource::HostPattern;
use crate::resource::PathPattern;

/// One `[[resource]]`: which requests it claims, and what they get.
#[derive(Clone, Debug)]
pub struct Resource {
    /// Which construction of it this is: what was made for one (connections, TLS) serves no other.
    pub instance: ResourceInstance,
    /// The RFC 8707 resource identifier, compared exactly.
    pub identifier: ResourceId,
    /// `https`; `http` only without a credential or to loopback.
    pub scheme: Scheme,
    /// Host names it claims; never empty.
    pub hosts: Vec<HostPattern>,
    /// The port it claims.
    pub port: u16,
    /// Path patterns it claims; empty means every path.
    pub paths: Vec<PathPattern>,
    /// Methods it claims; empty means every method.
    pub methods: Vec<Method>,
    /// Path spellings its API needs.
    pub path_forms: PathForms,
    /// Where its credential comes from.
    pub source: Source,
    /// How the credential stands in a request.
    pub header: CredentialHeader,
    /// Dial this instead of the request's own host and port; TLS still verifies the request's host.
    pub connect: Option<Authority>,
    /// Certificates trusted for this upstream beside the platform's.
    pub extra_roots: Vec<CertificateDer<'static>>,
    /// What happens to cookies in both directions.
    pub cookies: Cookies,
    /// Whether the host may resolve to loopback, private or link-local addresses.
    pub private_addresses: PrivateAddresses,
}

/// Tells each construction of a resource from every other, of the same identifier too: a reload makes new ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ResourceInstance(u64);

impl ResourceInstance {
    /// One that no resource of this process has.
    pub fn next() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

/// Where a resource's credential comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// The request goes on without one; it is still decided and recorded.
    None,
    /// RFC 8693 at the zone: the user's token as subject, the agent's application as client.
    TokenExchange {
        /// Asked for; the zone may grant fewer.
        scopes: Scopes,
        /// How the server is told which API the token is for.
        target: TargetParameter,
    },
    /// RFC 6749 §4.4.
    ClientCredentials {
        /// Asked for; the server may grant fewer.
        scopes: Scopes,
        /// How the server is told which API the token is for.
        target: TargetParameter,
        /// Another server than the zone; without one, the agent's application at the zone.
        endpoint: Option<TokenEndpoint>,
    },
    /// A `[[secret]]` of the configuration, by name.
    Stored {
        /// The secret's name.
        secret: String,
    },
}

/// A token endpoint that is not the zone's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenEndpoint {
    /// `https://…`, or `http://` to loopback.
    pub url: String,
    /// RFC 6749 §2.2.
    pub client_id: String,
    /// The `[[secret]]` that holds the client secret.
    pub client_secret: String,
}

/// Which request parameter names the API a token is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TargetParameter {
    /// `resource` (RFC 8707).
    Resource,
    /// `audience` (RFC 8693 §2.1), for servers that have no `resource`.
    Audience,
}

/// What happens to `Cookie` and `Set-Cookie`: a session cookie is a bearer token that leaves policy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Cookies {
    /// Removed in both directions.
    #[default]
    Strip,
    /// Left alone.
    Pass,
}

/// Whether a name may lead to addresses that are not public.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PrivateAddresses {
    /// Refused: a name that turns to loopback is an attack (DNS rebinding).
    #[default]
    Refuse,
    /// Permitted: the API lives in a private network.
    Permit,
}
