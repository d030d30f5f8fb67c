//! How a host that is no resource is reached in the clear: nothing injected, cookies and the agent's own
//! `Authorization` left alone, public addresses only.

use crate::model::CredentialHeader;
use crate::model::Destination;
use crate::model::PathForms;
use crate::model::ResourceId;
use crate::resource::Cookies;
use crate::resource::HostPattern;
use crate::resource::PrivateAddresses;
use crate::resource::Resource;
use crate::resource::ResourceInstance;
use crate::resource::Source;
use crate::upstream::NotForwarded;

pub(super) fn passage(destination: &Destination) -> Result<Resource, NotForwarded> {
    let Destination { scheme, authority, .. } = destination;
    let name = format!("{}://{authority}", scheme.as_str());
    Ok(Resource {
        instance: ResourceInstance::next(),
        identifier: ResourceId::parse(&name).map_err(|_| NotForwarded::Target)?,
        scheme: *scheme,
        hosts: vec![HostPattern::Exact(authority.host.clone())],
        port: authority.port,
        paths: Vec::new(),
        methods: Vec::new(),
        path_forms: PathForms::default(),
        source: Source::None,
        header: CredentialHeader::bearer(),
        connect: None,
        extra_roots: Vec::new(),
        cookies: Cookies::Pass,
        private_addresses: PrivateAddresses::Refuse,
    })
}
