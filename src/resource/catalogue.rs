//! All resources, arranged so that finding one costs the same for ten and for ten thousand.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::Arc;

use hyper::Method;

use crate::model::Authority;
use crate::model::Destination;
use crate::model::PathForms;
use crate::model::ResourceId;
use crate::model::Scheme;
use crate::resource::HostPattern;
use crate::resource::PathPattern;
use crate::resource::Resource;

/// What a destination means.
#[derive(Clone, Debug)]
pub enum Target {
    /// A configured resource claims it.
    Resource(Arc<Resource>),
    /// A configured resource claims the host, but none claims this path and method there.
    Unclaimed,
    /// No resource claims the host.
    Unlisted,
}

/// An immutable set of resources; a reload makes a new one.
#[derive(Debug, Default)]
pub struct Resources {
    exact: HashMap<Authority, Claims>,
    below: HashMap<Authority, Claims>,
    all: Vec<Arc<Resource>>,
}

impl Resources {
    /// Sorts each host's resources so that the most specific path pattern comes first.
    pub fn new(all: Vec<Arc<Resource>>) -> Self {
        let mut resources = Self { all, ..Self::default() };
        for resource in &resources.all {
            for pattern in &resource.hosts {
                let (map, host) = match pattern {
                    HostPattern::Exact(host) => (&mut resources.exact, host),
                    HostPattern::Below(parent) => (&mut resources.below, parent),
                };
                let claims = map.entry(Authority { host: host.clone(), port: resource.port }).or_default();
                claims.add(resource);
            }
        }
        for claims in resources.exact.values_mut().chain(resources.below.values_mut()) {
            claims.by_path.sort_by_key(|claim| Reverse(claim.specificity()));
        }
        resources
    }

    /// Every resource, in the order of the configuration.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Resource>> {
        self.all.iter()
    }

    /// The resource with this identifier.
    pub fn by_identifier(&self, identifier: &ResourceId) -> Option<&Arc<Resource>> {
        self.all.iter().find(|resource| resource.identifier == *identifier)
    }

    /// A resource that claims this host and port over this scheme; only then is its TLS opened.
    pub fn claimant(&self, scheme: Scheme, authority: &Authority) -> Option<Arc<Resource>> {
        let claims = self.host(authority)?;
        claims.by_path.iter().map(|claim| &claim.resource).find(|resource| resource.scheme == scheme).cloned()
    }

    /// The path spellings that any resource of the host permits. What is found is then held to its own.
    pub fn path_forms(&self, authority: &Authority) -> PathForms {
        self.host(authority).map(|claims| claims.forms).unwrap_or_default()
    }

    /// The most specific resource: an exact host before a wildcard, a longer wildcard before a shorter,
    /// more literal path segments before fewer.
    pub fn find(&self, destination: &Destination, method: &Method) -> Target {
        let Some(claims) = self.host(&destination.authority) else { return Target::Unlisted };
        let meant = claims.by_path.iter().find(|claim| {
            claim.resource.scheme == destination.scheme
                && claim.pattern.as_ref().is_none_or(|pattern| pattern.matches(&destination.path))
                && (claim.resource.methods.is_empty() || claim.resource.methods.contains(method))
        });
        meant.map_or(Target::Unclaimed, |claim| Target::Resource(Arc::clone(&claim.resource)))
    }

    fn host(&self, authority: &Authority) -> Option<&Claims> {
        if let Some(claims) = self.exact.get(authority) {
            return Some(claims);
        }
        if self.below.is_empty() {
            return None;
        }
        let name = authority.host.as_str();
        let parents = name.match_indices('.').filter_map(|(dot, _)| name.get(dot + 1..));
        parents
            .filter_map(|parent| crate::model::Host::parse(parent).ok())
            .find_map(|host| self.below.get(&Authority { host, port: authority.port }))
    }
}

#[derive(Debug, Default)]
struct Claims {
    by_path: Vec<Claim>,
    forms: PathForms,
}

#[derive(Debug)]
struct Claim {
    pattern: Option<PathPattern>,
    resource: Arc<Resource>,
}

impl Claims {
    fn add(&mut self, resource: &Arc<Resource>) {
        let patterns = resource.paths.iter().cloned().map(Some);
        let every = resource.paths.is_empty().then_some(None);
        let claim = |pattern| Claim { pattern, resource: Arc::clone(resource) };
        self.by_path.extend(patterns.chain(every).map(claim));
        let (own, added) = (&mut self.forms, resource.path_forms);
        own.encoded_slash |= added.encoded_slash;
        own.empty_segment |= added.empty_segment;
        own.semicolon |= added.semicolon;
    }
}

impl Claim {
    fn specificity(&self) -> (usize, usize, bool) {
        let (literals, segments) = self.pattern.as_ref().map_or((0, 0), PathPattern::specificity);
        (literals, segments, !self.resource.methods.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::CredentialHeader;
    use crate::model::Path;
    use crate::resource::Source;

    fn resource(identifier: &str, host: &str, paths: &[&str], methods: &[Method]) -> Arc<Resource> {
        Arc::new(Resource {
            instance: crate::resource::ResourceInstance::next(),
            identifier: ResourceId::parse(identifier).unwrap(),
            scheme: Scheme::Https,
            hosts: vec![HostPattern::parse(host).unwrap()],
            port: 443,
            paths: paths.iter().map(|path| PathPattern::parse(path).unwrap()).collect(),
            methods: methods.to_vec(),
            path_forms: PathForms::default(),
            source: Source::None,
            header: CredentialHeader::bearer(),
            connect: None,
            extra_roots: Vec::new(),
            cookies: crate::resource::Cookies::Strip,
            private_addresses: crate::resource::PrivateAddresses::Refuse,
        })
    }

    fn found(resources: &Resources, method: Method, host: &str, path: &str) -> String {
        let destination = Destination {
            scheme: Scheme::Https,
            authority: Authority::parse_or(host, 443).unwrap(),
            path: Path::parse(path, PathForms::default()).unwrap(),
        };
        match resources.find(&destination, &method) {
            Target::Resource(resource) => resource.identifier.to_string(),
            Target::Unclaimed => "unclaimed".to_owned(),
            Target::Unlisted => "unlisted".to_owned(),
        }
    }

    #[test]
    fn the_most_specific_resource_wins() {
        let resources = Resources::new(vec![
            resource("urn:wild", "*.example.com", &[], &[]),
            resource("urn:deep", "*.b.example.com", &[], &[]),
            resource("urn:api", "api.example.com", &[], &[]),
            resource("urn:v1", "api.example.com", &["/v1/**"], &[]),
            resource("urn:v1-users", "api.example.com", &["/v1/users/*"], &[Method::GET]),
            resource("urn:only", "only.example.com", &["/a"], &[]),
        ]);
        for (method, host, path, expected) in [
            (Method::GET, "x.example.com", "/", "urn:wild"),
            (Method::GET, "a.b.example.com", "/", "urn:deep"),
            (Method::GET, "api.example.com", "/", "urn:api"),
            (Method::GET, "api.example.com", "/v1/x", "urn:v1"),
            (Method::GET, "api.example.com", "/v1/users/7", "urn:v1-users"),
            (Method::POST, "api.example.com", "/v1/users/7", "urn:v1"),
            (Method::GET, "only.example.com", "/b", "unclaimed"),
            (Method::GET, "example.com", "/", "unlisted"),
            (Method::GET, "api.example.com:8443", "/", "unlisted"),
        ] {
            assert_eq!(found(&resources, method, host, path), expected, "{host}{path}");
        }
    }
}
