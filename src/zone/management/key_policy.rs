//! The AWS KMS key policy of an organisation, which there is none of.
//!
//! Such a policy lets an AWS account of the service's operator use a customer's key. A zone of ours seals with a key in a
//! file beside it and calls no AWS: a policy would have to name somebody else's account, and whoever put it on their key
//! would believe that the zone's secrets depend on it. For the same reason a zone takes no `encryption_key`.

use std::sync::Arc;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::zone::issuer::Issuer;
use crate::zone::management::in_organization::InOrganization;
use crate::zone::management::refused::Refusals;
use crate::zone::management::refused::Refused;

pub(super) fn router() -> OpenApiRouter<Arc<Issuer>> {
    OpenApiRouter::new().routes(routes!(retrieve))
}

/// Get AWS KMS key policy
///
/// Always 404, with the code `not_supported`: this server has no AWS account that a policy could name, and seals with a
/// key of its own.
#[utoipa::path(get, path = "/organizations/{organization_id}/aws/key-policy", tag = "organizations",
    params(("organization_id" = String, Path)), responses(Refusals))]
async fn retrieve(_place: InOrganization) -> Refused {
    Refused::not_supported("There is no key policy: this server uses no AWS KMS keys and seals with a key of its own")
}
