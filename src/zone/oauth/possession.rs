//! Proofs of possession (RFC 9449): a client that proves a key gets tokens that are of no use without it.

use std::time::Duration;

use axum::http::HeaderMap;

use crate::jose::Proof;
use crate::jose::hash_of;
use crate::limits::ZONE_PROOF_AGE_MAX;
use crate::model::Secret;
use crate::model::Timestamp;
use crate::zone::issuer::Issuer;
use crate::zone::oauth::refusal::Refusal;
use crate::zone::opaque::Hash;
use crate::zone::store::Seen;

/// The thumbprint of the key that the request proves; none when it proves none. `token` is the access token that came
/// with it, which the proof must name.
pub(super) async fn proven_key(
    issuer: &Issuer,
    headers: &HeaderMap,
    method: &str,
    path: &str,
    token: Option<&str>,
) -> Result<Option<String>, Refusal> {
    let mut sent = headers.get_all("dpop").iter();
    let Some(value) = sent.next() else { return Ok(None) };
    if sent.next().is_some() {
        return Err(Refusal::invalid_proof("More than one proof was sent"));
    }
    let proof = value.to_str().ok().and_then(|text| Proof::read(text).ok());
    let proof = proof.ok_or_else(|| Refusal::invalid_proof("The proof is not valid"))?;
    let (now, made_at) = (issuer.clock.now(), Timestamp::from_seconds(proof.iat));
    if now.since(made_at) > ZONE_PROOF_AGE_MAX || made_at.since(now) > AHEAD_MAX {
        return Err(Refusal::invalid_proof("The proof is too old, or from the future"));
    }
    if proof.htm != method || !is_address(&proof.htu, issuer.url(), path) {
        return Err(Refusal::invalid_proof("The proof is for another request"));
    }
    if let Some(token) = token
        && proof.ath.as_deref() != Some(hash_of(token).as_str())
    {
        return Err(Refusal::invalid_proof("The proof is for another token"));
    }
    if proof.jti.is_empty() {
        return Err(Refusal::invalid_proof("The proof has no name"));
    }
    let seen = Hash::of(&Secret::new(format!("proof\n{}\n{}", proof.thumbprint, proof.jti)));
    match issuer.store.see(&seen, made_at.after(ZONE_PROOF_AGE_MAX).after(AHEAD_MAX)).await? {
        Seen::First => Ok(Some(proof.thumbprint)),
        Seen::Again => Err(Refusal::invalid_proof("The proof was shown before")),
    }
}

/// RFC 9449 §4.3: compared without query and fragment, after the normalization of RFC 3986 §6.2.2 and §6.2.3.
fn is_address(sent: &str, issuer: &str, path: &str) -> bool {
    let own = url::Url::parse(&format!("{issuer}{path}"));
    let (Ok(mut sent), Ok(own)) = (url::Url::parse(sent), own) else { return false };
    sent.set_query(None);
    sent.set_fragment(None);
    sent == own
}

/// How far the client's clock may be ahead of ours.
const AHEAD_MAX: Duration = Duration::from_secs(10);

/// As the metadata names them.
pub(super) const PROOF_ALGORITHMS: [&str; 2] = ["ES256", "RS256"];
