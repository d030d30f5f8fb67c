//! The zone's signature under a version of a policy set: a flattened JWS (RFC 7515 §7.2.2) over the canonical form
//! (RFC 8785) of a statement about it. Made when the version is, and again when the key that signed it is retired, so
//! that the JWKS always has the key.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde::Serialize;
use utoipa::ToSchema;

use crate::jose::Jws;
use crate::model::Timestamp;
use crate::zone::canonical;
use crate::zone::management::in_zone::InZone;
use crate::zone::management::json;
use crate::zone::management::policy_manifest::Entry;
use crate::zone::management::policy_manifest::Manifest;
use crate::zone::management::policy_set_versions::Row;
use crate::zone::management::refused::Refused;

/// JWS Flattened JSON Serialization of a policy set attestation; verified with the zone's JWKS.
#[derive(Serialize, ToSchema)]
pub(super) struct Attestation {
    /// base64url of the statement in its canonical form.
    payload: String,
    /// base64url of the header, with `alg` and `kid`.
    protected: String,
    /// base64url of the signature over `protected`, a dot and `payload`.
    signature: String,
    #[serde(flatten)]
    statement: Decoded,
}

/// The statement once more, for clients that read it without looking into the payload. Not signed: whoever verifies the
/// signature reads the payload, and passes over members that are not of a JWS (RFC 7515 §7.2.2).
#[derive(Serialize, Deserialize, ToSchema)]
#[schema(as = AttestationStatement)]
struct Decoded {
    v: u8,
    r#type: String,
    zone_id: String,
    policy_set_id: String,
    policy_set_version: i64,
    manifest_sha: String,
    /// `created`, in the payload `committed`, or `re_signed`
    status: String,
    /// The key that signed it.
    #[serde(default)]
    key_id: String,
    attested_by: String,
    #[schema(format = DateTime)]
    attested_at: String,
}

/// What is attested.
#[derive(Serialize)]
struct Statement<'a> {
    v: u8,
    r#type: &'static str,
    /// `committed` when the version was made, `re_signed` after a rotation of keys.
    status: &'static str,
    zone_id: &'a str,
    policy_set_id: &'a str,
    policy_set_version: i64,
    manifest: &'a [Entry],
    manifest_sha: &'a str,
    attested_at: Timestamp,
    attested_by: &'a str,
}

/// The attestation of this version, signed now where there is none of the key that signs.
pub(super) async fn of(place: &InZone, row: &Row, manifest: &Manifest) -> Result<Attestation, Refused> {
    let keys = place.issuer.keyring.keys();
    let kept: Option<Jws> = json::read(row.attestation.clone());
    if let Some(jws) = kept.as_ref().filter(|jws| jws.kid().as_deref() == Some(keys.signing().kid())) {
        return Attestation::of(jws.clone());
    }
    let statement = Statement {
        v: 1,
        r#type: "policy_set_attestation",
        status: if kept.is_some() { "re_signed" } else { "committed" },
        zone_id: &row.zone_id,
        policy_set_id: &row.policy_set_id,
        policy_set_version: row.version,
        manifest: &manifest.entries,
        manifest_sha: &row.manifest_sha,
        attested_at: place.now,
        attested_by: &row.authors.created_by,
    };
    let payload = canonical::json(&statement).ok_or_else(Refused::failed)?;
    let jws = keys.signing().sign_flattened(TYPE, payload.as_bytes()).map_err(|_| Refused::failed())?;
    let text = json::write(Some(&jws))?.unwrap_or_default();
    place.store.attest(&row.id, row.attestation.as_deref(), &text).await?;
    Attestation::of(jws)
}

impl Attestation {
    fn of(jws: Jws) -> Result<Self, Refused> {
        let key_id = jws.kid().ok_or_else(Refused::failed)?;
        let Jws { protected, payload, signature } = jws;
        let decoded = URL_SAFE_NO_PAD.decode(&payload).map_err(|_| Refused::failed())?;
        let decoded: Decoded = serde_json::from_slice(&decoded).map_err(|_| Refused::failed())?;
        let status = if decoded.status == "committed" { "created".to_owned() } else { decoded.status };
        Ok(Self { payload, protected, signature, statement: Decoded { status, key_id, ..decoded } })
    }
}

const TYPE: &str = "policy-set-attestation+json";
