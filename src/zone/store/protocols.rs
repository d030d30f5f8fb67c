//! What the zone's row says about its protocols. Read anew for each request that it matters to: none of them is frequent,
//! and a change counts at once on all replicas.

use crate::zone::store::Store;
use crate::zone::store::StoreFailed;

/// How clients come to this zone.
#[derive(Clone, Debug)]
pub(in crate::zone) struct Protocols {
    pub(in crate::zone) proof_key: ProofKey,
    pub(in crate::zone) registration: SelfRegistration,
    /// The client ids whose metadata documents are taken, in full; none where no such document is.
    pub(in crate::zone) documents: Option<Vec<String>>,
}

/// Who must send a challenge with an authorization request (RFC 7636).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::zone) enum ProofKey {
    /// Every client.
    Required,
    /// Public clients; those with a secret or a key may go without.
    ForPublicClients,
}

/// Whether clients register themselves (RFC 7591). The daemon's own agents are another matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::zone) enum SelfRegistration {
    /// As the zone's rules have it.
    On,
    /// Not at all.
    Off,
}

/// How people come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::zone) enum LoginFlow {
    /// Straight to the zone's provider, where it has one, else to a page that asks for name and password.
    Default,
    /// Who they are first, then how they show it.
    IdentifierFirst,
}

impl Store {
    /// How people come in to this zone.
    pub(in crate::zone) async fn login_flow(&self) -> Result<LoginFlow, StoreFailed> {
        let flow: Option<String> = sqlx::query_scalar("SELECT login_flow FROM zones WHERE id = $1")
            .bind(self.zone.as_str())
            .fetch_optional(&self.pool)
            .await?;
        Ok(if flow.as_deref() == Some("identifier_first") { LoginFlow::IdentifierFirst } else { LoginFlow::Default })
    }

    /// Those of this zone.
    pub(in crate::zone) async fn protocols(&self) -> Result<Protocols, StoreFailed> {
        let (pkce, dcr, cimd, allowed): (i64, i64, i64, String) = sqlx::query_as(
            "SELECT pkce_required, dcr_enabled, cimd_enabled, cimd_allowed_client_ids FROM zones WHERE id = $1",
        )
        .bind(self.zone.as_str())
        .fetch_one(&self.pool)
        .await?;
        // A damaged list allows nobody.
        let allowed: Vec<String> = serde_json::from_str(&allowed).unwrap_or_default();
        Ok(Protocols {
            proof_key: if pkce == 0 { ProofKey::ForPublicClients } else { ProofKey::Required },
            registration: if dcr == 0 { SelfRegistration::Off } else { SelfRegistration::On },
            documents: (cimd != 0).then_some(allowed),
        })
    }
}
