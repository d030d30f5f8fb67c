//! What the caller may do with a thing, told with `expand[]=permissions`.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

use crate::zone::management::caller::Access;
use crate::zone::management::caller::Caller;
use crate::zone::management::caller::Role;
use crate::zone::management::query::Query;

/// For each kind of thing, for each action, whether it is allowed.
pub(super) type Permissions = BTreeMap<&'static str, BTreeMap<&'static str, bool>>;

/// Something, and what the caller may do, where that was asked for.
#[derive(Serialize, ToSchema)]
pub(super) struct Permitted<T> {
    #[serde(flatten)]
    it: T,
    /// Only with `expand[]=permissions`.
    #[serde(skip_serializing_if = "Option::is_none")]
    permissions: Option<Permissions>,
}

impl<T> Permitted<T> {
    /// With what [`asked`] found.
    pub(super) fn new(it: T, permissions: &Option<Permissions>) -> Self {
        Self { it, permissions: permissions.clone() }
    }
}

/// Of this caller in this role, where the query asks for it.
pub(super) fn asked(caller: &Caller, role: Role, query: &Query) -> Option<Permissions> {
    query.expands("permissions").then(|| permissions(caller, role))
}

/// Of this caller in this role.
pub(super) fn permissions(caller: &Caller, role: Role) -> Permissions {
    let of = |collection: &'static str| {
        let allowed = |access| caller.check(role, collection, access).is_ok();
        let actions =
            [("create", Access::Write), ("read", Access::Read), ("update", Access::Write), ("delete", Access::Write)];
        (collection, actions.into_iter().map(|(action, access)| (action, allowed(access))).collect())
    };
    COLLECTIONS.into_iter().map(of).collect()
}

const COLLECTIONS: [&str; 20] = [
    "organizations",
    "api-tokens",
    "service-accounts",
    "invitations",
    "sso-connection",
    "zones",
    "applications",
    "application-credentials",
    "providers",
    "resources",
    "packages",
    "delegated-grants",
    "sessions",
    "users",
    "user-agents",
    "members",
    "secrets",
    "policies",
    "policy-sets",
    "policy-schemas",
];
