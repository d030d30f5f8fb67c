//! What a newer release of the program changes in the zones that are there, when it starts, and tells of.

use crate::model::Timestamp;
use crate::zone::access::ManagedSet;
use crate::zone::events::Event;
use crate::zone::events::Events;
use crate::zone::events::Field;
use crate::zone::events::POLICIES_RENEW;
use crate::zone::store::Store;
use crate::zone::store::StoreFailed;

/// Gives every zone the managed policies of this release. Of several replicas one does it, zone by zone, and that one
/// tells; a program that ends between the change and its telling leaves the change told by the set's own versions only.
pub(in crate::zone) async fn renew_policies(
    store: &Store,
    managed: &ManagedSet,
    events: &dyn Events,
    now: Timestamp,
) -> Result<(), StoreFailed> {
    for renewed in store.renew_policies(managed, now).await? {
        events.record(&Event {
            name: POLICIES_RENEW,
            fields: &[
                ("zone", Field::Text(renewed.zone.as_str())),
                ("policy_set", Field::Text(&renewed.set)),
                ("policy_set_version", Field::Text(&renewed.version)),
                ("manifest_sha", Field::Text(&renewed.manifest_sha)),
                // None where the zone's people chose another set, or an earlier version.
                ("mode", Field::Text(if renewed.decides { "active" } else { "none" })),
                ("by", Field::Text("platform")),
            ],
        });
    }
    Ok(())
}
