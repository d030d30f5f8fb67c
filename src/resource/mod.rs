//! Step 2, find: from a [`Destination`](crate::model::Destination) to the [`Target`] it means.

mod catalogue;
mod pattern;
#[allow(clippy::module_inception, reason = "the noun of this room")]
mod resource;

pub use catalogue::Resources;
pub use catalogue::Target;
pub use pattern::HostPattern;
pub use pattern::PathPattern;
pub use pattern::PatternNotLegal;
pub use resource::Cookies;
pub use resource::PrivateAddresses;
pub use resource::Resource;
pub use resource::ResourceInstance;
pub use resource::Source;
pub use resource::TargetParameter;
pub use resource::TokenEndpoint;
